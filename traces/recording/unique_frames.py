"""Frames as the unit of learning: each different one once, with how often it was seen.

Hidden numbers start at zero in every frame, so two frames with the same program, arguments and steps teach the same.
Frames are told apart by two 64-bit hashes of their contents: with 10 million different frames the chance that any two
agree in both is below 10⁻²⁴.

Shapes: ``M`` frames, ``S`` their steps, ``B`` frames of a padded batch, ``T`` its longest, ``F`` observation fields.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from envs.spec import RETURN, ProgramTable
from traces.recording.batch import Ints, TraceBatch, joint_table, same_table
from traces.recording.text import call_text, observation_text

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class PaddedFrames:
    """B frames side by side, padded to T steps: obs_BTF, call_BT4, program_B, arguments_B3 int64; mask_BT bool.

    Where the mask is false, obs is 0 and the call is a return.
    """

    obs_BTF: torch.Tensor
    call_BT4: torch.Tensor
    mask_BT: torch.Tensor
    program_B: torch.Tensor
    arguments_B3: torch.Tensor


@dataclass(frozen=True)
class FrameSet:
    """M different frames of one table; the steps of frame ``m`` are ``start[m] : start[m] + length[m]``.

    Attributes:
        program_M, arguments_M3, start_M, length_M: int64.
        count_M: int64, how many frames of the traces look like this.
        origin_M3: int64, the batch (or shard), trace in it and frame of that trace where it was first seen.
        obs_SF, call_S4: int16, int32, the steps of all frames one after another.
    """

    table: ProgramTable
    program_M: torch.Tensor
    arguments_M3: torch.Tensor
    start_M: torch.Tensor
    length_M: torch.Tensor
    count_M: torch.Tensor
    origin_M3: torch.Tensor
    obs_SF: torch.Tensor
    call_S4: torch.Tensor

    def __len__(self) -> int:
        return len(self.program_M)

    @property
    def steps(self) -> int:
        return len(self.call_S4)

    @property
    def columns(self) -> dict[str, torch.Tensor]:
        """Its tensors, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "table"}

    def to(self, device: torch.device | str) -> FrameSet:
        return FrameSet(self.table, **{name: column.to(device) for name, column in self.columns.items()})

    def select(self, index: torch.Tensor) -> FrameSet:
        """The frames named by ``index`` (int64, or a bool mask of M), in that order, with their steps only."""
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(1)
        length = self.length_M[index]
        start = length.cumsum(0) - length
        inside = torch.arange(int(length.sum()), device=length.device) - start.repeat_interleave(length)
        steps = self.start_M[index].repeat_interleave(length) + inside
        frames = {name: getattr(self, name)[index] for name in ("program_M", "arguments_M3", "count_M", "origin_M3")}
        whole = {"start_M": start, "length_M": length, "obs_SF": self.obs_SF[steps], "call_S4": self.call_S4[steps]}
        return FrameSet(self.table, **frames, **whole)

    def pad(self, index_B: torch.Tensor) -> PaddedFrames:
        """The frames named by ``index_B`` (int64), side by side, for a core to learn from."""
        length_B1, start_B1 = self.length_M[index_B].unsqueeze(1), self.start_M[index_B].unsqueeze(1)
        place_T = torch.arange(int(length_B1.max()) if len(index_B) else 0, device=start_B1.device)
        mask_BT = place_T < length_B1
        shape, steps = mask_BT.shape, (start_B1 + place_T * mask_BT).flatten()
        hidden_BT1 = ~mask_BT.unsqueeze(2)
        obs_BTF = self.obs_SF.index_select(0, steps).to(torch.int64).view(*shape, self.obs_SF.shape[1])
        call_BT4 = self.call_S4.index_select(0, steps).to(torch.int64).view(*shape, 4).masked_fill_(hidden_BT1, 0)
        call_BT4[..., 0].masked_fill_(hidden_BT1.squeeze(2), RETURN)
        return PaddedFrames(
            obs_BTF.masked_fill_(hidden_BT1, 0), call_BT4, mask_BT, self.program_M[index_B], self.arguments_M3[index_B]
        )


