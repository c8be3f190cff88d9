"""Traces of a task: draw problems, let the teacher run them, judge every result, keep the runs.

A set is cut into shards, and a shard's problems follow from the set's seed, the task and the shard's number alone. So
the files are the same whatever the number of processes, and a set that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import current_process, get_context
from pathlib import Path
from types import ModuleType

import torch

from dsl import loads, shown_by
from dsl.analysis.diagnose import without_garbage_collection
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.tasks.values import show
from envs.registry import registered_kinds
from envs.stepper import Stepper
from envs.support.atomic_files import claimed
from traces.machine.lockstep import Budget, Status, run
from traces.machine.stopped import by_size, why_stopped
from traces.recording.batch import TraceBatch, concatenate
from traces.recording.recorder import Recorder
from traces.recording.text import call_text
from traces.storage.trace_set import (
    MANIFEST,
    Shard,
    ShardRange,
    TraceInfo,
    TraceSet,
    TraceSetError,
    TraceSetWriter,
    clear_plan,
    table_digest,
)

Counts = int | Mapping[int, int]
"""How many traces: of each size, or together (then spread evenly over the sizes)."""

Progress = Callable[[int, int], None]
"""Called with the number of traces that are done, and of all."""


class TeacherError(ValueError):
    """A run of the teacher that did not finish, or whose result is not what the task expects."""


class WorkerError(ValueError):
    """A process of a pool that has ended before its work was done."""


@dataclass(frozen=True)
class ShardPlan:
    """What one shard holds: ``(size, count, seed of the draw)``, sizes ascending."""

    index: int
    draws: tuple[tuple[int, int, int], ...]

    @property
    def traces(self) -> int:
        return sum(count for _, count, _ in self.draws)


@dataclass(frozen=True)
class SetPlan:
    """A whole set before it is made: the task, what its manifest will say, and what each shard holds."""

    program_set: ProgramSet
    task: Task
    info: TraceInfo
    shards: tuple[ShardPlan, ...]


def plan_set(
    program_set: ProgramSet, *, task: str, traces: Counts, sizes: Sequence[int] | None, seed: int, shard_traces: int
) -> SetPlan:
    """What :func:`generate` is to make of the same arguments. Raises ``ValueError`` for counts that make no set."""
    chosen = program_set.task(task)
    counts = count_by_size(traces, chosen.train_sizes if sizes is None else sizes)
    info = TraceInfo(
        program=Path(program_set.path).name,
        program_digest=program_set.digest,
        sources=program_set.sources,
        task=task,
        seed=seed,
        settings={"counts": {str(size): count for size, count in counts.items()}, "shard_traces": shard_traces},
    )
    shards = plan_shards(task, counts, seed=seed, shard_traces=shard_traces)
    return SetPlan(program_set, chosen, info, tuple(shards))


def plan_shards(task: str, counts: Mapping[int, int], *, seed: int, shard_traces: int) -> list[ShardPlan]:
    """Cut the traces into shards of at most ``shard_traces``; each draw has a seed of its own."""
    if shard_traces < 1:
        raise ValueError(f"a shard holds at least one trace, not {shard_traces}")
    sizes = [size for size in sorted(counts) for _ in range(counts[size])]
    plans = []
    for index, begin in enumerate(range(0, len(sizes), shard_traces)):
        inside = sizes[begin : begin + shard_traces]
        draws = [(size, inside.count(size), _seed(seed, task, index, size)) for size in sorted(set(inside))]
        plans.append(ShardPlan(index, tuple(draws)))
    return plans


def count_by_size(traces: Counts, sizes: Sequence[int]) -> dict[int, int]:
    """How many traces of each size. Raises ``ValueError`` for sizes or counts below 1, or none at all."""
    if isinstance(traces, int):
        ordered = sorted(set(sizes))
        many, more = divmod(traces, max(1, len(ordered)))
        traces = {size: many + (place < more) for place, size in enumerate(ordered)}
    counts = {int(size): int(count) for size, count in sorted(traces.items()) if count != 0}
    if not counts or min(counts) < 1 or min(counts.values()) < 0:
        raise ValueError(f"expected counts of traces by size, both positive; they are {counts}")
    return counts


def generate(
    program_set: ProgramSet,
    *,
    task: str,
    traces: Counts,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    out: Path | str,
    processes: int = 1,
    shard_traces: int = 512,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> TraceSet:
    """Write a trace set of a task to a folder, or finish one that was begun with the same settings.

    A finished set of the same settings is opened as it is. More than one process may be asked for from anywhere, also
    from a notebook or standard input; only a script that registers its kind of world itself needs the usual
    ``if __name__ == "__main__":`` around what it does, since the processes import it.

    Args:
        traces: of each size, or together.
        sizes: of the problems; those that the task trains on, where none are given and ``traces`` is a number.

    Raises :class:`TeacherError` for a run that does not end as the task expects, :class:`TraceSetError` for a folder
    that holds something else, :class:`~envs.support.atomic_files.FolderInUseError` where another process writes there.
    """
    plan = plan_set(program_set, task=task, traces=traces, sizes=sizes, seed=seed, shard_traces=shard_traces)
    if (Path(out) / MANIFEST).exists():
        found = TraceSet.open(out)
        check_finished(found, plan)
        return found
    with writing_alone(out, processes):
        writer = TraceSetWriter(out, program_set.table, plan.info)
        made = make_shards(plan, plan.shards, writer, processes=processes, progress=progress, budget=budget)
        return writer.finish(made)


@contextmanager
def writing_alone(out: Path | str, processes: int) -> Iterator[None]:
    """No other process than this one and its own writes to a folder."""
    if processes > 1 and getattr(current_process(), "_inheriting", False):
        sys.exit(1)  # the script began anew in a process of its own; the one that started it tells
    with claimed(out):
        yield


def make_shards(
    plan: SetPlan,
    shards: Sequence[ShardPlan],
    writer: TraceSetWriter,
    *,
    processes: int,
    progress: Progress | None,
    budget: Budget | None,
) -> list[Shard]:
    """Write these shards of a set, but those that were written before. Raises :class:`TeacherError`."""
    made = {one.index: shard for one in shards if (shard := writer.existing(one.index)) is not None}
    left = [one for one in reversed(shards) if one.index not in made]  # the longest first
    done, total = sum(shard.traces for shard in made.values()), sum(one.traces for one in shards)
    if progress is not None:
        progress(done, total)
    for one, shard in _make_all(plan.program_set, plan.task, writer, left, processes, budget):
        made[one.index] = shard
        done += one.traces
        if progress is not None:
            progress(done, total)
    return [made[one.index] for one in shards]


def record_traces(
    program_set: ProgramSet,
    *,
    task: str,
    traces: Counts,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    budget: Budget | None = None,
) -> TraceBatch:
    """The same traces as :func:`generate` with one shard, in memory. Raises :class:`TeacherError`."""
    chosen = program_set.task(task)
    counts = count_by_size(traces, chosen.train_sizes if sizes is None else sizes)
    plans = plan_shards(task, counts, seed=seed, shard_traces=sum(counts.values()))
    teacher = shown_by(program_set)
    return concatenate([_draw_and_run(program_set, teacher, chosen, plan, budget) for plan in plans])


def record_problems(
    program_set: ProgramSet,
    task: Task,
    problems: Sequence[Problem],
    *,
    teacher: Stepper | None = None,
    seeds: Sequence[int] | None = None,
    budget: Budget | None = None,
) -> TraceBatch:
    """The teacher's traces of these problems, every result judged. Raises :class:`TeacherError`."""
    world = program_set.world
    state = world.reset([problem.layout for problem in problems])
    program_N = torch.tensor([problem.program for problem in problems])
    arguments_N3 = torch.tensor([problem.arguments for problem in problems])
    recorder = Recorder(program_set.table)
    teacher = shown_by(program_set) if teacher is None else teacher
    budget = by_size(program_set, problems, budget, kept=True)
    outcome = run(
        teacher, world, state, program_set.table, program_N, arguments_N3,
        budget=budget, recorder=recorder, all_end=True,
    )  # fmt: skip
    if outcome.stopped is not None:
        problem = problems[outcome.stopped.instance]
        why = why_stopped(program_set, teacher, outcome, budget)
        raise TeacherError(f"task {task.name} of {_inputs(problem)}: {why}")
    ends = zip(problems, outcome.status_N.tolist(), outcome.read(world), strict=True)
    for number, (problem, status, reading) in enumerate(ends):
        if status != Status.DONE:
            call = call_text(program_set.table, outcome.refused_N4[number].tolist())
            raise TeacherError(f"task {task.name} of {_inputs(problem)}: the world cannot carry out {call}")
        if not task.judge(problem, reading):
            raise TeacherError(
                f"task {task.name} of {_inputs(problem)}: the teacher's result ({task.result(reading)}) is not what "
                f"the task expects ({task.expected(problem)}); one of the two is wrong in {program_set.path}"
            )
    return recorder.batch(size=[problem.size for problem in problems], seed=seeds)


