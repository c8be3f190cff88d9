"""``npi eval``: how many random problems a trained core solves, by size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    SCORED,
    Column,
    Meter,
    Screen,
    check_library,
    finish,
    number,
    open_library,
    open_to_run,
    picked,
    shipped_or,
    standing_in,
)
from npi.cli.options import (
    DEPTH,
    CoreOption,
    DataOption,
    DepthOption,
    DeviceOption,
    JsonOption,
    LibraryOption,
    RowsOption,
    SeedOption,
    StepsOption,
    TeacherOption,
    argument,
    option,
    output,
    refuse_others,
)
from npi.cli.words import file_size, parse_sizes, plural, show_sizes

if TYPE_CHECKING:
    from npi.learners.evaluate import TaskScore
    from npi.library.library import Library
    from npi.running.compiled_library import CompiledLibrary
    from npi.running.evaluate import SizeScore
    from npi.running.mesh_accuracy import MeshScore


def evaluate(
    context: typer.Context,
    tasks: Annotated[list[str] | None, argument("Such as add; all of the library by default.")] = None,
    library: LibraryOption = Path("library"),
    core: CoreOption = None,
    rows: RowsOption = None,
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
    picture: Annotated[
        Path | None,
        output(
            "--picture",
            "In a world of pictures with classes: draw an episode of one task, PNG or HTML: the support set, what was "
            "to be named, and which answers are wrong.",
            "FILE",
        ),
    ] = None,
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
      npi eval folder --library few_shot --data folder=FOLDER --picture episode.png
    """
    from npi.training.ranks import pick_device

    screen = Screen(json=json)
    place = str(pick_device(device))
    if meshes is not None:
        refuse_others(context, "meshes")
        axes = {"up": up or "y", "forward": forward or "z"}
        _evaluate_meshes(screen, tasks or [], library, core, meshes, **axes, count=count, seed=seed, device=place)
        return
    from npi import api

    library = shipped_or(library)
    sources = [_Source("teacher", tasks or [])] if teacher is not None else _sources(library, tasks or [], core)
    kinds = dict.fromkeys(source.kind for source in sources)
    refuse_others(context, *kinds)
    if rows and len(sources) > 1:
        raise ValueError("--use-row is for the tasks of one member; name such tasks, or give --core")
    opened: list[dict[str, Any]] = [{"programs": teacher}]
    if teacher is None:
        opened = [{"library": source.opened(library, rows or (), place)} for source in sources]
    if picture is not None:
        _check_picture(picture, opened[0]["library"], tasks or [])
    chosen = parse_sizes(sizes) if sizes else None
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    with Meter("evaluating") as meter:
        for source, given in zip(sources, opened, strict=True):
            found[source.kind] += api.evaluate(
                source.tasks, **given, sizes=chosen, count=count, seed=seed, device=place, report=meter.update,
                steps=steps, depth=depth,
            )  # fmt: skip
    if scores := found.get("learners"):
        _tell_scores(screen, scores)
        if picture is not None:
            _draw_episode(screen, picture, opened[0]["library"], tasks or [], seed)
    sized = [score for kind, mine in found.items() if kind != "learners" for score in mine]
    if sized or not scores:
        _tell_sizes(screen, sized)
    screen.document([*map(_scores_document, scores or ()), *map(score_document, sized)])
    finish(all(score.right == score.count for score in sized))


@dataclass(frozen=True)
class _Source:
    """Tasks of one core: the kind of call (:data:`npi.cli.options.REFUSED`), their names (all by default), and of a
    collection the member's core."""

    kind: str
    tasks: list[str]
    core: str | None = None

    def opened(self, place: Path, rows: Sequence[str], device: str) -> Library | CompiledLibrary:
        """What runs them, with other rows in it."""
        return standing_in(open_to_run(place, device, core=self.core), place, rows)


def _sources(place: Path, tasks: list[str], core: str | None) -> list[_Source]:
    """What runs the tasks: of a collection each member that has some."""
    from npi.library.kinds import is_learners
    from npi.library.manifest import is_collection
    from npi.library.members import apportioned

    if place.is_file():
        return [_Source("core", tasks)]
    check_library(place)
    several = is_collection(place)
    return [
        _Source("learners" if is_learners(member.kind) else "core", names, member.core if several else None)
        for member, names in apportioned(place, tasks, core)
    ]


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


def _scores_document(score: TaskScore) -> dict[str, Any]:
    return vars(score) | {"scores": {name: [found.mean, found.error] for name, found in score.scores.items()}}


def _check_picture(file: Path, library: Library, tasks: Sequence[str]) -> None:
    """``ValueError`` where no episode can be drawn: before anything is run."""
    from envs.images.episode_picture import check_ending
    from envs.images.world import Images

    check_ending(file)
    if len(tasks) != 1:
        raise ValueError(f"--picture {file} takes the name of one task, whose episode is drawn")
    programs, _ = library.task(tasks[0])
    spec = programs.world.spec
    if not isinstance(programs.world, Images):
        raise ValueError(
            f"--picture {file}: world {spec.name} ({spec.kind}) has no pictures with classes; npi run --html shows any"
        )


def _draw_episode(screen: Screen, file: Path, library: Library, tasks: Sequence[str], seed: int) -> None:
    """Write the first episode that the seed draws, and say so on stderr."""
    from envs.images.episode_picture import shown_episode, write_episode
    from envs.support.atomic_files import write_whole
    from npi.learners.evaluate import evaluated

    programs, task = library.task(tasks[0])
    world: Any = programs.world
    part = next(evaluated(library, programs, task, count=1, seed=seed))
    content = write_episode(file, f"{task.name}, seed {seed}", shown_episode(world, part.state))
    write_whole(file, content)
    screen.note(f"wrote {file}, {file_size(len(content))}")


def _evaluate_meshes(
    screen: Screen,
    tasks: Sequence[str],
    library: Path,
    core: str | None,
    folder: Path,
    *,
    up: str,
    forward: str,
    count: int | None,
    seed: int,
    device: str,
) -> None:
    """A core on users' own meshes: run the task on each; what cannot be used, or looks wrong, is told on stderr."""
    from envs.cars.mesh_files import load_folder
    from npi.running.mesh_accuracy import score_meshes, starts

    if len(tasks) != 1:
        raise ValueError("--meshes takes the name of one task, such as canonicalise")
    opened = open_library(library, device, task=tasks[0], core=core)
    programs, task = opened.task(tasks[0])
    poses = starts(programs, task, count=count, seed=seed)
    remarks: list[str] = []
    meshes, broken = load_folder(folder, up=up, forward=forward, tell=remarks.append)
    reasons = [f"{name}: {reason}" for name, reason in broken]
    if not meshes:
        raise ValueError("\n  ".join([f"{folder} has no mesh that can be used", *reasons]))
    for reason in reasons:
        screen.note(f"npi: left out: {reason}")
    for remark in remarks:
        screen.note(f"npi: {remark}")
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
            "remarks": remarks,
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
