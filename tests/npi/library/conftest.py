"""What several tests of libraries begin with."""

from pathlib import Path

import pytest

from npi.library.collection import combined
from tests.support.operation_helpers import grown
from tests.support.tiny import LSTM, tape, untrained


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A collection of two small libraries."""
    place = tmp_path / "tools"
    combined([grown("turn"), untrained(LSTM, tape())]).save(place)
    return place
