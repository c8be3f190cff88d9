"""What is said of programs before they run; conflicts: none in the language, explained where traces have some."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dsl
from dsl.analysis.learnability import check_tables
from dsl.program import ProgramSet
from envs.stepper import Action
from tests.support.paths import ROOT
from traces.conflicts.explain import explain, search
from traces.generation.enumerate import problems_of_size
from traces.generation.generate import record_traces
from traces.recording.recorder import ManualRecorder
from traces.recording.unique_frames import find_conflict, unique_frames

PROGRAMS = sorted(path for path in (ROOT / "programs").rglob("*.npi") if path.parent.name not in ("learning", "tools"))
"""Those with teachers."""

LIST = """world list is scratchpad:
    row A of 0..2
    pointer P, Q on A
    counter K on A
"""
TASK = """task go(items: list of 0..2):
    A = items
    run X
    expect len(A) == len(items)
    train items of 1..5
"""


def outlook(*programs: str) -> dsl.Diagnosis:
    found = dsl.diagnose(LIST + "".join(programs) + TASK)
    assert found.errors == ()
    return found


def told(*programs: str) -> list[tuple[int, str]]:
    return [(warning.line, warning.code) for warning in outlook(*programs).warnings]


def longest(found: dsl.Diagnosis) -> dict[str, str]:
    names = {program.id: program.name.partition(".")[2] for program in found.program_set.programs}
    return {names[number]: str(shape) for number, shape in found.outlook.frames.items()}


def test_frames_grow_with_the_input_only_in_loops() -> None:
    found = outlook(
        "program X:\n    while not last(P):\n        ACT(P, RIGHT)\n    Y\n",
        "program Y:\n    if P > 0:\n        ACT(Q, RIGHT)\n        ACT(Q, RIGHT)\n"
        "    else:\n        Z\n    ACT(K, RIGHT)\n",
        "program Z:\n    if not last(P):\n        ACT(P, RIGHT)\n        Z\n",
    )
    assert longest(found) == {"X": "grows with the input", "Y": "at most 4", "Z": "at most 3, recursive"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_no_frame_is_longer_than_was_said(path: Path) -> None:
    """The machine's frames against the bound; where frames grow, longer inputs give longer ones."""
    found = dsl.diagnose(path.read_text(encoding="utf-8"), path=str(path), folder=path.parent)
    assert found.outlook is not None
    seen: dict[int, int] = {}
    for task in found.program_set.tasks:
        sizes = [size for size in task.train_sizes if size <= 4] or task.sizes[:1]
        batch = record_traces(found.program_set, task=task.name, traces=12, sizes=sizes)
        for program, length in zip(batch.program.tolist(), batch.length.tolist(), strict=True):
            seen[program] = max(seen.get(program, 0), length)
    for program, length in seen.items():
        bound = found.outlook.frames[program].longest
        assert bound is None or length <= bound


def test_conditions_that_decide_nothing() -> None:
    body = """program X:
    if P > 1:
        ACT(P, RIGHT)
    elif P == 2:
        ACT(Q, RIGHT)
    if Q >= 0:
        ACT(Q, RIGHT)
    while P < 0:
        ACT(P, RIGHT)
    while Q < 3:
        ACT(Q, RIGHT)
"""
    assert told(body) == [(8, "NPI201"), (10, "NPI201"), (12, "NPI201"), (14, "NPI202")]


def test_what_stands_in_a_dead_block_is_told_once() -> None:
    assert told("program X:\n    if P > 5:\n        if P > 6:\n            ACT(P, LEFT)\n    ACT(P, RIGHT)\n") == [
        (6, "NPI201")
    ]


def test_a_condition_is_judged_over_all_that_it_is_unrolled_to() -> None:
    """Of the pointers p, one is never blank: the condition is idle for it, but not for the other."""
    world = "world w is scratchpad:\n    row A of 0..2\n    row B of 0..9\n"
    task = "task t(a: list of 0..2, b: list of 0..9):\n    A = a\n    B = b\n    run X\n"
    task += "    expect len(A) > 0\n    train a, b of 1..3\n"
    body = "program X:\n    for p in A, B:\n        if p > 2:\n            ACT(p, RIGHT)\n"
    assert dsl.diagnose(world + body + task).warnings == ()


