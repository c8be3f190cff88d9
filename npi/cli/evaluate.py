"""``npi eval``: how many random problems a trained core solves, by size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import SCORED, Column, Meter, Screen, finish, number, tasks_to_run
from npi.cli.learners import evaluate_with_learner, is_learners
from npi.cli.options import (
    DeviceOption,
    JsonOption,
    LibraryOption,
    SeedOption,
    TeacherOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.words import parse_sizes, show_sizes

if TYPE_CHECKING:
    from npi.running.evaluate import SizeScore


SIZE_COLUMNS = (
    Column("task", once=True),
    number("size", lambda score: f"{score.size:,}{'*' if score.trained else ''}"),
    *SCORED,
)
"""Accuracy by task and size; trained sizes are marked with ``*``."""


def evaluate(
    context: typer.Context,
    tasks: Annotated[list[str] | None, argument("Such as add; all of the library by default.")] = None,
    library: LibraryOption = Path("library"),
    teacher: TeacherOption = None,
    sizes: Annotated[
        str | None, option("--sizes", "Such as 1..20 or 5,50,500; each task's test sizes by default.", "SIZES")
    ] = None,
    count: Annotated[
        int | None,
        option(
            "--count",
            "Problems of each size, fewer of long ones by default; starts of each mesh, all by default.",
            "N",
            min=1,
        ),
    ] = None,
    meshes: Annotated[
        Path | None,
        option(
            "--meshes",
            "In a world of cars: show the core your own, OBJ, GLB and PLY files, from all starts of one task.",
            "FOLDER",
        ),
    ] = None,
    up: Annotated[str | None, option("--up", "Of --meshes: which axis points up, y (default) or z.", "AXIS")] = None,
    forward: Annotated[
        str | None, option("--forward", "Of --meshes: where the fronts point, z (default), x, -x, y …", "AXIS")
    ] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Measure accuracy by size on random problems that training never saw.

    A size marked with * was trained on; the others ask how far the program carries. Exit status 1 where any size is
    below 100 %. Tasks of a learner's library are judged by its learning signal, with its standard error.

    \b
    Example:
      npi eval
      npi eval add --sizes 10,100,1000 --count 20
      npi eval sort --teacher programs/bubblesort.npi
      npi eval canonicalise --library cars --meshes models --up z --forward -y
    """
    from npi.jobs.train import pick_device
    from npi.running.evaluate import problem_counts, score_sizes

    screen = Screen(json=json)
    place = pick_device(device)
    if meshes is not None:
        from npi.cli.meshes import evaluate_meshes

        refuse_others(context, "meshes")
        axes = {"up": up or "y", "forward": forward or "z"}
        evaluate_meshes(screen, tasks or [], library, meshes, **axes, count=count, seed=seed, device=str(place))
        return
    learners = teacher is None and is_learners(library)
    refuse_others(context, "learners" if learners else "core" if teacher is None else "teacher")
    if learners:
        from npi.library.library import Library

        evaluate_with_learner(screen, Library.open(library, device=place), tasks or [], count=count, seed=seed)
        return
    chosen = parse_sizes(sizes) if sizes else None
    scores: list[SizeScore] = []
    with Meter("evaluating") as meter:
        found = tasks_to_run(tasks or [], library, teacher, str(place))
        total = sum(len(chosen or task.test_sizes) for _, _, task, _ in found)
        for name, programs, task, stepper in found:
            for size in chosen or task.test_sizes:
                meter.update(len(scores), total, f"{name}, size {size}")
                amount = (lambda _: count) if count else problem_counts
                scores += score_sizes(
                    stepper, programs, task, name=name, sizes=[size], seed=seed, count=amount, device=place
                )
    screen.table(scores, *SIZE_COLUMNS, failed=lambda score: score.right < score.count)
    for name, _, task, _ in found:
        screen.line(f"* {name} was trained at sizes {show_sizes(task.train_sizes)}")
    screen.document([score_document(score) for score in scores])
    finish(all(score.right == score.count for score in scores))


def score_document(score: SizeScore) -> dict[str, Any]:
    return vars(score) | {"accuracy": score.accuracy}
