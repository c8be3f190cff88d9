"""``npi train``: one core for everything in some program files or trace sets."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from npi.cli.console import Meter, Screen, check_folder, stop_on_interrupt
from npi.cli.learners import SetOption, sources_of, train_with_learner
from npi.cli.options import DeviceOption, HostOption, JsonOption, SeedOption, argument, option, refuse_others
from npi.cli.torchrun import ranks_of, refuse_torchrun
from npi.cli.train_report import tell, train_with

SourcesArgument = Annotated[list[Path] | None, argument("Program files (*.npi) or folders of npi trace.")]


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
    out: Annotated[Path, option("--out", "The library's folder.", "DIR")] = Path("library"),
    universal: Annotated[
        bool, option("--universal", "Train on random programs, over the worlds of the files or built-in ones.")
    ] = False,
    programs: Annotated[int, option("--programs", "With --universal: of each size in each world.", "N", min=1)] = 300,
    core: Annotated[
        CoreKind, option("--core", "discrete: a state of a few bits; lstm: the published 2 x 256.")
    ] = CoreKind.discrete,
    updates: Annotated[
        int | None, option("--updates", "The most steps of the optimiser; fewer where it is solved.", "N", min=1)
    ] = None,
    traces: Annotated[int, option("--traces", "Runs of each training size of a program file.", "N", min=1)] = 32,
    frames: Annotated[int | None, option("--frames", "Frames drawn in an update.", "N", min=1)] = None,
    rate: Annotated[float | None, option("--rate", "Peak learning rate.", "X")] = None,
    certify: Annotated[bool, option("--certify", "Train until every program is proved, too.")] = False,
    device: DeviceOption = "auto",
    precision: Annotated[Precision, option("--precision", "Of matrix products.")] = Precision.float32,
    compile: Annotated[bool, option("--compile", "Use torch.compile (slow to begin).")] = False,
    log: Annotated[Path | None, option("--log", "Write TensorBoard scalars there.", "DIR")] = None,
    fresh: Annotated[bool, option("--fresh", "Begin anew where an interrupted run could resume.")] = False,
    seed: SeedOption = 0,
    seeds: Annotated[
        str | None, option("--seeds", "Train each seed in its own process, into OUT/seed-N.", "0..3")
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

    Programs with a learning signal (maximise reward, minimise loss) in place of a body are learned by the learner they
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
        train_with_learner(
            Screen(json=json), sources, out=out, settings=settings or (), updates=updates, rate=rate, seed=seed,
            device=device, fresh=fresh,
        )  # fmt: skip
        return
    kinds = [*["traces"] * all(path.is_dir() for path in paths), *["seeds"] * (seeds is not None)]
    refuse_others(context, "bodies", *kinds)
    from npi.core.config import CoreConfig, TrainConfig
    from npi.jobs.run import checkpoint_path
    from npi.jobs.train import TrainSummary
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
    if ranks.first:
        tell(Screen(json=json), TrainSummary.of(result), out, config, training, meter.seconds)
