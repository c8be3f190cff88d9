"""The page of the talk: every figure is found on its page, and the page is what the module makes."""

from pathlib import Path

import pytest

from benchmarks.common import RESULTS
from benchmarks.talk import figures, page
from benchmarks.talk.entries import ENTRIES, Cell
from benchmarks.talk.figures import figure, marked
from benchmarks.talk.page import html_page, rows, sections, short_rows
from meta.talk.rows import ROWS
from npi.reproduce.pages import MARKED, markdown

CELLS = [(key, cell) for key, entry in ENTRIES.items() for cell in entry.cells]


def test_every_row_of_the_talk_has_its_place() -> None:
    assert [*ENTRIES] == [*ROWS]


@pytest.mark.parametrize(("key", "cell"), CELLS, ids=[f"{key}-{n}" for n, (key, _) in enumerate(CELLS)])
def test_a_figure_stands_on_its_page(key: str, cell: Cell) -> None:
    """It has a number, and stands in a line of the page that has the names of its row."""
    text = figure(cell)
    assert any(letter.isdigit() for letter in text), (key, cell)
    lines = (RESULTS / f"{cell.page}.md").read_text(encoding="utf-8").replace("**", "").splitlines()
    if cell.table:
        assert any(text in line and all(name in line for name in cell.row) for line in lines)
    else:
        assert text.split()[0] in " ".join(lines)


def test_the_page_is_up_to_date() -> None:
    """But for commits, which are those of the day on which it was made."""
    made = marked(page.PAGE)
    assert made["rows"] == "\n".join(markdown(rows()))
    assert made["sections"] == sections()
    assert made["reached"] == f"{sum(e.reached for e in ENTRIES.values())} of {len(ENTRIES)}"
    for name in dict.fromkeys(name for entry in ENTRIES.values() for name in entry.pages):
        assert marked(name).get("made", figures.NONE) in made["sources"]


def test_the_readme_has_its_short_form() -> None:
    text = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    (found,) = [found["old"].strip() for found in MARKED.finditer(text) if found["name"] == "talk"]
    assert found == "\n".join(markdown(short_rows()))


def test_pictures_and_recipes_are_there() -> None:
    for entry in ENTRIES.values():
        assert not entry.picture or (RESULTS / entry.picture).is_file()
        if entry.command.startswith("python -m "):
            module = entry.command.split()[2].replace(".", "/")
            assert any((RESULTS.parents[1] / f"{module}{end}").exists() for end in (".py", "/__init__.py"))
        assert entry.why or entry.reached


def test_the_html_page_has_every_row() -> None:
    text = html_page(RESULTS)
    assert all(f"<h2 id={key}>" in text for key in ENTRIES)
    assert text.count("data:image/png;base64,") == sum(bool(entry.picture) for entry in ENTRIES.values())
    assert "](" not in text


def test_a_figure_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "<!-- table: t -->",
        "| a | b |",
        "| --- | --- |",
        "| x | 1 |",
        "| x | 2 |",
        "| **y** |  |",
        "<!-- end -->",
    ]
    (tmp_path / "p.md").write_text("\n".join(lines))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    figures.marked.cache_clear()
    try:
        assert figure(Cell("p", "b", "t", ("y",))) == figures.NONE
        with pytest.raises(ValueError, match="has no u; there are t"):
            figure(Cell("p", "b", "u", ("x",)))
        with pytest.raises(ValueError, match="no column c"):
            figure(Cell("p", "c", "t", ("x",)))
        with pytest.raises(ValueError, match=r"2 rows begin with \('x',\)"):
            figure(Cell("p", "b", "t", ("x",)))
        with pytest.raises(ValueError, match="0 rows begin with"):
            figure(Cell("p", "b", "t", ("z",)))
    finally:
        figures.marked.cache_clear()
