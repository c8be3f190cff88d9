"""Frames of several seeds side by side, packed without padding inside a seed: what one update of a sweep computes on.

Frames of all lengths and worlds are unrolled together, the longest first, and only those that have a step t take part
in step t (the layout of ``torch.nn.utils.rnn.pack_padded_sequence``). How many take part is the same for all seeds: the
most of any. A seed that has fewer is filled up with steps that count for nothing.

Shapes: S seeds, B frames, T steps, K packed steps, M steps of one seed, C calls of one world, I fields and arguments of
a step, R values of all fields and arguments of all worlds, b state bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from envs.spec import RETURN
from npi.core.recurrent import RecurrentCore, RowTables
from npi.training.loss import FrameBatch


@dataclass(frozen=True)
class Inputs:
    """The values of all fields and arguments of all worlds, numbered one after the other as in the stacked tables.

    Attributes:
        first: for each world, the number of its first value.
        offsets_I: for each world, where each of its inputs begins among its values.
        of_R: for each world, the input that each of its values belongs to.
        width: the most inputs of a world.
    """

    first: tuple[int, ...]
    offsets_I: tuple[torch.Tensor, ...]
    of_R: tuple[torch.Tensor, ...]
    width: int

    @classmethod
    def of(cls, core: RecurrentCore) -> Inputs:
        adapters = [core.adapter(world) for world in range(len(core.worlds))]
        sizes = [len(adapter.table) for adapter in adapters]
        offsets = tuple(adapter.offsets.cpu() for adapter in adapters)
        inputs = tuple(
            (torch.searchsorted(offset, torch.arange(size), right=True) - 1).to(adapter.table.device)
            for adapter, offset, size in zip(adapters, offsets, sizes, strict=True)
        )
        return cls(tuple(sum(sizes[:w]) for w in range(len(sizes))), offsets, inputs, max(map(len, offsets)))

    def numbers(self, batch: FrameBatch, frame_M: torch.Tensor, step_M: torch.Tensor) -> torch.Tensor:
        """int64 number_MI of what is seen and given at these steps; the last one again where the world has fewer."""
        seen = torch.cat([batch.obs_BTF[frame_M, step_M], batch.arguments_B3[frame_M]], 1)
        number_MI = seen + self.offsets_I[batch.world] + self.first[batch.world]
        return torch.cat([number_MI, number_MI[:, -1:].expand(-1, self.width - number_MI.shape[1])], 1)

    def weights(self, tables: RowTables) -> torch.Tensor:
        """weight_NR of each value in each row's programs: the gate of its input, of the row's own world or another."""
        return torch.cat([gate_NI[:, of_R] for gate_NI, of_R in zip(tables.gate_NI, self.of_R, strict=True)], 1)


class Calls(NamedTuple):
    """Calls within one world: the packed step of each, the call (row and three arguments), and whether it is one."""

    place_C: torch.Tensor
    call_C4: torch.Tensor
    real_C: torch.Tensor


class Steps(NamedTuple):
    """What the loss of one seed is computed on; with S in front of every shape, of all seeds.

    Attributes:
        number_KI: see :class:`Inputs`.
        ends_K: whether the frame returns. real_K: whether the seed has such a step.
        drawn_Kb: noise on the state after the step, drawn and scaled.
        row_B: the frames' programs, the longest frame first. share_B: of the loss.
        calls: for each world.
    """

    number_KI: torch.Tensor
    ends_K: torch.Tensor
    real_K: torch.Tensor
    drawn_Kb: torch.Tensor
    row_B: torch.Tensor
    share_B: torch.Tensor
    calls: tuple[Calls, ...]


@dataclass(frozen=True)
class Packed:
    """One update's frames of all seeds.

    Attributes:
        steps: with S in front.
        counts: how many frames take part in each step.
        frame_K: the frame that each packed step belongs to.
        rows: of each seed, its frames' programs, on the CPU.
    """

    steps: Steps
    counts: tuple[int, ...]
    frame_K: torch.Tensor
    rows: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Drawn:
    """What one seed drew: groups of batches that its own run unrolls together, and the noise_TBb of each group."""

    groups: list[list[FrameBatch]]
    noise: list[torch.Tensor]

    @classmethod
    def of(cls, groups: list[list[FrameBatch]], *, bits: int, noise: float, generator: torch.Generator) -> Drawn:
        """Draw the noise as :meth:`npi.core.discrete.DiscreteTrunk.unroll` does: step by step, all frames of a
        group."""
        drawn = []
        for batches in groups:
            shape = sum(map(len, batches)), bits
            turns = range(batches[0].mask_BT.shape[1])
            if noise:
                found = [torch.randn(shape, generator=generator, device=generator.device) for _ in turns]
                drawn.append(noise * torch.stack(found))
            else:
                drawn.append(torch.zeros(len(turns), *shape, device=generator.device))
        return cls(groups, drawn)


@dataclass(frozen=True)
class _Seed:
    """The real steps of one seed's frames, batch after batch, and its frames."""

    frame_M: torch.Tensor
    step_M: torch.Tensor
    number_MI: torch.Tensor
    call_M4: torch.Tensor
    world_M: torch.Tensor
    noise_Mb: torch.Tensor
    row_B: torch.Tensor
    length_B: torch.Tensor

    @classmethod
    def of(cls, drawn: Drawn, inputs: Inputs) -> _Seed:
        columns, before = [], 0
        for batches, noise_TBb in zip(drawn.groups, drawn.noise, strict=True):
            group = before
            for batch in batches:
                frame, step = batch.mask_BT.nonzero(as_tuple=True)
                place = (frame + before - group).to(noise_TBb.device)
                columns.append((
                    frame + before, step, inputs.numbers(batch, frame, step), batch.call_BT4[frame, step],
                    torch.full_like(frame, batch.world), noise_TBb[step.to(noise_TBb.device), place],
                    batch.program_B, batch.mask_BT.sum(1),
                ))  # fmt: skip
                before += len(batch)
        return cls(*(torch.cat(column) for column in zip(*columns, strict=True)))


