"""``npi train``: one core for everything in some program files or trace sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import Meter, Screen, check_folder, finish
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.learners import SetOption, chosen, measure, sources_of
from npi.cli.options import (
    DEPTH,
    DataOption,
    DepthOption,
    DeviceOption,
    HostOption,
    JsonOption,
    SeedOption,
    StepsOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.torchrun import kept, ranks_of, refuse_torchrun
from npi.cli.train_report import Job, tell

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import CoreConfig, TrainConfig
    from npi.training.ranks import Ranks

SourcesArgument = Annotated[list[Path] | None, argument("Program files (*.npi) or folders of npi trace.")]


class CoreKind(StrEnum):
    """The kinds of core."""

    discrete = "discrete"
    lstm = "lstm"


class States(StrEnum):
    """How a discrete core comes by its state."""

    forced = "forced"
    learned = "learned"


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
    states: Annotated[
        States | None, option("--states", "forced: set to the place in the text; learned: found by the core (slow).")
    ] = None,
    bits: Annotated[
        int | None,
        option("--bits", "Of a discrete state, at least; a text of many places takes more.", "N", min=1, max=16),
    ] = None,
    updates: Annotated[
        int | None, option("--updates", "The most steps of the optimiser; more let a stopped run go on.", "N", min=1)
    ] = None,
    traces: Annotated[int, option("--traces", "Runs of each training size of a program file.", "N", min=1)] = 32,
    frames: Annotated[int | None, option("--frames", "Frames drawn in an update.", "N", min=1)] = None,
    rate: Annotated[float | None, option("--rate", "Peak learning rate.", "X")] = None,
    certify: Annotated[bool, option("--certify", "Train until every program is proved, too.")] = False,
    steps: StepsOption = None,
    depth: DepthOption = DEPTH,
    device: DeviceOption = "auto",
    precision: Annotated[Precision, option("--precision", "Of matrix products.")] = Precision.float32,
    compile: Annotated[bool, option("--compile", "Use torch.compile (slow to begin).")] = False,
    log: Annotated[Path | None, option("--log", "Write TensorBoard scalars there.", "DIR")] = None,
    fresh: Annotated[bool, option("--fresh", "Begin anew where an interrupted run could resume.")] = False,
    data: DataOption = None,
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

    Programs with a learning signal (maximise reward, minimise loss, imitate demonstration) in place of a body are
    learned by the learner they name, with a core of its own kind; --set changes its settings. Programs that call such
    programs are trained with --host, which names the library that has them.

    Several processes, each with a CUDA device of its own where there is CUDA, share the work of every update under
    torchrun --standalone --nproc-per-node N -m npi.cli.main train ... (or --no-python npi train ...). The losses are
    those of one process but for rounding, and a state resumes with any number of processes.

    \b
    Example:
      npi train programs/addition.npi programs/bubblesort.npi --out library
      npi train --universal --out universal
      npi train programs/learning/bandit.npi --out bandit
    """
    from npi.jobs.run import checkpoint_path
    from npi.library.library import Library
    from npi.training.scalar_log import check_log
    from traces.machine.outcome import Budget

    check_log(log)
    if not (universal or paths):
        raise typer.BadParameter("name program files or folders of traces, or give --universal", param_hint="PATHS")
    files = paths or []
    sources, signals = ([], False) if universal else sources_of(files)
    bodies = ["bodies", core.value, *["forced"] * (core is CoreKind.discrete and states is not States.learned)]
    bodies += ["traces"] * (all(path.is_dir() for path in files)) + ["seeds"] * (seeds is not None)
    refuse_others(context, *(["universal"] if universal else ["learners"] if signals else bodies))
    usual = {"states": states and states.value, "updates": updates, "frames": frames, "rate": rate, "seed": seed}
    given: dict[str, Any] = {name: value for name, value in usual.items() if value is not None}

    screen = Screen(json=json)
    if universal:
        refuse_torchrun("--universal trains in one process")
        device = "cpu"
    budget = Budget(steps=steps, depth=depth)
    ways = {"certify": certify, "precision": precision.value, "compile": compile}
    if seeds is not None:
        from npi.cli.sweep import sweep

        refuse_torchrun("--seeds starts a process for each seed itself")
        config, training = frame_settings(core.value, given | ways, bits)
        sweep(
            screen, files, seeds, out=out, hosts=host or (), core=config, training=training, traces=traces,
            device=device, log=log, fresh=fresh, budget=budget,
        )  # fmt: skip
        return
    with ranks_of(device, checkpoint_path(out)) as ranks:
        check_folder(out)
        quiet = not ranks.first
        with stop_on_interrupt(quiet=quiet) as stop, Meter("training", quiet=quiet) as meter:
            if universal:
                job = universal_job(meter, files, programs, given, log)
            elif signals:
                job = learner_job(sources, settings or (), given, ranks, log)
            else:
                config, training = frame_settings(core.value, given | ways, bits)
                hosts = [Library.open(folder) for folder in host or ()]
                job = frame_job(
                    sources, config, training, traces=traces, hosts=hosts, log=log, ranks=ranks, budget=budget,
                    note=lambda text: None if quiet else screen.note(f"npi: {text}"),
                )  # fmt: skip
            try:
                result = job.run(meter, out=out, stop=stop, fresh=fresh)
            except InterruptedError:
                screen.note("interrupted while programs were drawn; nothing is kept")
                finish(interrupted=True)
            except KeyboardInterrupt:
                if ranks.first:
                    screen.note(f"interrupted at once; {kept(checkpoint_path(out))}")
                finish(interrupted=True)
    if ranks.first:
        tell(screen, job, result, out, meter.seconds)


