"""``npi train --universal``: a core that any program over symbols can be written into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import Meter, Screen, check_folder, finish, stop_on_interrupt
from npi.cli.words import duration, kept, plural

if TYPE_CHECKING:
    from npi.training.loop import Progress


def train_universal_core(
    screen: Screen,
    paths: Sequence[Path],
    *,
    out: Path,
    programs: int,
    fresh: bool,
    **given: Any,
) -> None:
    """Train a universal core on random programs over the worlds of some files, or over those of the shipped core."""
    import torch

    from dsl import load
    from dsl.generator import vocabulary_of
    from npi.jobs.universal import train_universal
    from npi.universal.network import InterpreterConfig
    from npi.universal.objective import UniversalTrainConfig

    training = UniversalTrainConfig(**{name: value for name, value in given.items() if value is not None})
    worlds = {path.stem: vocabulary_of(load(path)) for path in paths} or None
    check_folder(out)
    torch.set_num_threads(1)  # small layers; more threads change nothing but the order of sums
    with stop_on_interrupt() as stop, Meter("training") as meter:

        def say(done: int, total: int, world: str) -> None:
            meter.update(done, total, f"drawing programs over {world}")

        def report(progress: Progress) -> None:
            left = meter.left(progress.update, training.updates)
            meter.update(progress.update, training.updates, "; ".join([f"loss {progress.loss:.4f}", *left]))

        try:
            found = train_universal(
                out, config=InterpreterConfig(), training=training, worlds=worlds, each=programs, say=say,
                report=report, stop=stop, fresh=fresh,
            )  # fmt: skip
        except InterruptedError:
            screen.note("interrupted while programs were drawn; nothing is kept")
            finish(interrupted=True)
    count, functions = found.entry["programs"], found.entry["functions"]
    screen.line(f"{plural(count, 'program')}, {plural(functions, 'different function')} of their states")
    screen.line(f"{plural(found.report.update, 'update')}, loss {found.report.loss:.4f}, {duration(meter.seconds)}")
    if found.ended:
        screen.line(f"the library is in {out} (core {found.library.core.digest()[:16]}); it has no rows yet")
        screen.line(f"next: npi learn FILE.npi --library {out}")
    else:
        screen.note(f"interrupted; {kept(out)}")
    screen.document(
        {
            "library": out if found.ended else None,
            "interrupted": not found.ended,
            "resumed": found.resumed,
            **{name: found.entry[name] for name in ("programs", "functions", "updates", "loss")},
            "core": found.library.core.digest(),
            "seconds": meter.seconds,
        }
    )
    finish(interrupted=not found.ended)
