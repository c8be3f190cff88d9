"""``npi eval``: how many random problems a trained core solves, by size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    DONE,
    NOT_REACHED,
    DeviceOption,
    JsonOption,
    LibraryOption,
    Meter,
    Screen,
    SeedOption,
    TeacherOption,
    duration,
    finish,
    grid,
    open_to_run,
    parse_sizes,
    percent,
    show_sizes,
)
from npi.cli.learners import evaluate_signals, is_learners
from npi.cli.options import refuse_others

if TYPE_CHECKING:
    from rich.table import Table

    from dsl import ProgramSet, Task
    from npi.running.evaluate import SizeScore
    from traces.stepper import Stepper


def evaluate(
    context: typer.Context,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Such as add; all of the library by default.", show_default=False),
    ] = None,
    library: LibraryOption = Path("library"),
    teacher: TeacherOption = None,
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", metavar="SIZES", help="Such as 1..20 or 5,50,500; each task's test sizes by default."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=1,
            metavar="N",
            help="Problems of each size, fewer of long ones by default; starts of each mesh, all by default.",
        ),
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(
            "--meshes",
            metavar="FOLDER",
            help="In a world of cars: show the core your own, OBJ, GLB and PLY files, from all starts of one task.",
        ),
    ] = None,
    up: Annotated[
        str | None, typer.Option("--up", metavar="AXIS", help="Of --meshes: which axis points up, y (default) or z.")
    ] = None,
    forward: Annotated[
        str | None,
        typer.Option("--forward", metavar="AXIS", help="Of --meshes: where the fronts point, z (default), x, -x, y …"),
    ] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Measure accuracy by size on random problems that training never saw.

    A size marked with * was trained on; the others ask how far the program carries. Exit status 1 where any size is
    below 100 %. Tasks of a learner's library are judged by its signal, with the standard error of the mean.

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

        evaluate_signals(screen, Library.open(library, device=place), tasks or [], count=count, seed=seed)
        return
    chosen = parse_sizes(sizes) if sizes else None
    scores: list[SizeScore] = []
    with Meter("evaluating") as meter:
        found = _tasks(tasks or [], library, teacher, str(place))
        total = sum(len(chosen or task.test_sizes) for _, _, task, _ in found)
        for name, programs, task, stepper in found:
            for size in chosen or task.test_sizes:
                meter.update(len(scores), total, f"{name}, size {size}")
                amount = (lambda _: count) if count else problem_counts
                scores += score_sizes(
                    stepper, programs, task, name=name, sizes=[size], seed=seed, count=amount, device=place
                )
    screen.say(score_table(scores))
    for name, _, task, _ in found:
        screen.line(f"* {name} was trained at sizes {show_sizes(task.train_sizes)}")
    screen.document([score_document(score) for score in scores])
    finish(DONE if all(score.right == score.count for score in scores) else NOT_REACHED)


def _tasks(
    names: list[str], library: Path, teacher: Path | None, device: str
) -> list[tuple[str, ProgramSet, Task, Stepper]]:
    """The tasks asked for, with their programs and what decides."""
    from dsl import compile_teacher, load

    if teacher is not None:
        programs = load(teacher)
        stepper = compile_teacher(programs).to(device)
        bare = [name.removeprefix(f"{teacher.stem}.") for name in names] or [task.name for task in programs.tasks]
        return [(f"{teacher.stem}.{name}", programs, programs.task(name), stepper) for name in bare]
    opened = open_to_run(library, device)
    pairs = [opened.task(name) for name in names] if names else list(opened.tasks().values())
    steppers = {programs.digest: opened.stepper(programs.table) for programs, _ in pairs}
    named = [(f"{Path(programs.path).stem}.{task.name}", programs, task) for programs, task in pairs]
    return [(name, programs, task, steppers[programs.digest]) for name, programs, task in named]


def score_table(scores: Iterable[SizeScore], *, title: str | None = None) -> Table:
    """Accuracy by task and size; trained sizes are marked with ``*``."""
    right = ("size", "solved", "accuracy", "steps each", "time")
    table = grid("task", *right, right=right, title=title)
    before = ""
    for score in scores:
        style = None if score.right == score.count else "bold red"
        table.add_row(
            score.task if score.task != before else "",
            f"{score.size:,}{'*' if score.trained else ' '}",
            f"{score.right:,} of {score.count:,}",
            percent(score.right, score.count),
            f"{score.steps:,.0f}",
            duration(score.seconds),
            style=style,
        )
        before = score.task
    return table


def score_document(score: SizeScore) -> dict[str, Any]:
    return {
        "task": score.task,
        "size": score.size,
        "trained": score.trained,
        "right": score.right,
        "count": score.count,
        "accuracy": score.accuracy,
        "steps": score.steps,
        "seconds": round(score.seconds, 3),
    }
