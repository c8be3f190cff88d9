"""Which fields of the observation a program needs, read off its frames.

Where the program, its arguments, its last call or calls and the present observation always lead to one next call, a
field is needed if that no longer holds without it. The others are hidden from the program by closed gates, the widest
first: what a program does not need, it has not to learn to ignore. In the same way a program whose call follows from
the present observation alone does not get its state.

Neither past observations nor all the calls so far count. Either would seem to tell what has to be looked at: the digits
before tell a carry, and a count of the turns of one loop tells how many the next one takes. A core that has to go by
them must remember or count, and does not learn to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from envs.spec import SLOTS, WorldSpec
from npi.core import gates
from npi.core.recurrent import RecurrentCore
from npi.program_memory import ProgramMemory
from npi.training.curriculum import WorldFrames
from traces.recording.unique_frames import FrameSet, joined, prefix_keys, row_hash

WINDOWS = (1, 2, 3)
"""How many of the last calls may tell where in its text a program is; the number that leaves least to see is taken."""


def set_gates(core: RecurrentCore, memory: ProgramMemory, sources: Sequence[WorldFrames]) -> None:
    """Open the gates that the frames of each program need, and close its others.

    Args:
        memory: its ``gates_NF`` changes; a memory without gates is left alone.
        sources: all frames known; several sources may hold frames of one row.
    """
    if not memory.gates_NF.shape[1]:
        return
    known = {row for source in sources for row in source.frames.program_M.unique().tolist()}
    with torch.no_grad():
        for row in sorted(known):
            own = [source.frames.select(source.frames.program_M == row) for source in sources]
            evidence = Evidence(joined([frames for frames in own if len(frames)]))
            needed = with_pictures(evidence.frames.table.world, evidence.needed())
            seen_I = torch.ones(gates.inputs(evidence.frames.table.world), dtype=torch.bool)
            seen_I[1:-SLOTS] = torch.isin(torch.arange(len(seen_I) - 1 - SLOTS), torch.tensor(needed))
            seen_I[0] = not evidence.settled(needed, evidence.heads_S)
            mask_W = gates.masks(seen_I[None], core.words)[0]
            memory.gates_NF[row] = mask_W.repeat(core.codes)


def with_pictures(spec: WorldSpec, needed: Sequence[int]) -> list[int]:
    """The fields, and beside each that a picture stands for the others of that picture: it is seen as a whole."""
    found = set(needed)
    for picture in spec.rendered:
        fields = {spec.field(name) for name in picture.fields}
        found |= fields if fields & found else set()
    return sorted(found)


class Evidence:
    """The steps of some frames, as hashes of what may tell the next call.

    Attributes:
        heads_S: of program and arguments. field_FS: of each field now. call_S: of the next call.
    """

    def __init__(self, frames: FrameSet) -> None:
        self.frames = frames
        self.sizes = [field.size for field in frames.table.world.fields]
        calls_S4 = frames.call_S4.to(torch.int64).numpy()
        length_M, start_M = frames.length_M.numpy(), frames.start_M.numpy()
        self.step_S = np.arange(len(calls_S4)) - np.repeat(start_M, length_M)
        heads = torch.cat([frames.program_M[:, None], frames.arguments_M3], 1).numpy()
        self.heads_S = np.repeat(row_hash(list(heads.T), 10), length_M)
        self.field_FS = [row_hash([c], 11 + i) for i, c in enumerate(frames.obs_SF.to(torch.int64).numpy().T)]
        self.call_S = row_hash(list(calls_S4.T), 9)

    def needed(self) -> list[int]:
        """The fields that the next call needs; all of them where even together they settle nothing."""
        found = [fields for back in WINDOWS if (fields := self._fewest(self.window(back))) is not None]
        if not found:
            every = self._fewest(self.all_calls())
            return list(range(len(self.sizes))) if every is None else every
        return min(found, key=lambda fields: sum(math.log(self.sizes[i]) for i in fields))

    def settled(self, fields: Sequence[int], before_S: np.ndarray) -> bool:
        """Whether what was before (a hash) and these fields now always lead to one next call."""
        key_S = before_S.copy()
        for index in fields:
            key_S += self.field_FS[index]
        return settles(key_S, self.call_S)

    def window(self, back: int) -> np.ndarray:
        """Hashes of program, arguments and the last ``back`` calls (fewer where the frame has just begun)."""
        total = self.heads_S.copy()
        for turn in range(1, back + 1):
            late = self.step_S >= turn
            total[late] += row_hash([self.call_S[:-turn].view(np.int64)], 100 + turn)[late[turn:]]
        return total

    def all_calls(self) -> np.ndarray:
        """Hashes of program, arguments and all calls so far, in their order."""
        calls_S4 = self.frames.call_S4.to(torch.int64)
        before_S4 = torch.zeros_like(calls_S4)
        before_S4[1:] = calls_S4[:-1] + 2  # no call is told apart from callee 0 and token 0
        before_S4[self.frames.start_M] = 0
        key_S2, *_ = prefix_keys(replace(self.frames, obs_SF=before_S4))
        return key_S2[:, 0].copy()

    def _fewest(self, before_S: np.ndarray) -> list[int] | None:
        """The fields that are left when each that can be spared is left out, the widest first."""
        every = range(len(self.sizes))
        return spared(every, self.sizes, lambda fields: self.settled(fields, before_S))


def settles(key_S: np.ndarray, call_S: np.ndarray) -> bool:
    """Whether steps of one key always have one call."""
    order = np.argsort(key_S, kind="stable")
    key, call = key_S[order], call_S[order]
    return not bool(((key[1:] == key[:-1]) & (call[1:] != call[:-1])).any())


def spared(inputs: Sequence[int], sizes: Sequence[float], settled: Callable[[Sequence[int]], bool]) -> list[int] | None:
    """The inputs that are left when each that can be spared is left out, the widest first; None if all settle not."""
    needed = list(inputs)
    if not settled(needed):
        return None
    for index in sorted(needed, key=lambda i: (-sizes[i], -i)):
        fewer = [i for i in needed if i != index]
        if settled(fewer):
            needed = fewer
    return needed
