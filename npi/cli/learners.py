"""``npi train``, ``learn`` and ``eval`` for programs with a signal: a learner's core and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    DONE,
    INTERRUPTED,
    Meter,
    Screen,
    duration,
    finish,
    grid,
    plural,
    short_names,
    stop_on_interrupt,
)
from npi.cli.torchrun import ranks_of
from npi.cli.train_report import check_folder

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import Settings
    from npi.learners.evaluate import TaskScore
    from npi.learners.interface import Learner, LearnerConfig, LearnerTraining
    from npi.learners.learn_rows import LearnedRows
    from npi.library.library import Library
    from npi.training.loop import Progress

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of a learner; --set help lists them."),
]


def sources_of(paths: Sequence[Path]) -> tuple[list[Path | ProgramSet], bool]:
    """The program files parsed, folders and what is missing as they are; and whether all programs have signals.

    Raises ``ValueError`` where all programs of some files have signals, and not of all.
    """
    from dsl import load
    from dsl.program import ProgramSet

    sources = [load(path) if path.is_file() else path for path in paths]
    sets = [source for source in sources if isinstance(source, ProgramSet)]
    hosted = [programs for programs in sets if programs.signals and len(programs.signals) == len(programs.programs)]
    if hosted and len(hosted) < len(paths):
        raise ValueError(
            f"{hosted[0].path} has programs with a signal, which a learner's core learns, and other files have not: "
            "train them one after the other, into libraries of their own"
        )
    return sources, bool(hosted)


def is_learners(library: Path) -> bool:
    """Whether a folder is the library of a learner."""
    from npi.library import kinds
    from npi.library.manifest import read_manifest

    if not (library / "manifest.json").is_file():
        return False
    return kinds.is_learners(read_manifest(library)["config"]["kind"])


def chosen(
    learner: Learner, usual: LearnerTraining, settings: Sequence[str], **given: int | float | None
) -> tuple[LearnerConfig, LearnerTraining]:
    """A learner's settings with those that a user gives; ``ValueError`` for one that there is not."""
    from npi.learners.jobs import usual_config

    config = usual_config(learner)
    if "help" in settings:
        raise ValueError(f"settings of {learner.kind!r}, with their usual values: {_listed(config)}; {_listed(usual)}")
    words = dict(_pair(word) for word in settings)
    shape = {f.name for f in fields(config)} - {"kind"}
    given = {name: value for name, value in given.items() if value is not None}
    config = replace(config, **_typed(config, {n: w for n, w in words.items() if n in shape}))
    training = _typed(usual, {n: w for n, w in words.items() if n not in shape})
    return config, replace(usual, **{**training, **given})


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.to_json().items() if name != "kind")


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"--set {word}: write NAME=VALUE, such as --set updates=500; --set help lists the names")
    return name, value


def _typed(settings: Settings, words: Mapping[str, str]) -> dict[str, Any]:
    """Values of the kinds that the settings have."""
    have = settings.to_json()
    found: dict[str, Any] = {}
    for name, word in words.items():
        if name not in have:
            settings.from_json({name: word})  # tells the closest one
        kind = type(have[name])
        try:
            found[name] = word in ("1", "true", "yes") if kind is bool else kind(word)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"--set {name}={word}: {name} is {what}") from None
    return found


def train_signals(
    screen: Screen,
    paths: Sequence[Path | ProgramSet],
    *,
    out: Path,
    settings: Sequence[str],
    updates: int | None,
    rate: float | None,
    seed: int,
    device: str,
    fresh: bool,
) -> None:
    """Train a learner's core on program files with signals."""
    import torch

    from npi.learners.jobs import files_of, state_path, train_learner

    with ranks_of(device, state_path(out)) as ranks:
        check_folder(out)
        _, learner = files_of(paths)
        config, training = chosen(learner, learner.training, settings, updates=updates, rate=rate, seed=seed)
        torch.set_num_threads(1)  # small recurrent steps
        quiet = not ranks.first
        with stop_on_interrupt(quiet=quiet) as stop, Meter("training", quiet=quiet) as meter:
            result = train_learner(
                paths, out=out, config=config, training=training, ranks=ranks, stop=stop, fresh=fresh,
                report=_progress(meter, training.updates, _signal(learner)),
            )  # fmt: skip
            seconds = meter.seconds
    if quiet:
        finish(DONE if result.finished else INTERRUPTED)
    report = result.progress
    _score_lines(screen, report.scores, learner)
    resumed = "; resumed an interrupted run" if report.resumed else ""
    screen.line(f"{plural(report.update, 'update')} of a core of {learner.kind!r}, {duration(seconds)}{resumed}")
    if result.finished:
        screen.line(f"the library is in {out} (core {result.library.core.digest()[:16]})")
        screen.line(f"next: npi eval --library {out}, or npi learn FILE.npi --library {out}")
    else:
        screen.note(f"interrupted; the state is kept in {out}.training, and the same command resumes")
    screen.document(
        {
            "library": str(out) if result.finished else None,
            "interrupted": not result.finished,
            "resumed": report.resumed,
            "updates": report.update,
            "loss": report.loss,
            "scores": dict(report.scores),
            "core": result.library.core.digest(),
            "rows": result.library.rows_digest(),
            "seconds": round(seconds, 3),
        }
    )
    finish(DONE if result.finished else INTERRUPTED)


