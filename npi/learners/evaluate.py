"""How well programs with a signal do, on problems that no training drew.

Shape legend: ``B`` problems of a batch, ``P`` numbers of a row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.stepper import Draw
from envs.world import Episodes
from npi.learners.core import learner_program_core
from npi.learners.interface import Predicting, TaskInput, steps_of
from npi.learners.rollout import carry_out, play, predicted
from npi.library.library import Library
from npi.running.evaluate import test_seed

BATCH = 500
"""Problems that are run side by side."""

PREDICTED = 32
"""The same, of programs that are judged along demonstrations."""

COUNT = 1000
"""Problems of a task by default."""


@dataclass(frozen=True)
class Mean:
    """Of a score over problems, with its standard error (nan of one problem)."""

    mean: float
    error: float


@dataclass(frozen=True)
class TaskScore:
    """How a task went.

    Attributes:
        task: qualified by file. count: of its problems. right: those that ended as the task expects.
        scores: by name, as the learner judges. seconds: wall clock.
    """

    task: str
    count: int
    right: int
    scores: dict[str, Mean]
    seconds: float


@dataclass(frozen=True)
class Evaluated:
    """Some problems of a task, run to their ends; ``right_B`` as the task expects; ``state`` of the world then."""

    problems: list[Problem]
    episodes: Episodes
    right_B: list[bool]
    state: Any


def evaluated(
    library: Library, programs: ProgramSet, task: Task, *, count: int = COUNT, seed: int = 0
) -> Iterator[Evaluated]:
    """A task's problems of its test sizes, :data:`BATCH` at a time, without exploration noise.

    Cores whose actions are random draw them from the seed.
    """
    core, world = learner_program_core(library.core), programs.world
    program = programs.program(task.program)
    row_P = library.memory.embeddings_NP[library.memory.index(program.name)].detach()
    device = row_P.device
    sizes = task.test_sizes or task.train_sizes
    index, steps = library.world(world.spec), steps_of(program)
    together = PREDICTED if isinstance(core.learner, Predicting) else BATCH
    for turn, begin in enumerate(range(0, count, together)):
        size = sizes[turn % len(sizes)]
        generator = np.random.default_rng([test_seed(seed, f"{program.name} {task.name}", size), turn])
        problems = task.draw(size, min(together, count - begin), generator=generator, spread=False)
        state = world.reset([p.layout for p in problems], device=device)
        arguments_B3 = torch.tensor([p.arguments for p in problems], device=device)
        asked = TaskInput(world.spec, index, row_P.expand(len(problems), -1), arguments_B3)
        instance_B = begin + torch.arange(len(problems), device=device)
        draw = Draw(seed, instance_B, 0) if core.net.samples else None
        if isinstance(core.learner, Predicting):
            episodes = predicted(core.net, world, [p.layout for p in problems], asked, steps)
            carry_out(world, state, episodes)
        else:
            episodes = play(core.net, world, state, asked, steps, draw=draw)
        right_B = [task.judge(p, reading) for p, reading in zip(problems, world.read(state), strict=True)]
        yield Evaluated(problems, episodes, right_B, state)


def score_task(
    library: Library, programs: ProgramSet, task: Task, *, name: str = "", count: int = COUNT, seed: int = 0
) -> TaskScore:
    """The scores of :func:`evaluated`."""
    began = time.perf_counter()
    core, right = learner_program_core(library.core), 0
    judged: dict[str, list[torch.Tensor]] = {}
    for part in evaluated(library, programs, task, count=count, seed=seed):
        right += sum(part.right_B)
        for measure, score_B in core.learner.judge(programs.world, part.episodes).items():
            judged.setdefault(measure, []).append(score_B.double().cpu())
    scores = {measure: _mean(torch.cat(parts)) for measure, parts in judged.items()}
    return TaskScore(name or task.name, count, right, scores, time.perf_counter() - began)


def _mean(score_B: torch.Tensor) -> Mean:
    return Mean(float(score_B.mean()), float(score_B.std()) / len(score_B) ** 0.5)
