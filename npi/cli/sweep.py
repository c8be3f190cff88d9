"""``npi train --seeds``: a library for each seed, trained by processes of their own, and a table over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import Column, Meter, Screen, check_folder, finish, number
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.train_report import document, meanwhile
from npi.cli.words import duration, parse_numbers, plural

if TYPE_CHECKING:
    from npi.core.config import TrainConfig
    from npi.jobs.sweep import Spread, SweepResult
    from npi.training.frame_objective import Report
    from npi.training.validation import Validation


def sweep(
    screen: Screen, paths: Sequence[Path], text: str, *, out: Path, training: TrainConfig, **settings: Any
) -> None:
    """Train the seeds that ``text`` names (``0..3``, ``0,2,5``), and tell what they came to."""
    from npi.jobs.sweep import seed_folder, train_sweep

    numbers, updates = parse_numbers(text, "--seeds", least=0), training.updates
    check_folders(out, numbers)
    last: dict[int, Report] = {}
    with stop_on_interrupt() as stop, Meter("training") as meter:

        def report(seed: int, found: Report) -> None:
            last[seed] = found
            going = [one for one in last.values() if not one.solved]
            done = min((one.update for one in going), default=found.update)
            losses = [one.loss for one in going]
            parts = [f"{plural(len(last) - len(going), 'seed')} solved, {len(going)} going"]
            if going:
                parts += [f"loss {min(losses):.3f} to {max(losses):.3f}", *meter.left(done, updates)]
            meter.update(done, updates, "; ".join(parts))

        meter.update(0, updates, "tracing the programs")
        result = train_sweep(paths, seeds=numbers, out=out, training=training, report=report, stop=stop, **settings)
    people(screen, result, out, meter.seconds)
    screen.document(
        {
            "seeds": [
                {"seed": seed} | document(found, found.core, found.rows, seed_folder(out, seed), found.report.seconds)
                for seed, found in result.seeds.items()
            ],
            "solved": sum(found.solved for found in result.seeds.values()),
            "interrupted": not result.ended,
            "updates": result.updates,
            "seconds": meter.seconds,
        }
    )
    if not result.ended:
        going = sum(not found.ended for found in result.seeds.values())
        screen.note(
            f"interrupted; the states of {plural(going, 'seed')} are kept in {out}/seed-N.training, and the same "
            f"command resumes{meanwhile(f'{out}/seed-N.training')}"
        )
    finish(result.solved, interrupted=not result.ended)


def check_folders(out: Path, seeds: Sequence[int]) -> None:
    """Refuse to write the seeds' libraries into another library, or where a single one is refused."""
    from npi.jobs.sweep import seed_folder

    if out.is_file():
        raise ValueError(f"--out {out} is a file; name a folder")
    if any(out.glob("core-*.safetensors")):
        raise ValueError(f"--out {out} is a library itself; with --seeds name the folder that several will go into")
    for seed in seeds:
        check_folder(seed_folder(out, seed))


def people(screen: Screen, result: SweepResult, out: Path, seconds: float) -> None:
    """A line for each seed, and the spread over them."""
    rows: list[dict[str, str | int]] = [
        {
            "seed": str(seed),
            "result": "solved" if found.solved else "not solved" if found.ended else "interrupted",
            "updates": found.report.update,
            "loss": f"{found.report.loss:.3f}",
            "wrong frames": sum(found.report.wrong.values()) if found.report.wrong or found.report.validation else "",
            "problems solved": _solved(found.report.validation),
        }
        for seed, found in result.seeds.items()
    ]
    headings = ("updates", "loss", "wrong frames", "problems solved")
    nothing: dict[str, str | int] = dict.fromkeys(headings, "")
    rows += [nothing | {"seed": str(seed), "result": "not begun"} for seed in result.waiting]
    screen.table(rows, number("seed"), Column("result"), *map(number, headings))
    count = sum(found.solved for found in result.seeds.values())
    screen.line(f"{count} of {plural(len(rows), 'seed')} solved, {duration(seconds)}")
    if result.updates is not None:
        screen.line(f"updates until solved: {show_spread(result.updates)}")
    if any(found.ended for found in result.seeds.values()):
        screen.line(f"the libraries are in {out}/seed-N; next: npi eval --library {out}/seed-N")


def _solved(found: Validation | None) -> str:
    return "" if found is None else f"{found.solved:,} of {found.problems:,}"


def show_spread(spread: Spread) -> str:
    """``600 ± 141 (mean and standard deviation of 2 seeds), 500 to 700``."""
    if spread.count == 1:
        return f"{spread.mean:,.0f} (one seed)"
    what = f"{spread.mean:,.0f} ± {spread.deviation:,.0f} (mean and standard deviation of {spread.count} seeds)"
    return f"{what}, {spread.least:,.0f} to {spread.most:,.0f}"
