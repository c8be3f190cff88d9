"""Program files in ``examples``, ``composition`` and ``recursive``: right by their tasks and by plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from benchmarks.universal.human_programs import CHAINS
from dsl import compile_teacher, load, loads
from dsl.callgraph.layout import call_graph
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.scratchpad.config import NOWHERE
from envs.spec import BLANK
from npi.core.config import CoreConfig, TrainConfig
from npi.library.library import Library
from npi.running.evaluate import run_problems, score_sizes
from npi.training.dataset import Dataset
from npi.training.validation import TaskValidator
from tests.support.paths import PROGRAMS
from tests.support.plain_examples import RIGHT, SPOILED, Shown
from tests.support.reference_interpreter import interpret
from tests.support.tiny import objective_on, solved
from traces.generation.generate import TeacherError, record_problems
from traces.machine.lockstep import Budget, Status
from traces.recording.batch import TraceBatch
from traces.recording.unique_frames import check_rule, unique_frames

EXAMPLES, COMPOSITION, RECURSIVE = (
    sorted((PROGRAMS / name).glob("*.npi")) for name in ("examples", "composition", "recursive")
)
PATHS = {path.stem: path for path in (*EXAMPLES, *COMPOSITION, *RECURSIVE)}

LONGEST = {"multiply": 8, "insertionsort": 40, "mergesort": 30, "divide": 8, "hanoi": 6, "binarysearch": 100}
LONGEST |= dict.fromkeys([path.stem for path in COMPOSITION], 9) | dict.fromkeys([path.stem for path in RECURSIVE], 25)
"""Sizes at which the teacher is still quick, where the largest test size is not."""


@cache
def opened(stem: str) -> ProgramSet:
    return load(PATHS[stem])


def tasks() -> list[tuple[str, Task]]:
    return [(stem, task) for stem in PATHS for task in opened(stem).tasks]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Task) else str(value)


def problems_of(task: Task, *, each: int, longest: int | None = None) -> list[Problem]:
    """Problems of every training size, and of one far beyond where it is given."""
    generator = torch.Generator().manual_seed(20)
    found = [p for n in task.train_sizes for p in task.draw(n, each, generator=generator, spread=True)]
    return found + (task.draw(longest, 20, generator=generator, spread=True) if longest else [])


def shown(task: Task, reading: Mapping[str, list[int]]) -> Shown:
    """A reading in symbols."""

    def symbols(row: str, indices: list[int]) -> list[int | str]:
        if task.rows[row].places:
            return [BLANK if index == NOWHERE else index for index in indices]
        values = [task.rows[row].values[index] for index in indices]
        return [int(value) if value.isdigit() else value for value in values]

    found: dict[str, object] = {row: symbols(row, reading[row]) for row in task.rows}
    for pointer, row in task.pointers.items():
        found[f"under {pointer}"] = symbols(row, reading[f"under({pointer})"])[0]
        found[f"at {pointer}"] = reading[f"at({pointer})"][0]
    return found


def listed(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def test_every_task_is_in_the_table() -> None:
    assert {f"{stem}.{task.name}" for stem, task in tasks()} == set(RIGHT)
    assert {path.stem for path in (*EXAMPLES, *COMPOSITION)} == set(SPOILED)
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize(("stem", "task"), tasks(), ids=name_of)
def test_teacher_is_right_by_the_task_and_by_plain_python(stem: str, task: Task) -> None:
    """Red for any wrong program, and for a task that accepts a wrong result or refuses a right one."""
    problems = problems_of(task, each=60, longest=LONGEST.get(stem, max(task.test_sizes)))
    programs = opened(stem)
    outcome = run_problems(compile_teacher(programs), programs, problems)
    assert set(outcome.status_N.tolist()) == {int(Status.DONE)}
    right = RIGHT[f"{stem}.{task.name}"]
    for problem, reading in zip(problems, outcome.read(programs.world), strict=True):
        end = shown(task, reading)
        assert right(listed(problem.values), end), (problem.values, end)
        assert task.judge(problem, reading), (problem.values, end)


def run_teacher(programs: ProgramSet) -> list[TraceBatch]:
    """Traces of every task; a result that the task does not expect, or no result, raises ``TeacherError``."""
    return [record_problems(programs, t, problems_of(t, each=20), budget=Budget(steps=5000)) for t in programs.tasks]


@pytest.mark.parametrize("stem", SPOILED)
def test_tasks_notice_a_mistake(stem: str) -> None:
    """Red for an expectation that holds whatever the program does."""
    text = PATHS[stem].read_text(encoding="utf-8")
    old, new = SPOILED[stem]
    assert text.count(old) == 1, f"{old} occurs {text.count(old)} times in {stem}.npi"
    spoiled = loads(text.replace(old, new), path=f"{stem}.npi", folder=PATHS[stem].parent)
    with pytest.raises(TeacherError):
        run_teacher(spoiled)


@pytest.mark.parametrize("stem", PATHS)
def test_what_the_pad_shows_decides_every_call(stem: str) -> None:
    """Red for a body that depends on something that its observations do not tell; also for an unseen program."""
    programs = opened(stem)
    frames = unique_frames(run_teacher(programs))
    check_rule(frames)
    assert set(frames.program_M.tolist()) == {program.id for program in programs.programs}


@pytest.mark.parametrize("path", RECURSIVE, ids=lambda path: path.stem)
def test_recursive_programs_have_no_loops_and_short_frames(path: Path) -> None:
    """Red where a program loops: then a run of it becomes longer with the input."""
    assert "while" not in path.read_text(encoding="utf-8")
    (task,) = opened(path.stem).tasks
    drawn = task.draw(14, 3, generator=torch.Generator().manual_seed(0), spread=False)
    frames = unique_frames([record_problems(opened(path.stem), task, drawn)])
    check_rule(frames)
    assert int(frames.length_M.max()) <= 9


def test_hanoi_never_lays_a_disk_on_a_smaller_one() -> None:
    program_set = opened("hanoi")
    problem = program_set.task("hanoi").parse([",".join("o" * 5)])
    events, _ = interpret(program_set, problem.layout, problem.program, problem.arguments)
    pegs: dict[str, list[int]] = {"A": [4, 3, 2, 1, 0], "B": [], "C": []}
    move = program_set.table.id("MOVE")
    moves = [[program_set.world.spec.tokens[t] for t in event.call[1:3]] for event in events if event.call[0] == move]
    for one, two in moves:
        disk = pegs[one].pop()
        assert not pegs[two] or pegs[two][-1] > disk
        pegs[two].append(disk)
    assert pegs == {"A": [], "B": [], "C": [4, 3, 2, 1, 0]}
    assert len(moves) == 2**5 - 1


def test_places_stay_finite_to_see() -> None:
    """However long the input, a pointer on a row of places shows one of two values."""
    assert {field.size for field in opened("breadthfirst").world.spec.fields} == {2}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_files_are_short_and_documented(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    programs = opened(path.stem)
    assert lines[0].startswith("# ")
    assert 15 <= len(lines) <= 85
    assert max(map(len, lines)) <= 120
    assert programs.warnings == ()
    assert all(program.signature.doc for program in programs.programs)
    beyond = 1.5 if path.stem == "hanoi" else 5  # each disk doubles the moves
    assert all(max(task.test_sizes) >= beyond * max(task.train_sizes) for task in programs.tasks)


def test_every_file_is_learned_after_those_that_it_uses() -> None:
    """Red for a file that no chain learns, or learns too early."""
    assert sorted(stem for chain in CHAINS for stem in chain) == [path.stem for path in COMPOSITION]
    for chain in CHAINS:
        for number, stem in enumerate(chain):
            used = [Path(name).stem for name, _ in opened(stem).sources[:-1]]
            assert set(used) <= set(chain[:number])


@pytest.mark.parametrize(("stem", "depth"), [("order", 6), ("chain", 5)])
def test_calls_go_several_levels_deep(stem: str, depth: int) -> None:
    assert nx.dag_longest_path_length(call_graph(opened(stem))) == depth


def test_an_example_is_learned_and_works_at_ten_times_its_sizes() -> None:
    """Red where the trainer, or the dataset that the tasks give, gets worse."""
    programs = opened("increment")
    dataset = Dataset.from_programs(programs, traces=32, seed=0)
    library = Library.create(CoreConfig(), [dataset.table], sets=[programs], sources=[dataset.source], seed=0)
    config = TrainConfig(seed=0, updates=200)
    validate = TaskValidator(library, [programs], config)
    assert solved(objective_on(library, [dataset], config, validate=validate))
    for task in programs.tasks:
        stepper = library.stepper(dataset.table)
        for score in score_sizes(stepper, programs, task, name=task.name, sizes=(10, 100), seed=1):
            assert score.right == score.count
