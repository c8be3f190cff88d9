"""The reproduction of the paper, whole, with cores that learn next to nothing: what is written, kept and compared."""

import csv
import importlib.util
import io
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.paper import publish as publishing
from dsl import load
from npi.cli.main import main
from npi.library.library import Library
from npi.reproduce import ledger as ledgers
from npi.reproduce import recipe
from npi.reproduce.ledger import Ledger, Stage
from npi.reproduce.outputs import NONE, cells, page, read_report
from npi.reproduce.recipe import CURVES, ROWS, rows, skipped
from npi.reproduce.report import Figure, Point, collect
from npi.reproduce.score import hashes, random_problems, score
from npi.reproduce.stages import plan
from tests.support.tiny_paper import FEW, TINY, few_cars, work_in

PAPER = {
    "Addition, 10 digits": ["100.0", "97.0", "97.0"],
    "Sorting, 5 items": ["100.0", "100.0", "100.0"],
    "Canonicalise, seen car": ["89.5", "91.4", "91.4"],
    "Canonicalise, unseen car": ["88.7", "89.9", "89.9"],
    "Canonicalise, unseen body style": [NONE] * 3,
    "Go to a random target, seen car": [NONE] * 3,
    "Maximum, 5 items": [NONE, NONE, "100.0"],
}
"""Table 1 of Reed & de Freitas 2016, typed once more."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_cars(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def made(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole tiny recipe was run."""
    folder = tmp_path_factory.mktemp("made") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "QUICK", TINY)
        words = ["reproduce", "npi-paper", "--quick", "--out", str(folder), "--programs", str(programs)]
        assert main(words) == 0  # cores that learned nothing are below the paper, which quick ones may be
    return folder


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "QUICK", TINY)


def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def ran(capsys: pytest.CaptureFixture[str], programs: Path, folder: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["reproduce", "npi-paper", "--quick", "--out", str(folder), "--programs", str(programs), *words])
    out, err = capsys.readouterr()
    return code, out, err


# --- what is written -------------------------------------------------------------------------------------------------


def test_everything_is_written(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    assert names == {
        "table.md", "table.csv", "curves.csv", "results.json", "table.png", "samples.png", "lengths.png",
        "stages", "libraries", "traces", "programs",
    }  # fmt: skip
    for name in ("table.png", "samples.png", "lengths.png"):
        assert (made / name).read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (made / "libraries" / "seed-0").iterdir()} == {
        "addition", "bubblesort", "goto", "multi", "max", "samples-1", "samples-2"
    }  # fmt: skip


def test_the_table_has_the_shape_and_the_numbers_of_the_paper(made: Path) -> None:
    head, *body = cells(read_report(made))
    assert head == ["Whole sequences right, %", "Single", "NPI", "Multi", "NPI", "+ Max", "NPI"]
    assert {row[0]: row[2::2] for row in body} == PAPER
    empty = [(row[0], number) for row in body for number, cell in enumerate(row[1::2]) if cell == NONE]
    assert empty == [("Maximum, 5 items", 0), ("Maximum, 5 items", 1)]


def test_the_page_says_what_it_is(made: Path) -> None:
    text = (made / "table.md").read_text()
    assert "the `tiny` recipe: figures to see that it works, not to quote" in text
    assert "* test problems of a row of the table: 3 in place of 1,000" in text
    assert "Seeds: <!-- seeds -->0<!-- end -->." in text
    assert "torch" in text.split("\n")[2]
    assert "| core (sha256 of every number) | identical |" in text
    assert all(f"]({name})" in text for name in ("table.png", "samples.png", "lengths.png"))
    heads = [line for line in text.split("\n") if line.startswith("## ")]
    assert heads == ["## The table", "## What learning MAX changed", *(f"## {c.title}" for c in CURVES), "## Training",
                     "## Times"]  # fmt: skip


def test_csv_parses_back(made: Path) -> None:
    report = read_report(made)
    lines = list(csv.DictReader(io.StringIO((made / "table.csv").read_text())))
    found = [Figure(x["row"], x["column"], int(x["seed"]), int(x["right"]), int(x["count"])) for x in lines]
    assert tuple(found) == report.figures
    assert len(found) == 2 * 6 + 7
    papers = {(row.key, column): number for row in ROWS for column, number in row.paper.items()}
    for line in lines:
        told = papers.get((line["row"], line["column"]))
        assert line["paper"] == ("" if told is None else str(told))
    lines = list(csv.DictReader(io.StringIO((made / "curves.csv").read_text())))
    points = [Point(x["curve"], int(x["seed"]), int(x["x"]), int(x["right"]), int(x["count"])) for x in lines]
    assert tuple(points) == report.points
    assert [(p.curve, p.x, p.count) for p in points] == [
        ("samples", 1, 3), ("samples", 2, 3), ("sorting", 3, 2), ("sorting", 5, 2), ("digits", 2, 2)
    ]  # fmt: skip


