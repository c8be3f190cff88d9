"""The recipe that trains every file: what it draws, what it counts, what it calls right, and what its page says."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import common
from benchmarks.language import trained_and_certified as recipe
from dsl import compile_teacher, diagnose, load, loads
from npi.reproduce.ledger import Result
from npi.training.dataset import Dataset
from tests.support.paths import PROGRAMS
from traces.storage.trace_set import TraceSet

SEEDS = 5_000_000


@pytest.mark.thorough
def test_random_files_are_checked_files_that_train_every_argument() -> None:
    """Red where a file is refused, or a program is never run with one of its pointers or directions."""
    files = list(recipe.drawn(SEEDS, 96))
    assert files == list(recipe.drawn(SEEDS, 96))
    assert {one.size for one in files} == set(recipe.SIZES)
    assert len({one.world for one in files}) == len(recipe.WORLDS)
    assert len({one.text for one in files}) == len(files) > 90
    some_arguments = 0
    for one in files:
        programs = diagnose(one.text).program_set
        assert programs is not None, one.text
        (program,) = [p for p in programs.programs if p.table is not None]
        drawn = [
            p.arguments
            for task in programs.tasks
            for p in task.draw(6, 200, generator=torch.Generator().manual_seed(0), spread=True)
        ]
        for place, slot in enumerate(program.signature.slots):
            some_arguments += len(slot.tokens) > 1
            assert {arguments[place] for arguments in drawn} == set(slot.tokens), one.text
    assert some_arguments > 10


def test_what_is_right_by_the_task_and_by_the_text() -> None:
    """A pointer elsewhere is right by the task and wrong by the text; a wrong result is wrong by both."""
    text = (PROGRAMS / "examples" / "negate.npi").read_text()
    programs = loads(text)
    task = programs.task("negate")
    loop = "        FLIP\n        ACT(A, LEFT)\n"
    variants = {"same": text, "further": text.replace(loop, f"{loop}    ACT(A, LEFT)\n")}
    variants["wrong"] = text.replace("WRITE, 1 - A", "WRITE, A")
    steppers = {name: compile_teacher(loads(changed)) for name, changed in variants.items()}
    found = {
        (name, by_text): recipe.right(stepper, programs, task, 12, by_text=by_text)
        for name, stepper in steppers.items()
        for by_text in (False, True)
    }
    assert found["same", False] == found["same", True] == found["further", False] == recipe.PROBLEMS
    assert found["further", True] == 0
    assert max(found["wrong", False], found["wrong", True]) < 5
    assert recipe.right(None, programs, task, 12, by_text=False) == 0


def test_sets_carry_the_traces_without_the_text(tmp_path: Path) -> None:
    programs = load(PROGRAMS / "examples" / "increment.npi")
    folder = recipe.traces_without_text(programs, programs.task("increment"), tmp_path)
    dataset = Dataset.from_trace_set(TraceSet.open(folder))
    assert dataset.programs is None
    assert dataset.traces == recipe.TRACES * 10
    assert not [path for path in folder.iterdir() if b"while A == 1" in path.read_bytes()]


def test_processes_are_timed_and_stopped_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU seconds and not those of the clock; an endless command does not hold the recipe up, an error is told."""

    def busy(words: list[str]) -> int:
        while time.process_time() < 0.5:
            pass
        print(*words)
        return 3

    def command(run: Callable[[list[str]], int]) -> None:
        monkeypatch.setattr(recipe, "NPI", SimpleNamespace(load=lambda: run))

    command(busy)
    ran = recipe.measured(["some", "words"], 60.0)
    assert (ran.status, ran.out, ran.late) == (3, "some words\n", False)
    assert 0.45 < ran.seconds < 3
    command(lambda words: time.sleep(60))
    asleep = recipe.measured([], 3.0)
    assert asleep.late
    assert asleep.status != 0
    assert asleep.seconds < 0.5
    assert asleep.said == "KeyboardInterrupt"
    command(lambda words: {}["lost"])
    assert recipe.measured([], 60.0).said == "KeyError: 'lost'"


def test_a_file_that_cannot_be_trained_says_why(tmp_path: Path) -> None:
    path = tmp_path / "wrong.npi"
    path.write_text("world tape is scratchpad:\n    row A of bit\n\nprogram X:\n    ACT(A, UP)\n")
    found = recipe.from_text(path, 60.0, False)
    assert (found["solved"], found["certified"], found["updates"]) == (False, False, None)
    assert found["reason"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs and results of their own."""
    for module, name in ((common, "RUNS"), (common, "RESULTS"), (recipe, "RESULTS")):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir(exist_ok=True)
    return tmp_path


def keep(way: str, name: str, found: Result) -> None:
    common.finished(f"{recipe.NAME}/{way}/{name}", lambda: {"reason": "", "updates": 100} | found)


def test_the_page_has_shares_by_size_and_names_what_failed(folder: Path) -> None:
    solved, size = {"solved": True, "certified": True}, {"world": "list", "size": 2}
    with pytest.raises(SystemExit, match="nothing is finished yet"):
        recipe.page(120)
    keep("text", "random/7", size | solved | {"seconds": 2.0})
    keep("text", "random/8", size | solved | {"seconds": 4.0, "certified": False, "updates": 300})
    keep("text", "random/9", size | {"solved": False, "certified": False, "seconds": 9.0, "reason": "no luck"})
    scores = [["gray", 8, 20, 20], ["gray", 60, 20, 19]]
    keep("traces", "files/examples/gray/0", {"solved": True, "seconds": 1.0, "scores": scores})
    for _ in range(2):
        recipe.page(120)
        text = (folder / "results" / f"{recipe.NAME}.md").read_text()
        assert "| 2 | 2 of 3 | 1 of 3 | 100 (100–300) | 4.0 (2.0–9.0) |" in text
        assert "* seed 8 (list, size 2): not proved again\n* seed 9 (list, size 2): no luck\n" in text
        assert "| examples/gray | yes | no | 100 | 1.0 |" in text
        assert "* examples/gray: gray at 60 19/20\n" in text
        assert "(seeds <!-- seeds -->7 to 9<!-- end -->)" in text
