"""Accuracy on users' own meshes: the task's programs, run by a core that is shown them in place of the world's cars."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from dsl import compile_teacher
from dsl.program import ProgramSet
from dsl.tasks.task import Task
from dsl.tasks.values import Value
from dsl.text import syntax as s
from envs.cars.mesh import Mesh
from envs.cars.world import FIELDS, Cars
from npi.core.pictures import PictureInput
from npi.core.recurrent import recurrent
from npi.library.library import Library
from npi.running.evaluate import bounded_budget, run_problems, solve

CAR = FIELDS[0]
"""The field that says which car it is; a mesh takes the place of one."""


@dataclass(frozen=True)
class MeshScore:
    """How a task went on one mesh.

    Attributes:
        right, count: starts from which the result was right, and all. steps: mean steps a start.
        wrong: the inputs of the others, without the car.
    """

    mesh: str
    right: int
    count: int
    steps: float
    seconds: float
    wrong: tuple[Mapping[str, Value], ...]


def starts(programs: ProgramSet, task: Task, *, count: int | None = None, seed: int = 0) -> list[dict[str, Value]]:
    """All inputs of a task but the car that its condition allows whatever the car, or ``count`` random ones of them.

    Raises ``ValueError`` for a task in another world, or one that lays no input of its own as the car.
    """
    found = task.combinations(car_input(programs, task))
    if count is None or count >= len(found):
        return found
    chosen = np.random.default_rng(seed).choice(len(found), count, replace=False)
    return [found[number] for number in sorted(chosen.tolist())]


def car_input(programs: ProgramSet, task: Task) -> str:
    """The input that says which car it is."""
    spec = programs.world.spec
    if not isinstance(programs.world, Cars):
        where = f"task {task.name} runs in world {spec.name} ({spec.kind})"
        raise ValueError(f"{where}; meshes are shown in a world of cars")
    names = {item.name for item in task.inputs}
    for laid in task.laid:
        value = laid.value.items[0] if isinstance(laid.value, s.Items) and len(laid.value.items) == 1 else laid.value
        if laid.row == CAR and isinstance(value, s.Name) and value.text in names:
            return value.text
    raise ValueError(f"task {task.name} lays no input as {CAR}, whose place a mesh could take; add one: {CAR} = [car]")


def score_meshes(
    library: Library,
    programs: ProgramSet,
    task: Task,
    meshes: Sequence[tuple[str, Mesh]],
    poses: Sequence[Mapping[str, Value]],
    *,
    device: torch.device | str = "cpu",
) -> Iterator[MeshScore]:
    """Run the task on each mesh from each of the poses (:func:`starts`); the core sees pictures of the mesh.

    A run that takes more steps than the program text needs, and a few more, is wrong. A core that recognises nothing,
    as where the fronts point elsewhere, would otherwise go round most meshes for long.
    """
    world, car = programs.world, car_input(programs, task)
    assert isinstance(world, Cars)
    by_text = run_problems(compile_teacher(programs), programs, [task.lay({**pose, car: 0}) for pose in poses])
    budget = bounded_budget(by_text.steps_N.tolist())
    for begin in range(0, len(meshes), world.config.cars):
        here = meshes[begin : begin + world.config.cars]
        with shown(library, programs, world.showing([mesh for _, mesh in here])):
            stepper = library.stepper(programs.table)  # a new one: decisions about other pictures may be kept in it
            for number, (name, _) in enumerate(here):
                problems = [task.lay({**pose, car: number}) for pose in poses]
                began = time.perf_counter()
                solved = solve(stepper, programs, task, problems, budget=budget, device=device)
                yield MeshScore(
                    mesh=name,
                    right=solved.count,
                    count=len(problems),
                    steps=sum(solved.steps) / max(1, len(problems)),
                    seconds=time.perf_counter() - began,
                    wrong=tuple(pose for pose, right in zip(poses, solved.right, strict=True) if not right),
                )


@contextmanager
def shown(library: Library, programs: ProgramSet, world: Cars) -> Iterator[None]:
    """The library's core takes its pictures from this world, until the block ends."""
    adapter = recurrent(library.core).adapter(library.world(programs.table.world))
    shown = [picture.shown for picture in adapter.sights if isinstance(picture, PictureInput)]
    before = [pictures.world for pictures in shown]
    for pictures in shown:
        pictures.show(world)
    try:
        yield
    finally:
        for pictures, own in zip(shown, before, strict=True):
            pictures.show(own)
