"""``npi eval``: how many random problems a trained core solves, by size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import SCORED, Column, Meter, Screen, finish, number, open_library, open_to_run, picked
from npi.cli.learners import is_learners
from npi.cli.options import (
    DEPTH,
    DataOption,
    DepthOption,
    DeviceOption,
    JsonOption,
    LibraryOption,
    SeedOption,
    StepsOption,
    TeacherOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.words import parse_sizes, plural, show_sizes

if TYPE_CHECKING:
    from npi.learners.evaluate import TaskScore
    from npi.running.evaluate import SizeScore
    from npi.running.mesh_accuracy import MeshScore


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
    steps: StepsOption = None,
    depth: DepthOption = DEPTH,
    device: DeviceOption = "auto",
    data: DataOption = None,
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
    from npi.training.ranks import pick_device

    screen = Screen(json=json)
    place = str(pick_device(device))
    if meshes is not None:
        refuse_others(context, "meshes")
        axes = {"up": up or "y", "forward": forward or "z"}
        _evaluate_meshes(screen, tasks or [], library, meshes, **axes, count=count, seed=seed, device=place)
        return
    learners = teacher is None and is_learners(library)
    refuse_others(context, "learners" if learners else "core" if teacher is None else "teacher")
    from npi import api

    given: dict[str, Any] = {"library": open_to_run(library, place)} if teacher is None else {"programs": teacher}
    chosen = parse_sizes(sizes) if sizes else None
    with Meter("evaluating") as meter:
        found: list[Any] = api.evaluate(
            tasks or (), **given, sizes=chosen, count=count, seed=seed, device=place, report=meter.update,
            steps=steps, depth=depth,
        )  # fmt: skip
    if learners:
        _tell_scores(screen, found)
    else:
        _tell_sizes(screen, found)


def _tell_sizes(screen: Screen, scores: Sequence[SizeScore]) -> None:
    screen.table(
        scores,
        Column("task", once=True),
        number("size", lambda score: f"{score.size:,}{'*' if score.trained else ''}"),
        *SCORED,
        failed=lambda score: score.right < score.count,
    )
    for name, train_sizes in {score.task: score.train_sizes for score in scores}.items():
        screen.line(f"* {name} was trained at sizes {show_sizes(train_sizes)}")
    for stop in dict.fromkeys(score.stop for score in scores if score.stop):
        first = next(score for score in scores if score.stop == stop)
        screen.note(f"npi: {first.task} at size {first.size:,}: {plural(first.stopped, 'run')} stopped: {stop}")
    screen.document([score_document(score) for score in scores])
    finish(all(score.right == score.count for score in scores))


def score_document(score: SizeScore) -> dict[str, Any]:
    return picked(score, "task size trained right count steps seconds accuracy stopped stop")


def _tell_scores(screen: Screen, scores: Sequence[TaskScore]) -> None:
    """Of a learner's tasks: means with their standard errors."""
    screen.table(
        [(score, measure, mean) for score in scores for measure, mean in score.scores.items()],
        Column("task", lambda row: row[0].task, once=True),
        number("problems", lambda row: row[0].count, once=True),
        number("as expected", lambda row: f"{100 * row[0].right / row[0].count:.1f} %", once=True),
        Column("measure", lambda row: row[1]),
        number("mean", lambda row: f"{row[2].mean:.3f}"),
        number("±", lambda row: f"{row[2].error:.3f}"),
    )
    means = [{name: [found.mean, found.error] for name, found in score.scores.items()} for score in scores]
    screen.document([vars(score) | {"scores": found} for score, found in zip(scores, means, strict=True)])


def _evaluate_meshes(
    screen: Screen,
    tasks: Sequence[str],
    library: Path,
    folder: Path,
    *,
    up: str,
    forward: str,
    count: int | None,
    seed: int,
    device: str,
) -> None:
    """A core on users' own meshes: run the task on each, and tell of those that cannot be used on stderr."""
    from envs.cars.mesh_files import load_folder
    from npi.running.mesh_accuracy import score_meshes, starts

    if len(tasks) != 1:
        raise ValueError("--meshes takes the name of one task, such as canonicalise")
    opened = open_library(library, device)
    programs, task = opened.task(tasks[0])
    poses = starts(programs, task, count=count, seed=seed)
    lost: list[str] = []
    meshes, broken = load_folder(folder, up=up, forward=forward, tell=lost.append)
    reasons = [f"{name}: {reason}" for name, reason in broken]
    if not meshes:
        raise ValueError("\n  ".join([f"{folder} has no mesh that can be used", *reasons]))
    for reason in reasons:
        screen.note(f"npi: left out: {reason}")
    for what in lost:
        screen.note(f"npi: {what}")
    scores: list[MeshScore] = []
    with Meter("evaluating") as meter:
        for score in score_meshes(opened, programs, task, meshes, poses, device=device):
            scores.append(score)
            meter.update(len(scores), len(meshes), score.mesh)
    what = plural(len(meshes), "mesh", "meshes")
    screen.line(f"{task.name} on {what} of {folder}, {plural(len(poses), 'start')} each")
    rows = [*scores, _together(scores)] if len(scores) > 1 else scores
    screen.table(rows, Column("mesh"), *SCORED, failed=lambda score: score.right < score.count)
    screen.document(
        {
            "task": task.name,
            "meshes": [vars(score) | {"accuracy": score.right / score.count} for score in scores],
            "broken": [{"mesh": name, "reason": reason} for name, reason in broken],
            "without_textures": lost,
        }
    )
    finish(all(score.right == score.count for score in scores))


def _together(scores: Sequence[MeshScore]) -> MeshScore:
    """The score over all meshes."""
    from npi.running.mesh_accuracy import MeshScore

    count = sum(score.count for score in scores)
    steps = sum(score.steps * score.count for score in scores) / max(1, count)
    wrong = tuple(inputs for score in scores for inputs in score.wrong)
    return MeshScore("all", sum(s.right for s in scores), count, steps, sum(s.seconds for s in scores), wrong)
