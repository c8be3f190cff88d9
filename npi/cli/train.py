"""``npi train``: one core for everything in some program files or trace sets."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from npi.cli.console import DeviceOption, HostOption, JsonOption, Meter, Screen, SeedOption, stop_on_interrupt
from npi.cli.learners import SetOption, sources_of, train_signals
from npi.cli.options import refuse_others
from npi.cli.torchrun import ranks_of, refuse_torchrun
from npi.cli.train_report import check_folder, tell, train_with

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
    context: typer.Context,
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
    certify: Annotated[bool, typer.Option("--certify", help="Train until every program is proved, too.")] = False,
    device: DeviceOption = "auto",
    precision: Annotated[Precision, typer.Option("--precision", help="Of matrix products.")] = Precision.float32,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile (slow to begin).")] = False,
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", help="Write TensorBoard scalars there.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an interrupted run could resume.")] = False,
    seed: SeedOption = 0,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="0..3", help="Train each seed in its own process, into OUT/seed-N."),
    ] = None,
    settings: SetOption = None,
    host: HostOption = None,
    json: JsonOption = False,
) -> None:
    """Train one core, with a row of numbers for each program, until it runs every task without a mistake.

    Program files are traced first. Done is when every different frame is right and the core, run on random problems,
    solves them all. Ctrl-C keeps the state in OUT.training; the same command resumes and comes to the same numbers.
    With --seeds a library is trained for each seed, as --seed would, in parallel on the cores of the machine.

    With --universal the core learns no programs of yours but to obey rows: from then on npi learn writes any program
    over symbols into it, in seconds. One such core comes with the engine, and npi learn uses it by itself.

    Programs with an objective in place of a body (maximise reward, minimise loss) are learned by the learner that they
    name, with a core of its own kind; --set changes its settings. Programs that call such programs are trained with
    --host, which names the library that has them.

    Several processes, each with a CUDA device of its own where there is CUDA, share the work of every update under
    torchrun --standalone --nproc-per-node N -m npi.cli.main train ... (or --no-python npi train ...). The losses are
    those of one process but for rounding, and a state resumes with any number of processes.

    \b
    Example:
      npi train programs/addition.npi programs/bubblesort.npi --out library
      npi train --universal --out universal
      npi train programs/learning/bandit.npi --out bandit
    """
    if universal:
        from npi.cli.universal import train_universal_core

        refuse_others(context, "universal")
        refuse_torchrun("--universal trains in one process")
        train_universal_core(
            Screen(json=json), paths or [], out=out, updates=updates, rate=rate, programs=programs, seed=seed,
            fresh=fresh,
        )  # fmt: skip
        return
    if not paths:
        raise typer.BadParameter("name program files or folders of traces, or give --universal", param_hint="PATHS")
    sources, signals = sources_of(paths)
    if signals:
        refuse_others(context, "learners")
        train_signals(
            Screen(json=json), sources, out=out, settings=settings or (), updates=updates, rate=rate, seed=seed,
            device=device, fresh=fresh,
        )  # fmt: skip
        return
    kinds = [*["traces"] * all(path.is_dir() for path in paths), *["seeds"] * (seeds is not None)]
    refuse_others(context, core.value, *kinds)
    from npi.core.config import CoreConfig, TrainConfig
    from npi.jobs.run import checkpoint_path
    from npi.library.library import Library

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

        refuse_torchrun("--seeds starts a process for each seed itself")
        sweep(
            Screen(json=json), paths, seeds, out=out, hosts=host or (), core=config, training=training, traces=traces,
            device=device, log=log, fresh=fresh,
        )  # fmt: skip
        return
    with ranks_of(device, checkpoint_path(out)) as ranks:
        check_folder(out)
        quiet = not ranks.first
        with stop_on_interrupt(quiet=quiet) as stop, Meter("training", quiet=quiet) as meter:
            result = train_with(
                meter, sources, out=out, core=config, training=training, traces=traces, hosts=hosts, ranks=ranks,
                log=log, stop=stop, fresh=fresh,
            )  # fmt: skip
            seconds = meter.seconds
    if ranks.first:
        tell(Screen(json=json), result.summary(), out, config, training, seconds)