def test_the_report_comes_back_from_its_file(made: Path) -> None:
    report = read_report(made)
    data = json.loads((made / "results.json").read_text())
    assert json.loads(json.dumps(report.to_json())) == data
    assert report.missing == ()
    kinds = {(spent.part, spent.kind) for spent in report.spent}
    assert {("addition", "traces"), ("multi", "training"), ("max", "learning"), ("max", "tests")} <= kinds
    assert all(spent.seconds >= 0 for spent in report.spent)
    assert {pair.what for pair in report.pairs} == {"core", "rows", "outputs"} | {
        f"runs of {row.key}" for row in rows("multi")
    }
    assert report.unchanged
    assert [effort.core for effort in report.efforts] == ["addition", "bubblesort", "goto", "multi", "max"]


def test_results_are_published_under_one_name(made: Path, tmp_path: Path) -> None:
    paths = publishing.publish(read_report(made), tmp_path)
    assert [p.name for p in paths] == ["npi-paper.md", "npi-paper.csv", "npi-paper-curves.csv", "npi-paper.png"]
    assert "](npi-paper.png)" in paths[0].read_text()
    assert paths[1].read_text() == (made / "table.csv").read_text()


def test_quick_results_are_not_published(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["reproduce", str(made)])
    with pytest.raises(SystemExit, match="not to be quoted"):
        publishing.main()


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_nothing_is_done_twice(made: Path, programs: Path, tmp_path, capsys, monkeypatch) -> None:
    folder = copied(made, tmp_path)
    monkeypatch.setattr(Ledger, "run", lambda *_: pytest.fail("a finished stage was run"))
    before = (folder / "results.json").read_bytes()
    code, out, err = ran(capsys, programs, folder)
    assert (code, "18 of 18 stages were done before" in err) == (0, True), err
    assert (folder / "results.json").read_bytes() == before
    assert "Canonicalise, unseen car" in out


@pytest.mark.usefixtures("tiny")
def test_a_killed_run_goes_on_where_it_stopped(programs: Path, tmp_path, capsys, monkeypatch) -> None:
    ran_stages: list[str] = []
    whole = Ledger.run

    def counted(self: Ledger, stage: Stage, say: ledgers.Say) -> ledgers.Record:
        if len(ran_stages) == 2:
            ran_stages.append("killed")
            raise RuntimeError("killed")
        ran_stages.append(stage.name)
        return whole(self, stage, say)

    monkeypatch.setattr(Ledger, "run", counted)
    words = ["--only", "samples", "--only", "lengths"]
    with pytest.raises(RuntimeError, match="killed"):
        ran(capsys, programs, tmp_path / "out", *words)
    assert ran_stages == ["seed-0/samples-1", "seed-0/samples-2", "killed"]
    _, _, err = ran(capsys, programs, tmp_path / "out", *words)
    assert "2 of 9 stages were done before" in err
    assert ran_stages[3:] == [
        "seed-0/traces-bubblesort", "seed-0/train-bubblesort", "seed-0/sorting-3", "seed-0/sorting-5",
        "seed-0/traces-addition", "seed-0/train-addition", "seed-0/digits-2",
    ]  # fmt: skip
    report = read_report(tmp_path / "out")
    assert (report.figures, len(report.points)) == ((), 5)
    assert not (tmp_path / "out" / "table.png").exists()


@pytest.mark.usefixtures("tiny")
def test_an_interrupt_keeps_what_is_finished(programs: Path, tmp_path, capsys, monkeypatch) -> None:
    """Ctrl-C in the training of the second point: its checkpoint stays, and carries it on."""
    first, asked = tmp_path / "out" / "stages" / "seed-0" / "samples-1.json", []

    def stop() -> bool:
        asked.extend([1] * first.exists())
        return len(asked) >= 3  # before the second stage, before its first update, before its second

    monkeypatch.setattr("npi.cli.reproduce.stop_on_interrupt", lambda: nullcontext(stop))
    code, _, err = ran(capsys, programs, tmp_path / "out", "--only", "samples")
    assert code == 130, err
    assert "stopped after 1 of 2 stages; the same command resumes" in err
    assert (tmp_path / "out" / "libraries" / "seed-0" / "samples-2.training").is_dir()
    assert read_report(tmp_path / "out").missing == ("seed-0/samples-2",)
    assert "**Not finished:** 1 stages" in (tmp_path / "out" / "table.md").read_text()
    monkeypatch.undo()
    monkeypatch.setattr(recipe, "QUICK", TINY)
    code, _, err = ran(capsys, programs, tmp_path / "out", "--only", "samples")
    assert code == 0, err
    assert "1 of 2 stages were done before" in err
    assert not (tmp_path / "out" / "libraries" / "seed-0" / "samples-2.training").exists()


