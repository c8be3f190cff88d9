"""Training as commands tell it, whatever the kind of core: how far it is, and what it came to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import Column, Meter, Screen, finish, number
from npi.cli.words import duration, plural, short_names

if TYPE_CHECKING:
    from npi.jobs.run import TrainResult
    from npi.jobs.train import TrainSummary
    from npi.training.frame_objective import Report
    from npi.training.loop import Progress


@dataclass(frozen=True)
class Job:
    """A kind of training, or of learning rows.

    Attributes:
        train: does it. updates: the most that it takes. core: what its core is called.
        measure: what the scores of its rows are. certify: whether its programs are proved, too.
        first: what is done before the first update.
    """

    train: Callable[..., Any]
    updates: int
    core: str = ""
    measure: str = ""
    certify: bool = False
    first: str = ""

    def run(self, meter: Meter, **settings: Any) -> Any:
        """Train, reporting to the meter; returns what ``train`` does."""

        def report(found: Report | Progress) -> None:
            left = [] if found.solved else meter.left(found.update, self.updates)
            meter.update(found.update, self.updates, "; ".join([*notes(found, self.measure), *left]))

        meter.update(0, self.updates, self.first)
        return self.train(report=report, **settings)


def notes(found: Report | Progress, measure: str) -> list[str]:
    """The loss, and what the last check said: scores, or the programs that err most and the problems solved."""
    from npi.library.program_files import some
    from npi.training.frame_objective import Report

    parts = [] if math.isnan(found.loss) else [f"loss {found.loss:.3f}"]
    if isinstance(found, Report):
        short = short_names(found.errors)
        worst = sorted(((error, short[name]) for name, error in found.errors.items() if error > 0.005), reverse=True)
        if worst:
            parts.append(f"wrong: {some((f'{name} {error:.0%}' for error, name in worst), 3)}")
        if found.validation is not None:
            parts.append(f"problems solved: {found.validation.solved} of {found.validation.problems}")
    elif measure:
        short = short_names(found.scores)
        parts.append(f"{measure}: {some((f'{short[name]} {score:.3g}' for name, score in found.scores.items()), 4)}")
    return parts


def program_rows(result: TrainResult[Report] | TrainSummary) -> list[dict[str, Any]]:
    """For each program the different frames that it was trained on, their different steps where these are learned by
    themselves, and how many of what is learned are wrong."""
    wrong, steps = result.report.wrong, result.report.steps
    return [
        {"program": name, "frames": count, "wrong": wrong.get(name, 0)}
        | ({"steps": steps[name][1], "different_steps": steps[name][0]} if name in steps else {})
        for name, count in result.frames.items()
    ]


def tell(screen: Screen, job: Job, result: TrainResult[Any], out: Path, seconds: float) -> None:
    """What training came to, for people or for programs; ends the command."""
    from npi.training.frame_objective import Report

    report, core, rows = result.report, result.library.core.digest(), result.library.rows_digest()
    if isinstance(report, Report):
        checked = bool(report.wrong) or report.validation is not None
        wrong = number("wrong", "wrong" if checked else lambda row: "not checked yet")
        steps = [number("steps"), number("different", "different_steps")] * bool(report.steps)
        screen.table(program_rows(result), Column("program"), number("frames"), *steps, wrong)
        if report.validation is not None:
            certified = "random problems solved, and programs proved"
            what = certified if job.certify else "random problems solved by the core"
            screen.line(f"{what}: {report.validation.solved} of {report.validation.problems}")
    elif job.measure:
        shown = [{"program": name, "score": score} for name, score in report.scores.items()]
        if shown:
            score = number(f"{job.measure} at the last check", lambda row: f"{row['score']:.3f}")
            screen.table(shown[:20], Column("program"), score)
        if len(shown) > 20:
            screen.line(f"and {len(shown) - 20} more (--json has them all)")
    else:
        functions = plural(result.entry["functions"], "different function")
        screen.line(f"{plural(result.entry['programs'], 'program')}, {functions} of their states")
    again = "; resumed from the state of an earlier run" if result.resumed else ""
    loss = f"loss {report.loss:.4f}, {duration(seconds)}"
    screen.line(f"{plural(report.update, 'update')} of {job.core}, {loss}{again}")
    if result.solved:
        screen.line(f"solved; the library is in {out} (core {core[:16]})")
        evaluated = f"npi eval --library {out}, or " if result.library.memory.infos else ""
        screen.line(f"next: {evaluated}npi learn FILE.npi --library {out}")
    elif result.ended:
        screen.line(
            f"not solved, though the library is in {out}: raise --updates, and it goes on from here, or --traces; try "
            "another --seed, or see with npi check whether the task is right"
        )
    else:
        state, done = f"{out}.training", plural(report.update, "update")
        more = meanwhile(state) if result.library.memory.infos else ""
        screen.note(f"interrupted after {done}; the state is kept in {state}, and the same command resumes{more}")
    screen.document(document(result, core, rows, out, seconds))
    finish(result.solved, interrupted=not result.ended)


def meanwhile(state: str) -> str:
    """What can be done with the library that lies beside a run's state."""
    return f"; npi eval --library {state} evaluates it as it stands"


def document(
    result: TrainResult[Any] | TrainSummary, core: str, rows: str, out: Path, seconds: float
) -> dict[str, Any]:
    """What training came to, for programs."""
    from npi.jobs.run import TrainResult
    from npi.training.frame_objective import Report

    report = result.report
    more = {}
    if isinstance(report, Report):
        validation = report.validation
        more = {
            "programs": program_rows(result),
            "problems": validation and validation.problems,
            "problems_solved": validation and validation.solved,
        }
    elif isinstance(result, TrainResult):
        more = {name: result.entry[name] for name in ("scores", "programs", "functions") if name in result.entry}
    return {
        "library": out if result.ended else None,
        "solved": result.solved,
        "interrupted": not result.ended,
        "resumed": result.resumed,
        "updates": report.update,
        "loss": report.loss,
        "core": core,
        "rows": rows,
        **more,
        "seconds": seconds,
    }
