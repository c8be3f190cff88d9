"""The parts of the reproduction: tests and their digests, settings, order of stages, rounding."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dsl import load
from npi.reproduce import ledger as ledgers
from npi.reproduce.ledger import Ledger, Stage, Stopped
from npi.reproduce.outputs import NONE, curves_csv, percent, table_csv, write_outputs
from npi.reproduce.pages import MARKED
from npi.reproduce.plots import PANELS, picture
from npi.reproduce.recipe import CURVES, FULL, QUICK, skipped
from npi.reproduce.report import Figure, Pair, Report
from npi.reproduce.score import every_problem, hashes, score
from npi.reproduce.stages import _bare_traces, plan
from tests.support.paths import ROOT
from tests.support.tiny import untrained
from tests.support.tiny_paper import TINY, few_cars, work_in


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_cars(tmp_path_factory.mktemp("programs"))


def test_a_stage_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def make(say: ledgers.Say) -> ledgers.Result:
        raise Stopped

    stage = Stage("seed-0/x", "x", {}, make)
    with pytest.raises(Stopped):
        Ledger(tmp_path).run(stage, lambda *_: None)
    assert Ledger(tmp_path).read(stage) is None


def test_a_changed_core_is_seen() -> None:
    """One number of the core, of an old row, and a new row: each is told apart."""
    before, after = untrained(), untrained()
    assert all(a == b for a, b in hashes(before, after).values())
    with torch.no_grad():
        after.core.end.bias[0] += 1e-4
    assert {what for what, (a, b) in hashes(before, after).items() if a != b} == {"core", "outputs"}
    after = untrained()
    with torch.no_grad():
        after.memory.keys_NK[1, 2] += 1e-4
    assert {what for what, (a, b) in hashes(before, after).items() if a != b} == {"rows", "outputs"}


def test_a_teacher_solves_everything_that_is_tested(programs: Path) -> None:
    """Problems are judged as the tasks say: with the program text in place of a core all are right."""
    program_set = load(programs / "goto.npi")
    task = program_set.task("canonicalise")
    every = every_problem(task)
    assert len(every) == 2 * 11 * 5
    assert {p.values["azimuth"] for p in every} == set(range(-75, 90, 15))
    assert len({str(sorted(p.values.items())) for p in every}) == len(every)
    few = every_problem(task, 7)
    assert [p.values for p in few] == [p.values for p in every_problem(task, 7)]
    assert len(few) == 7

    class Text:
        """A library whose core is the text."""

        def stepper(self, table):
            from dsl import compile_teacher

            return compile_teacher(program_set)

    found = score(Text(), program_set, task, every)  # type: ignore[arg-type]
    assert (found.right, found.count) == (110, 110)


# --- settings --------------------------------------------------------------------------------------------------------


def test_the_settings_can_be_used() -> None:
    for recipe in (FULL, QUICK):
        for name in recipe.training:
            assert recipe.trained(name, 3).seed == 3
        assert set(recipe.training) == {"addition", "bubblesort", "goto", "multi", "samples"}
        assert set(recipe.lengths) == {curve.key for curve in CURVES[1:]}
    assert FULL.samples == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert (max(FULL.lengths["sorting"]), max(FULL.lengths["digits"])) == (120, 3000)
    assert skipped(FULL) == []
    assert len(skipped(QUICK)) > 8


def test_pictures_can_be_smaller(programs: Path, tmp_path: Path) -> None:
    spec = load(work_in(tmp_path / "out", programs).file("goto")).world.spec
    assert spec.rendered[0].sizes[1] == 16
    work = work_in(tmp_path / "again", tmp_path / "out" / "programs", replace(TINY, pixels=24))
    assert load(work.file("goto")).world.spec.rendered[0].sizes[1] == 24
    work = work_in(tmp_path / "as it is", programs, replace(TINY, pixels=0))
    assert work.file("goto").read_text() == (programs / "goto.npi").read_text()


def test_stages_come_after_what_they_need(programs: Path, tmp_path: Path) -> None:
    names = [stage.name for stage in plan(work_in(tmp_path / "out", programs), [3, 1], ["table", "lengths"])]
    assert len(set(names)) == len(names)
    assert names.index("seed-3/train-multi") < names.index("seed-3/learn-max") < names.index("seed-3/test-max")
    assert names.index("seed-3/test-max") < names.index("seed-1/traces-addition")
    assert all(f"seed-1/{name}" in names for name in ("sorting-3", "digits-2", "train-goto"))
    assert not any("samples" in name for name in names)


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_spread_and_rounding() -> None:
    def of(*rights: int) -> list[Figure]:
        return [Figure("addition", "single", seed, right, 10_000) for seed, right in enumerate(rights)]

    assert percent([]) == NONE
    assert percent(of(9_700)) == "97.0"
    assert percent(of(10_000, 9_999, 9_000)) == "99.9 (90.0–100.0)"
    assert percent(of(10_000, 10_000, 10_000)) == "100.0"


def made_up(*figures: Figure, pairs: tuple[Pair, ...] = ()) -> Report:
    empty: dict = dict.fromkeys(("skipped", "seeds", "dates", "machines", "points", "efforts", "spent", "missing"), ())
    return Report(recipe={"name": "full"}, figures=figures, pairs=pairs, **empty)


def test_what_is_below_the_paper() -> None:
    report = made_up(
        Figure("seen", "multi", 0, 90, 100), Figure("seen", "multi", 1, 95, 100), Figure("seen", "multi", 2, 99, 100),
        Figure("unseen", "max", 0, 89, 100), Figure("novel", "max", 0, 1, 100),
    )  # fmt: skip
    assert report.below() == ["Canonicalise, unseen car (+ Max): 89.0 %, the paper 89.9 %"]
    assert not report.quick


def test_a_pair_that_differs_is_a_change() -> None:
    assert made_up(pairs=(Pair("core", 0, "a", "a"),)).unchanged
    assert not made_up(pairs=(Pair("core", 0, "a", "a"), Pair("rows", 0, "a", "b"))).unchanged


def test_an_empty_report_can_be_written(tmp_path: Path) -> None:
    paths = write_outputs(made_up(), tmp_path)
    assert {path.name for path in paths} == {"table.md", "table.csv", "curves.csv", "results.json"}
    assert table_csv(made_up()).count("\n") == curves_csv(made_up()).count("\n") == 1
    assert picture(made_up(), PANELS) is None


def test_the_published_page_has_the_prose_of_the_recipe() -> None:
    """Red where one of the two pages was edited and the other was not."""
    shipped = (ROOT / "npi" / "reproduce" / "npi-paper.md").read_text()
    published = (ROOT / "docs" / "results" / "npi-paper.md").read_text()
    prose = [re.sub(r"\s+", " ", MARKED.sub("", text)) for text in (shipped, published)]
    assert prose[0] == prose[1]


def test_a_kill_behind_the_last_shard_of_bare_traces_leaves_nothing(tmp_path: Path) -> None:
    """The plan of a set that was sealed when the process was killed goes with the next run."""
    programs, out = load(ROOT / "programs" / "bubblesort.npi"), tmp_path / "samples"
    for _ in range(2):
        _bare_traces(programs, out, 1, 3, seed=0)
        assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "shard-00000.safetensors"]
        (out / "plan.json").write_text("{}")
