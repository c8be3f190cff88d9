"""One run for people: its calls in the order of time, and the pad as it was after each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dsl import ProgramSet, Task
from dsl.tasks.task import Problem
from envs.spec import RETURN, ProgramTable
from npi.running.evaluate import bounded_budget, run_problems
from traces.machine.lockstep import Budget, Status, run
from traces.recording.batch import TraceBatch
from traces.recording.recorder import Recorder
from traces.recording.text import call_text, state_lines, walk
from traces.stepper import Action, Stepper


@dataclass(frozen=True)
class Event:
    """A call as it happened.

    Attributes:
        depth: frames on the stack when it was decided; 1 in the first program.
        call: callee or RETURN, three tokens.
        obs: what was observed.
    """

    depth: int
    call: tuple[int, ...]
    obs: tuple[int, ...]

    @classmethod
    def all_of(cls, trace: TraceBatch) -> tuple[Event, ...]:
        """The steps of one trace in the order of time."""
        calls, obs = trace.calls.tolist(), trace.obs.tolist()
        return tuple(cls(depth, tuple(calls[step]), tuple(obs[step])) for depth, step in walk(trace))


@dataclass(frozen=True)
class OneRun:
    """How one problem went.

    Attributes:
        problem, task: what was run.
        head: the first call as text.
        events: what was decided, in the order of time.
        status: how it ended. refused: the call that could not be carried out, as text; empty where there was none.
        right: whether the result is what the task expects. result: what it is, in words.
        steps: decisions made.
        trace: the run as columns.
    """

    task: Task
    problem: Problem
    head: str
    events: tuple[Event, ...]
    status: Status
    refused: str
    right: bool
    result: str
    steps: int
    trace: TraceBatch


SHORT = 600
"""Steps that take less time one by one than machine code takes to load."""


def run_once(
    stepper: Stepper,
    programs: ProgramSet,
    task: Task,
    problem: Problem,
    *,
    budget: Budget | None = None,
    seed: int | None = None,
) -> OneRun:
    """Run one problem and keep everything that happened; actions that are random are drawn from a seed."""
    world, table = programs.world, programs.table
    recorder = Recorder(table)
    state = world.reset([problem.layout])
    first_14 = torch.tensor([[problem.program, *problem.arguments]])
    compiled = budget is None or budget.steps > SHORT
    outcome = run(
        stepper, world, state, table, first_14[:, 0], first_14[:, 1:],
        budget=budget, recorder=recorder, compiled=compiled, seed=seed,
    )  # fmt: skip
    (reading,) = outcome.read(world)
    trace = recorder.batch().trace(0)
    status = Status(int(outcome.status_N[0]))
    refused = outcome.refused_N4[0].tolist() if status == Status.ILLEGAL else []
    return OneRun(
        task=task,
        problem=problem,
        head=call_text(table, first_14[0].tolist()),
        events=Event.all_of(trace),
        status=status,
        refused=call_text(table, refused) if refused else "",
        right=status == Status.DONE and task.judge(problem, reading),
        result=task.result(reading),
        steps=int(outcome.steps_N[0]),
        trace=trace,
    )


def teacher_steps(teacher: Stepper, programs: ProgramSet, problem: Problem) -> int:
    """How many steps the program text takes."""
    outcome = run_problems(teacher, programs, [problem], budget=Budget(steps=SHORT), compiled=False)
    if int(outcome.status_N[0]) == Status.STEPS:
        outcome = run_problems(teacher, programs, [problem])
    return int(outcome.steps_N[0])


def right_budget(steps: int) -> Budget:
    """What a right run cannot exceed, given the teacher's steps."""
    return bounded_budget([steps])


class Replay:
    """The world of a run, carried from drawing to drawing by the calls of its primitives."""

    def __init__(self, programs: ProgramSet, problem: Problem, *, width: int) -> None:
        self.world: Any = programs.world
        self.primitives = programs.table.primitives
        self.state = self.world.reset([problem.layout])
        self.width = width
        self._active_1 = torch.ones(1, dtype=torch.bool)

    def act(self, event: Event) -> bool:
        """Carry out the event where it is a primitive call; tells whether it is."""
        if not is_primitive(event, self.primitives):
            return False
        call_14 = torch.tensor([event.call])
        if not bool(self.world.legal(Action(call_14))):
            return False
        self.world.act(self.state, Action(call_14), self._active_1)
        return True

    def draw(self) -> list[str]:
        """The lines of a drawing; for a world that has none, what it reads."""
        return state_lines(self.world, self.state, width=self.width)


def is_primitive(event: Event, primitives: int) -> bool:
    return 0 <= event.call[0] < primitives


def is_return(event: Event) -> bool:
    return event.call[0] == RETURN


def event_text(table: ProgramTable, event: Event) -> str:
    """The call, two blanks deeper for each frame."""
    return "  " * event.depth + call_text(table, event.call)
