"""Recipes: all of them say what they do, and what they share keeps results, resumes, and fills pages."""

import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import common
from benchmarks.language import teachers
from benchmarks.learners import connection_information, first_updates
from dsl import compile_teacher, load
from npi.reproduce.ledger import Result
from npi.reproduce.pages import MARKED, Content, fill
from tests.support.paths import ROOT

RECIPES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)
PAGES = [page for page in sorted((ROOT / "docs" / "results").glob("*.md")) if "<!-- made -->" in page.read_text()]

PAGE = """# Squares

Made by `python -m squares`. <!-- made -->never<!-- end -->.

The largest of some seeds is <!-- largest -->0<!-- end -->, says this sentence.

<!-- table: squares -->
<!-- end -->
"""


def test_there_are_recipes() -> None:
    assert len(RECIPES) > 20
    assert len(PAGES) > 20


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_does(name: str, monkeypatch, capsys) -> None:
    """Red where a recipe cannot be imported, or begins to work before it has read its options."""
    recipe = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        recipe.main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage:")
    assert recipe.__doc__.split("\n")[0][:40] in out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_are_made_by_recipes_and_show_as_markdown(page: Path) -> None:
    """A comment at the beginning of a line makes HTML of the whole line; a picture must be there."""
    text = page.read_text()
    for made in re.findall(r"`python -m (benchmarks[\w.]+)", text):
        assert made in RECIPES
    assert not [line for line in text.split("\n") if re.match(r"<!-- (?!table: |end -->)", line)]
    assert text.count("<!-- end -->") == len(list(MARKED.finditer(text)))
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (page.parent / picture).is_file()


def test_the_files_whose_teachers_run_have_one() -> None:
    """Red where a file of programs with a signal is among them, or one with bodies is left out."""
    found = teachers.files()
    assert all(compile_teacher(load(path)) for path in found)
    assert {path.parent.name for path in found} >= {"programs", "composition", "examples", "recursive"}
    assert len(found) > 60


# --- a tiny recipe ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs and results of their own, with a page."""
    monkeypatch.setattr(common, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "squares.md").write_text(PAGE)
    return tmp_path


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    rows = [["seed", "square"], *([r["seed"], r["square"]] for r in done)]
    return {"squares": rows, "largest": str(max(r["square"] for r in done)), "squares.png": b"picture"}


def run_squares(monkeypatch: pytest.MonkeyPatch, *words: str, power: int = 2, kill_at: int | None = None) -> list[int]:
    """The recipe with a command line; returns the seeds that were run."""
    ran: list[int] = []

    def run(seed: int) -> Result:
        if seed == kill_at:
            raise KeyboardInterrupt
        ran.append(seed)
        return {"square": seed**power}

    monkeypatch.setattr(sys, "argv", ["squares", *words])
    try:
        common.recipe("Squares of seeds.", "squares", run, contents, power=power)
    except KeyboardInterrupt:
        ran.append(-1)
    return ran


def test_a_recipe_resumes_and_fills_its_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = folder / "results" / "squares.md"
    assert run_squares(monkeypatch, "--seeds", "3", "10", "2", kill_at=2) == [3, 10, -1]
    assert page.read_text() == PAGE, "a killed recipe leaves the page"
    assert run_squares(monkeypatch, "--seeds", "3", "10", "2") == [2], "what is finished is not repeated"
    text = page.read_text()
    assert "| seed | square |\n| --- | --- |\n| 2 | 4 |\n| 3 | 9 |\n| 10 | 100 |\n<!-- end -->" in text
    assert "is <!-- largest -->100<!-- end -->, says this sentence." in text
    assert re.search(r"<!-- made -->\d{4}-\d\d-\d\d\. .*torch", text)
    assert (folder / "results" / "squares.png").read_bytes() == b"picture"


def test_a_page_is_filled_again_and_keeps_its_prose(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = folder / "results" / "squares.md"
    run_squares(monkeypatch, "--seeds", "4")
    before = page.read_text()
    assert run_squares(monkeypatch, "--table") == []
    assert page.read_text() == before
    page.write_text(before.replace("says this sentence", "says another one"))
    run_squares(monkeypatch, "--seeds", "5")
    text = page.read_text()
    assert "is <!-- largest -->25<!-- end -->, says another one." in text


def test_other_settings_and_an_empty_folder_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no seed is finished yet"):
        run_squares(monkeypatch, "--table")
    run_squares(monkeypatch, "--seeds", "4")
    with pytest.raises(ValueError, match=r"4\.json was made with other settings \(power\)"):
        run_squares(monkeypatch, "--seeds", "4", power=3)


def test_a_page_and_its_contents_have_the_same_names() -> None:
    filled = {"made": "today", "largest": "9", "squares": [["seed"], [3]]}
    assert fill(PAGE, filled).count("<!-- ") == PAGE.count("<!-- ")
    with pytest.raises(ValueError, match="differ in: largest"):
        fill(PAGE, {name: content for name, content in filled.items() if name != "largest"})
    with pytest.raises(ValueError, match="differ in: more"):
        fill(PAGE, {**filled, "more": ""})


def test_a_table_without_rows_says_so() -> None:
    assert "<!-- table: squares -->\nnothing yet\n<!-- end -->" in fill(
        PAGE, {"made": "", "largest": "", "squares": []}
    )


def test_first_updates_are_compared_relatively(tmp_path, monkeypatch, capsys) -> None:
    """The same run twice has no difference; a loss that is changed by a tenth is seen."""
    assert first_updates.largest_difference([2.0, -4.0, 1.0], [2.0, -5.0]) == pytest.approx(0.2)
    kept = tmp_path / "losses.json"
    words = ["--only", "bandits, informative", "--updates", "2"]
    monkeypatch.setattr(sys, "argv", ["first_updates", *words, "--out", str(kept)])
    first_updates.main()
    losses = json.loads(kept.read_text())["bandits, informative"]
    assert len(losses) == 2
    for changed, difference in ((losses, "0.00e+00"), ([losses[0], losses[1] * 0.9], "1.00e-01")):
        kept.write_text(json.dumps({"bandits, informative": changed}))
        monkeypatch.setattr(sys, "argv", ["first_updates", *words, "--compare", str(kept)])
        capsys.readouterr()
        first_updates.main()
        assert f"largest relative difference {difference}" in capsys.readouterr().out


def test_crossovers_are_compared_at_the_same_accuracy() -> None:
    """Linear between the two levels of noise about it; none where no levels are."""
    levels = [{"right": 100.0, "crossover": 0.0}, {"right": 90.0, "crossover": 2.0}, {"right": 50.0, "crossover": 4.0}]
    assert connection_information.at_accuracy(levels, 95) == 1.0
    assert connection_information.at_accuracy(levels, 60) == 3.5
    assert connection_information.at_accuracy(levels, 40) is None