LOOPS = [
    ("while not last(P):\n        ACT(Q, RIGHT)", True),
    ("while not last(P):\n        ACT(P, RIGHT)", False),
    ("while P > 0:\n        ACT(Q, WRITE, 0)", False),  # Q may stand on the same cell
    ("while P > 0:\n        ACT(K, RIGHT)", True),
    ("while P > 0:\n        ACT(K, WRITE, 0)", False),
    ("while not last(K):\n        ACT(K, WRITE, 0)", True),
    ("while P > 0:\n        ACT(P, SWAP, Q)", False),
    ("while not last(P):\n        STEP(P)", False),
    ("while not last(P):\n        STEP(Q)", True),
    ("while not last(P):\n        BOTH(P, Q)", False),
    ("while not last(K):\n        BOTH(P, Q)", True),
    ("while not last(P):\n        DEEP(Q)", True),
    ("while not last(P):\n        DEEP(P)", False),
    ("while not last(P):\n        if Q > 0:\n            return\n        ACT(Q, RIGHT)", False),
    ("while not last(P) and Q > 0:\n        ACT(Q, RIGHT)", False),
]


@pytest.mark.parametrize(("loop", "endless"), LOOPS, ids=range(len(LOOPS)))
def test_loops_that_cannot_change_what_they_ask(loop: str, endless: bool) -> None:
    helpers = (
        "program STEP(p: P or Q or K):\n    ACT(p, RIGHT)\n"
        "program BOTH(p: P or Q, q: P or Q):\n    STEP(p)\n    STEP(q)\n"
        "program DEEP(p: P or Q):\n    if p > 0:\n        STEP(p)\n    else:\n        DEEP(p)\n        STEP(p)\n"
    )
    uses = "program ALL:\n    BOTH(P, Q)\n    DEEP(P)\n    ALL\n"
    found = outlook(f"program X:\n    {loop}\n    ALL\n", helpers, uses)
    assert [warning.code for warning in found.warnings] == (["NPI202"] if endless else [])


def test_a_loop_is_told_for_the_argument_for_which_it_does_not_end() -> None:
    body = "program X:\n    Y(P)\n    Y(Q)\nprogram Y(p: P or Q):\n    while not last(p):\n        ACT(Q, RIGHT)\n"
    (warning,) = outlook(body).warnings
    assert warning.message.startswith("this loop may not end when p = P: nothing that it calls changes last(P)")


def test_programs_that_no_task_reaches() -> None:
    lonely = "program Y:\n    Z\nprogram Z:\n    ACT(P, LEFT)\n    Y\n"
    assert told("program X:\n    ACT(P, LEFT)\n", lonely) == [(7, "NPI203"), (9, "NPI203")]
    assert told("program X:\n    Y\n", lonely) == []


def test_symbols_that_are_never_there() -> None:
    world = "world w is scratchpad:\n    row A of 0..4\n    row B of digit\n    row C of digit\n"
    body = "program X:\n    ACT(B, WRITE, A)\n    ACT(C, WRITE, B)\n"
    task = "task t(a: list of 1..2):\n    A = sorted(a)\n    C = digits(5, 2)\n    run X\n"
    task += "    expect len(A) > 0\n    train a of 1..3\n"
    found = dsl.diagnose(world + body + task)
    # A is never 0, 3, 4; tables do not know that, so B gets 0..4; C copies B, of which tables know nothing either
    assert [(w.line, w.message) for w in found.warnings if "row" in w.message] == [
        (2, "row A can hold 0 or 3 or 4, which nothing lays or writes there"),
        (3, "row B can hold 5..9, which nothing lays or writes there"),
    ]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_teachers_are_functions_of_what_a_core_sees(path: Path) -> None:
    program_set = dsl.load(path)
    check_tables(program_set)
    for task in program_set.tasks:
        found = search(program_set, task, most=120, seconds=0.1)
        assert found.conflict is None
        assert found.problems > 0 or found.sizes == 0