def unique_frames(batches: Iterable[TraceBatch], numbers: Iterable[int] | None = None) -> FrameSet:
    """Each different frame of the batches (or of ``TraceSet.batches()``) once, in the order of first appearance.

    ``numbers`` are those of the batches in ``origin_M3``, ascending; 0, 1, 2 … by default. Raises ``ValueError`` for no
    batch, batches of different tables, or a trace that did not finish.
    """
    parts: list[FrameSet] = []
    keys: list[Hashes] = []
    for number, batch in zip(itertools.count() if numbers is None else numbers, batches, strict=False):
        if parts and not same_table(batch.table, parts[0].table):
            raise ValueError(f"batch {number} has another program table than batch 0: their ids mean different things")
        unfinished = np.flatnonzero(batch.status)
        if len(unfinished):
            raise ValueError(
                f"trace {unfinished[0]} of batch {number} did not finish (status {batch.status[unfinished[0]]}); "
                "a core learns from finished runs: give the run a larger budget, or leave the trace out"
            )
        whole = _frame_set(batch, number)
        key_M2 = _frame_keys(whole)
        first, count = _first_of_each(key_M2, np.ones(len(key_M2), np.int64))
        keys.append(key_M2[first])
        parts.append(replace(whole.select(torch.from_numpy(first)), count_M=torch.from_numpy(count)))
    if not parts:
        raise ValueError("there are no traces to take frames from")
    return parts[0] if len(parts) == 1 else _counted(joined(parts), np.concatenate(keys))


def united(parts: Sequence[FrameSet]) -> FrameSet:
    """The different frames of some sets of different frames, whose origins tell their order; counts are added.

    ``unique_frames`` of some batches at a time, united, are bit-identical with those of all of them at once.
    """
    if not parts:
        raise ValueError("there are no traces to take frames from")
    whole = joined(parts)
    whole = whole.select(torch.from_numpy(np.lexsort(whole.origin_M3.numpy().T[::-1])))
    return _counted(whole, _frame_keys(whole))


def _counted(whole: FrameSet, key_M2: Hashes) -> FrameSet:
    first, count = _first_of_each(key_M2, whole.count_M.numpy())
    return replace(whole.select(torch.from_numpy(first)), count_M=torch.from_numpy(count))


@dataclass(frozen=True)
class Place:
    """A step of a trace; all numbers count from 0, the frame within its trace. ``source``, where that is to be told, is
    the folder or file that the trace is of."""

    batch: int
    trace: int
    frame: int
    step: int
    source: str = ""

    def __str__(self) -> str:
        place = f"batch {self.batch}, trace {self.trace}, frame {self.frame}, step {self.step}"
        return f"{self.source}, {place}" if self.source else place

    def of(self, sources: Sequence[tuple[str, int]]) -> Place:
        """The same with its source, where batches of several are numbered on: names, and how many each has."""
        batch = self.batch
        for name, count in sources:
            if batch < count:
                return replace(self, batch=batch, source=name)
            batch -= count
        raise ValueError(f"batch {self.batch} is of none of {[name for name, _ in sources]}")


@dataclass(frozen=True)
class Conflict:
    """Two steps that nothing seen before them tells apart, with different calls: the program and its arguments, what
    both see at the step, where they are, and what was decided there, as text."""

    frame: str
    observation: str
    places: tuple[Place, Place]
    calls: tuple[str, str]

    def __str__(self) -> str:
        width = max(len(str(place)) for place in self.places)
        sides = "\n".join(f"  {place!s:{width}}  {call}" for place, call in zip(self.places, self.calls, strict=True))
        return (
            f"{self.frame} decides differently after the same observations:\n{sides}\n"
            f"  both see         {self.observation}\n"
            "  to fix: let the world show what the two steps differ in (a pointer that is seen, an edge), or hand it "
            "to the program as an argument"
        )


