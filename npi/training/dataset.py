"""What a core learns from: the different frames of program files or of trace sets, and problems to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.spec import RETURN, SLOTS, ProgramTable
from npi.training.loop import part
from npi.training.ranks import ALONE, Parcel, Ranks
from traces.generation.generate import load_sources, record_traces
from traces.machine.outcome import Budget
from traces.recording.batch import TraceBatch, check_range, check_tiling, same_table
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import FrameSet, check_rule, unique_frames, united
from traces.storage.trace_set import TraceSet


@dataclass(frozen=True)
class Dataset:
    """What a core learns from, of one table.

    Attributes:
        table: of the programs. frames: each different frame once, with counts.
        programs: the program file, where there is one (its tasks validate).
        name: what a person calls it. source: sha256 that the rows carry. traces: how many were read.
        budget: of each run of its programs; by the size of the inputs where there is none.
    """

    table: ProgramTable
    frames: FrameSet
    programs: ProgramSet | None
    name: str
    source: str
    traces: int
    budget: Budget | None = None

    @classmethod
    def from_programs(cls, programs: ProgramSet, *, traces: int, seed: int, budget: Budget | None = None) -> Dataset:
        """Trace every task of a program file, ``traces`` runs of each training size.

        Raises :class:`ValueError` where there is none to train on, and ``ConflictError`` where it cannot be learned.
        """
        batches = [
            record_traces(
                programs, task=t.name, traces=dict.fromkeys(t.train_sizes, t.traces or traces), seed=seed, budget=budget
            )
            for t in training_tasks(programs)
        ]
        found = cls.from_batches(batches, programs, name=Path(programs.path).name, source=programs.digest)
        return replace(found, budget=budget)

    @classmethod
    def from_trace_set(cls, traces: TraceSet, ranks: Ranks = ALONE) -> Dataset:
        """The frames of a trace set (:func:`shared_frames`); its program file too, where the set carries one."""
        programs = load_sources(traces.info.sources) if traces.info.sources else None
        frames = shared_frames(traces, ranks)
        return cls.from_frames(
            frames, programs, name=traces.folder.name, source=traces.info.program_digest, traces=len(traces),
            where=str(traces.folder),
        )  # fmt: skip

    @classmethod
    def from_batches(
        cls, batches: Sequence[TraceBatch], programs: ProgramSet | None, *, name: str, source: str
    ) -> Dataset:
        """The different frames of batches of one table, checked for contradictions."""
        traces = sum(len(b) for b in batches)
        return cls.from_frames(unique_frames(batches), programs, name=name, source=source, traces=traces)

    @classmethod
    def from_frames(
        cls, frames: FrameSet, programs: ProgramSet | None, *, name: str, source: str, traces: int, where: str = ""
    ) -> Dataset:
        """Different frames of one table, checked for contradictions, of which messages tell ``where`` they are; without
        those of programs with a signal."""
        if programs is not None and programs.signals:
            signals = torch.tensor([program.id for program in programs.signals])
            frames = frames.select(~torch.isin(frames.program_M, signals))
        check_rule(frames, *[(where, 1 + int(frames.origin_M3[:, 0].max()))] * bool(where and len(frames)))
        return cls(frames.table, frames, programs, name, source, traces)


def shared_frames(traces: TraceSet, ranks: Ranks) -> FrameSet:
    """The different frames of a trace set, of which each rank reads (and checks) its own shards only.

    Bit-identical, whatever the number of ranks, with ``unique_frames(traces.batches())``.

    Raises:
        TraceSetError: on the rank that reads a damaged shard.
        ValueError: for a set without traces, or with unfinished ones.
    """
    if ranks.alone:
        traces.check()
        return unique_frames(traces.batches())
    numbers = ranks.share(torch.arange(len(traces.shards))).tolist()
    traces.check(numbers)
    mine = [unique_frames(traces.batches(numbers), numbers)] if numbers else []
    parts = [frames for parcel in ranks.gather(pack_frames(mine)) for frames in unpack_frames(parcel)]
    return united(parts)


def pack_frames(found: Sequence[FrameSet], about: object = None) -> Parcel:
    """Frame sets with their tables, and something JSON-able beside them."""
    tensors = {f"{n}.{name}": column for n, frames in enumerate(found) for name, column in frames.columns.items()}
    return Parcel(tensors, {"tables": [frames.table.to_json() for frames in found], "more": about})


def unpack_frames(parcel: Parcel) -> list[FrameSet]:
    """The inverse of :func:`pack_frames`."""
    tables = map(ProgramTable.from_json, parcel.about["tables"])
    return [FrameSet(table, **part(parcel.tensors, f"{n}.")) for n, table in enumerate(tables)]


Columns = TypeVar("Columns", bound=FrameSet | PlacedSteps)


def checked(found: Columns) -> Columns:
    """Frames or steps from a file, which must be such as their table allows; ``ValueError`` names the column."""
    table, columns, most = found.table, found.columns, np.int64(2**31)
    token = len(table.world.tokens) - 1
    tops: dict[str, list[int] | int] = {
        "obs": [field.size - 1 for field in table.world.fields],
        "call": [len(table) - 1, token, token, token],
        "program": len(table) - 1,
        "arguments": [token] * SLOTS,
        "origin": [int(most)] * SLOTS,
    }
    lows = {"call": np.array([RETURN, 0, 0, 0]), "program": np.array(table.primitives), "length": np.array(1)}
    rows = {"M": len(columns.get("program_M", ())), "S": len(columns["call_S4"])}
    for name, column in columns.items():
        what, letters = name.split("_")
        high = np.array(tops.get(what, most), np.int64)
        shape = (rows[letters[0]], *high.shape)
        if column.dtype not in (torch.int16, torch.int32, torch.int64) or column.shape != shape:
            raise ValueError(f"column {name} is {column.dtype} {[*column.shape]}, expected whole numbers {[*shape]}")
        check_range(name, column.numpy(), lows.get(what, 0), high)
    if isinstance(found, FrameSet):
        check_tiling("start_M", found.start_M.numpy(), found.length_M.numpy(), found.steps)
    return found


def merged(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets, those of one program file as one: a trace set shows one task, and a file may have several.

    Raises ``ConflictError`` where they contradict each other.
    """
    groups: list[list[Dataset]] = []
    for dataset in datasets:
        group = next((group for group in groups if _alike(dataset, group[0])), None)
        if group is None:
            groups.append([dataset])
        else:
            group.append(dataset)
    return [_merged(group) for group in groups]


def _alike(one: Dataset, other: Dataset) -> bool:
    texts = (one.programs is None) == (other.programs is None)
    return texts and one.source == other.source and same_table(one.table, other.table)


def _merged(group: Sequence[Dataset]) -> Dataset:
    if len(group) == 1:
        return group[0]
    first, frames = group[0], united([dataset.frames for dataset in group])
    names, traces = " and ".join(m.name for m in group), sum(m.traces for m in group)
    whole = Dataset.from_frames(frames, first.programs, name=names, source=first.source, traces=traces)
    return replace(whole, budget=first.budget)


def training_tasks(programs: ProgramSet) -> list[Task]:
    """The tasks that say sizes to train on; ``ValueError`` where there is none."""
    found = [task for task in programs.tasks if task.train_sizes]
    if not programs.tasks:
        raise ValueError(f"{programs.path} has no task, so there is nothing to trace; add one (task NAME(…): …)")
    if not found:
        raise ValueError(
            f"{programs.path} says no sizes to train on, so nothing can be drawn to learn from; add a line to task "
            f"{programs.tasks[0].name}, such as: train {', '.join(i.name for i in programs.tasks[0].inputs)} of 1..8"
        )
    return found
