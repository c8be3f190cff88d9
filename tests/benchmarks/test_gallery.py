"""The gallery: all that pages show is on it, the page is what the module makes, and every command is there."""

import re
from pathlib import Path

import pytest

from benchmarks import gallery
from benchmarks.gallery import DOCS, Shown, contents, section, shown
from npi.reproduce.pages import MARKED
from tests.support.paths import ROOT


def test_the_page_is_up_to_date() -> None:
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    made = {found["name"]: found["old"].strip() for found in MARKED.finditer(text)}
    assert made == contents(), "python -m benchmarks.gallery"


def test_every_picture_film_and_sound_of_the_docs_is_on_it() -> None:
    """By a second way: the files that lie there, whatever the pages say."""
    kinds = {".png", ".gif", ".wav", ".svg"}
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*") if path.suffix in kinds}
    files = [one.file for one in shown()]
    assert sorted(files) == sorted(there)
    assert len(there) > 15


@pytest.mark.parametrize("one", shown(), ids=lambda one: one.file)
def test_what_makes_it_is_there(one: Shown) -> None:
    """``npi`` lines are checked by tests/test_docs.py."""
    recipe = re.match(r"python -m (\S+)", one.command)
    assert recipe or one.command.startswith("npi ")
    if recipe:
        assert (ROOT / f"{recipe[1].replace('.', '/')}.py").is_file()
    assert (DOCS / one.page).is_file()
    assert f"({one.file})" in section(one)


def test_what_nothing_makes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new.md").write_text("# New\n\n![a](a.png)\n")
    monkeypatch.setattr(gallery, "DOCS", tmp_path)
    monkeypatch.setattr(gallery, "RESULTS", tmp_path / "results")
    with pytest.raises(ValueError, match=r"docs/results/new\.md shows results/a\.png, and nothing says what makes it"):
        shown()