class ConflictError(ValueError):
    """A trace set that cannot be learned; ``conflict`` says which two steps contradict each other."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(str(conflict))
        self.conflict = conflict


def find_conflict(frames: FrameSet) -> Conflict | None:
    """The earliest place where the rule fails: same program, arguments and observations so far, same next call."""
    key_S2, step_S, frame_S = prefix_keys(frames)
    order = np.lexsort((key_S2[:, 1], key_S2[:, 0]))
    key, call = key_S2[order], frames.call_S4.numpy()[order]
    differ = (key[1:] == key[:-1]).all(1) & (call[1:] != call[:-1]).any(1)
    pairs = np.stack([order[:-1][differ], order[1:][differ]], axis=1)
    if not len(pairs):
        return None
    earliest = np.lexsort((frame_S[pairs].max(1), step_S[pairs[:, 0]]))[0]
    one, two = sorted(int(s) for s in pairs[earliest])
    frame, table = int(frame_S[one]), frames.table
    return Conflict(
        frame=call_text(table, [int(frames.program_M[frame]), *frames.arguments_M3[frame].tolist()]),
        observation=observation_text(table, frames.obs_SF[one].tolist()),
        places=(_place(frames, frame_S, step_S, one), _place(frames, frame_S, step_S, two)),
        calls=(call_text(table, frames.call_S4[one].tolist()), call_text(table, frames.call_S4[two].tolist())),
    )


def check_rule(frames: FrameSet, *sources: tuple[str, int]) -> None:
    """Raise :class:`ConflictError` where the frames contradict each other; ``sources`` are for :meth:`Place.of`."""
    conflict = find_conflict(frames)
    if conflict is not None:
        one, two = (place.of(sources) if sources else place for place in conflict.places)
        raise ConflictError(replace(conflict, places=(one, two)))


def check_together(named: Sequence[tuple[str, FrameSet]]) -> None:
    """Raise :class:`ConflictError` where frames of several sources contradict each other.

    Args:
        named: where each set of frames is from, and the set. Programs of one name and world are one program.
    """
    worlds: dict[str, list[tuple[str, FrameSet]]] = {}
    for name, frames in named:
        worlds.setdefault(frames.table.world.digest, []).append((name, frames))
    for group in worlds.values():
        if not shared_programs([frames.table for _, frames in group]):
            continue
        table, ids = joint_table([frames.table for _, frames in group])
        parts: list[FrameSet] = []
        sources: list[tuple[str, int]] = []
        for (name, frames), ids_N in zip(group, ids, strict=True):
            begin = sum(count for _, count in sources)
            parts.append(_renumbered(frames, table, torch.from_numpy(ids_N), begin))
            sources.append((name, int(frames.origin_M3[:, 0].max()) + 1 if len(frames) else 0))
        check_rule(joined(parts), *sources)


def shared_programs(tables: Sequence[ProgramTable]) -> bool:
    """Whether a program of one table is in another one, too, by its name."""
    names = [signature.name for table in tables for signature in table.programs]
    return len(set(names)) < len(names)


def _renumbered(frames: FrameSet, table: ProgramTable, ids_N: torch.Tensor, begin: int) -> FrameSet:
    """The frames with the ids of another table, and with batches that are numbered from ``begin``."""
    call_S4, origin_M3 = frames.call_S4.clone(), frames.origin_M3.clone()
    call_S4[:, 0] = ids_N[call_S4[:, 0].long()]
    origin_M3[:, 0] += begin
    program_M = ids_N[frames.program_M].long()
    return replace(frames, table=table, program_M=program_M, call_S4=call_S4, origin_M3=origin_M3)


def _place(frames: FrameSet, frame_S: Ints, step_S: Ints, step: int) -> Place:
    batch, trace, frame = frames.origin_M3[frame_S[step]].tolist()
    return Place(batch, trace, frame, int(step_S[step]))


def _frame_set(batch: TraceBatch, number: int) -> FrameSet:
    """All frames of a batch, each counted once."""
    frames = len(batch.program)
    trace = np.repeat(np.arange(len(batch)), batch.frames)
    origin = np.stack([np.full(frames, number), trace, np.arange(frames) - batch.first_frame[trace]], axis=1)
    return FrameSet(
        batch.table,
        program_M=torch.from_numpy(batch.program.astype(np.int64)),
        arguments_M3=torch.from_numpy(batch.arguments.astype(np.int64)),
        start_M=torch.from_numpy(batch.start.astype(np.int64)),
        length_M=torch.from_numpy(batch.length.astype(np.int64)),
        count_M=torch.ones(frames, dtype=torch.int64),
        origin_M3=torch.from_numpy(origin),
        obs_SF=torch.from_numpy(np.array(batch.obs)),
        call_S4=torch.from_numpy(np.array(batch.calls)),
    )


def joined(parts: Sequence[FrameSet]) -> FrameSet:
    """Frame sets of one table as one, in order; equal frames of different parts stay apart."""
    shift, starts = 0, []
    for part in parts:
        starts.append(part.start_M + shift)
        shift += part.steps
    columns = {name: torch.cat([part.columns[name] for part in parts]) for name in parts[0].columns}
    return FrameSet(parts[0].table, **(columns | {"start_M": torch.cat(starts)}))


def _first_of_each(key_M2: Hashes, weight_M: Ints) -> tuple[Ints, Ints]:
    """Index of the first of each different key, ascending, and the sum of the weights of all with that key."""
    order = np.lexsort((key_M2[:, 1], key_M2[:, 0]))  # stable: the first of equals comes first
    begins = np.ones(len(order), bool)
    begins[1:] = (key_M2[order][1:] != key_M2[order][:-1]).any(1)
    first = order[begins]
    count = np.add.reduceat(weight_M[order], np.flatnonzero(begins)) if len(order) else weight_M
    by_place = np.argsort(first)
    return first[by_place], count[by_place]


def _frame_keys(frames: FrameSet) -> Hashes:
    """key_M2: of program, arguments, length and every step in its place."""
    if not len(frames):
        return np.zeros((0, 2), np.uint64)
    step_S, _ = _places(frames)
    rows = [*frames.obs_SF.numpy().T, *frames.call_S4.numpy().T, step_S]
    steps = np.stack([np.add.reduceat(row_hash(rows, salt), frames.start_M.numpy()) for salt in (1, 2)], axis=1)
    heads = [frames.program_M.numpy(), *frames.arguments_M3.numpy().T, frames.length_M.numpy()]
    return steps + np.stack([row_hash(heads, salt) for salt in (3, 4)], axis=1)


def prefix_keys(frames: FrameSet) -> tuple[Hashes, Ints, Ints]:
    """key_S2 of program, arguments and the observations up to each step; step_S in its frame; frame_S."""
    step_S, frame_S = _places(frames)
    heads = [frames.program_M.numpy(), *frames.arguments_M3.numpy().T]
    keys = np.empty((frames.steps, 2), np.uint64)
    for column, salt in enumerate((5, 6)):
        sums = np.cumsum(row_hash([*frames.obs_SF.numpy().T, step_S], salt), dtype=np.uint64)
        before = np.concatenate([np.zeros(1, np.uint64), sums])[frames.start_M.numpy()]
        keys[:, column] = sums + (row_hash(heads, salt + 2) - before)[frame_S]
    return keys, step_S, frame_S


def _places(frames: FrameSet) -> tuple[Ints, Ints]:
    """step_S in its frame, frame_S."""
    frame_S = np.repeat(np.arange(len(frames)), frames.length_M.numpy())
    return np.arange(frames.steps) - frames.start_M.numpy()[frame_S], frame_S


def row_hash(columns: list[Ints], salt: int) -> Hashes:
    """64 bits of each row: a random linear form of its columns, then the finaliser of SplitMix64 (Steele et al. 2014).

    All arithmetic is modulo 2⁶⁴, as numpy's unsigned integers do it.
    """
    factors = np.random.Generator(np.random.PCG64(salt)).integers(1, 2**63, len(columns) + 1, np.uint64)
    total = np.full(len(columns[0]), factors[-1], np.uint64)
    for column, factor in zip(columns, factors, strict=False):
        total += column.astype(np.uint64) * (factor * np.uint64(2) + np.uint64(1))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        total = (total ^ (total >> np.uint64(shift))) * np.uint64(factor)
    return total ^ (total >> np.uint64(31))