def test_a_table_that_is_no_function_is_found() -> None:
    program_set = dsl.loads(LIST + "program X:\n    if P > 0:\n        ACT(P, RIGHT)\n" + TASK)
    program = program_set.programs[0]
    node = program.table.nodes[0]
    for broken in (replace(node, next_M=node.next_M[1:]), replace(node, next_M=node.next_M + 9)):
        table = replace(program.table, nodes=(broken, *program.table.nodes[1:]))
        with pytest.raises(ValueError, match="node 0 is not a function of what it reads"):
            check_tables(replace(program_set, programs=(replace(program, table=table),)))


def test_all_problems_of_a_size() -> None:
    text = LIST + "program X:\n    ACT(P, RIGHT)\n"
    task = dsl.loads(text + TASK).tasks[0]
    assert [len([*problems_of_size(task, size)]) for size in (1, 2, 3)] == [3, 9, 27]
    two = "task go(a: number base 2, items: list of 0..2) where len(items) > 1:\n    A = items\n    run X\n"
    two += "    expect len(A) > a\n    train a, items of 1..5\n"
    task = dsl.loads(text + two).tasks[0]
    assert [len([*problems_of_size(task, size)]) for size in (1, 2)] == [0, 4 * 9]  # 0, 1, 10, 11 in base 2
    sizes = {problem.size for problem in problems_of_size(task, 2)}
    assert sizes == {2}


def test_a_search_runs_a_size_whole_or_not_at_all() -> None:
    program_set = dsl.loads(LIST + "program X:\n    ACT(P, RIGHT)\n" + TASK)
    found = search(program_set, program_set.tasks[0], most=20, seconds=9)
    assert (found.problems, found.sizes, found.conflict) == (3 + 9, 2, None)


def test_a_search_finds_a_result_that_is_wrong_on_one_input_only() -> None:
    wrong = TASK.replace("expect len(A) == len(items)", "expect A == items")
    program_set = dsl.loads(LIST + "program X:\n    if P == 1 and Q == 1:\n        ACT(P, WRITE, 2)\n" + wrong)
    with pytest.raises(ValueError, match=r"items = \[1\]"):
        search(program_set, program_set.tasks[0], most=3)


def by_hand(program_set: ProgramSet, layouts: Sequence[dict[str, list[int]]], secret: str) -> tuple[list, list]:  # type: ignore[type-arg]
    """Traces of a teacher that looks at what the world does not show: program X moves P as ``secret`` says."""
    world = program_set.world
    batches = []
    for layout in layouts:
        state = world.reset([layout])

        def perform(call: tuple[int, ...], state: object = state) -> None:
            world.act(state, Action(torch.tensor([call])), torch.ones(1, dtype=torch.bool))  # type: ignore[arg-type]

        recorder = ManualRecorder(
            program_set.table, observe=lambda state=state: world.observe(state).fields_BF[0].tolist(), perform=perform
        )
        with recorder.trace("X"):
            recorder.act("ACT", "K", "RIGHT")
            reading = world.read(state)[0]
            go = {
                "under": reading["under(K)"][0] == 2,
                "order": reading["at(P)"][0] < reading["at(K)"][0],
                "beside": reading["A"][reading["at(P)"][0] + 1] == 1,
            }[secret]
            recorder.act("ACT", "P", "RIGHT" if go else "LEFT")
        batches.append(recorder.batch())
    return batches, [[layout] for layout in layouts]


LAYOUTS = [
    {"A": [0, *rest]} for rest in ([1, 0, 0, 2], [2, 0, 0], [1, 2, 0, 1], [0, 2, 1], [0, 1, 1, 0, 0], [2, 1, 2, 2])
]


