"""Streams, environments and numbers as they come: closed, full, of a poor encoding, nonsense; and what is printed."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npi.cli.main import main
from npi.cli.streams import visible, visible_json
from npi.cli.words import parse_sizes
from tests.support.paths import ROOT

RUN = "run add 96 125 --teacher programs/addition.npi"
CHECK = "check --no-run programs/addition.npi"
TABLE = "Perform multi-digit addition"
RESULT = "number(OUT) = 221, expected number(OUT) = 221: right"


def npi(line: str, redirections: str = "", **environment: str | None) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command of its own process, with redirections of a shell."""
    env = {**os.environ, "NPI": f"{sys.executable} -m npi.cli.main"} | environment
    done = subprocess.run(
        ["bash", "-c", f"$NPI {line} {redirections}"],
        cwd=ROOT,
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        timeout=120,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "redirections", "environment", "shown"),
    [
        (CHECK, ">&-", {}, ""),
        (CHECK, "2>&-", {}, TABLE),
        (CHECK, "<&- 2>&- | cat", {}, TABLE),
        (f"{RUN} --step", "<&-", {}, RESULT),
        (CHECK, "", {"PYTHONIOENCODING": "ascii"}, r"\u2500"),
        (CHECK, "", {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, r"\u2500"),
        (RUN, "", {"COLUMNS": "abc", "LINES": "-1", "TERM": None, "HOME": None}, RESULT),
        (CHECK, "", {"COLUMNS": "9" * 30}, TABLE),
        (CHECK, "| head -1", {}, "programs/addition.npi"),
    ],
)
def test_a_command_ends_well_whatever_its_streams_are(
    line: str, redirections: str, environment: dict, shown: str
) -> None:
    code, out, told = npi(line, redirections, **environment)
    assert (code, told) == (0, "")
    assert shown in out


def test_a_closed_stream_is_not_taken_for_a_file(tmp_path: Path) -> None:
    """The first file that is opened would get the number of the closed stream, and what is printed there."""
    drawing = tmp_path / "addition.svg"
    code, _, _ = npi(f"graph programs/addition.npi --out {drawing}", ">&- 2>&- <&-")
    assert code == 0
    assert drawing.read_text().startswith("<svg")
    assert drawing.read_text().rstrip().endswith("</svg>")


def test_errors_go_nowhere_but_to_stderr() -> None:
    code, out, _ = npi("check --json nothere.npi", "2>&-")
    assert code == 2
    assert [report["ok"] for report in json.loads(out)] == [False]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device on this system")
def test_a_full_disk_is_told_once_with_what_could_not_be_written() -> None:
    for line in (CHECK, f"{CHECK} --json", "learn --help"):
        code, _, told = npi(line, ">/dev/full")
        assert code == 2
        assert told == (
            "npi: standard output: No space left on device; check the path and what may be read and written there\n"
        )
    assert npi("check nothere.npi", "2>/dev/full")[0] == 2


HOSTILE = "\x1b]0;owned\x07 \x9b2J \u202edcba\u2066 \x7f \r"
ESCAPED = r"\x1b]0;owned\x07 \x9b2J \u202edcba\u2066 \x7f \r"


def test_control_characters_are_shown_as_escapes() -> None:
    assert visible(HOSTILE) == ESCAPED
    assert visible("tab\tand\nlines, äöü 数 🙂") == "tab\tand\nlines, äöü 数 🙂"
    assert json.loads(visible_json(json.dumps([HOSTILE], ensure_ascii=False))) == [HOSTILE]
    assert not set(HOSTILE) & {"\x1b", "\x9b", "\u202e", "\x7f"} & set(visible_json(HOSTILE))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_names_and_docs_of_files_do_not_reach_the_terminal(stream: type, tmp_path: Path, monkeypatch) -> None:
    """A doc in a table, a doc in a listing, a wrong line in an error, and the name of a file."""
    text = f'world pad is scratchpad:\n    row A of digit\nprogram GO "{HOSTILE}":\n    ACT(A, RIGHT)\n'
    (tmp_path / "good.npi").write_text(text)
    (tmp_path / "bad\x1b]0;x\x07.npi").write_text(text + f"# {HOSTILE}\n    OTHER # {HOSTILE}\n")
    out, told = stream(), stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert main(["check", str(tmp_path / "good.npi")]) == 0
    assert main(["check", str(tmp_path / "bad\x1b]0;x\x07.npi")]) == 2
    assert main(["run", "x", "--teacher", str(tmp_path / "no\x1b]0;x\x07.npi")]) == 2
    for text in (out.getvalue(), told.getvalue()):
        assert r"\x1b]0;" in text
        assert not {"\x07", "\x9b", "\u202e", "\u2066", "\x7f"} & set(text)
        assert "\x1b]" not in text


def test_a_walk_ends_where_nobody_presses_a_key(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: (_ for _ in ()).throw(EOFError))
    monkeypatch.chdir(ROOT)
    assert main([*RUN.split(), "--step"]) == 0
    assert RESULT in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "check --seed -1",
        f"check --seed {2**63}",
        f"check --seed {10**30}",
        f"check --count {10**12}",
        f"check --steps {10**12}",
        f"trace --task add --traces {10**12} --out x",
        f"trace --task add --sizes 1..{10**12} --out x",
        f"trace --task add --sizes {'9' * 5000} --out x",
        "trace --task add --sizes " + ",".join(map(str, range(1, 12_000))) + " --out x",
        f"trace --task add --processes {10**9} --out x",
        f"show --task add 1 2 --limit {10**30}",
        f"show --task add 1 2 --depth {10**30}",
    ],
)
def test_huge_numbers_are_refused_before_anything_is_done(line: str, tmp_path, monkeypatch, capsys) -> None:
    command, _, options = line.partition(" ")
    monkeypatch.chdir(tmp_path)
    assert main([command, str(ROOT / "programs" / "addition.npi"), *options.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err) < 1000
    assert list(tmp_path.iterdir()) == []


def test_sizes_have_a_greatest_one() -> None:
    assert parse_sizes("1..3,1000000") == (1, 2, 3, 1_000_000)
    with pytest.raises(ValueError, match="they go up to 1,000,000"):
        parse_sizes("1000001")


def test_too_little_memory_is_told(monkeypatch, capsys) -> None:
    def fill(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("dsl.load", fill)
    assert main(["run", "add", "--teacher", "x.npi"]) == 2
    assert capsys.readouterr().err.startswith("npi: not enough memory (Unable to allocate 7 TiB); ask for less at once")


def test_files_in_the_layout_of_windows_are_not_changed(tmp_path: Path, capsys) -> None:
    text = (ROOT / "programs" / "addition.npi").read_bytes()
    path = tmp_path / "a.npi"
    for written in (text.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + text):
        path.write_bytes(written)
        assert main(["fmt", "--check", str(path)]) == 0
        assert main(["fmt", str(path)]) == 0
        assert path.read_bytes() == written
        assert main(["check", str(path)]) == 0
    path.write_bytes((text + b"\n\n").replace(b"\n", b"\r\n"))
    assert main(["fmt", "--check", str(path)]) == 1
    assert main(["fmt", str(path)]) == 0
    assert path.read_bytes() == text.replace(b"\n", b"\r\n")
    capsys.readouterr()
