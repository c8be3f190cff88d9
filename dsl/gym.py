"""A task of a program file as a Gymnasium environment: ``gymnasium.make("npi/Task-v0", file="max.npi", task="max")``.

Problems are drawn as for training; what a program of the file would call is what an agent does. A task's own ``expect``
line says when it is done: that step ends the episode and is rewarded with 1, beside what the world scores. Importing
``envs.gym`` registers it; Gymnasium is an extra (``pip install 'npi-engine[gym]'``).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import dsl
from envs.gym import WorldEnv, WorldVectorEnv
from envs.gym.interface import Draw, Goal
from envs.world import Layout, World

LIMIT = 200
"""Steps of an episode, where neither the caller nor a program with a signal says how many."""


def task_environment(
    file: Path | str,
    task: str,
    *,
    size: int | None = None,
    limit: int | None = None,
    pictures: bool = False,
    render_mode: str | None = None,
) -> WorldEnv:
    """A task as an environment of flat actions.

    Args:
        size: digits or items of its problems; any of the training sizes by default.
        limit: steps of an episode; those of its program where it has a signal, else :data:`LIMIT`.

    Raises ``ValueError`` for a file that cannot be read, and :class:`dsl.LanguageError` for mistakes in it.
    """
    world, draw, steps = _task(file, task, size)
    return WorldEnv(world, draw, limit=limit or steps, flat=True, pictures=pictures, render_mode=render_mode)


def task_environments(
    file: Path | str,
    task: str,
    num_envs: int,
    *,
    size: int | None = None,
    limit: int | None = None,
    pictures: bool = False,
    render_mode: str | None = None,
) -> WorldVectorEnv:
    """The same, ``num_envs`` at once."""
    world, draw, steps = _task(file, task, size)
    return WorldVectorEnv(
        world, draw, num_envs, limit=limit or steps, flat=True, pictures=pictures, render_mode=render_mode
    )


def _task(file: Path | str, name: str, size: int | None) -> tuple[World[Any], Draw, int]:
    programs = dsl.load(file)
    task = programs.task(name)
    program = programs.programs[task.program - programs.table.primitives]
    signal = program.signal
    sizes = [size] if size is not None else task.train_sizes or task.sizes

    def draw(generator: np.random.Generator) -> tuple[Layout, Goal] | Layout:
        (problem,) = task.draw(int(generator.choice(sizes)), 1, generator=generator, spread=False)
        return problem.layout if signal is not None else (problem.layout, partial(task.judge, problem))

    return programs.world, draw, LIMIT if signal is None or signal.steps is None else signal.steps
