"""Running tasks on the machine and judging the results: validation in training, and accuracy by size after it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from dsl import shown_by
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.teacher import Teacher
from envs.stepper import Stepper
from traces.machine.lockstep import Budget, Outcome, Status, run
from traces.machine.stopped import Stop, by_size, why_stopped

MAX_BATCH = 1024
"""Problems that run side by side."""

LEFT_OUT = 20_000_000
"""Steps of stopped runs after which the other problems of a size are left out."""

FREE_STEPS = 50_000
"""Steps that a problem may take before the teacher is asked how many it needs."""


@dataclass(frozen=True)
class Solved:
    """How problems went: right_N, and why the others did not (a status of the machine, or a wrong result).

    Attributes:
        right: for each problem, whether it returned with the expected result.
        status: for each problem, how its run ended.
        steps: for each problem, the calls and returns that it took.
        stop: why one of them was stopped, where that was asked.
    """

    right: tuple[bool, ...]
    status: tuple[Status, ...]
    steps: tuple[int, ...]
    stop: Stop | None = field(default=None, compare=False)

    @property
    def count(self) -> int:
        return sum(self.right)


def run_problems(
    stepper: Stepper,
    programs: ProgramSet,
    problems: Sequence[Problem],
    *,
    budget: Budget | None = None,
    device: torch.device | str = "cpu",
    compiled: bool = True,
    seed: int | None = None,
) -> Outcome[Any]:
    """Lay the problems out and run them as one batch (:func:`traces.machine.lockstep.run`).

    A budget without steps is by their size (:func:`~traces.machine.stopped.by_size`).
    """
    world = programs.world
    state = world.reset([p.layout for p in problems], device=device)
    program = torch.tensor([p.program for p in problems], device=device)
    arguments = torch.tensor([list(p.arguments) for p in problems], device=device)
    return run(
        stepper, world, state, programs.table, program, arguments, budget=by_size(programs, problems, budget),
        compiled=compiled, seed=seed,
    )  # fmt: skip


def solve(
    stepper: Stepper,
    programs: ProgramSet,
    task: Task,
    problems: Sequence[Problem],
    *,
    budget: Budget | None = None,
    device: torch.device | str = "cpu",
    seed: int | None = None,
    tell: bool = False,
) -> Solved:
    """Run the problems and judge each by the task, in batches of at most :data:`MAX_BATCH`.

    Where a text runs, without a number of steps, problems are left out once others took :data:`LEFT_OUT` to no end.

    Args:
        seed: of what learned programs do that their own programs call; without one they do what is likeliest.
        tell: find out why the first that is stopped is.
    """
    stop: Stop | None = None
    right: list[bool] = []
    status: list[Status] = []
    steps: list[int] = []
    wary = isinstance(stepper, Teacher) and (budget is None or budget.steps is None)
    few = size = (
        min(MAX_BATCH, max(1, LEFT_OUT // by_size(programs, problems, budget).most_steps)) if wary else MAX_BATCH
    )
    begin = lost = 0
    while begin < len(problems) and not (wary and lost >= LEFT_OUT):
        chunk = problems[begin : begin + size]
        turn = None if seed is None else seed + begin
        outcome = run_problems(stepper, programs, chunk, budget=budget, device=device, seed=turn)
        if tell and stop is None:
            stop = why_stopped(programs, stepper, outcome, budget)
        readings = outcome.read(programs.world)
        ended = [Status(s) for s in outcome.status_N.tolist()]
        right += [s == Status.DONE and task.judge(p, r) for p, r, s in zip(chunk, readings, ended, strict=True)]
        status += ended
        steps += outcome.steps_N.tolist()
        lost += int(outcome.steps_N[outcome.status_N != Status.DONE].sum())
        begin, size = begin + size, few if lost else min(MAX_BATCH, 2 * size)
    return Solved(tuple(right), tuple(status), tuple(steps), stop)


def solve_bounded(
    stepper: Stepper,
    programs: ProgramSet,
    task: Task,
    problems: Sequence[Problem],
    *,
    device: torch.device | str = "cpu",
    free: int,
    budget: Budget | None = None,
    seed: int | None = None,
    tell: bool = False,
) -> Solved:
    """Like :func:`solve`; a run that goes on for more steps than ``free`` and than the teacher needs is wrong.

    Where no teacher shows how the programs run, or it does not end itself, ``free`` steps are all that there are.

    Args:
        budget: of the teacher; its depth is that of the other runs, too.
    """
    budget = budget or Budget()
    solved = solve(
        stepper, programs, task, problems, budget=replace(budget, steps=free), device=device, seed=seed, tell=tell
    )
    late = [i for i, status in enumerate(solved.status) if status == Status.STEPS]
    if not late or (programs.signals and programs.hosts is None):
        return solved
    shown = run_problems(shown_by(programs), programs, [problems[i] for i in late], budget=budget)
    late = [i for i, status in zip(late, shown.status_N.tolist(), strict=True) if status == Status.DONE]
    needed = bounded_budget(shown.steps_N[shown.status_N == Status.DONE].tolist() or [0], budget)
    if needed.most_steps <= free:
        return solved
    again = [problems[i] for i in late]
    found = solve(stepper, programs, task, again, budget=needed, device=device, seed=seed, tell=tell)
    right, status, steps = list(solved.right), list(solved.status), list(solved.steps)
    for place, i in enumerate(late):
        right[i], status[i], steps[i] = found.right[place], found.status[place], found.steps[place]
    ended = all(s in (Status.DONE, Status.ILLEGAL) for s in status)
    return Solved(tuple(right), tuple(status), tuple(steps), None if ended else found.stop or solved.stop)


def bounded_budget(teacher_steps: Sequence[int], budget: Budget | None = None) -> Budget:
    """A budget that a right run cannot exceed: the most steps that the teacher took, and a few more."""
    return replace(budget or Budget(), steps=max(teacher_steps) + 16)


@dataclass(frozen=True)
class SizeScore:
    """Accuracy of one task at one size.

    Attributes:
        task: qualified by file. size: of every input. train_sizes: those of training.
        right, count: problems solved and run. steps: mean machine steps a problem. seconds: wall clock of the batch.
        stopped: how many took too many steps or frames, or never end. stop: why one of them was stopped; or empty.
    """

    task: str
    size: int
    train_sizes: tuple[int, ...]
    right: int
    count: int
    steps: float
    seconds: float
    stopped: int = 0
    stop: str = ""

    @property
    def trained(self) -> bool:
        """Whether training used this size."""
        return self.size in self.train_sizes

    @property
    def accuracy(self) -> float:
        return self.right / self.count


def problem_counts(size: int) -> int:
    """How many problems of a size are worth running: fewer of long ones."""
    return 1000 if size <= 20 else 100 if size <= 100 else 20 if size <= 200 else 10 if size <= 1000 else 3


def score_sizes(
    stepper: Stepper,
    programs: ProgramSet,
    task: Task,
    *,
    name: str,
    sizes: Sequence[int],
    seed: int,
    count: Callable[[int], int] = problem_counts,
    device: torch.device | str = "cpu",
    budget: Budget | None = None,
) -> Iterator[SizeScore]:
    """Accuracy at each size on problems drawn from a seed of their own (never those of training).

    What learned programs do that are called is drawn from the same seed. Without steps in ``budget``, a core has as
    many as the program text takes.
    """
    for size in sizes:
        drawn = test_seed(seed, name, size)
        generator = torch.Generator().manual_seed(drawn)
        problems = task.draw(size, count(size), generator=generator, spread=False)
        began = time.perf_counter()
        chances = drawn if programs.signals else None
        ways: dict[str, Any] = {"device": device, "budget": budget, "seed": chances, "tell": True}
        if isinstance(stepper, Teacher) or (budget is not None and budget.steps is not None):
            solved = solve(stepper, programs, task, problems, **ways)
        else:
            solved = solve_bounded(stepper, programs, task, problems, free=FREE_STEPS, **ways)
        yield SizeScore(
            task=name,
            size=size,
            train_sizes=tuple(task.train_sizes),
            right=solved.count,
            count=len(solved.right),
            steps=sum(solved.steps) / len(solved.right),
            seconds=time.perf_counter() - began,
            stopped=sum(status not in (Status.DONE, Status.ILLEGAL) for status in solved.status),
            stop=str(solved.stop or ""),
        )


def test_seed(seed: int, task: str, size: int) -> int:
    """Seed of test problems; its label keeps it apart from those of traces and of validation."""
    return _seed("test", seed, task, size)


def validation_seed(seed: int, digest: str, task: int, turn: int) -> int:
    """Seed of one turn's validation problems; its label keeps it apart from those of traces and of tests."""
    return _seed("validation", seed, digest, task, turn)


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1
