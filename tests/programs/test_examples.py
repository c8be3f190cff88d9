"""The programs in ``programs/examples``: right by their tasks and by plain Python, learnable, and fit to be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from dsl import compile_teacher, load, loads
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.scratchpad.config import NOWHERE
from envs.spec import BLANK
from npi.core.config import CoreConfig, TrainConfig
from npi.library.library import Library
from npi.running.evaluate import run_problems, score_sizes
from npi.training.dataset import Material
from npi.training.frame_objective import FrameObjective, place
from npi.training.validation import TaskValidator
from tests.support.paths import PROGRAMS
from tests.support.tiny import solved
from traces.generation.generate import TeacherError, record_problems
from traces.machine.lockstep import Budget, Status
from traces.recording.batch import TraceBatch
from traces.recording.unique_frames import check_rule, unique_frames

FOLDER = PROGRAMS / "examples"
FILES = sorted(FOLDER.glob("*.npi"))

Shown = Mapping[str, object]
"""Row → its content as a list, ``under P`` → what lies under a pointer."""


def digits(number: int, base: int = 10) -> list[int]:
    found = [number % base]
    while number := number // base:
        found.insert(0, number % base)
    return found


def zeros_off(row: object) -> list[int]:
    """A row of digits without the zeros in front."""
    assert isinstance(row, list)
    while len(row) > 1 and row[0] == 0:
        row = row[1:]
    return row


def binary(row: object) -> int:
    assert isinstance(row, list)
    return int("".join(map(str, row)), 2)


def replaced(text: list[int], old: int, new: int) -> list[int]:
    return [new if item == old else item for item in text]


def winner(votes: list[str]) -> str:
    lead = votes.count("a") - votes.count("b")
    return "a" if lead > 0 else "b" if lead < 0 else BLANK


def order(a: int, b: int) -> str:
    return "<" if a < b else ">" if a > b else "="


def closes(text: list[str]) -> bool:
    """Whether brackets are balanced."""
    missing: list[str] = []
    for bracket in text:
        if bracket in "([":
            missing.append({"(": ")", "[": "]"}[bracket])
        elif not missing or missing.pop() != bracket:
            return False
    return not missing


def occurrences(text: list[str], word: list[str]) -> list[int]:
    """Where the word begins in the text; both have one character an item."""
    return [i for i in range(len(text)) if "".join(text).startswith("".join(word), i)]


def ways(v: Mapping[str, Any]) -> dict[int, int]:
    """The length of the shortest way from vertex 0 to each vertex that can be reached."""
    edges = [(one, two) for one, ends in enumerate(v["g"]) for two in ends]
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(v["g"])))
    graph.add_edges_from(edges)
    return dict(nx.single_source_shortest_path_length(graph, 0))


def ways_by_parents(parents: list[Any]) -> dict[int, int]:
    """The length of the way from vertex 0 to each vertex that has a parent; the parent of 0 is 0."""
    found: dict[int, int] = {}
    for vertex in (vertex for vertex, parent in enumerate(parents) if parent != BLANK):
        here, steps = vertex, 0
        while here != 0:
            here, steps = parents[here], steps + 1
        found[vertex] = steps
    return found


RIGHT: Mapping[str, Callable[[dict[str, Any], Shown], bool]] = {
    "binary.add": lambda v, end: binary(end["OUT"]) == v["a"] + v["b"],
    "binarysearch.search": lambda v, end: end["ANSWER"] == ["yes" if v["key"] in v["items"] else "no"],
    "binarysearch.single": lambda v, end: end["ANSWER"] == ["yes" if v["key"] == v["items"][0] else "no"],
    "brackets.check": lambda v, end: end["ANSWER"] == ["yes" if closes(v["text"]) else "no"],
    "brackets.nested": lambda v, end: end["ANSWER"] == ["yes"] and len(end["TEXT"]) == 2 * len(v["half"]),
    "brackets.ending": lambda v, end: end["ANSWER"] == ["yes" if closes(end["TEXT"]) else "no"],
    "breadthfirst.search": lambda v, end: ways_by_parents(end["PARENT"]) == ways(v),
    "compare.compare": lambda v, end: end["under ANSWER"] == order(v["a"], v["b"]),
    "compare.near": lambda v, end: end["under ANSWER"] == order(v["a"] + 1, v["a"] + v["step"]),
    "copy.copy": lambda v, end: end["OUT"] == v["word"] == end["IN"],
    "count.count": lambda v, end: end["COUNT"] == digits(sum(letter == "a" for letter in v["text"]), 2),
    "divide.divide": lambda v, end: binary(end["OUT"]) == v["quotient"] and binary(end["A"]) == v["remainder"],
    "double.double": lambda v, end: end["OUT"] == digits(v["a"] + v["a"]),
    "gcd.gcd": lambda v, end: end["A"] == end["B"] == ["|"] * math.gcd(len(v["a"]), len(v["b"])),
    "gcd.dozen": lambda v, end: end["A"] == end["B"] == ["|"] * math.gcd(len(v["a"]), 12),
    "hanoi.hanoi": lambda v, end: end["C"] == [*range(len(v["disks"]))][::-1] and end["A"] == end["B"] == [],
    "increment.increment": lambda v, end: end["A"] == digits(v["a"] + 1, 2),
    "increment.overflow": lambda v, end: end["A"] == [1] + [0] * len(v["ones"]),
    "insertionsort.sort": lambda v, end: end["OUT"] == sorted(v["items"]) and end["IN"] == v["items"],
    "mergesort.sort": lambda v, end: end["A"] == sorted(v["items"]),
    "minimum.minimum": lambda v, end: end["LEAST"] == [sorted(v["items"])[0]],
    "multiply.multiply": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] * v["b"]),
    "palindrome.palindrome": lambda v, end: end["ANSWER"] == ["yes" if v["word"] == v["word"][::-1] else "no"],
    "palindrome.same": lambda v, end: end["ANSWER"] == ["yes"] and end["WORD"] == [],
    "parity.parity": lambda v, end: end["ODD"] == [v["bits"].count(1) % 2],
    "replace.replace": lambda v, end: end["TEXT"] == replaced(v["text"], v["old"], v["new"]),
    "reverse.reverse": lambda v, end: end["OUT"] == v["word"][::-1],
    "search.search": lambda v, end: end["FOUND"] == occurrences(v["text"], v["word"][: v["letters"]]),
    "search.beginning": lambda v, end: end["FOUND"] == occurrences(v["text"], v["text"][: v["letters"]]),
    "subtract.subtract": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] - v["b"]),
    "vote.elect": lambda v, end: end["under STACK"] == winner(v["votes"]),
}
"""Each task in plain Python: from the inputs and what the pad shows at the end to right or wrong."""

SPOILED: Mapping[str, tuple[str, str]] = {
    "binary": ("div 2", "mod 2"),
    "binarysearch": ("MIDDLE < key", "MIDDLE > key"),
    "brackets": ("TEXT == STACK", "TEXT != STACK"),
    "breadthfirst": ("if not PARENT", "if PARENT"),
    "compare": ("elif A > B", "elif A == B"),
    "copy": ("ACT(OUT, WRITE, IN)", 'ACT(OUT, WRITE, "a")'),
    "count": ('TEXT == "a"', 'TEXT != "a"'),
    "divide": ("ACT(PLACE, RIGHT)", "ACT(PLACE, LEFT)"),
    "double": ("(2 * IN + CARRY) mod 10", "(2 * IN) mod 10"),
    "gcd": ("CUT(B, A)", "CUT(A, B)"),
    "hanoi": ("SMALLER(over, to, from)", "SMALLER(over, from, to)"),
    "increment": ("ACT(A, WRITE, 0)", "ACT(A, WRITE, 1)"),
    "insertionsort": ("LAST > ITEM", "LAST < ITEM"),
    "mergesort": ("ONE <= TWO", "ONE >= TWO"),
    "minimum": ("ITEMS < LEAST", "ITEMS > LEAST"),
    "multiply": (">= 10", "> 10"),
    "palindrome": ("while FRONT and FRONT == BACK", "while FRONT and FRONT != BACK"),
    "parity": ("BITS == 1", "BITS == 0"),
    "replace": ("TEXT == old", "TEXT != old"),
    "reverse": ("ACT(OUT, RIGHT)", "ACT(OUT, LEFT)"),
    "search": ("LETTER == READ", "LETTER != READ"),
    "subtract": ("A < B + BORROW", "A < B"),
    "vote": ("STACK != VOTES", "STACK == VOTES"),
}
"""For each file a mistake that its own tasks must notice."""

LONGEST = {"multiply": 8, "insertionsort": 40, "mergesort": 30, "divide": 8, "hanoi": 6, "binarysearch": 100}
"""Sizes at which the teacher is still quick, where the largest test size is not."""


@cache
def opened(stem: str) -> ProgramSet:
    return load(FOLDER / f"{stem}.npi")


def tasks() -> list[tuple[str, Task]]:
    return [(path.stem, task) for path in FILES for task in opened(path.stem).tasks]


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
    return found


def listed(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def test_every_task_is_in_the_table() -> None:
    assert {f"{stem}.{task.name}" for stem, task in tasks()} == set(RIGHT)
    assert {path.stem for path in FILES} == set(SPOILED)
    assert len(FILES) >= 10


@pytest.mark.parametrize(("stem", "task"), tasks(), ids=name_of)
def test_teacher_is_right_by_the_task_and_by_plain_python(stem: str, task: Task) -> None:
    """Red for any wrong program, and for a task that accepts a wrong result or refuses a right one."""
    problems = problems_of(task, each=200, longest=LONGEST.get(stem, max(task.test_sizes)))
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
    text = (FOLDER / f"{stem}.npi").read_text(encoding="utf-8")
    old, new = SPOILED[stem]
    assert text.count(old) == 1, f"{old} occurs {text.count(old)} times in {stem}.npi"
    spoiled = loads(text.replace(old, new), path=f"{stem}.npi")
    with pytest.raises(TeacherError):
        run_teacher(spoiled)


@pytest.mark.parametrize("stem", SPOILED)
def test_what_the_pad_shows_decides_every_call(stem: str) -> None:
    """Red for a body that depends on something that its observations do not tell; also for an unseen program."""
    programs = opened(stem)
    frames = unique_frames(run_teacher(programs))
    check_rule(frames)
    assert set(frames.program_M.tolist()) == {program.id for program in programs.programs}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
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


def test_an_example_is_learned_and_works_at_ten_times_its_sizes() -> None:
    """Red where the trainer, or the material that the tasks give, gets worse."""
    programs = opened("increment")
    material = Material.from_programs(programs, traces=32, seed=0)
    library = Library.create(CoreConfig(), [material.table], sets=[programs], sources=[material.source], seed=0)
    config = TrainConfig(seed=0, updates=600, decay=600)
    validate = TaskValidator(library, [programs], config)
    assert solved(FrameObjective(library, [place(library, material.frames)], config, validate=validate))
    for task in programs.tasks:
        stepper = library.stepper(material.table)
        for score in score_sizes(stepper, programs, task, name=task.name, sizes=(10, 100), seed=1):
            assert score.right == score.count
