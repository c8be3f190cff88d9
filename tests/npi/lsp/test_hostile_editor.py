"""The language server with an editor that sends nonsense, and texts that are long, wrong, or lie in strange places."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from npi.lsp.project import Project
from npi.lsp.server import MAX_DIAGNOSTICS, Server, diagnostics
from tests.support.editor import WAIT, Client
from tests.support.paths import ROOT

TEXT = "world pad is scratchpad:\n    row A of digit\n\nprogram GO:\n    ACT(A, RIGHT)\n"

NONSENSE = {
    "too short": b'Content-Length: 5\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "too long": b'Content-Length: 40\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "huge": b'Content-Length: 999999999999999\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "more than is read": b'Content-Length: 99999999\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "negative": b'Content-Length: -5\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "a word": b'Content-Length: abc\r\n\r\n{"jsonrpc": "2.0", "method": "x"}',
    "none": b'{"jsonrpc": "2.0", "method": "x"}',
    "no JSON": b"Content-Length: 5\r\n\r\nabcde",
    "no UTF-8": b"Content-Length: 5\r\n\r\n\xff\xfe\xff\xfe\xff",
    "a list": b"Content-Length: 2\r\n\r\n[]",
    "null": b"Content-Length: 4\r\n\r\nnull",
    "an empty object": b"Content-Length: 2\r\n\r\n{}",
    "another method": b'Content-Length: 45\r\n\r\n{"jsonrpc": "2.0", "id": 99, "method": "x/y"}',
    "nested": b"Content-Length: 200000\r\n\r\n" + b"[" * 200000,
}
"""What an editor may send in place of a message: all but "too long" costs nothing else, and that the next message."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "a.npi").write_text(TEXT)
    client = Client(tmp_path.resolve())
    yield client
    client.stop()


@pytest.mark.thorough
def test_messages_behind_nonsense_are_answered(client: Client) -> None:
    client.open("a.npi")
    for name, data in NONSENSE.items():
        client.process.stdin.write(data)
        if name == "too long":
            client.tell("$/setTrace", value="off")  # its head is read as the end of the body before it
        client.process.stdin.flush()
        client.number += 1
        client._send(id=client.number, method="textDocument/hover", params=client.at("a.npi", "GO"))
        while (message := client.messages.get(timeout=WAIT)).get("id") != client.number:
            pass
        assert "GO" in json.dumps(message["result"]), name
    code, told = client.end()
    assert code == 0
    assert "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_that_waits(client: Client, number: int) -> None:
    client.process.send_signal(number)
    assert client.process.wait(WAIT) == -number


@pytest.mark.parametrize("shut_down", [True, False])
def test_it_ends_while_an_answer_is_being_made(client: Client, shut_down: bool) -> None:
    """Red where the end waits for answers: one that comes after it cannot be told, which nobody must be told."""
    client.open("a.npi", TEXT + "    ACT(A, RIGHT)\n" * 5000)
    client._send(id=98, method="textDocument/hover", params=client.at("a.npi", "GO"))
    if shut_down:
        client._send(id=99, method="shutdown", params={})
    client.tell("exit")
    assert client.ended() == (0 if shut_down else 1, "")


def test_files_that_never_end_are_not_read(client: Client) -> None:
    """A device, a pipe and a large file that a text uses; memory stays what it was."""
    os.mkfifo(client.folder / "pipe.npi")
    with (client.folder / "large.npi").open("wb") as file:
        file.truncate(1 << 40)
    (client.folder / "zero.npi").symlink_to("/dev/zero")
    (client.folder / "loop.npi").symlink_to("loop.npi")
    text = "".join(f'use "{name}"\n' for name in ("/dev/zero", "pipe.npi", "large.npi", "zero.npi")) + TEXT
    client.open("b.npi", text)
    codes = [item["code"] for item in client.mistakes("b.npi")]
    assert codes[:4] == ["NPI031", "NPI036", "NPI036", "NPI031"]
    client.ask("textDocument/hover", **client.at("b.npi", "GO"))
    client.ask("textDocument/completion", **client.at("b.npi", "ACT"))
    peak = Path(f"/proc/{client.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) < 600_000, "kB"
    assert client.end()[0] == 0


def test_a_long_list_of_mistakes_is_cut_and_counted(tmp_path: Path) -> None:
    """Lines are cut once for a text, not once for each of its mistakes."""
    text = TEXT + "    ACT(B, RIGHT)\n" * (MAX_DIAGNOSTICS + 7)
    path = tmp_path / "a.npi"
    project = Project({path: text})
    server = Server("npi", "0")
    server.protocol._workspace = type("W", (), {"position_codec": _Codec()})()  # as after initialize
    found = diagnostics(server, project, path)
    assert len(found) == MAX_DIAGNOSTICS
    assert found[-1].message.endswith("(and 7 more)")
    assert list(project.cut) == [path]


class _Codec:
    lines: list[str] | None = None

    def range_to_client_units(self, lines: list[str], found: object) -> object:
        assert self.lines is None or self.lines is lines
        self.lines = lines
        return found


def test_one_editor_is_served_on_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "npi.cli.main", "lsp", "--tcp", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for _ in range(600):
        try:
            editor = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    with editor, editor.makefile("rwb") as stream:
        for number, method in enumerate(("initialize", "shutdown")):
            body = json.dumps(
                {"jsonrpc": "2.0", "id": number, "method": method, "params": {"capabilities": {}}}
            ).encode()
            stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            stream.flush()
            length = int(stream.readline().split(b":")[1])
            while stream.readline().strip():
                pass
            assert json.loads(stream.read(length))["id"] == number
    assert b"Traceback" not in server.communicate(timeout=WAIT)[1]
    assert server.returncode == 0
