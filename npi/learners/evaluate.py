"""How well programs with a signal do, on problems that no training drew.

Shape legend: ``B`` problems of a batch, ``P`` numbers of a row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from npi.learners.core import hosted
from npi.learners.interface import Asked, Roll, steps_of
from npi.learners.rollout import rollout
from npi.library.library import Library
from npi.running.evaluate import test_seed

TOGETHER = 500
"""Problems that are played side by side."""

COUNT = 1000
"""Problems of a task, where nobody says how many."""


@dataclass(frozen=True)
class Mean:
    """Of a score over problems, with its standard error (nan of one problem)."""

    mean: float
    error: float


@dataclass(frozen=True)
class TaskScore:
    """How a task went.

    Attributes:
        task: qualified by file. count: problems played. right: those that ended as the task expects.
        scores: by name, as the learner judges. seconds: wall clock.
    """

    task: str
    count: int
    right: int
    scores: dict[str, Mean]
    seconds: float


@dataclass(frozen=True)
class Play:
    """Some problems of a task, played to their ends; ``right_B`` as the task expects."""

    problems: list[Problem]
    roll: Roll
    right_B: list[bool]


def plays(
    library: Library,
    programs: ProgramSet,
    task: Task,
    *,
    count: int = COUNT,
    seed: int = 0,
    row_P: torch.Tensor | None = None,
    steps: int | None = None,
) -> Iterator[Play]:
    """A task's problems of its test sizes, played without exploring, :data:`TOGETHER` at a time.

    Args:
        row_P: in place of the program's own row.
        steps: in place of the program's own.
    """
    core, world = hosted(library.core), programs.world
    program = programs.program(task.program)
    row_P = library.memory.embeddings_NP[library.memory.index(program.name)] if row_P is None else row_P
    device = row_P.device
    sizes = task.test_sizes or task.train_sizes
    index, taken = library.world(world.spec), steps or steps_of(program)
    for turn, begin in enumerate(range(0, count, TOGETHER)):
        size = sizes[turn % len(sizes)]
        generator = np.random.default_rng([test_seed(seed, f"{program.name} {task.name}", size), turn])
        problems = task.draw(size, min(TOGETHER, count - begin), generator=generator, spread=False)
        state = world.reset([p.layout for p in problems], device=device)
        arguments_B3 = torch.tensor([p.arguments for p in problems], device=device)
        asked = Asked(index, row_P.detach().expand(len(problems), -1), arguments_B3)
        with torch.no_grad():
            hidden_BH = torch.zeros(len(problems), core.learner.width(core.net, world), device=device)
            roll, _ = rollout(core.learner, core.net, world, state, asked, hidden_BH, taken, judged=True)
        right_B = [task.judge(p, reading) for p, reading in zip(problems, world.read(state), strict=True)]
        yield Play(problems, roll, right_B)


def score_task(
    library: Library,
    programs: ProgramSet,
    task: Task,
    *,
    name: str = "",
    count: int = COUNT,
    seed: int = 0,
    row_P: torch.Tensor | None = None,
) -> TaskScore:
    """What :func:`plays` comes to."""
    began = time.perf_counter()
    core, right = hosted(library.core), 0
    judged: dict[str, list[torch.Tensor]] = {}
    for play in plays(library, programs, task, count=count, seed=seed, row_P=row_P):
        right += sum(play.right_B)
        for measure, score_B in core.learner.judge(programs.world, play.roll).items():
            judged.setdefault(measure, []).append(score_B.double().cpu())
    scores = {measure: _mean(torch.cat(parts)) for measure, parts in judged.items()}
    return TaskScore(name or task.name, count, right, scores, time.perf_counter() - began)


def _mean(score_B: torch.Tensor) -> Mean:
    return Mean(float(score_B.mean()), float(score_B.std()) / len(score_B) ** 0.5)
