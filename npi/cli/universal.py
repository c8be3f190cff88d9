"""``npi train --universal``: a core that any program over symbols can be written into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import DONE, INTERRUPTED, Meter, Screen, duration, finish, plural, stop_on_interrupt
from npi.cli.train_report import check_folder

if TYPE_CHECKING:
    from npi.jobs.universal import UniversalResult


def train_universal_core(
    screen: Screen,
    paths: Sequence[Path],
    *,
    out: Path,
    updates: int | None,
    rate: float | None,
    programs: int,
    seed: int,
    fresh: bool,
) -> None:
    """Train a universal core on random programs over the worlds of some files, or over those of the shipped core."""
    import torch

    from dsl import load
    from dsl.generator import vocabulary_of
    from npi.jobs.universal import train_universal
    from npi.universal.network import InterpreterConfig
    from npi.universal.objective import UniversalTrainConfig

    training = UniversalTrainConfig(seed=seed)
    training = replace(training, updates=updates or training.updates, rate=rate or training.rate)
    worlds = {path.stem: vocabulary_of(load(path)) for path in paths} or None
    check_folder(out)
    torch.set_num_threads(1)  # small layers; more threads change nothing but the order of sums
    with stop_on_interrupt() as stop, Meter("training") as meter:

        def say(done: int, total: int, world: str) -> None:
            meter.update(done, total, f"drawing programs over {world}")

        began: list[tuple[int, float]] = []

        def report(update: int, loss: float) -> None:
            if not began:
                began.append((update, meter.seconds))
            (first, at), left = began[0], ""
            if update > first:
                pace = (meter.seconds - at) / (update - first)
                left = f"; {duration(pace * (training.updates - update))} left"
            meter.update(update, training.updates, f"loss {loss:.4f}{left}")

        try:
            found = train_universal(
                out, config=InterpreterConfig(), training=training, worlds=worlds, each=programs, say=say,
                report=report, stop=stop, fresh=fresh,
            )  # fmt: skip
        except InterruptedError:
            screen.note("interrupted while programs were drawn; nothing is kept")
            finish(INTERRUPTED)
            return
        seconds = meter.seconds
    screen.line(f"{plural(found.programs, 'program')}, {plural(found.functions, 'different function')} of their states")
    screen.line(f"{plural(found.progress.update, 'update')}, loss {found.loss:.4f}, {duration(seconds)}")
    if found.ended:
        screen.line(f"the library is in {out} (core {found.library.core.digest()[:16]}); it has no rows yet")
        screen.line(f"next: npi learn FILE.npi --library {out}")
    else:
        screen.note(f"interrupted; the state is kept in {out}.training, and the same command resumes")
    screen.document(_document(found, out, seconds))
    finish(DONE if found.ended else INTERRUPTED)


def _document(found: UniversalResult, out: Path, seconds: float) -> dict[str, Any]:
    return {
        "library": str(out) if found.ended else None,
        "interrupted": not found.ended,
        "resumed": found.progress.resumed,
        "programs": found.programs,
        "functions": found.functions,
        "updates": found.progress.update,
        "loss": found.loss if found.loss == found.loss else None,
        "core": found.library.core.digest(),
        "seconds": round(seconds, 3),
    }
