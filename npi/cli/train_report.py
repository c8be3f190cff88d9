"""Training as commands tell it: what is written where, how far it is, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import DONE, INTERRUPTED, NOT_REACHED, Meter, Screen, duration, finish, grid, plural, short_names

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import CoreConfig, TrainConfig
    from npi.jobs.train import TrainResult, TrainSummary
    from npi.training.frame_objective import Report


def tell(
    screen: Screen, result: TrainSummary, out: Path, core: CoreConfig, training: TrainConfig, seconds: float
) -> None:
    """What training came to, for people or for programs, and the exit code of it."""
    interrupted = not result.ended
    people(screen, result, out, core, seconds, interrupted=interrupted, certified=training.certify)
    screen.document(document(result, out, seconds, interrupted=interrupted))
    if interrupted:
        update = plural(result.report.update, "update")
        screen.note(f"interrupted after {update}; the state is kept in {out}.training, and the same command resumes")
    finish(INTERRUPTED if interrupted else DONE if result.solved else NOT_REACHED)


def check_folder(out: Path) -> None:
    """Refuse to write a library among other files: a folder that is there is a library, or empty."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not any(out.glob("core-*.safetensors")):
        raise ValueError(f"--out {out} holds other files and is no library; name a new or an empty folder")


def train_with(meter: Meter, paths: Sequence[Path | ProgramSet], **settings: Any) -> TrainResult:
    """:func:`npi.jobs.train.train_library`, reporting to the meter."""
    from npi.jobs.train import train_library

    updates = settings["training"].updates
    first: list[tuple[int, float]] = []

    def report(found: Report) -> None:
        pace = pace_of(first, found.update, meter)
        meter.update(found.update, updates, progress_note(found, updates, pace))

    meter.update(0, updates, "tracing the programs")
    return train_library(paths, report=report, **settings)


def pace_of(first: list[tuple[int, float]], update: int, meter: Meter) -> float | None:
    """Seconds an update since the first one that was told (kept in ``first``); ``None`` before there are enough."""
    if not first:
        first.append((update, meter.seconds))
    (began, at), seconds = first[0], meter.seconds
    return (seconds - at) / (update - began) if update > began + 10 else None


def progress_note(found: Report, updates: int, pace: float | None) -> str:
    """Loss, the programs that still err most, and the most time that is left at ``pace`` seconds an update."""
    short = short_names(found.errors)
    worst = sorted(((error, short[name]) for name, error in found.errors.items() if error > 0.005), reverse=True)
    parts = [f"loss {found.loss:.3f}"]
    if worst:
        names = ", ".join(f"{name} {error:.0%}" for error, name in worst[:3])
        parts.append(f"wrong: {names}{f' and {len(worst) - 3} more' if len(worst) > 3 else ''}")
    if found.validation is not None:
        parts.append(f"problems solved: {found.validation.solved} of {found.validation.problems}")
    if pace is not None and not found.solved:
        parts.append(f"at most {duration(pace * (updates - found.update))} left")
    return "; ".join(parts)


def program_rows(result: TrainSummary) -> list[dict[str, Any]]:
    """For each program the different frames that it was trained on, and how many of them are wrong."""
    wrong = result.report.wrong
    return [{"program": name, "frames": count, "wrong": wrong.get(name, 0)} for name, count in result.frames.items()]


def people(
    screen: Screen,
    result: TrainSummary,
    out: Path,
    core: CoreConfig,
    seconds: float,
    *,
    interrupted: bool,
    certified: bool = False,
) -> None:
    """What training came to, for people."""
    report = result.report
    table = grid("program", "frames", "wrong", right=("frames", "wrong"))
    checked = bool(report.wrong) or report.validation is not None
    for row in program_rows(result):
        table.add_row(row["program"], f"{row['frames']:,}", f"{row['wrong']:,}" if checked else "not checked yet")
    screen.say(table)
    if report.validation is not None:
        what = "random problems solved, and programs proved" if certified else "random problems solved by the core"
        screen.line(f"{what}: {report.validation.solved} of {report.validation.problems}")
    went_on = "; resumed from an interrupted run" if result.resumed else ""
    screen.line(f"{plural(report.update, 'update')} of a {core.kind} core, {duration(seconds)}{went_on}")
    if report.solved:
        screen.line(f"solved; the library is in {out} (core {result.core[:16]})")
        screen.line(f"next: npi eval --library {out}, or npi show {out}")
    elif not interrupted:
        screen.line(
            f"not solved, though the library is in {out}: raise --updates or --traces, try another --seed, "
            "or see with npi check whether the task is right"
        )


def document(result: TrainSummary, out: Path, seconds: float, *, interrupted: bool) -> dict[str, Any]:
    """What training came to, for programs."""
    report = result.report
    validation = report.validation
    return {
        "library": None if interrupted else str(out),
        "solved": report.solved,
        "interrupted": interrupted,
        "resumed": result.resumed,
        "updates": report.update,
        "loss": report.loss if report.loss == report.loss else None,
        "core": result.core,
        "rows": result.rows,
        "programs": program_rows(result),
        "problems": None if validation is None else validation.problems,
        "problems_solved": None if validation is None else validation.solved,
        "seconds": round(seconds, 3),
    }