@pytest.mark.parametrize(
    ("secret", "sight", "fix"),
    [
        ("under", "the symbol under K", "declare K as a pointer, not as a counter"),
        ("beside", "the cell right of P", "add a pointer that stands right of P"),
    ],
)
def test_a_conflict_is_explained_by_what_decided(secret: str, sight: str, fix: str) -> None:
    program_set = dsl.loads(LIST + "program X:\n    ACT(P, RIGHT)\n" + TASK)
    batches, layouts = by_hand(program_set, LAYOUTS, secret)
    assert find_conflict(unique_frames(batches)) is not None
    found = explain(batches, world=program_set.world, layouts=layouts)
    assert (sight, fix) in [(apart.sight.name, apart.sight.fix) for apart in found.apart]
    assert {found.sides[0].call, found.sides[1].call} == {"ACT(P, RIGHT)", "ACT(P, LEFT)"}
    text = str(found)
    assert f"they differ in {sight}" in text
    assert f"to fix: {fix}" in text
    assert "A = 0 2 0 0" in text, "the smaller inputs are shown"


def test_a_conflict_is_gone_after_its_fix() -> None:
    """The same teacher in the world that the explanation asks for."""
    seen = LIST.replace("pointer P, Q on A\n    counter K on A", "pointer P, Q, K on A")
    program_set = dsl.loads(seen + "program X:\n    ACT(P, RIGHT)\n" + TASK)
    batches, layouts = by_hand(program_set, LAYOUTS, "under")
    assert find_conflict(unique_frames(batches)) is None
    assert explain(batches, world=program_set.world, layouts=layouts) is None


def test_who_called_can_tell_steps_apart() -> None:
    text = LIST + "program X:\n    Y\n    Z\nprogram Z:\n    Y\nprogram Y:\n    ACT(P, RIGHT)\n" + TASK
    program_set = dsl.loads(text)
    recorder = ManualRecorder(program_set.table, observe=lambda: [0, 0, 1, 0, 1, 0, 1, 0])
    with recorder.trace("X"):
        with recorder.call("Y"):
            recorder.act("ACT", "P", "RIGHT")
        with recorder.call("Z"), recorder.call("Y"):
            recorder.act("ACT", "P", "LEFT")
    found = explain([recorder.batch()])
    assert found.frame == "Y"
    assert [side.caller for side in found.sides] == ["X", "Z"]
    assert found.apart[0].sight.name == "the program that called"
    assert found.apart[0].values == ("X", "Z")


def test_a_memory_of_its_own_is_called_that() -> None:
    program_set = dsl.loads(LIST + "program X:\n    ACT(P, RIGHT)\n" + TASK)
    recorder = ManualRecorder(program_set.table, observe=lambda: [0, 0, 1, 0, 1, 0, 1, 0])
    for direction in ("LEFT", "RIGHT"):
        with recorder.trace("X"):
            recorder.act("ACT", "P", direction)
    found = explain([recorder.batch()], world=program_set.world, layouts=[[{"A": [0]}, {"A": [0]}]])
    assert found.apart == ()
    assert "a memory of their own" in str(found)


class Moody:
    """A teacher that does every second instance's first move the other way round: it sees what no core sees."""

    def __init__(self, teacher: dsl.Teacher) -> None:
        self.teacher, self.width, self.dtype = teacher, teacher.width, teacher.dtype
        left, right = (teacher.table.world.token(name) for name in ("LEFT", "RIGHT"))
        self.turned = {left: right, right: left}

    def step(self, *situation: torch.Tensor, ended_B: object = None, draw: object = None) -> object:
        found = self.teacher.step(*situation)
        for row in range(1, len(found.call_B4), 2):
            found.call_B4[row, 2] = self.turned.get(int(found.call_B4[row, 2]), int(found.call_B4[row, 2]))
        return found


def test_a_search_finds_a_conflict() -> None:
    program_set = dsl.loads(LIST + "program X:\n    ACT(Q, RIGHT)\n" + TASK)
    moody = Moody(dsl.compile_teacher(program_set))
    found = search(program_set, program_set.tasks[0], most=12, seconds=9, teacher=moody)  # type: ignore[arg-type]
    assert found.conflict.frame == "X"
    assert {side.call for side in found.conflict.sides} == {"ACT(Q, RIGHT)", "ACT(Q, LEFT)"}
