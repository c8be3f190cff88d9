"""Whole jobs on files: train a library from program files or trace sets, learn new programs into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dsl.analysis.equivalence import states
from dsl.program import ProgramSet
from envs.support.atomic_files import WAIT, claimed
from envs.support.user_files import real_path
from npi.core.base import tensors_digest
from npi.core.config import FORCED, LEARNED, CoreConfig, TrainConfig
from npi.jobs.members import member_to_learn
from npi.jobs.run import Keep, Run, TrainResult, alone_in, identity_of
from npi.learners.interface import LearnerTraining
from npi.learners.kind import BODIES
from npi.learners.learn_from_demonstrations import learn_from_demonstrations
from npi.learners.learn_rows import learn_rows, take_row
from npi.library.kinds import is_learners, kind_of
from npi.library.library import Library, LibraryError
from npi.library.manifest import is_collection, vacant
from npi.library.operations import carried, hosting, joined
from npi.library.program_files import parsed
from npi.proof.prove import PICTURED, Certifier
from npi.training.checkpoint import CHECKPOINT
from npi.training.dataset import Dataset, merged
from npi.training.examples import bits_for
from npi.training.frame_objective import FrameObjective, Report
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig, RowResult
from npi.training.loop import Progress, Reporter
from npi.training.places import Finder
from npi.training.ranks import ALONE, Ranks, pick_device
from npi.training.validation import FirstValidator, TaskValidator, Validator
from npi.universal.code_search import SearchConfig
from npi.universal.core import SHIPPED
from traces.machine.outcome import Budget
from traces.recording.unique_frames import check_together
from traces.storage.trace_set import TraceSet

LONG = 500
"""Steps of a frame that a person is told of."""


@dataclass(frozen=True)
class TrainSummary:
    """A :class:`TrainResult` in figures: digests of core and rows, and the different frames of each program."""

    report: Report
    core: str
    rows: str
    frames: dict[str, int]
    resumed: bool
    ended: bool

    @classmethod
    def of(cls, result: TrainResult[Report]) -> TrainSummary:
        core, rows = result.library.core.digest(), result.library.rows_digest()
        return cls(result.report, core, rows, result.frames, resumed=result.resumed, ended=result.ended)

    @property
    def solved(self) -> bool:
        return self.report.solved

    def to_json(self) -> dict[str, Any]:
        """The inverse of :meth:`from_json`."""
        return vars(self) | {"report": self.report.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainSummary:
        """Raises ``TypeError`` for other fields."""
        return cls(**(dict(data) | {"report": Report.from_json(data["report"])}))


def gather(
    paths: Sequence[Path | str | ProgramSet],
    *,
    traces: int,
    seed: int,
    hosts: Sequence[Library] = (),
    ranks: Ranks = ALONE,
    budget: Budget | None = None,
) -> list[Dataset]:
    """Dataset from program files (traced here, ``traces`` runs of each training size) and trace set folders.

    Files may have been parsed before. Raises ``ConflictError`` where they contradict themselves or each other.

    Each rank traces program files by itself, and reads its share of the shards of a folder. Programs with a signal
    that a file's programs call are run by ``hosts``.
    """
    if not paths:
        raise ValueError("nothing to learn from: give program files (*.npi) or folders of traces")
    datasets = []
    for path in paths:
        if not isinstance(path, ProgramSet) and Path(path).is_dir():
            datasets.append(replace(Dataset.from_trace_set(TraceSet.open(path, verify="size"), ranks), budget=budget))
        elif isinstance(path, ProgramSet) or Path(path).exists():
            programs = hosting(parsed(path), hosts)
            datasets.append(Dataset.from_programs(programs, traces=traces, seed=seed, budget=budget))
        else:
            raise FileNotFoundError(f"{path}: there is no such program file or folder of traces")
    places = [path.path if isinstance(path, ProgramSet) else str(path) for path in paths]
    check_together([(where, dataset.frames) for where, dataset in zip(places, datasets, strict=True)])
    return datasets


def train_library(
    paths: Sequence[Path | str | ProgramSet],
    *,
    out: Path | str,
    hosts: Sequence[Library] = (),
    core: CoreConfig | None = None,
    training: TrainConfig | None = None,
    traces: int = 32,
    device: str = "auto",
    ranks: Ranks | None = None,
    log: Path | None = None,
    report: Callable[[Report], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
    keep: Keep = "unsolved",
    budget: Budget | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> TrainResult[Report]:
    """Train one core on everything in ``paths`` and write the library to ``out``.

    The run's state is kept in ``<out>.training`` at checks, with the library as it stands; the same call resumes
    after a kill, to the same numbers. It is removed when training is solved. Where the updates are spent before, the
    library is written, and a call with more ``training.updates`` goes on from the state.

    Args:
        traces: runs of each training size that are traced of each task of a program file.
        hosts: libraries of learners that run programs with a signal; they become part of the library.
        device: where there is one process; ``ranks`` bring theirs.
        ranks: the processes that train together (:func:`npi.training.ranks.join`); each makes this call. The first one
            alone writes files and reports.
        log: folder for TensorBoard.
        stop: asked after every update; true, on any rank, keeps the state and returns.
        fresh: begin anew even where there is a state to go on from.
        keep: when the state stays beside the written library (:class:`npi.jobs.run.Run`).
        budget: of each run of a program; by the size of the inputs where there is none.
        note: told, before training begins, where states cannot be forced, and which programs are then hard to learn.

    Raises:
        ValueError: for frames that cannot be read or learned, or a state of another run in the way.
        FolderInUseError: where another process writes to ``out``.
        LostRankError: where another process ends; the last state is kept.
    """
    ranks = Ranks(device=pick_device(device)) if ranks is None else ranks
    core = core or CoreConfig()
    training = training or TrainConfig.for_core(core)
    with alone_in(out, ranks):
        datasets = merged(gather(paths, traces=traces, seed=training.seed, hosts=hosts, ranks=ranks, budget=budget))
        finders: list[Finder] = []
        if training.states == FORCED:
            try:
                finders, most = finders_of(datasets)
                core = replace(core, bits=max(core.bits, bits_for(most)))
            except ValueError as error:
                note(f"{error}; so the core has to find its states by itself, which takes longer")
                training = replace(training, states=LEARNED, check_every=100, warmup=50)
        if training.states == LEARNED:
            for text in remarks(datasets, core):
                note(text)
        run = Run(
            out, run_identity(core, training, datasets), ranks=ranks, fresh=fresh, keep=keep, log=log,
            settings=core.to_json() | training.to_json(),
        )  # fmt: skip
        library = new_library(core, datasets, seed=training.seed, device=ranks.device)
        library.hosts = joined((), hosts)
        validator = validator_for(library, training, budget)
        if validator is not None and not ranks.alone:
            validator = FirstValidator(validator, ranks)
        objective = FrameObjective(
            library, [m.frames for m in datasets], training, finders=finders, validate=validator, ranks=ranks
        )

        def entry(progress: Progress) -> dict[str, object]:
            return {
                "trained": [m.name for m in datasets],
                "traces": [m.traces for m in datasets],
                "settings": training.to_json(),
                "updates": progress.update,
                "solved": progress.solved,
                "wrong": objective.wrong,
            }

        told = None if report is None else lambda progress: report(objective.report(progress))
        trained = run.train(library, objective, objective.schedule, entry, report=told, stop=stop)
        found = objective.report(trained.report)
        return TrainResult(
            library, found, trained.entry, trained.ended, trained.resumed, found.solved, frames=frames_of(datasets)
        )


def remarks(datasets: Sequence[Dataset], config: object) -> Iterator[str]:
    """What makes programs hard to learn for a recurrent core: frames that are long, and more states than it has.

    A discrete core tells 2 to the number of its bits states of a frame apart. Where a text needs more, only what its
    inputs never lead to can save it.
    """
    if not isinstance(config, CoreConfig):
        return
    room = 2**config.bits if config.kind == "discrete" else None
    for dataset in datasets:
        frames, found = dataset.frames, dataset.programs
        for number in frames.program_M.unique().tolist():
            name = frames.table.signatures[number].name
            longest = int(frames.length_M[frames.program_M == number].max())
            if longest >= LONG:
                yield f"{name} has frames of up to {longest:,} steps, and an update takes as long as its longest frame"
            table = None if found is None else found.program(name).table
            if found is None or table is None or room is None or len(table.nodes) <= room:
                continue
            with suppress(ValueError):  # it looks at too much at once to be counted
                count = states(found.program(name))
                if count > room:
                    yield (
                        f"{name} has {count:,} states, and a core of {config.bits} bits tells {room:,} apart: split it "
                        "into programs that call each other, or learn it with npi learn into a universal core"
                    )


def frames_of(datasets: Sequence[Dataset]) -> dict[str, int]:
    """How many different frames there are of each program, by its name."""
    counts: Counter[str] = Counter()
    for dataset in datasets:
        for program, count in zip(*dataset.frames.program_M.unique(return_counts=True), strict=True):
            counts[dataset.table.signatures[program].name] += int(count)
    return dict(counts)


def new_library(
    core: CoreConfig, datasets: Sequence[Dataset], *, seed: int, device: torch.device | str = "cpu"
) -> Library:
    """An untrained library for the programs of the datasets."""
    sets = {m.programs.digest: m.programs for m in datasets if m.programs is not None}
    library = Library.create(
        core, [m.table for m in datasets], sets=list(sets.values()), sources=[m.source for m in datasets], seed=seed
    )
    library.to(device)
    return library


def validator_for(library: Library, training: TrainConfig, budget: Budget | None = None) -> Validator | None:
    """What runs the library's tasks at checks, and asks for proofs where ``training`` does; ``None`` without tasks."""
    validator: Validator | None = None
    if library.sets:
        validator = TaskValidator(library, library.sets, training, budget=budget)
    if not training.certify:
        return validator
    if validator is None:
        raise ValueError("a proof needs the program files: train on *.npi files, or on traces that carry theirs")
    pictured = [s.path for s in library.sets if s.world.spec.rendered]
    if pictured:
        raise ValueError(f"{pictured[0]} cannot be proved: {PICTURED}; train without --certify")
    return Certifier(validator, library, library.sets, states=training.states)


