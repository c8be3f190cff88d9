"""A row against frames, some of which it was not learned from: the same calls as in the traces, step by step.

Shape legend: ``M`` frames, ``K`` frames with equal ones, ``B`` those still followed, ``R`` inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from envs.spec import RETURN, Signature
from envs.support import mixed_radix
from npi.training.induction.steps import inputs_of, seen_in
from npi.universal.proof import SHOWN, Comparison, Mistake
from npi.universal.rows import Tabulated
from npi.universal.symbols import seen_words
from traces.recording.text import call_text
from traces.recording.unique_frames import FrameSet

HELD_BACK = 10
"""One of so many frames is not learned from."""


@dataclass(frozen=True)
class Evidence:
    """The different frames of one program.

    Attributes:
        frames: all. learned_M: which of them are learned from; the others only check the row.
    """

    frames: FrameSet
    learned_M: torch.Tensor

    @classmethod
    def of(cls, frames: FrameSet, *, generator: torch.Generator) -> Evidence:
        """Hold back one of :data:`HELD_BACK` frames of all traces.

        A frame like one that was held back may be left in another trace, and is learned from then: what is common is
        known, and what is checked is how the row does on frames that the next traces would bring.
        """
        frame_K = torch.arange(len(frames)).repeat_interleave(frames.count_M)
        held_K = frame_K[torch.randperm(len(frame_K), generator=generator)[: len(frame_K) // HELD_BACK]]
        return cls(frames, torch.bincount(held_K, minlength=len(frames)) < frames.count_M)

    @property
    def known(self) -> FrameSet:
        """The frames that are learned from."""
        return self.frames.select(self.learned_M)

    @property
    def held(self) -> int:
        """How many frames are unlike all that are learned from."""
        return int((~self.learned_M).sum())


def replay(row: Tabulated, frames: FrameSet, signature: Signature) -> Comparison:
    """Follow the frames of one program by the tables of its row, each up to its first wrong decision."""
    index_SX = seen_in(frames, signature)
    place_of = {read: number for number, read in enumerate(inputs_of(frames, signature))}
    call_S4 = frames.call_S4.numpy()
    start_M, length_M = frames.start_M.numpy(), frames.length_M.numpy()
    going_B, state_B, step = np.arange(len(frames)), np.zeros(len(frames), np.int64), 0
    wrong, mistakes = 0, dict[int, Mistake]()
    while len(going_B):
        at_B = start_M[going_B] + step
        found_B5 = np.zeros((len(at_B), 5), np.int64)
        for state in np.unique(state_B).tolist():
            mine = np.flatnonzero(state_B == state)
            inputs = [place_of[read] for read in row[state].reads]
            entry_B = mixed_radix.number(index_SX[at_B[mine]][:, inputs].T, row[state].sizes)
            found_B5[mine] = row[state].entry_M5.numpy()[entry_B]
        right_B4 = call_S4[at_B]
        returns_B = right_B4[:, 0] == RETURN
        same_B = np.where(returns_B, found_B5[:, 0] == RETURN, (found_B5[:, :4] == right_B4).all(1))
        wrong += int((~same_B).sum())
        for other in np.flatnonzero(~same_B).tolist():
            state = int(state_B[other])
            if len(mistakes) < SHOWN and state not in mistakes:
                reads, index_X = row[state].reads, index_SX[at_B[other]]
                index_R = [int(index_X[place_of[read]]) for read in reads]
                seen = seen_words(reads, index_R, frames.table.world, signature)
                calls, should = (call_text(frames.table, call[other]) for call in (found_B5[:, :4], right_B4))
                mistakes[state] = Mistake(state, seen, calls, should)
        stays_B = same_B & (length_M[going_B] > step + 1)
        going_B, state_B = going_B[stays_B], found_B5[stays_B, 4]
        step += 1
    return Comparison(len(frames), wrong, tuple(mistakes.values()))
