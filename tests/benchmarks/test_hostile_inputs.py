"""A short version of ``benchmarks.faults.hostile_inputs``: values that no option takes, and files that are none.

Red where a number is taken as it comes, where a message does not say of which option or file it is, or where what a
command prints has control characters of a name in it.
"""

import os
import random
from pathlib import Path

import pytest

from benchmarks.faults.forks import SMALL, Ended
from benchmarks.faults.hostile_inputs import (
    FILES,
    NAME,
    Option,
    Trial,
    faults_of,
    file_trials,
    options_of,
    value_trials,
)
from npi.cli.main import main
from npi.cli.streams import visible

COMMANDS = (
    "check small.npi",
    "graph small.npi",
    "trace small.npi --out new",
    "show small.npi 0,1,2",
    "train small.npi --out new",
    "run scan 0,1,2 --teacher small.npi",
    "eval scan --teacher small.npi",
    "learn small.npi --out new",
    "demo",
    "lsp",
    "reproduce npi-paper",
    "examples",
)

KINDS = [kind for kind in FILES if kind not in ("4 TiB", "line feeds", "brackets", "nothing")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.npi").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")  # so that no message is broken in the middle of a name
    return tmp_path


def test_options_are_read_off_the_command_line() -> None:
    found = {option.name: option for option in options_of("trace small.npi")}
    assert found["--out"] == Option("--out", path=True, number=False)
    assert found["--sizes"] == Option("--sizes", path=False, number=True)
    assert found["--task"] == Option("--task", path=False, number=False)
    assert len({option.name for command in COMMANDS for option in options_of(command)}) > 30


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("value", ["-1", "nan\x1b]0;x\x07", str(10**30)])
def test_no_option_takes_what_is_no_value(
    line: str, value: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """All options of a command, one after the other; nothing is written."""
    for trial in value_trials(line, random.Random(0), 1, (value,)):
        status = main(trial.words)
        out, err = capfd.readouterr()
        assert (faults_of(trial, Ended(status, out + err, 0.0)), status) == ([], 2), (trial, err)
    assert [path.name for path in folder.iterdir()] == ["small.npi"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_command_reads_what_is_no_file(kind: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for line in ("check small.npi --no-run", "show small.npi 0,1,2", "run scan 0,1,2 --teacher small.npi"):
        (trial,) = (t for t in file_trials(line, folder) if t.file == kind and t.what == "small.npi")
        FILES[kind](folder / NAME)
        status = main(trial.words)
        out, err = capfd.readouterr()
        assert (faults_of(trial, Ended(status, out + err, 0.0)), status) == ([], 2), (trial, err)
        os.rename(folder / NAME, folder / "done")
        (folder / "done").rename(folder / f"done {line.split()[0]}")


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(2, "npi: no such thing", 0.0), "unnamed"),
        (Ended(2, f"npi: --count {'9' * 30_000}", 0.0), "wordy"),
        (Ended(0, "\x1b]0;x\x07", 0.0), "control characters"),
        (Ended(2, "npi: --count: not enough memory", 0.0), "memory"),
        (Ended(70, "Traceback (most recent call last)", 0.0), "traceback"),
        (Ended(-11, "", 0.0), "crash"),
        (Ended(None, "", 0.0), "hang"),
    ],
)
def test_every_fault_is_seen(ended: Ended, fault: str) -> None:
    assert fault in faults_of(Trial(("check",), "--count", ("--count",)), ended)
    assert visible(NAME) != NAME
