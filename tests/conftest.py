"""One thread and deterministic properties, so that every test gives the same result wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

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
