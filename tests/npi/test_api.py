"""The public face: what a function does beside what its command does."""

import pytest

import npi
from npi.universal.core import SHIPPED
from tests.support.paths import ROOT


def test_rows_are_learned_in_memory_and_written_where_that_is_asked(tmp_path) -> None:
    """A library in memory gains the rows; no file changes but in ``out``."""
    before = {path: path.read_bytes() for path in SHIPPED.iterdir()}
    library = npi.Library.open(SHIPPED)
    files = [ROOT / "programs" / "examples" / name for name in ("reverse.npi", "copy.npi")]
    assert npi.learn(library, files[:1]).solved
    assert npi.run("reverse.reverse", ["abc"], library=library).right
    with pytest.raises(npi.LibraryError, match="already"):
        npi.learn(library, files[:1])
    assert npi.learn(library, files[1:], out=tmp_path / "library").solved
    assert set(npi.Library.open(tmp_path / "library").tasks()) == set(library.tasks())
    assert {path: path.read_bytes() for path in SHIPPED.iterdir()} == before
