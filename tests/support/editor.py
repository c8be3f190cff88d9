"""An editor as the language server meets it: JSON-RPC on the server's stdin and stdout."""

import json
import queue
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

WAIT = 120.0


class Client:
    """An editor: speaks the protocol without the library that the server is made with."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "npi.cli.main", "lsp"]
        pipe = subprocess.PIPE
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe that nobody empties would stop the server)
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=self.stderr)
        self.folder, self.number = folder, 0
        self.versions: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.diagnostics: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        threading.Thread(target=self._listen, daemon=True).start()
        root = {"uri": folder.as_uri(), "name": "programs"}
        able = {"textDocument": {"rename": {"prepareSupport": True}}}
        settled = self.ask("initialize", processId=None, capabilities=able, rootUri=None, workspaceFolders=[root])
        self.capabilities = settled["capabilities"]
        self.tell("initialized")

    def _listen(self) -> None:
        stream = self.process.stdout
        while header := stream.readline():
            length = int(header.split(b":")[1]) if header.lower().startswith(b"content-length") else 0
            while stream.readline().strip():
                pass
            self.messages.put(json.loads(stream.read(length)))

    def _send(self, **message: Any) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        message = self.messages.get(timeout=WAIT)
        assert message.get("method") != "window/showMessage", message  # how pygls tells that a notification failed
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self.diagnostics[params["uri"]] = (params.get("version") or 0, params["diagnostics"])
        return message

    def tell(self, method: str, **params: Any) -> None:
        self._send(method=method, params=params)

    def answer(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer to a request, which may be an error."""
        self.number += 1
        self._send(id=self.number, method=method, params=params)
        while (message := self._receive()).get("id") != self.number or "method" in message:
            pass
        return message

    def ask(self, method: str, **params: Any) -> Any:
        message = self.answer(method, **params)
        assert "error" not in message, message
        return message["result"]

    # documents

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> str:
        """Open a file, with its text on the disk or another; or change its text where it is open."""
        uri = self.uri(name)
        self.texts[name] = text = (self.folder / name).read_text() if text is None else text
        self.versions[uri] = self.versions.get(uri, 0) + 1
        if self.versions[uri] == 1:
            item = {"uri": uri, "languageId": "npi", "version": 1, "text": text}
            self.tell("textDocument/didOpen", textDocument=item)
        else:
            document = {"uri": uri, "version": self.versions[uri]}
            self.tell("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])
        return uri

    def close(self, name: str) -> None:
        self.tell("textDocument/didClose", textDocument={"uri": self.uri(name)})
        self.versions.pop(self.uri(name))
        self.diagnostics.pop(self.uri(name), None)

    def at(self, name: str, mark: str, offset: int = 0, **more: Any) -> dict[str, Any]:
        """A request's place: where ``mark`` first stands in the text, in UTF-16 units, as the protocol counts."""
        text = self.texts[name]
        before = text[: text.index(mark) + offset]
        character = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
        place = {"line": before.count("\n"), "character": character}
        return {"textDocument": {"uri": self.uri(name)}, "position": place, **more}

    def mistakes(self, name: str) -> list[dict[str, Any]]:
        """The diagnostics of the text as it is now."""
        uri = self.uri(name)
        while self.diagnostics.get(uri, (0, []))[0] < self.versions[uri]:
            self._receive()
        return self.diagnostics[uri][1]

    def end(self) -> tuple[int, str]:
        """Shut the server down; its exit code, and what it wrote to stderr."""
        assert self.answer("shutdown")["result"] is None
        self.tell("exit")
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """The exit code of a server that was told to end, and what it wrote to stderr."""
        code = self.process.wait(WAIT)
        self.stderr.seek(0)
        return code, self.stderr.read().decode()

    def stop(self) -> None:
        """Leave no process and no pipe behind, also where a test has failed."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.stderr):
            with suppress(BrokenPipeError):
                stream.close()


def part(text: str, found: dict[str, Any]) -> str:
    """The text in a range of the protocol; of one line."""
    line = text.split("\n")[found["start"]["line"]].encode("utf-16-le")
    assert found["start"]["line"] == found["end"]["line"]
    return line[2 * found["start"]["character"] : 2 * found["end"]["character"]].decode("utf-16-le")


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """The text after edits, applied from the last to the first."""
    lines = text.split("\n")
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line) + 1)
    for edit in sorted(edits, key=lambda e: tuple(e["range"]["start"].values()), reverse=True):
        ends = [edit["range"][end] for end in ("start", "end")]
        begin, end = (begins[e["line"]] + e["character"] for e in ends)
        text = text[:begin] + edit["newText"] + text[end:]
    return text
