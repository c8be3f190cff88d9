"""``npi train``: one core for everything in some program files or trace sets."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.common import (
    DONE,
    INTERRUPTED,
    NOT_REACHED,
    DeviceOption,
    HostOption,
    JsonOption,
    Meter,
    Screen,
    SeedOption,
    duration,
    finish,
    grid,
    plural,
    short_names,
    stop_on_interrupt,
)
from npi.cli.ranks import ranks_of, refuse_torchrun
from npi.cli.signals import SetOption, only_signals, train_signals

if TYPE_CHECKING:
    from npi.config import CoreConfig, TrainConfig
    from npi.session import TrainResult
    from npi.train import Report

SourcesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Program files (*.npi) or folders of npi trace.", show_default=False),
]


class CoreKind(StrEnum):
    """The kinds of core."""

    discrete = "discrete"
    lstm = "lstm"


class Precision(StrEnum):
    """Of the matrix products in training."""

    float32 = "float32"
    bfloat16 = "bfloat16"


def train(
    paths: SourcesArgument = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The library's folder.")] = Path("library"),
    universal: Annotated[
        bool,
        typer.Option("--universal", help="Train on random programs, over the worlds of the files or built-in ones."),
    ] = False,
    programs: Annotated[
        int, typer.Option("--programs", min=1, metavar="N", help="With --universal: of each size in each world.")
    ] = 300,
    core: Annotated[
        CoreKind, typer.Option("--core", help="discrete: a state of a few bits; lstm: the published 2 x 256.")
    ] = CoreKind.discrete,
    updates: Annotated[
        int | None,
        typer.Option(
            "--updates", min=1, metavar="N", help="The most steps of the optimiser; fewer where it is solved."
        ),
    ] = None,
    traces: Annotated[
        int, typer.Option("--traces", min=1, metavar="N", help="Runs of each training size of a program file.")
    ] = 32,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, metavar="N", help="Frames drawn in an update.")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", metavar="X", help="Peak learning rate.")] = None,
    certify: Annotated[bool, typer.Option("--certify", help="Go on until every program is proved, too.")] = False,
    device: DeviceOption = "auto",
    precision: Annotated[Precision, typer.Option("--precision", help="Of matrix products.")] = Precision.float32,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile (slow to begin).")] = False,
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", help="Write TensorBoard scalars there.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an interrupted run could go on.")] = False,
    seed: SeedOption = 0,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="0..3", help="Train several side by side, each into OUT/seed-N."),
    ] = None,
    settings: SetOption = None,
    host: HostOption = None,
    json: JsonOption = False,
) -> None:
    """Train one core, with a row of numbers for each program, until it runs every task without a mistake.

    Program files are traced first. Done is when every different frame is right and the core, run on random problems,
    solves them all. Ctrl-C keeps the state in OUT.training; the same command goes on from there to the same numbers.
    With --seeds several libraries are trained at once, each as --seed would, and the spread over them is told.

    With --universal the core learns no programs of yours but to obey rows: from then on npi learn writes any program
    over symbols into it, in seconds. One such core comes with the engine, and npi learn uses it by itself.

    Programs with a signal in place of a body (maximise reward, minimise loss) are learned by the learner that they
    name, with a core of its own kind; --set changes its settings. Programs that call such programs are trained with
    --host, which names the library that has them.

    Several processes, each with a CUDA device of its own where there is CUDA, share the work of every update under
    torchrun --standalone --nproc-per-node N -m npi.cli.main train ... (or --no-python npi train ...). The losses are
    those of one process but for rounding, and a state goes on with any number of processes.

    \b
    Example:
      npi train programs/addition.npi programs/bubblesort.npi --out library
      npi train --universal --out universal
      npi train programs/learning/bandit.npi --out bandit
    """
    if universal:
        from npi.cli.universal import train_universal_core

        refuse_torchrun("--universal trains in one process")
        train_universal_core(
            Screen(json=json), paths or [], out=out, updates=updates, rate=rate, programs=programs, seed=seed,
            fresh=fresh,
        )  # fmt: skip
        return
    if not paths:
        raise typer.BadParameter("name program files or folders of traces, or give --universal", param_hint="PATHS")
    if only_signals(paths):
        refuse_torchrun("a learner's core trains in one process")
        train_signals(
            Screen(json=json), paths, out=out, settings=settings or (), updates=updates, rate=rate, seed=seed,
            device=device, fresh=fresh,
        )  # fmt: skip
        return
    if settings:
        raise ValueError("--set is for programs with a signal, and these have bodies; leave it out")
    from npi.config import CoreConfig, TrainConfig
    from npi.library import Library
    from npi.session import checkpoint_path

    hosts = [Library.open(folder) for folder in host or ()]
    config = CoreConfig.published() if core is CoreKind.lstm else CoreConfig()
    given = {"updates": updates, "frames": frames, "rate": rate}
    changes = {name: value for name, value in given.items() if value is not None}
    training = TrainConfig.for_core(
        config, seed=seed, certify=certify, precision=precision.value, compile=compile, **changes
    )
    if log is not None and find_spec("tensorboard") is None:
        raise ValueError("--log needs TensorBoard, which is not installed: pip install 'npi-engine[plots]'")
    if seeds is not None:
        from npi.cli.sweep import sweep

        refuse_torchrun("--seeds trains side by side in one process")
        sweep(
            Screen(json=json), paths, seeds, out=out, core=config, training=training, traces=traces, device=device,
            log=log, fresh=fresh,
        )  # fmt: skip
        return
    with ranks_of(device, checkpoint_path(out)) as ranks:
        check_folder(out)
        quiet = not ranks.first
        with stop_on_interrupt(quiet=quiet) as stop, Meter("training", quiet=quiet) as meter:
            result = train_with(
                meter, paths, out=out, core=config, training=training, traces=traces, hosts=hosts, ranks=ranks,
                log=log, stop=stop, fresh=fresh,
            )  # fmt: skip
            seconds = meter.seconds
    if ranks.first:
        tell(Screen(json=json), result, out, config, training, seconds)


def tell(
    screen: Screen, result: TrainResult, out: Path, core: CoreConfig, training: TrainConfig, seconds: float
) -> None:
    """What training came to, for people or for programs, and the exit code of it."""
    interrupted = not result.solved and result.report.update < training.updates
    people(screen, result, out, core, seconds, interrupted=interrupted, certified=training.certify)
    screen.document(document(result, out, seconds, interrupted=interrupted))
    if interrupted:
        update = plural(result.report.update, "update")
        screen.note(f"interrupted after {update}; the state is kept in {out}.training, and the same command goes on")
    finish(INTERRUPTED if interrupted else DONE if result.solved else NOT_REACHED)


def check_folder(out: Path) -> None:
    """Refuse to write a library among other files: a folder that is there is a library, or empty."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not any(out.glob("core-*.safetensors")):
        raise ValueError(f"--out {out} holds other files and is no library; name a new or an empty folder")


