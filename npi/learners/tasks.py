"""What a learner learns from: programs with a signal, and problems drawn from their tasks.

Shape legend: ``B`` instances of a batch, ``N`` rows, ``C`` copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem, Task
from envs.world import Demonstrated, Layout, Scored, World
from npi.learners.interface import Learner, TaskInput, learner_of, steps_of
from npi.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class TrainingTask:
    """A program with a signal, of a file.

    Attributes:
        tasks: those of the file that run it and say sizes to train on. steps: how long it acts at most.
    """

    programs: ProgramSet
    program: Program
    tasks: tuple[Task, ...]
    steps: int

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def world(self) -> World[Any]:
        return self.programs.world

    @property
    def signal(self) -> tuple[str, str]:
        """Aim and what it is of."""
        assert self.program.signal is not None
        return self.program.signal.aim, self.program.signal.what

    @property
    def sign(self) -> int:
        """1 where more of it is better, −1 where less is."""
        return -1 if self.signal[0] == "minimise" else 1


@dataclass(frozen=True)
class Batch:
    """Problems, laid out; of several ranks, this one's share.

    Attributes:
        layouts: of the instances of the whole batch. state: of this share.
        row_B: int64, the row of each. arguments_B3: tokens.
        problem_B: int64, the same number where one row has the same problem several times.
        index_B: int64, the instances' places in the whole batch of ``whole`` instances.
        weight: of a mean over this share in the mean over the whole.
    """

    layouts: list[Layout]
    state: Any
    row_B: torch.Tensor
    arguments_B3: torch.Tensor
    problem_B: torch.Tensor
    index_B: torch.Tensor
    whole: int
    weight: float


@dataclass(frozen=True)
class TaskGroup:
    """Training tasks in one world with one signal and equally many steps, so that they are learned from as one batch.

    Attributes:
        places: of its tasks among all. index: of the world in the core.
    """

    world: World[Any]
    index: int
    places: tuple[int, ...]
    tasks: tuple[TrainingTask, ...]

    @property
    def steps(self) -> int:
        return self.tasks[0].steps

    @property
    def signal(self) -> tuple[str, str]:
        return self.tasks[0].signal

    @property
    def sign(self) -> int:
        return self.tasks[0].sign

    def input(self, batch: Batch, row_BP: torch.Tensor) -> TaskInput:
        """What a batch is to do, by its rows."""
        return TaskInput(self.world.spec, self.index, row_BP, batch.arguments_B3)

    def draw(
        self,
        count: int,
        *,
        generator: np.random.Generator,
        device: torch.device | str = "cpu",
        copies: int = 1,
        rollouts: int = 1,
        ranks: Ranks = ALONE,
    ) -> Batch:
        """Random problems, as many of each task as of the others; each for ``copies`` rows, ``rollouts`` times.

        The row of copy ``c`` of a task is ``place * copies + c``. Ranks share out the problems; where there are fewer
        than ranks, each has them all.
        """
        which = np.resize(generator.permutation(len(self.tasks)), count)
        problems: list[Problem] = []
        owners: list[int] = []
        for place, amount in enumerate(np.bincount(which, minlength=len(self.tasks)).tolist()):
            drawn = draw_problems(self.tasks[place].tasks, amount, generator=generator)
            problems += drawn
            owners += [self.places[place]] * len(drawn)
        apart, whole = len(problems) >= ranks.count, len(problems) * copies * rollouts
        index_B = torch.arange(whole, device=device)
        if apart:
            index_B = index_B[index_B % len(problems) % ranks.count == ranks.rank]
        layouts = [p.layout for p in problems] * copies * rollouts
        mine = [layouts[place] for place in index_B.tolist()]
        copy_C1 = torch.arange(copies, device=device)[:, None]
        row_B = (torch.tensor(owners, device=device) * copies + copy_C1).flatten().repeat(rollouts)
        arguments_B3 = torch.tensor([p.arguments for p in problems], device=device).repeat(copies * rollouts, 1)
        problem_B = torch.arange(copies * len(problems), device=device).repeat(rollouts)
        return Batch(
            layouts, self.world.reset(mine, device=device), row_B[index_B], arguments_B3[index_B],
            problem_B[index_B], index_B, whole, len(index_B) / whole if apart else 1 / ranks.count,
        )  # fmt: skip


@dataclass(frozen=True)
class Problems:
    """What an objective draws from.

    Attributes:
        worlds: for each task, the index of its world in the core. copies: rows side by side for each task.
    """

    tasks: tuple[TrainingTask, ...]
    worlds: tuple[int, ...]
    copies: int = 1

    @property
    def rows(self) -> int:
        return self.copies * len(self.tasks)

    @cached_property
    def groups(self) -> tuple[TaskGroup, ...]:
        """The tasks by world, signal and steps."""
        found: dict[tuple[int, int, tuple[str, str]], list[int]] = {}
        for place, (task, world) in enumerate(zip(self.tasks, self.worlds, strict=True)):
            found.setdefault((world, task.steps, task.signal), []).append(place)
        return tuple(
            TaskGroup(self.tasks[places[0]].world, world, tuple(places), tuple(self.tasks[p] for p in places))
            for (world, _, _), places in found.items()
        )


def draw_problems(tasks: Sequence[Task], count: int, *, generator: np.random.Generator) -> list[Problem]:
    """Random problems of any of the tasks' training sizes."""
    pairs = [(task, size) for task in tasks for size in task.train_sizes]
    shares = np.bincount(generator.integers(len(pairs), size=count), minlength=len(pairs)).tolist()
    return [
        problem
        for (task, size), share in zip(pairs, shares, strict=True)
        if share
        for problem in task.draw(size, share, generator=generator, spread=True)
    ]