def frame_settings(kind: str, given: Mapping[str, Any], bits: int | None = None) -> tuple[CoreConfig, TrainConfig]:
    """The core of a kind, and how it is trained: as usual but for what is given."""
    from npi.core.config import CoreConfig, TrainConfig

    config = CoreConfig.published() if kind == "lstm" else CoreConfig(bits=bits or CoreConfig.bits)
    return config, TrainConfig.for_core(config, **given)


def frame_job(sources: Sequence[Path | ProgramSet], core: CoreConfig, training: TrainConfig, **settings: Any) -> Job:
    """A discrete core or an lstm, on the frames of program files and trace sets."""
    from npi.jobs.train import train_library

    train = partial(train_library, sources, core=core, training=training, **settings)
    return Job(train, training.updates, f"a {core.kind} core", certify=training.certify, first="tracing the programs")


def learner_job(
    sources: Sequence[Path | ProgramSet],
    settings: Sequence[str],
    given: Mapping[str, Any],
    ranks: Ranks,
    log: Path | None,
) -> Job:
    """A learner's core, on programs with a learning signal."""
    from npi.jobs.learners import files_of, train_learner

    _, learner = files_of(sources)
    config, training = chosen(learner, learner.training, settings, **given)
    train = partial(train_learner, sources, config=config, training=training, ranks=ranks, log=log)
    return Job(train, training.updates, f"a core of {learner.kind!r}", measure(learner))


def universal_job(
    meter: Meter, files: Sequence[Path], programs: int, given: Mapping[str, Any], log: Path | None
) -> Job:
    """A universal core, on random programs over the worlds of some files, or over those of the shipped core."""
    from dsl import load
    from dsl.generator import vocabulary_of
    from npi.jobs.universal import train_universal
    from npi.universal.objective import UniversalTrainConfig

    training = UniversalTrainConfig(**given)
    worlds = {path.stem: vocabulary_of(load(path)) for path in files} or None

    def say(done: int, total: int, world: str) -> None:
        meter.update(done, total, f"drawing programs over {world}")

    train = partial(train_universal, training=training, worlds=worlds, each=programs, say=say, log=log)
    return Job(train, training.updates, "a universal core")
