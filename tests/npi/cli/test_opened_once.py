"""What a command reads it reads once: each program file, and each library."""

from collections import Counter
from pathlib import Path

import pytest

import dsl
import dsl.check.modules
from npi.library.library import Library
from tests.support.tape_programs import npi


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read as a program, and each folder opened as a library."""
    found: Counter[str] = Counter()
    read, opened = dsl.check.modules.read_text, Library.open

    def reading(path: Path) -> str:
        found[str(path)] += 1
        return read(path)

    def opening(folder: Path | str, **given: object) -> Library:
        found[str(folder)] += 1
        return opened(folder, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(dsl.check.modules, "read_text", reading)
    monkeypatch.setattr(dsl, "read_text", reading)
    monkeypatch.setattr(Library, "open", opening)
    return found


def test_train(capsys, tmp_path: Path, tape_files: Path, counted: Counter[str]) -> None:
    words = [tape_files / "trip.npi", "--out", tmp_path / "new", "--updates", 1, "--traces", 1]
    assert npi(capsys, "train", *words)[0] == 1
    assert counted == {str(tape_files / name): 1 for name in ("trip.npi", "tape.npi")}


@pytest.mark.parametrize("new", [False, True], ids=["a library that is there", "a new one"])
def test_learn(capsys, tmp_path: Path, tape_files: Path, raw_library: Path, counted: Counter[str], new: bool) -> None:
    from npi.universal.core import SHIPPED

    words = ["--out", tmp_path / "more", "--traces", 1, *([] if new else ["--updates", 1, "--starts", 1])]
    place = tmp_path / "none" if new else raw_library
    assert npi(capsys, "learn", tape_files / "sweep.npi", "--library", place, *words)[0] in (0, 1)
    files = {str(tape_files / name): 1 for name in ("sweep.npi", "tape.npi")}
    assert counted == {**files, str(SHIPPED if new else raw_library): 1}


@pytest.mark.parametrize(
    "words",
    [
        ["run", "clear", "1,1", "--steps", 9, "--library"],
        ["eval", "clear", "--sizes", 2, "--count", 1, "--library"],
        ["certify", "STEP", "--library"],
        ["show"],
    ],
    ids=lambda words: words[0],
)
def test_what_only_opens_a_library(capsys, raw_library: Path, counted: Counter[str], words: list[object]) -> None:
    npi(capsys, *words, raw_library)
    assert counted == {str(raw_library): 1}
