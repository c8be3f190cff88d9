"""Traces as columns.

Shapes: ``S`` steps, ``M`` frames, ``N`` traces, ``F`` observation fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.spec import RETURN, SLOTS, ProgramTable

Ints = NDArray[np.signedinteger]

Types = Mapping[str, type[np.signedinteger]]
OF_STEPS: Types = {"obs": np.int16, "calls": np.int32}
OF_FRAMES: Types = {
    "program": np.int32, "arguments": np.int32, "parent": np.int64, "parent_step": np.int32,
    "start": np.int64, "length": np.int32,
}  # fmt: skip
OF_TRACES: Types = {
    "first_frame": np.int64, "frames": np.int64, "size": np.int64, "seed": np.int64, "status": np.int8,
}  # fmt: skip
DTYPES: Types = {**OF_STEPS, **OF_FRAMES, **OF_TRACES}
"""The columns of a :class:`TraceBatch` and of a shard on disk."""


class Frame(NamedTuple):
    """One run of one program: who called it from where, and the steps that it took.

    ``parent`` is the index of the calling frame in the batch, ``parent_step`` which of its steps called; −1 for a
    trace's first frame. obs_TF int16, calls_T4 int32.
    """

    program: int
    arguments: tuple[int, ...]
    parent: int
    parent_step: int
    obs: Ints
    calls: Ints


@dataclass(frozen=True)
class TraceBatch:
    """N traces of one table, as columns. Frames of a trace lie together in the order of their calls, their steps too.

    Attributes:
        table: what ids mean.
        obs: obs_SF, what was observed at each step. calls: calls_S4, what was decided; a return carries no arguments.
        program, arguments: program_M, arguments_M3 of each frame.
        parent, parent_step: the frame (index into the batch) and the step of it that called; −1 for first frames.
        start, length: a frame's steps are ``start : start + length``.
        first_frame, frames: a trace's frames are ``first_frame : first_frame + frames``.
        size, seed: of each trace's problem, as the task drew it; −1 where there is none.
        status: of each trace, a ``traces.machine.lockstep.Status``; 0 is a finished run.
    """

    table: ProgramTable
    obs: Ints
    calls: Ints
    program: Ints
    arguments: Ints
    parent: Ints
    parent_step: Ints
    start: Ints
    length: Ints
    first_frame: Ints
    frames: Ints
    size: Ints
    seed: Ints
    status: Ints

    def __len__(self) -> int:
        return len(self.first_frame)

    @property
    def steps(self) -> int:
        return len(self.calls)

    def columns(self) -> dict[str, Ints]:
        return {name: getattr(self, name) for name in DTYPES}

    def frame(self, index: int) -> Frame:
        begin = int(self.start[index])
        steps = slice(begin, begin + int(self.length[index]))
        arguments = tuple(int(a) for a in self.arguments[index])
        parent, parent_step = int(self.parent[index]), int(self.parent_step[index])
        return Frame(int(self.program[index]), arguments, parent, parent_step, self.obs[steps], self.calls[steps])

    def trace(self, index: int) -> TraceBatch:
        """One trace as a batch of its own, or ``IndexError``."""
        if not 0 <= index < len(self):
            raise IndexError(f"trace {index} of a batch of {len(self)}")
        first = int(self.first_frame[index])
        frames = slice(first, first + int(self.frames[index]))
        begin = int(self.start[first])
        steps, one = slice(begin, begin + int(self.length[frames].sum())), slice(index, index + 1)
        parts = ((OF_STEPS, steps), (OF_FRAMES, frames), (OF_TRACES, one))
        columns = {name: getattr(self, name)[part] for names, part in parts for name in names}
        return batch_from(self.table, columns | _shifted(columns, steps=-begin, frames=-first))

    def __iter__(self) -> Iterator[TraceBatch]:
        return (self.trace(index) for index in range(len(self)))


assert [f.name for f in fields(TraceBatch)] == ["table", *DTYPES]


def same_table(one: ProgramTable, other: ProgramTable) -> bool:
    """Whether ids mean the same in both; a table read from a file equals the one that was written."""
    return one is other or one == other or dump_table(one) == dump_table(other)


def joint_table(tables: Sequence[ProgramTable]) -> tuple[ProgramTable, list[Ints]]:
    """One table for tables of one world, in which programs of one name are one; and for each the joint ids of its ids.

    The last id of each is that of a return, −1, so that the first number of any call can be looked up.
    """
    joint = {signature.name: signature for table in reversed(tables) for signature in table.programs}
    whole = ProgramTable(tables[0].world, tuple(joint.values()), ((),) * len(joint))
    places = {signature.name: place for place, signature in enumerate(whole.signatures)}
    return whole, [np.array([*(places[s.name] for s in t.signatures), RETURN], np.int32) for t in tables]


def dump_table(table: ProgramTable) -> str:
    """The table as JSON, always the same text for the same table."""
    return json.dumps(table.to_json(), sort_keys=True)


def check_batch(batch: TraceBatch) -> None:
    """Check foreign columns: shapes, ranges, that frames and traces tile the steps, and that the calls make the tree.

    Raises ``ValueError`` that names the column and the place.
    """
    _check_shapes(batch)
    table, last_token = batch.table, len(batch.table.world.tokens) - 1
    check_range("obs", batch.obs, 0, np.array([f.size - 1 for f in table.world.fields], np.int64))
    check_range("calls", batch.calls, np.array([RETURN, 0, 0, 0]), np.array([len(table) - 1] + [last_token] * SLOTS))
    check_range("program", batch.program, table.primitives, len(table) - 1)
    check_range("arguments", batch.arguments, 0, last_token)
    check_tiling("start", batch.start, batch.length, batch.steps)
    check_tiling("first_frame", batch.first_frame, batch.frames, len(batch.program))
    _check_tree(batch)


def _check_shapes(batch: TraceBatch) -> None:
    wide = {"obs": (len(batch.table.world.fields),), "calls": (1 + SLOTS,), "arguments": (SLOTS,)}
    parts = ((OF_STEPS, batch.calls), (OF_FRAMES, batch.program), (OF_TRACES, batch.first_frame))
    for name, rows in ((name, len(first)) for names, first in parts for name in names):
        column, expected = batch.columns()[name], (rows, *wide.get(name, ()))
        if column.shape != expected:
            raise ValueError(f"column {name} has the shape {column.shape}, expected {expected}")


def check_tiling(name: str, starts: Ints, lengths: Ints, end: int) -> None:
    tiled = np.cumsum(lengths, dtype=np.int64) - lengths
    if (lengths < 1).any() or not np.array_equal(starts, tiled) or int(lengths.sum()) != end:
        raise ValueError(f"column {name} and its lengths do not lay the parts one after another from 0 to {end}")


def _check_tree(batch: TraceBatch) -> None:
    frames = np.arange(len(batch.program))
    first = np.isin(frames, batch.first_frame)
    if not np.array_equal(batch.parent < 0, first) or (batch.parent >= frames).any():
        raise ValueError("column parent: only a trace's first frame has no parent, others come after theirs")
    inner = np.flatnonzero(~first)
    parent, step = batch.parent[inner], batch.parent_step[inner]
    if ((step < 0) | (step >= batch.length[parent])).any():
        raise ValueError("column parent_step names a step that the parent does not have")
    made = batch.start[parent] + step
    started = np.concatenate([batch.program[:, None], batch.arguments], axis=1)[inner]
    if (batch.calls[made] != started).any():
        raise ValueError("a frame's program and arguments are not those of the call that parent and parent_step name")
    if batch.status.any():
        return
    returns, ends = batch.calls[:, 0] == RETURN, np.zeros(batch.steps, bool)
    ends[batch.start + batch.length - 1] = True
    if not np.array_equal(returns, ends):
        raise ValueError("column calls: each frame of a finished trace ends with its only return")
    if not np.array_equal(np.sort(made), np.flatnonzero(batch.calls[:, 0] >= batch.table.primitives)):
        raise ValueError("column calls: each call of a program begins one frame")


def check_range(name: str, column: Ints, low: Ints | int, high: Ints | int) -> None:
    outside = np.argwhere((column < low) | (column > high))
    if len(outside):
        place = tuple(int(i) for i in outside[0])
        raise ValueError(f"column {name} at {place} holds {column[place]}, outside what the program table allows")


def batch_from(table: ProgramTable, columns: Mapping[str, Ints]) -> TraceBatch:
    """A batch of these columns, each in its declared type."""
    return TraceBatch(table, **{name: np.ascontiguousarray(columns[name], dtype) for name, dtype in DTYPES.items()})


def _shifted(columns: Mapping[str, Ints], *, steps: int, frames: int) -> dict[str, Ints]:
    """The columns that name places, where so many steps and frames more lie before them."""
    parent = columns["parent"]
    return {
        "start": columns["start"] + steps,
        "parent": np.where(parent < 0, -1, parent + frames),
        "first_frame": columns["first_frame"] + frames,
    }


def concatenate(batches: Sequence[TraceBatch]) -> TraceBatch:
    """One batch of the traces of several. Raises ``ValueError`` for none, or for batches of different tables."""
    if not batches:
        raise ValueError("there is no batch of traces to put together")
    table = batches[0].table
    if len(batches) == 1:
        return batches[0]
    if not all(same_table(batch.table, table) for batch in batches):
        raise ValueError("traces of different program tables cannot lie in one batch: their ids mean different things")
    columns: dict[str, list[Ints]] = {name: [] for name in DTYPES}
    steps = frames = 0
    for batch in batches:
        for name, column in (batch.columns() | _shifted(batch.columns(), steps=steps, frames=frames)).items():
            columns[name].append(column)
        steps += batch.steps
        frames += len(batch.program)
    return batch_from(table, {name: np.concatenate(parts) for name, parts in columns.items()})
