"""One thread and deterministic properties, so that every test gives the same result wherever it runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from npi.cli.main import main
from tests.support.tape_programs import training, write_files

torch.set_num_threads(1)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the commands that tests start would compile the engine each time

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None, print_blob=True)
settings.load_profile("deterministic")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", default=False, help="write the golden texts anew, to be read")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)`` fails unless the text is that of ``tests/golden/name``; ``--accept`` writes it."""
    return lambda name, text: compare_golden(GOLDEN / name, text, accept=request.config.getoption("--accept"))


def compare_golden(path: Path, text: str, *, accept: bool) -> None:
    if accept:
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} does not exist; run with --accept, and read what is written"
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; if that is meant, run with --accept"


@pytest.fixture(scope="session")
def tape_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program files of :mod:`tape_programs`."""
    return write_files(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def tape_library(tape_files: Path) -> Path:
    """A library that clears the tape, and comes back."""
    out = tape_files.parent / "library"
    assert main(["train", *training(tape_files), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def raw_library(tape_files: Path) -> Path:
    """A library that was hardly trained."""
    out = tape_files.parent / "raw"
    assert main(["train", str(tape_files / "tape.npi"), "--out", str(out), "--updates", "1"]) == 1
    return out


@pytest.fixture(scope="session")
def tape_traces(tape_files: Path) -> Path:
    """A trace set of the tape."""
    out = tape_files.parent / "sets"
    assert main(["trace", str(tape_files / "tape.npi"), "--out", str(out), "--traces", "3", "--sizes", "1..4"]) == 0
    return out