def _draw_and_run(
    program_set: ProgramSet, teacher: Stepper, task: Task, plan: ShardPlan, budget: Budget | None
) -> TraceBatch:
    problems: list[Problem] = []
    seeds: list[int] = []
    with without_garbage_collection():
        for size, count, seed in plan.draws:
            generator = torch.Generator().manual_seed(seed)
            problems += task.draw(size, count, generator=generator, spread=True)
            seeds += [seed] * count
        return record_problems(program_set, task, problems, teacher=teacher, seeds=seeds, budget=budget)


def _make_all(
    program_set: ProgramSet,
    task: Task,
    writer: TraceSetWriter,
    plans: Sequence[ShardPlan],
    processes: int,
    budget: Budget | None,
) -> Iterator[tuple[ShardPlan, Shard]]:
    """Make the shards, in any order. What is running when this is interrupted is finished and kept."""
    if processes <= 1 or len(plans) <= 1:
        make = _maker(program_set, task, writer)
        for plan in plans:
            yield plan, make(plan, budget)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(plans)),
        mp_context=get_context("spawn"),
        initializer=_begin_worker,
        initargs=(program_set.sources, writer.folder, writer.info, writer.part),
    )
    try:
        with _main_module(imported=bool(registered_kinds())):
            futures = {pool.submit(_make_in_worker, plan, budget): plan for plan in plans}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise WorkerError(
            "a process that traces has ended: it was killed, or ran out of memory, or the script registers a kind of "
            'world and lacks if __name__ == "__main__": around what it does; the same call resumes, or give processes=1'
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _main_module(*, imported: bool) -> Iterator[None]:
    """Processes that begin inside import the module that runs here, or not.

    They need it only where it registers what they use; a script without a guard would begin anew in each of them.
    """
    main, block = sys.modules["__main__"], getattr(signal, "pthread_sigmask", lambda how, which: which)
    if not imported:
        sys.modules["__main__"] = ModuleType("__main__")
    elif main.__spec__ is None and not Path(getattr(main, "__file__", None) or "-").is_file():
        raise WorkerError(
            "a kind of world that is registered in a notebook or on standard input is unknown to other processes; "
            "write it into a script, or give processes=1"
        )
    before = block(signal.SIG_BLOCK, {signal.SIGINT})  # so that Ctrl-C reaches none that has only just begun
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        block(signal.SIG_SETMASK, before)


def _maker(program_set: ProgramSet, task: Task, writer: TraceSetWriter) -> Callable[[ShardPlan, Budget | None], Shard]:
    """What draws, runs and writes a shard of a task."""
    teacher = shown_by(program_set)
    return lambda plan, budget: writer.write(plan.index, _draw_and_run(program_set, teacher, task, plan, budget))


_worker: list[Callable[[ShardPlan, Budget | None], Shard]] = []
"""What makes shards in a process of the pool, its programs and teacher loaded once."""


def _begin_worker(sources: Sequence[tuple[str, str]], folder: Path, info: TraceInfo, part: ShardRange | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    torch.set_num_threads(1)
    program_set = load_sources(sources)
    _worker[:] = [
        _maker(program_set, program_set.task(info.task), TraceSetWriter(folder, program_set.table, info, part))
    ]


def _make_in_worker(plan: ShardPlan, budget: Budget | None) -> Shard:
    return _worker[0](plan, budget)


def load_sources(sources: Sequence[tuple[str, str]]) -> ProgramSet:
    """A program set from its sources (of a :class:`TraceInfo`, or of another process), without its files."""
    if not sources:
        raise ValueError("there are no sources to load a program set from")
    for name, _ in sources:
        if posixpath.normpath(name).startswith(("/", "..")):
            raise ValueError(f"the source name {name!r} leads out of its folder")
    *used, (name, text) = sources
    return loads(text, path=name, texts=dict(used))


def check_finished(found: TraceSet, plan: SetPlan) -> None:
    """Raise :class:`TraceSetError` where a finished folder is not of the planned set; clear what was left if it is."""
    same = json.dumps(asdict(found.info), sort_keys=True) == json.dumps(asdict(plan.info), sort_keys=True)
    if not same or table_digest(found.table) != table_digest(plan.program_set.table):
        raise TraceSetError(
            f"{found.folder} holds a finished trace set of other settings; open it, or choose another folder"
        )
    clear_plan(found.folder)


def _inputs(problem: Problem) -> str:
    return ", ".join(f"{name} = {show(value)}" for name, value in problem.values.items()) or "no inputs"


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1
