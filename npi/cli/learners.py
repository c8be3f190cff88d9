"""``npi train``, ``learn`` and ``eval`` for programs with a learning signal: a learner's core and its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import Column, Meter, Screen, check_folder, finish, number, stop_on_interrupt
from npi.cli.options import option
from npi.cli.torchrun import ranks_of
from npi.cli.train_report import took
from npi.cli.words import digests, duration, kept, plural, short_names, unchanged_lines

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import Settings
    from npi.learners.interface import Learner, LearnerConfig, LearnerTraining
    from npi.training.learn_rows import RowScores
    from npi.training.loop import Progress

SetOption = Annotated[list[str] | None, option("--set", "A setting of a learner; --set help lists them.", "NAME=VALUE")]


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
    from npi.jobs.learners import usual_config

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


def train_with_learner(
    screen: Screen,
    paths: Sequence[Path | ProgramSet],
    *,
    out: Path,
    settings: Sequence[str],
    device: str,
    fresh: bool,
    **given: int | float | None,
) -> None:
    """Train a learner's core on program files with signals; ``given`` are settings that have options of their own."""
    import torch

    from npi.jobs.learners import files_of, train_learner
    from npi.jobs.run import checkpoint_path

    with ranks_of(device, checkpoint_path(out)) as ranks:
        check_folder(out)
        _, learner = files_of(paths)
        config, training = chosen(learner, learner.training, settings, **given)
        torch.set_num_threads(1)  # small recurrent steps
        quiet = not ranks.first
        with stop_on_interrupt(quiet=quiet) as stop, Meter("training", quiet=quiet) as meter:
            result = train_learner(
                paths, out=out, config=config, training=training, ranks=ranks, stop=stop, fresh=fresh,
                report=_progress(meter, training.updates, _signal(learner)),
            )  # fmt: skip
    if quiet:
        finish(interrupted=not result.ended)
        return
    report = result.report
    shown = list(report.scores.items())
    if shown:
        score = number(f"{_signal(learner)} at the last check", lambda item: f"{item[1]:.3f}")
        screen.table(shown[:20], Column("program", itemgetter(0)), score)
    if len(shown) > 20:
        screen.line(f"and {len(shown) - 20} more (--json has them all)")
    screen.line(took(report.update, f"a core of {learner.kind!r}", meter.seconds, resumed=result.resumed))
    if result.ended:
        screen.line(f"the library is in {out} (core {result.library.core.digest()[:16]})")
        screen.line(f"next: npi eval --library {out}, or npi learn FILE.npi --library {out}")
    else:
        screen.note(f"interrupted; {kept(out)}")
    screen.document(
        {
            "library": out if result.ended else None,
            "interrupted": not result.ended,
            "resumed": result.resumed,
            "updates": report.update,
            "loss": report.loss,
            "scores": report.scores,
            "core": result.library.core.digest(),
            "rows": result.library.rows_digest(),
            "seconds": meter.seconds,
        }
    )
    finish(interrupted=not result.ended)


def learn_with_learner(
    screen: Screen,
    library: Path,
    paths: Sequence[Path | ProgramSet],
    *,
    out: Path | None,
    settings: Sequence[str],
    **given: int | None,
) -> None:
    """Learn programs with a learning signal as rows beside a learner's frozen core."""
    import torch

    from npi.jobs.train import learn_into
    from npi.learners.core import LearnerProgramCore
    from npi.library.library import Library
    from npi.library.manifest import LibraryError
    from npi.library.program_files import parsed
    from npi.training.learn_rows import RowScores

    opened = Library.open(library)
    core = opened.core
    if not isinstance(core, LearnerProgramCore):
        raise LibraryError(
            f"{parsed(paths[0]).path} has a signal, and the core of {library} learns from texts; name the library of a "
            "learner (npi train makes one of files with signals)"
        )
    learner = core.learner
    _, training = chosen(learner, learner.learning, settings, **given)
    torch.set_num_threads(1)
    with stop_on_interrupt() as stop, Meter("learning") as meter:
        report = _progress(meter, training.updates, _signal(learner))
        found = learn_into(opened, paths, config=training, out=out or library, stop=stop, report=report)
    headings = ("mean row", "best old row", "learned")
    columns = [number(heading, partial(_decimal, place)) for place, heading in enumerate(headings)]
    title = f"{_signal(learner)} on fresh problems"
    screen.table(list(found.scores.items()), Column("program", itemgetter(0)), *columns, title=title)
    screen.line(f"{plural(found.numbers, 'number')} each, {plural(found.updates, 'update')}, {duration(meter.seconds)}")
    screen.lines(unchanged_lines(found))
    if not found.solved:
        screen.note(f"interrupted after {plural(found.updates, 'update')}; the library is as it was")
    else:
        screen.line(f"the library in {out or library} has them now")
    parts = RowScores._fields
    screen.document(
        {
            "library": out or library if found.solved else None,
            **{name: getattr(found, name) for name in ("rows", "numbers", "updates")},
            **{part: {name: getattr(scores, part) for name, scores in found.scores.items()} for part in parts},
            **digests(found),
            "seconds": meter.seconds,
        }
    )
    finish(interrupted=not found.solved)


def _progress(meter: Meter, updates: int, signal: str) -> Callable[[Progress], None]:
    from npi.library.program_files import some

    def report(found: Progress) -> None:
        short = short_names(found.scores)
        scores = some((f"{short[name]} {score:.2f}" for name, score in found.scores.items()), 4)
        note = f"{signal} {scores}" if found.scores else "no check yet"
        meter.update(found.update, updates, "; ".join([note, *meter.left(found.update, updates)]))

    return report


def _signal(learner: Learner) -> str:
    """What its programs maximise, minimise or imitate."""
    return learner.signals[0][1]


def _decimal(place: int, row: tuple[str, RowScores]) -> str:
    return f"{row[1][place]:.3f}"
