"""Which frames the next update learns from: every program each time, more of those that still err (NPI section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from npi.training.loss import FrameBatch
from npi.training.places import Places
from traces.recording.placed_steps import PlacedSteps, renumbered_calls
from traces.recording.unique_frames import FrameSet

SHORT = 8
"""Frames of at most this many steps are unrolled apart from longer ones, so that little is padded."""

LEAST = 8
"""Frames drawn of a program in every update, however right it is."""


@dataclass(frozen=True)
class WorldFrames:
    """The different frames of one world, with programs and callees renumbered to rows of the memory.

    ``places`` are those of their steps where they are known, their reads by row.
    """

    world: int
    frames: FrameSet
    places: Places | None = None

    @classmethod
    def of(cls, world: int, frames: FrameSet, rows_N: torch.Tensor, places: Places | None = None) -> WorldFrames:
        """Renumber from ids of the frames' table by ``rows_N`` (the row of each id)."""
        call_S4 = renumbered_calls(frames.call_S4, rows_N)
        if places is not None:
            places = places.renumbered(rows_N)
        return cls(world, replace(frames, program_M=rows_N[frames.program_M], call_S4=call_S4), places)

    def batch(self, index_B: torch.Tensor, *, lengths_M: torch.Tensor | None = None) -> FrameBatch:
        """The frames named, padded to the longest; cut to ``lengths_M`` where given."""
        frames = self.frames if lengths_M is None else replace(self.frames, length_M=lengths_M)
        padded = frames.pad(index_B)
        return FrameBatch(
            self.world, padded.obs_BTF, padded.call_BT4, padded.mask_BT, padded.program_B, padded.arguments_B3
        )

    def chunks(self, index_M: torch.Tensor, steps: int = 16384) -> Iterator[tuple[torch.Tensor, FrameBatch]]:
        """All frames named, whole, in batches of similar length and about ``steps`` padded steps each."""
        order = index_M[self.frames.length_M[index_M].argsort(stable=True)]
        while len(order):
            length = self.frames.length_M[order]
            padded = length * torch.arange(1, len(order) + 1, device=length.device)
            count = max(1, int((padded <= steps).sum()))
            yield order[:count], self.batch(order[:count])
            order = order[count:]


@dataclass(frozen=True)
class WorldSteps:
    """Steps of one world with their places, programs and callees renumbered to rows of the memory."""

    world: int
    steps: PlacedSteps


@dataclass
class FrameGroup:
    """One program's frames within its world, and how wrong the core is on them (a running mean, 0..1)."""

    source: int
    row: int
    index_M: torch.Tensor
    error: float = 1.0


class Curriculum:
    """Draws the frames of an update.

    Args:
        sources: the frames of each world.
        frames: how many an update draws in all.
        cut: steps after which a drawn frame is cut (0: never); raised for programs whose frames are all long.
    """

    def __init__(self, sources: Sequence[WorldFrames], *, frames: int, cut: int) -> None:
        self.sources = list(sources)
        self.frames, self.cut = frames, cut
        self.lengths: list[torch.Tensor] = []
        self.groups: list[FrameGroup] = []
        self.hard: list[torch.Tensor] = [torch.empty(0, dtype=torch.int64) for _ in self.sources]
        for number, source in enumerate(self.sources):
            lengths_M = source.frames.length_M.clone()
            for row in source.frames.program_M.unique().tolist():
                index_M = (source.frames.program_M == row).nonzero()[:, 0]
                if cut:
                    short = int(lengths_M[index_M].float().quantile(0.25))
                    lengths_M[index_M] = lengths_M[index_M].clamp(max=max(cut, short))
                self.groups.append(FrameGroup(number, row, index_M))
            self.lengths.append(lengths_M)

    @property
    def errors(self) -> dict[int, float]:
        """The running share of wrong frames of each row, the larger one where a row has several groups."""
        found: dict[int, float] = {}
        for group in self.groups:
            found[group.row] = max(group.error, found.get(group.row, 0.0))
        return found

    def draw(self, *, generator: torch.Generator) -> list[list[FrameBatch]]:
        """Batches to unroll together (equal T), short frames, long ones, and whole ones that were found wrong."""
        weight = [0.25 + min(1.0, 3 * group.error) for group in self.groups]
        share = self.frames / sum(weight)
        picked: list[list[torch.Tensor]] = [[] for _ in self.sources]
        for group, w in zip(self.groups, weight, strict=True):
            count = max(LEAST, round(w * share))
            place = torch.randint(len(group.index_M), (count,), generator=generator)
            picked[group.source].append(group.index_M[place])
        short: list[FrameBatch] = []
        long: list[FrameBatch] = []
        whole: list[FrameBatch] = []
        for number, source in enumerate(self.sources):
            lengths_M, index_B = self.lengths[number], torch.cat(picked[number])
            is_short = lengths_M[index_B] <= SHORT
            for batches, index in ((short, index_B[is_short]), (long, index_B[~is_short])):
                if len(index):
                    batches.append(source.batch(index, lengths_M=lengths_M))
            if len(self.hard[number]):
                place = torch.randint(len(self.hard[number]), (max(LEAST, self.frames // 16),), generator=generator)
                whole.append(source.batch(self.hard[number][place]))
        return [_equal_length(batches) for batches in (short, long, whole) if batches]

    def note(self, row_B: torch.Tensor, wrong_B: torch.Tensor, keep: float = 0.9) -> None:
        """Blend what an update found wrong into the running errors."""
        size = 1 + max(group.row for group in self.groups)
        seen = torch.bincount(row_B, minlength=size).tolist()
        wrong = torch.bincount(row_B, weights=wrong_B.double(), minlength=size).tolist()
        for group in self.groups:
            if seen[group.row]:
                group.error = keep * group.error + (1 - keep) * wrong[group.row] / seen[group.row]


def _equal_length(batches: list[FrameBatch]) -> list[FrameBatch]:
    longest = max(b.mask_BT.shape[1] for b in batches)
    return [_stretched(b, longest) for b in batches]


def _stretched(batch: FrameBatch, length: int) -> FrameBatch:
    more = length - batch.mask_BT.shape[1]
    if not more:
        return batch
    return replace(
        batch,
        obs_BTF=functional.pad(batch.obs_BTF, (0, 0, 0, more)),
        call_BT4=functional.pad(batch.call_BT4, (0, 0, 0, more)),
        mask_BT=functional.pad(batch.mask_BT, (0, more)),
    )