def learn_into(
    place: Path | str | Library,
    paths: Sequence[Path | str | ProgramSet],
    *,
    config: LearnConfig | SearchConfig | LearnerTraining | None = None,
    traces: int = 8,
    hosts: Sequence[Library] = (),
    out: Path | str | None = None,
    core: str | None = None,
    device: str = "auto",
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep_unsolved: bool = False,
    from_traces: bool = False,
    demonstration: Path | str | None = None,
    row: str | None = None,
    budget: Budget | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> RowResult:
    """Learn the new programs of ``paths`` as rows of the library in a folder; write it to ``out`` (same by default).

    Nothing is written where the rows do not pass, unless ``keep_unsolved``. Where another process changes the library
    meanwhile, they are added to what it holds then. A folder that is not there yet becomes a
    library of the universal core that comes with the engine. Where the library's core is a learner's, the programs have
    signals, and nothing is traced.

    Args:
        place: the folder, or the library of :func:`library_to_learn`, which is written only where ``out`` is given.
        hosts: libraries of learners that run programs with a signal; they become part of the library.
        core: of a collection, the member of this core, where several fit.
        report: called at checks, or after each update of a learner's rows.
        from_traces: infer what a universal core's rows look at and call from traces, also where there is a text. The
            other cores always learn from traces.
        demonstration: a file that shows the one new program of a learner's library; it is learned from nothing else.
        row: the row of a learner's library that its new programs are, as it is; nothing is learned.
        budget: of each run of a program; by the size of the inputs where there is none.
        note: told of programs whose frames are long, or too much for the core, before they are learned.
    """
    folder = place if out is None else out
    if not isinstance(folder, Library) and (Path(folder) / CHECKPOINT).exists():
        raise LibraryError(f"{folder} belongs to a training run, which writes over it; give --out another folder")
    if not isinstance(folder, Library):
        with claimed(folder, wait=WAIT):
            pass  # told now in place of when all is learned, where a training run has it, or nothing can be written
    library = place
    if not isinstance(library, Library):
        library = library_to_learn(library, paths, core=core, device=pick_device(device))
    if is_learners(library.core.config.kind):
        sets = [parsed(path) for path in paths]
        if not all(programs.signals for programs in sets):
            raise LibraryError(BODIES)
        assert config is None or isinstance(config, LearnerTraining)
        if row is not None:
            learned = take_row(library, sets, row)
        elif demonstration is None:
            learned = learn_rows(library, sets, config, report=report, stop=stop)
        else:
            learned = learn_from_demonstrations(library, sets, demonstration, config, report=report, stop=stop)
    else:
        settings = config or learn_settings(library)
        library.hosts = joined(library.hosts, hosts)
        datasets = gather(paths, traces=traces, seed=settings.seed, hosts=library.hosts, budget=budget)
        for text in remarks(datasets, library.core.config):
            note(text)
        learned = kind_of(library.core).learn(
            library, datasets, settings, report=report, stop=stop, keep_unsolved=keep_unsolved, from_traces=from_traces
        )
        entry = {
            "learned": list(learned.rows),
            "from": [d.name for d in datasets],
            "solved": learned.solved,
            "updates": learned.updates,
            "seed": settings.seed,
            "settings": {**vars(settings), "traces": traces, "from_traces": from_traces},
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        library.history += [entry] * (learned.solved or keep_unsolved)
    if (learned.solved or keep_unsolved) and not isinstance(folder, Library):
        with claimed(folder, wait=WAIT):
            kept = library if library.current(folder) else carried(folder, library, learned.rows)
            kept.save(folder)
    return learned


def library_to_learn(
    folder: Path | str,
    sources: Sequence[Path | str | ProgramSet] = (),
    *,
    core: str | None = None,
    device: torch.device | str = "cpu",
) -> Library:
    """The library in a folder that programs of some files are learned beside; where there is none yet, the universal
    core that comes with the engine; of a collection the member that fits (:func:`npi.jobs.members.member_to_learn`).

    A universal core stays on the CPU, whatever the device: its rows take a second there, and are the same everywhere.
    """
    if vacant(Path(folder)):
        library = Library.open(SHIPPED, core=core)
        library.origin = real_path(folder), ""
    elif is_collection(Path(folder)):
        library = member_to_learn(folder, sources, core=core)
    else:
        library = Library.open(folder, core=core)
    if library.core.follows_device:
        library.to(device)
    return library


def learn_settings(
    library: Library, *, seed: int = 0, starts: int | None = None, updates: int | None = None, certify: bool = True
) -> LearnConfig | SearchConfig:
    """How rows of a library are learned: what is not given is as usual for its kind of core.

    ``certify`` is for the cores of ``npi train``; rows of a universal one are always compared with their texts.
    """
    usual: LearnConfig | SearchConfig = kind_of(library.core).settings(seed=seed)
    given: dict[str, Any] = {"starts": starts, "updates": updates, "certify": certify}
    return replace(usual, **{n: value for n, value in given.items() if value is not None and n in vars(usual)})


def run_identity(core: CoreConfig, training: TrainConfig, datasets: Sequence[Dataset]) -> str:
    """sha256 of settings and frames."""
    frames = [[tensors_digest(dataset.frames.columns), dataset.table.to_json()] for dataset in datasets]
    return identity_of(training, core.to_json(), frames)