def learn_signals(
    screen: Screen,
    library: Path,
    paths: Sequence[Path | ProgramSet],
    *,
    out: Path | None,
    settings: Sequence[str],
    updates: int | None,
    starts: int | None,
    seed: int,
) -> None:
    """Learn programs with a signal as rows beside a learner's frozen core."""
    import torch

    from npi.learners.core import HostedCore
    from npi.learners.learn_rows import learn_files
    from npi.library.library import Library
    from npi.library.manifest import LibraryError
    from npi.library.program_files import parsed

    opened = Library.open(library)
    core = opened.core
    if not isinstance(core, HostedCore):
        raise LibraryError(
            f"{parsed(paths[0]).path} has a signal, and the core of {library} learns from texts; name the library of a "
            "learner (npi train makes one of files with signals)"
        )
    learner = core.learner
    _, training = chosen(learner, learner.learning, settings, updates=updates, starts=starts, seed=seed)
    torch.set_num_threads(1)
    with stop_on_interrupt() as stop, Meter("learning") as meter:
        _, found = learn_files(
            opened,
            paths,
            training,
            out=out or library,
            stop=stop,
            report=_progress(meter, training.updates, _signal(learner)),
        )
        stopped, seconds = stop(), meter.seconds
    _learned(screen, found, learner, seconds)
    if stopped:
        screen.note(f"interrupted after {plural(found.updates, 'update')}; the library is as it was")
    else:
        screen.line(f"the library in {out or library} has them now")
    screen.document(
        {
            **{name: value for name, value in vars(found).items() if name != "rows"},
            "rows": list(found.rows),
            "library": None if stopped else str(out or library),
            "unchanged": found.unchanged,
            "seconds": round(seconds, 3),
        }
    )
    finish(INTERRUPTED if stopped else DONE)


def evaluate_signals(screen: Screen, library: Library, tasks: Sequence[str], *, count: int | None, seed: int) -> None:
    """Judge the tasks of a learner's library on fresh problems."""
    from npi.learners.evaluate import COUNT, score_task

    names = list(tasks) or list(library.tasks())
    scores: list[TaskScore] = []
    with Meter("evaluating") as meter:
        for name in names:
            meter.update(len(scores), len(names), name)
            programs, task = library.task(name)
            qualified = f"{Path(programs.path).stem}.{task.name}"
            scores.append(score_task(library, programs, task, name=qualified, count=count or COUNT, seed=seed))
    numbers = ("problems", "as expected", "mean", "±")
    table = grid("task", "problems", "as expected", "measure", "mean", "±", right=numbers)
    for score in scores:
        for place, (measure, found) in enumerate(score.scores.items()):
            first = (score.task, f"{score.count:,}", f"{100 * score.right / score.count:.1f} %")
            table.add_row(*(("", "", "") if place else first), measure, f"{found.mean:.3f}", f"{found.error:.3f}")
    screen.say(table)
    screen.document(
        [
            {
                "task": score.task,
                "count": score.count,
                "right": score.right,
                "scores": {name: [found.mean, found.error] for name, found in score.scores.items()},
                "seconds": round(score.seconds, 3),
            }
            for score in scores
        ]
    )
    finish(DONE)


def _progress(meter: Meter, updates: int, signal: str) -> Any:
    began: list[tuple[int, float]] = []

    def report(found: Progress) -> None:
        if not began:
            began.append((found.update, meter.seconds))
        (first, at), left = began[0], ""
        if found.update > first:
            pace = (meter.seconds - at) / (found.update - first)
            left = f"; {duration(pace * (updates - found.update))} left"
        short = short_names(found.scores)
        told = ", ".join(f"{short[name]} {score:.2f}" for name, score in list(found.scores.items())[:4])
        more = f" and {len(found.scores) - 4} more" if len(found.scores) > 4 else ""
        meter.update(found.update, updates, f"{signal} {told}{more}{left}" if told else f"no check yet{left}")

    return report


def _signal(learner: Learner) -> str:
    """What its programs maximise, minimise or imitate."""
    return learner.signals[0][1]


def _score_lines(screen: Screen, scores: Mapping[str, float], learner: Learner) -> None:
    column = f"{_signal(learner)} at the last check"
    table = grid("program", column, right=(column,))
    shown = list(scores.items())
    for name, score in shown[:20]:
        table.add_row(name, f"{score:.3f}")
    if shown:
        screen.say(table)
    if len(shown) > 20:
        screen.line(f"and {len(shown) - 20} more (--json has them all)")


def _learned(screen: Screen, found: LearnedRows, learner: Learner, seconds: float) -> None:
    table = grid("program", "mean row", "best old row", "learned", right=("mean row", "best old row", "learned"),
                 title=f"{_signal(learner)} on fresh problems")  # fmt: skip
    for name in found.rows:
        cells = (found.mean[name], found.nearest[name], found.learned[name])
        table.add_row(name, *(f"{cell:.3f}" for cell in cells))
    screen.say(table)
    screen.line(f"{plural(found.numbers, 'number')} each, {plural(found.updates, 'update')}, {duration(seconds)}")
    for label, part in (("core", "core"), ("old rows", "rows"), ("old outputs", "outputs")):
        before, after = getattr(found, f"{part}_before"), getattr(found, f"{part}_after")
        same = "bit-identical" if before == after else "CHANGED"
        screen.line(f"{label:<12}{before[:16]} before, {after[:16]} after: {same}")