def learned_from_signals(programs: ProgramSet) -> bool:
    """Whether all programs of a file have signals, so that a learner and not a teacher trains them."""
    return bool(programs.signals) and len(programs.signals) == len(programs.programs)


def training_tasks(programs: ProgramSet) -> list[TrainingTask]:
    """Every program with a signal that tasks of the file train; ``ValueError`` where one cannot be learned."""
    found = []
    for program in programs.signals:
        tasks = tuple(t for t in programs.tasks if t.program == program.id and t.train_sizes)
        if tasks:
            found.append(TrainingTask(programs, program, tasks, steps_of(program)))
    if not found:
        raise ValueError(
            f"{programs.path} has no task that runs a program with a signal and says sizes to train on; add one, with "
            "a line such as: train episode of 8 digits"
        )
    return found


def learner_for(programs: ProgramSet) -> Learner:
    """The learner that a file's programs name; ``ValueError`` where they name none, several, or one without its signal.

    Its cores must be able to act in the file's world.
    """
    signals = {program.name: program.signal for program in programs.programs if program.signal is not None}
    kinds: dict[str, str] = {}
    for name, signal in signals.items():
        if signal.core is None:
            raise ValueError(f'{name} does not say what learns it; add a line such as: core "meta-rl"')
        kinds.setdefault(signal.core.strip('"'), name)
    if len(kinds) != 1:
        named = " and ".join(f"{name} ({kind})" for kind, name in kinds.items())
        raise ValueError(f"{programs.path}: {named} have different learners; put them into files of their own")
    learner = learner_of(next(iter(kinds)))
    for program in programs.signals:
        steps_of(program)
    for name, signal in signals.items():
        check_signal(learner, programs.world, signal.aim, signal.what, name)
    learner.admit(programs.world.spec)
    return learner


def check_signal(learner: Learner, world: World[Any], aim: str, what: str, name: str) -> None:
    """Raise ``ValueError`` for a signal that the learner does not learn from, or that the world does not have."""
    if (aim, what) not in learner.signals:
        known = " or ".join(" ".join(pair) for pair in learner.signals)
        raise ValueError(f"{name}: {learner.kind!r} does not learn to {aim} {what}; write {known}")
    needed: type = Demonstrated if aim == "imitate" else Scored
    has = isinstance(world, needed)
    if has and isinstance(world, Scored):
        has = aim == "imitate" or world.scores.get(what) == (aim == "maximise")
    if not has:
        raise ValueError(
            f"world {world.spec.name} ({world.spec.kind}) has no {what} to {aim}, which {learner.kind!r} learns from; "
            f"use a kind of world that has one ({needed.__name__} in envs/world.py)"
        )
