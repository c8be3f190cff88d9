"""What a learner learns from: programs with a signal, and problems drawn from their tasks.

Shape legend: ``B`` problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem, Task
from envs.world import World
from npi.learners.interface import Learner, learner_of, steps_of
from npi.learners.rollout import check_signal


@dataclass(frozen=True)
class Lesson:
    """A program with a signal, of a file.

    Attributes:
        tasks: those of the file that run it and say sizes to train on. steps: how long it acts.
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


@dataclass
class Batch:
    """Problems, laid out.

    Attributes:
        lesson_B: int64, the place of each one's lesson among those that it was drawn from. arguments_B3: tokens.
        twin_B: int64, the same number where a problem is played several times by one row.
    """

    state: Any
    lesson_B: torch.Tensor
    arguments_B3: torch.Tensor
    twin_B: torch.Tensor


def hosted_programs(programs: ProgramSet) -> list[Program]:
    """The programs of a file, and of those that it uses, that have a signal in place of a body."""
    return [program for program in programs.programs if program.signal is not None]


def is_hosted(programs: ProgramSet) -> bool:
    """Whether all programs of a file have signals, so that a learner and not a teacher trains them."""
    return bool(programs.programs) and len(hosted_programs(programs)) == len(programs.programs)


def lessons_of(programs: ProgramSet) -> list[Lesson]:
    """Every program with a signal that tasks of the file train; ``ValueError`` where one cannot be learned."""
    found = []
    for program in hosted_programs(programs):
        tasks = tuple(t for t in programs.tasks if t.program == program.id and t.train_sizes)
        if tasks:
            found.append(Lesson(programs, program, tasks, steps_of(program)))
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
    kinds: dict[str, Program] = {}
    for program in hosted_programs(programs):
        signal = program.signal
        assert signal is not None
        steps_of(program)
        if signal.core is None:
            raise ValueError(f'{program.name} does not say what learns it; add a line such as: core "meta-rl"')
        kinds.setdefault(signal.core.strip('"'), program)
    if len(kinds) != 1:
        told = " and ".join(f"{program.name} ({kind})" for kind, program in kinds.items())
        raise ValueError(f"{programs.path}: {told} have different learners; put them into files of their own")
    ((kind, program),) = kinds.items()
    learner = learner_of(kind)
    assert program.signal is not None
    if program.signal.what != learner.signal:
        raise ValueError(f"{program.name}: {kind!r} learns from a {learner.signal}, not from a {program.signal.what}")
    check_signal(learner, programs.world)
    learner.admit(programs.world.spec)
    return learner


@dataclass(frozen=True)
class Group:
    """Lessons in one world that take equally many steps, so that they can be learned from as one batch.

    Attributes:
        places: of its lessons among all. index: of the world in the core.
    """

    world: World[Any]
    index: int
    steps: int
    places: tuple[int, ...]
    lessons: tuple[Lesson, ...]

    def draw(
        self,
        count: int,
        *,
        generator: np.random.Generator,
        device: torch.device | str = "cpu",
        copies: int = 1,
        twins: int = 1,
    ) -> Batch:
        """Random problems, as many of each lesson as of the others; each for ``copies`` rows, ``twins`` times.

        Lesson and copy are told apart by ``lesson_B``: place × copies + copy.
        """
        which = np.resize(generator.permutation(len(self.lessons)), count)
        problems: list[Problem] = []
        owners: list[int] = []
        for place, amount in enumerate(np.bincount(which, minlength=len(self.lessons)).tolist()):
            drawn = draw_problems(self.lessons[place].tasks, amount, generator=generator)
            problems += drawn
            owners += [self.places[place]] * len(drawn)
        layouts = [p.layout for p in problems] * copies * twins
        state = self.world.reset(layouts, device=device)
        copy_C1 = torch.arange(copies, device=device)[:, None]
        lesson_B = (torch.tensor(owners, device=device) * copies + copy_C1).flatten().repeat(twins)
        arguments_B3 = torch.tensor([p.arguments for p in problems], device=device).repeat(copies * twins, 1)
        twin_B = torch.arange(copies * len(problems), device=device).repeat(twins)
        return Batch(state, lesson_B, arguments_B3, twin_B)


def groups_of(lessons: Sequence[Lesson], worlds: Sequence[int]) -> list[Group]:
    """Lessons by world and steps; ``worlds`` are the indices of their worlds in the core."""
    found: dict[tuple[int, int], list[int]] = {}
    for place, (lesson, world) in enumerate(zip(lessons, worlds, strict=True)):
        found.setdefault((world, lesson.steps), []).append(place)
    return [
        Group(lessons[places[0]].world, world, steps, tuple(places), tuple(lessons[p] for p in places))
        for (world, steps), places in found.items()
    ]


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