def pack(seeds: Sequence[Drawn], inputs: Inputs, *, worlds: int, device: torch.device) -> Packed:
    """Lay the frames of all seeds into one shape, on the device."""
    found = [_Seed.of(drawn, inputs) for drawn in seeds]
    longest = max(int(seed.length_B.max()) for seed in found)
    counts = tuple(max(int((seed.length_B > t).sum()) for seed in found) for t in range(longest))
    packed = [_steps(seed, counts, worlds) for seed in found]
    calls = tuple(
        Calls(*(pad_sequence(list(part), batch_first=True) for part in zip(*(s.calls[w] for s in packed), strict=True)))
        for w in range(worlds)
    )
    columns = {name: torch.stack([getattr(s, name) for s in packed]) for name in Steps._fields if name != "calls"}
    moved = {name: column.to(device, non_blocking=True) for name, column in columns.items()}
    steps = Steps(calls=tuple(_moved(one, device) for one in calls), **moved)
    frame_K = torch.cat([torch.arange(count) for count in counts]).to(device, non_blocking=True)
    rows = tuple(s.row_B[: len(seed.row_B)] for s, seed in zip(packed, found, strict=True))
    return Packed(steps, counts, frame_K, rows)


def _steps(seed: _Seed, counts: Sequence[int], worlds: int) -> Steps:
    """One seed's steps at their places: frames in order of length, step after step."""
    rank_B = torch.empty_like(seed.length_B)
    order_B = seed.length_B.argsort(descending=True, stable=True)
    rank_B[order_B] = torch.arange(len(order_B))
    start_T = torch.tensor([0, *counts]).cumsum(0)
    place_M, packed, frames = start_T[seed.step_M] + rank_B[seed.frame_M], int(start_T[-1]), counts[0]
    row_B = seed.row_B[order_B]
    calls = []
    for world in range(worlds):
        mine = ((seed.world_M == world) & (seed.call_M4[:, 0] != RETURN)).nonzero()[:, 0]
        calls.append(Calls(place_M[mine], seed.call_M4[mine], torch.ones(len(mine), dtype=torch.bool)))
    return Steps(
        number_KI=_at(place_M, seed.number_MI, packed),
        ends_K=_at(place_M, seed.call_M4[:, 0] == RETURN, packed),
        real_K=_at(place_M, torch.ones_like(place_M, dtype=torch.bool), packed),
        drawn_Kb=_at(place_M.to(seed.noise_Mb.device), seed.noise_Mb, packed),
        row_B=_at(torch.arange(len(row_B)), row_B, frames),
        share_B=_at(torch.arange(len(row_B)), 1.0 / torch.bincount(row_B)[row_B], frames),
        calls=tuple(calls),
    )


def _at(place_M: torch.Tensor, value_M: torch.Tensor, length: int) -> torch.Tensor:
    """The values at their places among ``length``, and zeros elsewhere."""
    whole = value_M.new_zeros(length, *value_M.shape[1:])
    whole[place_M] = value_M
    return whole


def _moved(calls: Calls, device: torch.device) -> Calls:
    return Calls(*(column.to(device, non_blocking=True) for column in calls))