def train_with(meter: Meter, paths: Sequence[Path], **settings: Any) -> TrainResult:
    """:func:`npi.session.train_library`, reporting to the meter."""
    from npi.session import train_library

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


def program_rows(result: TrainResult) -> list[dict[str, Any]]:
    """For each program the different frames that it was trained on, and how many of them are wrong."""
    rows: dict[str, dict[str, Any]] = {}
    for material in result.materials:
        for program in material.frames.program_M.unique().tolist():
            name = material.table.signatures[program].name
            row = rows.setdefault(name, {"program": name, "frames": 0, "wrong": result.report.wrong.get(name, 0)})
            row["frames"] += int((material.frames.program_M == program).sum())
    return list(rows.values())


def people(
    screen: Screen,
    result: TrainResult,
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
    went_on = "; went on from an interrupted run" if result.resumed else ""
    screen.line(f"{plural(report.update, 'update')} of a {core.kind} core, {duration(seconds)}{went_on}")
    if report.solved:
        screen.line(f"solved; the library is in {out} (core {result.library.core.digest()[:16]})")
        screen.line(f"next: npi eval --library {out}, or npi show {out}")
    elif not interrupted:
        screen.line(
            f"not solved, though the library is in {out}: raise --updates or --traces, try another --seed, "
            "or see with npi check whether the task is right"
        )


def document(result: TrainResult, out: Path, seconds: float, *, interrupted: bool) -> dict[str, Any]:
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
        "core": result.library.core.digest(),
        "rows": result.library.rows_digest(),
        "programs": program_rows(result),
        "problems": None if validation is None else validation.problems,
        "problems_solved": None if validation is None else validation.solved,
        "seconds": round(seconds, 3),
    }
