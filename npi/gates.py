"""Which fields of the observation a program needs, read off its frames.

Where the program, its arguments, its calls so far and the present observation always lead to one next call, a field is
needed if that no longer holds without it. The others are hidden from the program by closed gates, the widest first:
what a program does not need, it has not to learn to ignore. In the same way a program whose call follows from the
present observation alone does not get its state. Past observations do not count, or a field would seem to be told by
the long history of others (a carry by the digits before it), which is far harder to learn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from npi.curriculum import WorldFrames
from npi.memory import OPEN, ProgramMemory
from traces.frames import FrameSet, joined, prefix_keys


def set_gates(memory: ProgramMemory, sources: Sequence[WorldFrames], rows: Collection[int] | None = None) -> None:
    """Open the gates that the frames of each program need, and close its others.

    Args:
        memory: its ``gates_NF`` changes; a memory without gates is left alone.
        sources: all frames known; several sources may hold frames of one row.
        rows: those to look at; every row that has frames by default.
    """
    if not memory.gates_NF.shape[1]:
        return
    known = {row for source in sources for row in source.frames.program_M.unique().tolist()}
    with torch.no_grad():
        for row in sorted(known if rows is None else known & set(rows)):
            frames = joined([s.frames.select(s.frames.program_M == row) for s in sources if _has(s, row)])
            needed = needed_fields(frames)
            memory.gates_NF[row] = -OPEN
            memory.gates_NF[row, needed] = OPEN
            if not settled(frames, needed, history=False):
                memory.gates_NF[row, -1] = OPEN


def needed_fields(frames: FrameSet) -> list[int]:
    """Fields without which calls so far and present observation do not settle the next call.

    The widest field is left out first. All fields are needed where even together they settle nothing.
    """
    sizes = [field.size for field in frames.table.world.fields]
    needed = list(range(len(sizes)))
    if settled(frames, needed):
        for index in sorted(needed, key=lambda i: (-sizes[i], -i)):
            fewer = [i for i in needed if i != index]
            if settled(frames, fewer):
                needed = fewer
    return needed


def settled(frames: FrameSet, fields: Sequence[int], *, history: bool = True) -> bool:
    """Whether program, arguments, the calls so far (``history``) and these fields now always lead to one next call."""
    calls_S4 = frames.call_S4.to(torch.int64)
    obs_SR = frames.obs_SF[:, list(fields)].numpy()
    if history:
        before_S4 = torch.zeros_like(calls_S4)
        before_S4[1:] = calls_S4[:-1] + 2  # no call is told apart from callee 0 and token 0
        before_S4[frames.start_M] = 0
        key_S2, *_ = prefix_keys(replace(frames, obs_SF=before_S4))
        rows = np.concatenate([key_S2.view(np.int64), obs_SR], 1)
    else:
        frame_S = np.repeat(np.arange(len(frames)), frames.length_M.numpy())
        heads = torch.cat([frames.program_M[:, None], frames.arguments_M3], 1).numpy()
        rows = np.concatenate([heads[frame_S], obs_SR], 1)
    order = np.lexsort(rows.T)
    row, call = rows[order], calls_S4.numpy()[order]
    same = (row[1:] == row[:-1]).all(1)
    return not bool((same & (call[1:] != call[:-1]).any(1)).any())


def _has(source: WorldFrames, row: int) -> bool:
    return bool((source.frames.program_M == row).any())
