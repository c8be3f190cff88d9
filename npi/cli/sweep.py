"""``npi train --seeds``: a library for each seed, trained by processes of their own, and a table over them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import (
    DONE,
    INTERRUPTED,
    NOT_REACHED,
    Meter,
    Screen,
    duration,
    finish,
    grid,
    parse_numbers,
    plural,
    stop_on_interrupt,
)
from npi.cli.train_report import check_folder, document, pace_of

if TYPE_CHECKING:
    from npi.core.config import TrainConfig
    from npi.jobs.sweep import Spread, SweepResult
    from npi.training.frame_objective import Report


def sweep(
    screen: Screen, paths: Sequence[Path], text: str, *, out: Path, training: TrainConfig, **settings: Any
) -> None:
    """Train the seeds that ``text`` names (``0..3``, ``0,2,5``), and tell what they came to."""
    seeds = parse_numbers(text, "--seeds", least=0)
    check_folders(out, seeds)
    with stop_on_interrupt() as stop, Meter("training") as meter:
        result = sweep_with(meter, paths, seeds=seeds, out=out, training=training, stop=stop, **settings)
        seconds = meter.seconds
    people(screen, result, out, seconds)
    screen.document(sweep_document(result, out, seconds))
    if not result.ended:
        going = sum(not found.ended for found in result.seeds.values())
        screen.note(
            f"interrupted; the states of {plural(going, 'seed')} are kept in {out}/seed-N.training, and the same "
            "command resumes"
        )
    finish(INTERRUPTED if not result.ended else DONE if result.solved else NOT_REACHED)


def check_folders(out: Path, seeds: Sequence[int]) -> None:
    """Refuse to write the seeds' libraries into another library, or where a single one is refused."""
    from npi.jobs.sweep import seed_folder

    if out.is_file():
        raise ValueError(f"--out {out} is a file; name a folder")
    if any(out.glob("core-*.safetensors")):
        raise ValueError(f"--out {out} is a library itself; with --seeds name the folder that several will go into")
    for seed in seeds:
        check_folder(seed_folder(out, seed))


def sweep_with(meter: Meter, paths: Sequence[Path], *, seeds: Sequence[int], **settings: Any) -> SweepResult:
    """:func:`npi.jobs.sweep.train_sweep`, reporting to the meter."""
    from npi.jobs.sweep import train_sweep

    updates = settings["training"].updates
    last: dict[int, Report] = {}
    first: list[tuple[int, float]] = []

    def report(seed: int, found: Report) -> None:
        last[seed] = found
        going = [one.update for one in last.values() if not one.solved]
        done = min(going, default=found.update)
        meter.update(done, updates, progress_note(last.values(), updates - done, pace_of(first, done, meter)))

    meter.update(0, updates, "tracing the programs")
    return train_sweep(paths, seeds=seeds, report=report, **settings)


def progress_note(last: Collection[Report], left: int, pace: float | None) -> str:
    """How many seeds were solved by now, the losses of the others, and the most time that is left."""
    losses = [found.loss for found in last if not found.solved]
    parts = [f"{plural(sum(found.solved for found in last), 'seed')} solved, {len(losses)} going"]
    if losses:
        parts.append(f"loss {min(losses):.3f} to {max(losses):.3f}")
        if pace is not None:
            parts.append(f"at most {duration(pace * left)} left")
    return "; ".join(parts)


def people(screen: Screen, result: SweepResult, out: Path, seconds: float) -> None:
    """A line for each seed, and the spread over them."""
    right = ("seed", "updates", "loss", "wrong frames", "problems solved")
    table = grid("seed", "result", "updates", "loss", "wrong frames", "problems solved", right=right)
    for seed, found in result.seeds.items():
        report, validation = found.report, found.report.validation
        state = "solved" if found.solved else "not solved" if found.ended else "interrupted"
        solved = "" if validation is None else f"{validation.solved:,} of {validation.problems:,}"
        wrong = f"{sum(report.wrong.values()):,}" if report.wrong or validation is not None else ""
        table.add_row(str(seed), state, f"{report.update:,}", f"{report.loss:.3f}", wrong, solved)
    for seed in result.waiting:
        table.add_row(str(seed), "not begun", "", "", "", "")
    screen.say(table)
    count = sum(found.solved for found in result.seeds.values())
    screen.line(f"{count} of {plural(len(result.seeds) + len(result.waiting), 'seed')} solved, {duration(seconds)}")
    if result.updates is not None:
        screen.line(f"updates until solved: {show_spread(result.updates)}")
    if any(found.ended for found in result.seeds.values()):
        screen.line(f"the libraries are in {out}/seed-N; next: npi eval --library {out}/seed-N")


def show_spread(spread: Spread) -> str:
    """``600 ± 141 (mean and standard deviation), 500 to 700``."""
    if spread.count == 1:
        return f"{spread.mean:,.0f} (one seed)"
    what = f"{spread.mean:,.0f} ± {spread.deviation:,.0f} (mean and standard deviation of {spread.count} seeds)"
    return f"{what}, {spread.least:,.0f} to {spread.most:,.0f}"


def sweep_document(result: SweepResult, out: Path, seconds: float) -> dict[str, Any]:
    """What the sweep came to, for programs: that of a single training for each seed, and the spread."""
    from npi.jobs.sweep import seed_folder

    seeds = [
        {"seed": seed} | document(found, seed_folder(out, seed), found.report.seconds, interrupted=not found.ended)
        for seed, found in result.seeds.items()
    ]
    return {
        "seeds": seeds,
        "solved": sum(found.solved for found in result.seeds.values()),
        "interrupted": not result.ended,
        "updates": None if result.updates is None else vars(result.updates),
        "seconds": round(seconds, 3),
    }
