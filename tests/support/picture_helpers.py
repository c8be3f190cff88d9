"""Runs, states and hostile texts for the tests of pictures and pages."""

import json
import re
from collections.abc import Iterator
from typing import Any

import torch

from dsl import ProgramSet, compile_teacher, load
from envs.spec import RETURN
from envs.stepper import Action, Decision, Observation, Stepper
from npi.running.run_page import take_of
from npi.running.runs import Run, run_once
from tests.support.paths import PROGRAMS
from traces.machine.lockstep import Budget
from traces.viewing.page import Take
from traces.viewing.states import PadStates

ADDITION = load(PROGRAMS / "addition.npi")
SORT = load(PROGRAMS / "bubblesort.npi")

EVIL = "</script><img src=x onerror=hacked=1>&<b>"
HOSTILE = f"""\
world pad is scratchpad:
    row A of "<i>" or "</script>" or blank at left

program MARK "{EVIL}":
    while A:
        ACT(A, WRITE, "<i>")
        ACT(A, RIGHT)

task mark(a: list of "<i>" or "</script>"):
    A = a
    run MARK
    expect len(A) == len(a)
    train a of 1..3
    test a of 3
"""


class Slip:
    """The teacher, but for one decision that it takes otherwise: no swap where P2 sees a 2."""

    def __init__(self, programs: ProgramSet) -> None:
        self.inner: Stepper = compile_teacher(programs)
        self.width, self.dtype = self.inner.width, self.inner.dtype
        world = programs.table.world
        self._swap = torch.tensor([0, world.token("P1"), world.token("SWAP"), world.token("P2")])
        self._field, self._value = world.field("P2"), 2

    def step(self, seen: Observation, *others: torch.Tensor, ended_B: object = None, draw: object = None) -> Decision:
        (call_B4, *_), hidden_BH = self.inner.step(seen, *others)
        slips_B = (seen.fields_BF[:, self._field] == self._value) & (call_B4 == self._swap).all(1)
        return Decision(Action(torch.where(slips_B[:, None], torch.tensor([RETURN, 0, 0, 0]), call_B4)), hidden_BH)


def teacher_run(programs: ProgramSet, task: str, *inputs: str) -> Run:
    chosen = programs.task(task)
    return run_once(compile_teacher(programs), programs, chosen, chosen.parse(list(inputs)))


def sort_slip() -> tuple[Run, Take]:
    task = SORT.task("sort")
    found = run_once(Slip(SORT), SORT, task, task.parse(["3,1,2,7,5"]), budget=Budget(steps=500))
    take, notes = take_of(
        SORT, found.problem, found.trace, by="core", verdict="wrong", right=False, text=compile_teacher(SORT)
    )
    assert not notes
    return found, take


def frames_of(shots: PadStates, steps: int) -> Iterator[tuple[list[int], list[dict[int, int]]]]:
    """Pointers' columns and rows' cells before each step and after the last, from the states alone."""
    at = [pointer.at for pointer in shots.pointers]
    cells = [dict(enumerate(row.cells, row.start)) for row in shots.rows]
    moves = unfold(shots.moves, 3)
    writes = unfold(shots.writes, 4)
    for step in range(steps + 1):
        yield list(at), [dict(row) for row in cells]
        for pointer, column in moves.get(step, ()):
            at[pointer] = column
        for row, column, value in writes.get(step, ()):
            cells[row][column] = value


def unfold(flat: tuple[int, ...], width: int) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    step = 0
    for begin in range(0, len(flat), width):
        step += flat[begin]
        found.setdefault(step, []).append(list(flat[begin + 1 : begin + width]))
    return found


def document(text: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)