def test_other_settings_are_refused(made: Path, programs: Path, tmp_path: Path) -> None:
    folder = copied(made, tmp_path)
    other = replace(TINY, problems=4)
    with pytest.raises(ValueError, match=r"test-multi.json was made with other settings \(problems\)"):
        collect(work_in(folder, programs, other), [])
    retrained = replace(TINY, training={**TINY.training, "addition": {**FEW, "updates": 3}})
    work = work_in(folder, programs, retrained)
    stale = [stage.name for stage in plan(work, [0]) if raises(work.ledger, stage)]
    assert stale == ["seed-0/train-addition", "seed-0/test-addition", "seed-0/digits-2"]


def raises(ledger: Ledger, stage: Stage) -> bool:
    try:
        return ledger.read(stage) is None
    except ValueError:
        return True


def test_a_damaged_stage_is_told(made: Path, programs: Path, tmp_path: Path) -> None:
    folder = copied(made, tmp_path)
    (folder / "stages" / "seed-0" / "train-goto.json").write_text('{"settings"')
    with pytest.raises(ValueError, match=r"train-goto.json is damaged .*remove it"):
        collect(work_in(folder, programs), [])


# --- what is compared ------------------------------------------------------------------------------------------------


def test_a_changed_core_in_a_folder_is_reported(made: Path, programs: Path, tmp_path: Path) -> None:
    """The library on the disk is what is looked at: after a change there, comparison and report say so."""
    folder = copied(made, tmp_path)
    work = work_in(folder, programs)
    changed = Library.open(work.library(0, "max"))
    with torch.no_grad():
        changed.core.end.bias[0] += 5.0
    found = hashes(Library.open(work.library(0, "multi")), changed)
    assert found["core"][0] != found["core"][1]
    changed.save(work.library(0, "max"))
    (stage,) = [s for s in plan(work, [0]) if s.name == "seed-0/test-max"]
    work.ledger.path(stage).unlink()
    work.ledger.run(stage, lambda *_: None)
    report = collect(work, [])
    assert not report.unchanged
    assert {pair.what for pair in report.pairs if not pair.same} <= {f"runs of {row.key}" for row in ROWS}
    assert "**CHANGED**" in page(report, []).decode()


def test_old_programs_end_the_same_beside_new_rows(made: Path, programs: Path) -> None:
    """The digests of the tests are of the runs: the same library twice, and another seed's problems."""
    work = work_in(made, programs)
    library = Library.open(work.library(0, "multi"))
    program_set = load(work.file("bubblesort"))
    task = program_set.task("sort")
    first = score(library, program_set, task, random_problems(task, 4, 5, seed=0))
    again = score(library, program_set, task, random_problems(task, 4, 5, seed=0))
    other = score(library, program_set, task, random_problems(task, 4, 5, seed=1))
    assert (first.digest, first.right, first.count) == (again.digest, again.right, 5)
    assert first.digest != other.digest


def test_a_sample_learns_from_its_traces_alone(made: Path) -> None:
    """Without the program's text in the set, training draws no problem of its own."""
    manifest = json.loads((made / "traces" / "seed-0" / "samples-2" / "manifest.json").read_text())
    assert manifest["info"]["sources"] == []
    assert manifest["counts"]["traces"] == 2
    assert Library.open(made / "libraries" / "seed-0" / "samples-2").sets == []


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_quick_says_what_it_skips(made: Path, programs: Path, tmp_path, capsys) -> None:
    _, out, err = ran(capsys, programs, copied(made, tmp_path))
    assert "quick: figures to see that it works, not to quote" in err
    for line in skipped(TINY):
        assert line in err
    assert "pixels along a side of a picture: 16 in place of those that goto.npi says" in err
    assert "unchanged by MAX: core, old rows, old outputs, every run (9 comparisons)" in out
    assert "below the paper, as quick figures may be: Addition, 10 digits (Single)" in out
    assert "ours: seed 0" in out


def test_full_figures_below_the_paper_end_with_1(made: Path, programs: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(recipe, "FULL", replace(TINY, name="full"))
    words = ["reproduce", "npi-paper", "--out", str(copied(made, tmp_path)), "--programs", str(programs)]
    assert main(words) == 1
    assert "below the paper: Addition, 10 digits (Single)" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_json_is_the_report(made: Path, programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = ran(capsys, programs, copied(made, tmp_path), "--json")
    assert json.loads(out) == json.loads((made / "results.json").read_text())


@pytest.mark.usefixtures("tiny")
def test_without_matplotlib_nothing_is_begun(programs: Path, tmp_path, capsys, monkeypatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("npi.reproduce.plots.find_spec", lambda name: None if name == "matplotlib" else there(name))
    code, _, err = ran(capsys, programs, tmp_path / "out")
    assert (code, "pip install 'npi-engine[plots]'" in err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("tiny")
def test_other_folders_are_left_alone(programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note").write_text("mine")
    assert ran(capsys, programs, tmp_path)[0] == 2
    assert ran(capsys, programs, tmp_path / "note")[0] == 2
    code, _, err = ran(capsys, tmp_path, tmp_path / "out")
    assert (code, "there is no" in err, "--programs" in err) == (2, True, True)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
