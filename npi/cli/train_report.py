"""Training as commands tell it: how far it is, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import Column, Meter, Screen, finish, number
from npi.cli.words import duration, kept, plural, short_names

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import CoreConfig, TrainConfig
    from npi.jobs.run import TrainResult
    from npi.jobs.train import TrainSummary
    from npi.training.frame_objective import Report


def train_with(meter: Meter, paths: Sequence[Path | ProgramSet], **settings: Any) -> TrainResult[Report]:
    """:func:`npi.jobs.train.train_library`, reporting to the meter."""
    from npi.jobs.train import train_library

    updates = settings["training"].updates

    def report(found: Report) -> None:
        left = [] if found.solved else meter.left(found.update, updates)
        meter.update(found.update, updates, "; ".join([*progress(found), *left]))

    meter.update(0, updates, "tracing the programs")
    return train_library(paths, report=report, **settings)


def progress(found: Report) -> list[str]:
    """Loss, the programs that still err most, and the problems solved at the last check."""
    from npi.library.program_files import some

    short = short_names(found.errors)
    worst = sorted(((error, short[name]) for name, error in found.errors.items() if error > 0.005), reverse=True)
    parts = [f"loss {found.loss:.3f}"]
    if worst:
        parts.append(f"wrong: {some((f'{name} {error:.0%}' for error, name in worst), 3)}")
    if found.validation is not None:
        parts.append(f"problems solved: {found.validation.solved} of {found.validation.problems}")
    return parts


def program_rows(result: TrainResult[Report] | TrainSummary) -> list[dict[str, Any]]:
    """For each program the different frames that it was trained on, and how many of them are wrong."""
    wrong = result.report.wrong
    return [{"program": name, "frames": count, "wrong": wrong.get(name, 0)} for name, count in result.frames.items()]


def tell(
    screen: Screen, result: TrainSummary, out: Path, core: CoreConfig, training: TrainConfig, seconds: float
) -> None:
    """What training came to, for people or for programs; ends the command."""
    report = result.report
    checked = bool(report.wrong) or report.validation is not None
    wrong = number("wrong", "wrong" if checked else lambda row: "not checked yet")
    screen.table(program_rows(result), Column("program"), number("frames"), wrong)
    if report.validation is not None:
        certified = "random problems solved, and programs proved"
        what = certified if training.certify else "random problems solved by the core"
        screen.line(f"{what}: {report.validation.solved} of {report.validation.problems}")
    screen.line(took(report.update, f"a {core.kind} core", seconds, resumed=result.resumed))
    if report.solved:
        screen.line(f"solved; the library is in {out} (core {result.core[:16]})")
        screen.line(f"next: npi eval --library {out}, or npi show {out}")
    elif result.ended:
        screen.line(
            f"not solved, though the library is in {out}: raise --updates or --traces, try another --seed, "
            "or see with npi check whether the task is right"
        )
    screen.document(document(result, out, seconds))
    if not result.ended:
        screen.note(f"interrupted after {plural(report.update, 'update')}; {kept(out)}")
    finish(result.solved, interrupted=not result.ended)


def took(updates: int, core: str, seconds: float, *, resumed: bool) -> str:
    """How long training took."""
    went_on = "; resumed from an interrupted run" if resumed else ""
    return f"{plural(updates, 'update')} of {core}, {duration(seconds)}{went_on}"


def document(result: TrainSummary, out: Path, seconds: float) -> dict[str, Any]:
    """What training came to, for programs."""
    report = result.report
    validation = report.validation
    return {
        "library": out if result.ended else None,
        "solved": report.solved,
        "interrupted": not result.ended,
        "resumed": result.resumed,
        "updates": report.update,
        "loss": report.loss,
        "core": result.core,
        "rows": result.rows,
        "programs": program_rows(result),
        "problems": validation and validation.problems,
        "problems_solved": validation and validation.solved,
        "seconds": seconds,
    }
