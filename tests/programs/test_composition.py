"""The files of ``programs/composition``: each level in a file of its own, after those that it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx
import pytest
import torch

from benchmarks.universal.human_programs import CHAINS
from dsl import compile_teacher, load
from dsl.callgraph.graph import call_graph
from dsl.program import ProgramSet
from dsl.tasks.task import Task
from npi.running.evaluate import run_problems
from tests.support.paths import PROGRAMS
from traces.generation.generate import TeacherError, record_problems
from traces.machine.lockstep import Budget, Status

FOLDER = PROGRAMS / "composition"
FILES = sorted(FOLDER.glob("*.npi"))
SETS = {path.stem: load(path) for path in FILES}

Values = Mapping[str, Any]


def signed(sign: str, number: int) -> int:
    return number if sign == "plus" else -number


RIGHT: Mapping[str, Callable[[Values], object]] = {
    "keep.next": lambda v: min(v["items"][:2]),
    "least.least": lambda v: min(v["items"]),
    "select.select": lambda v: min(v["items"]),
    "median.median": lambda v: sorted(v["items"])[len(v["items"]) // 2],
    "order.order": lambda v: sorted(v["items"]),
    "plus.plus": lambda v: v["a"] + v["b"],
    "minus.minus": lambda v: v["a"] - v["b"],
    "calculate.calculate": lambda v: v["a"] + signed(v["sign"], v["b"]),
    "chain.chain": lambda v: v["a"] + signed(v["one"], v["b"]) + signed(v["two"], v["c"]),
}
"""What tasks come to, in plain Python."""

READ = {"keep": "under(BEST)", "least": "under(BEST)", "select": "under(FRONT)", "median": "under(FRONT)", "order": "A"}
"""Where it stands on the pad; else it is the number in OUT."""

SPOILED = {
    "keep": ("LOOK < BEST", "LOOK > BEST"),
    "least": ("not last(LOOK)", "not last(BEST)"),
    "select": ("ACT(FRONT, SWAP, BEST)", "ACT(BEST, TO, FRONT)"),
    "median": ("ACT(BACK, LEFT)", "ACT(FRONT, LEFT)"),
    "order": ("        SELECT", "        pass"),
    "columns": ("ACT(p, d)", "ACT(p, LEFT)"),
    "plus": (">= 10", "> 10"),
    "minus": ("A < B + CARRY", "A < B"),
    "calculate": ('== "minus"', '== "plus"'),
    "fetch": ("ACT(B, WRITE, C)", "ACT(B, WRITE, OUT)"),
    "chain": ("ACT(SIGN, RIGHT)", "ACT(SIGN, LEFT)"),
}
"""For each file a mistake that its own tasks must notice."""


def tasks() -> list[tuple[str, Task]]:
    return [(stem, task) for stem, programs in SETS.items() for task in programs.tasks]


def shown(programs: ProgramSet, task: Task, stem: str, reading: Mapping[str, list[int]]) -> object:
    if stem not in READ:
        symbols = [task.rows["OUT"].values[index] for index in reading["OUT"]]
        return int("".join(symbols))
    found = [int(task.rows["A"].values[index]) for index in reading[READ[stem]]]
    return found if READ[stem] == "A" else found[0]


@pytest.mark.parametrize(("stem", "task"), tasks(), ids=lambda item: item if isinstance(item, str) else item.name)
def test_teacher_is_right_by_the_task_and_by_plain_python(stem: str, task: Task) -> None:
    generator = torch.Generator().manual_seed(3)
    problems = [p for size in (1, 2, 3, 6, 9) for p in task.draw(size, 40, generator=generator, spread=True)]
    programs = SETS[stem]
    outcome = run_problems(compile_teacher(programs), programs, problems)
    assert set(outcome.status_N.tolist()) == {int(Status.DONE)}
    for problem, reading in zip(problems, outcome.read(programs.world), strict=True):
        assert task.judge(problem, reading), problem.values
        expected = RIGHT.get(f"{stem}.{task.name}")
        if expected is not None:
            values = {name: list(v) if isinstance(v, tuple) else v for name, v in problem.values.items()}
            assert shown(programs, task, stem, reading) == expected(values), problem.values


def run_teacher(programs: ProgramSet) -> None:
    """A result that a task does not expect, or no result, raises ``TeacherError``."""
    generator = torch.Generator().manual_seed(3)
    for task in programs.tasks:
        problems = [p for size in (2, 3, 6) for p in task.draw(size, 20, generator=generator, spread=True)]
        record_problems(programs, task, problems, budget=Budget(steps=2000))


@pytest.mark.parametrize("stem", SPOILED)
def test_tasks_notice_a_mistake(stem: str, tmp_path: Path) -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if path.stem == stem:
            old, new = SPOILED[stem]
            assert text.count(old) == 1
            text = text.replace(old, new)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    programs = load(tmp_path / f"{stem}.npi")
    with pytest.raises(TeacherError):
        run_teacher(programs)


def test_every_file_is_learned_after_those_that_it_uses() -> None:
    """Red for a file that no chain learns, or learns too early."""
    assert sorted(stem for chain in CHAINS for stem in chain) == sorted(SETS)
    for chain in CHAINS:
        for place, stem in enumerate(chain):
            used = [Path(name).stem for name, _ in SETS[stem].sources[:-1]]
            assert set(used) <= set(chain[:place])
            assert set(SETS) == set(SPOILED)


def test_calls_go_several_levels_deep() -> None:
    assert networkx.dag_longest_path_length(call_graph(SETS["order"])) == 6
    assert networkx.dag_longest_path_length(call_graph(SETS["chain"])) == 5
