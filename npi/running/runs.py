"""Tasks with what decides in them, and one run of one: its calls, its end and its result."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch

from dsl import compile_teacher
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.tasks.values import show
from envs.product import heard
from envs.stepper import Decision, Draw, Observation, Stepper
from npi.library.library import Library
from npi.running.compiled_library import CompiledLibrary
from traces.machine.lockstep import Budget, Status, run
from traces.machine.stopped import Stop, by_size, why_stopped
from traces.recording.batch import TraceBatch
from traces.recording.recorder import Recorder
from traces.recording.text import call_text, walk

CORE, TEXT = "core", "program text"
"""What decides, in words."""

SHORT = 600
"""Steps that take less time one by one than machine code takes to load."""


@dataclass(frozen=True)
class RunnableTask:
    """A task by its qualified name, its program file, and what decides: a core, its tables, or the program text.

    Attributes:
        by: what decides, in words.
    """

    name: str
    programs: ProgramSet
    task: Task
    stepper: Stepper
    by: str = CORE


def runnable_tasks(
    names: Sequence[str],
    source: Library | CompiledLibrary | ProgramSet,
    *,
    device: torch.device | str = "cpu",
) -> list[RunnableTask]:
    """The tasks of these names, or all, by the core or the tables of a library, or by a file's program text.

    Raises ``ValueError`` for a task that is not there.
    """
    if isinstance(source, ProgramSet):
        stem, text = Path(source.path).stem, compile_teacher(source).to(device)
        bare = [name.removeprefix(f"{stem}.") for name in names] or [task.name for task in source.tasks]
        return [RunnableTask(f"{stem}.{name}", source, source.task(name), text, TEXT) for name in bare]
    pairs = [source.task(name) for name in names] if names else list(source.tasks().values())
    steppers = {programs.digest: source.stepper(programs.table) for programs, _ in pairs}
    return [
        RunnableTask(f"{Path(programs.path).stem}.{task.name}", programs, task, steppers[programs.digest])
        for programs, task in pairs
    ]


Payload = torch.Tensor | None
"""float32 X, flattened."""


@dataclass(frozen=True)
class Event:
    """A call as it happened.

    Attributes:
        depth: frames on the stack when it was decided; 1 in the first program.
        call: callee or RETURN, three tokens.
        obs: what was observed.
        payload: numbers that were given beside the call; None where nothing was.
    """

    depth: int
    call: tuple[int, ...]
    obs: tuple[int, ...]
    payload: tuple[float, ...] | None = None

    @classmethod
    def all_of(cls, trace: TraceBatch, payloads: Sequence[Payload] = ()) -> tuple[Event, ...]:
        """The steps of one trace in the order of time, with the payloads in that order; those may be fewer."""
        calls, obs = trace.calls.tolist(), trace.obs.tolist()
        numbers = (None if one is None else tuple(one.tolist()) for one in payloads)
        given = itertools.chain(numbers, itertools.repeat(None))
        steps = zip(walk(trace), given, strict=False)
        return tuple(cls(depth, tuple(calls[step]), tuple(obs[step]), one) for (depth, step), one in steps)


@final
class _Noting:
    """A stepper of one instance whose payloads are noted (implements ``Stepper``).

    Attributes:
        payloads: of each decision.
    """

    def __init__(self, inner: Stepper) -> None:
        self.inner, self.width, self.dtype = inner, inner.width, inner.dtype
        self.payloads: list[Payload] = []

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        found = self.inner.step(seen, program_B, arguments_B3, hidden_BH, ended_B=ended_B, draw=draw)
        _, payload_BX, given_B = found.action
        given = payload_BX is not None and (given_B is None or bool(given_B[0]))
        self.payloads.append(payload_BX[0].cpu() if given and payload_BX is not None else None)
        return found


@dataclass(frozen=True)
class Run:
    """One run of a task.

    Attributes:
        programs, task, problem: what was run, with its inputs laid out. by: what decided, in words.
        status: how it ended. refused: the call that could not be carried out, as text; empty where there was none.
        steps: calls and returns that it took.
        reading: what the world holds at the end, by the name of each part. result: that, as the task reads it.
        right: whether it returned with what the task expects.
        trace: all of its steps.
        stop: why it was stopped, where it was.
        beside: lines that are shown beside the calls of primitives, in their order; may be fewer.
        payloads: of its steps, in their order; none where the world takes none.
        heard: what was said (:class:`envs.speech.reading.Speech`), in each part of the world where something was.
    """

    programs: ProgramSet
    task: Task
    problem: Problem
    status: Status
    refused: str
    steps: int
    reading: dict[str, list[int]]
    result: str
    right: bool
    trace: TraceBatch
    stop: Stop | None = None
    by: str = CORE
    beside: tuple[str, ...] = ()
    payloads: tuple[Payload, ...] = ()
    heard: tuple[Any, ...] = ()

    def _repr_html_(self) -> str:
        """The run as a page in a frame, for notebooks."""
        from npi.running.run_page import frame  # a page takes longer to load than most runs take

        return frame(self)

    @property
    def inputs(self) -> str:
        """``add(a = 96, b = 125)``."""
        given = ", ".join(f"{name} = {show(value)}" for name, value in self.problem.values.items())
        return f"{self.task.name}({given})"

    @property
    def trouble(self) -> str:
        """Why it is not right."""
        if self.status == Status.DONE:
            return "it returned with another result than the task expects"
        if self.status == Status.ILLEGAL:
            return f"it called {self.refused}, which the world cannot carry out here"
        return f"{self.stop}"

    @property
    def verdict(self) -> str:
        """Whether it is right, then its result and the expected one, or why it has none: in a line."""
        if self.status != Status.DONE:
            return f"stopped: {self.trouble}"
        word = "right" if self.right else "wrong"
        return f"{word}: {self.result or 'no result'}, expected {self.task.expected(self.problem)}"

    @property
    def head(self) -> str:
        """The first call as text."""
        return call_text(self.trace.table, (self.problem.program, *self.problem.arguments))

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The steps in the order of time."""
        return Event.all_of(self.trace, self.payloads)


def run_once(
    stepper: Stepper,
    programs: ProgramSet,
    task: Task,
    problem: Problem,
    *,
    budget: Budget | None = None,
    seed: int | None = None,
    by: str = CORE,
) -> Run:
    """Run one problem and keep everything that happened; actions that are random are drawn from a seed.

    Args:
        by: what decides, in words.
    """
    world, table = programs.world, programs.table
    recorder = Recorder(table)
    budget = by_size(programs, [problem], budget, kept=True)
    first_14 = torch.tensor([[problem.program, *problem.arguments]])
    noting = _Noting(stepper) if world.spec.payload_width else None
    outcome = run(
        noting or stepper, world, world.reset([problem.layout]), table, first_14[:, 0], first_14[:, 1:],
        budget=budget, recorder=recorder, compiled=budget.most_steps > SHORT, seed=seed,
    )  # fmt: skip
    (reading,), status = outcome.read(world), Status(int(outcome.status_N[0]))
    return Run(
        programs=programs,
        task=task,
        problem=problem,
        status=status,
        refused=call_text(table, outcome.refused_N4[0].tolist()) if status == Status.ILLEGAL else "",
        steps=int(outcome.steps_N[0]),
        reading=reading,
        result=task.result(reading),
        right=status == Status.DONE and task.judge(problem, reading),
        trace=recorder.batch().trace(0),
        stop=why_stopped(programs, stepper, outcome, budget),
        by=by,
        payloads=() if noting is None else tuple(noting.payloads),
        heard=tuple(heard(world, outcome.state)),
    )
