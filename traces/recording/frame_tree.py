"""From steps in the order of time to the tree of their frames: a loop, in machine code where there are many steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from envs.spec import RETURN
from traces.recording.batch import Ints


def tree(instance_S: Ints, callee_S: Ints, primitives: int) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """The frames of steps that lie by instance, then time, numbered in the order of their first steps.

    Returns frame_S, place_S (in the frame), and for each frame length_M, parent_M, parent_step_M and the step begin_M.
    """
    steps = len(instance_S)
    frame_S, place_S = np.empty(steps, np.int64), np.empty(steps, np.int64)
    length_M, parent_M = np.zeros(steps, np.int64), np.empty(steps, np.int64)
    parent_step_M, begin_M = np.empty(steps, np.int64), np.empty(steps, np.int64)
    stack = np.empty(steps + 1, np.int64)
    frames, top, begins = 0, -1, True
    for s in range(steps):
        if s == 0 or instance_S[s] != instance_S[s - 1]:
            top, begins = -1, True
        if begins:
            parent_M[frames] = stack[top] if top >= 0 else -1
            parent_step_M[frames] = length_M[stack[top]] - 1 if top >= 0 else -1
            begin_M[frames] = s
            top += 1
            stack[top] = frames
            frames += 1
        frame = stack[top]
        frame_S[s] = frame
        place_S[s] = length_M[frame]
        length_M[frame] += 1
        begins = callee_S[s] >= primitives
        if callee_S[s] == RETURN and top > 0:
            top -= 1
    return frame_S, place_S, length_M[:frames], parent_M[:frames], parent_step_M[:frames], begin_M[:frames]


@cache
def compiled_tree() -> Callable[[Ints, Ints, int], tuple[Ints, ...]]:
    """:func:`tree` in machine code; loading it takes a moment."""
    from numba import njit

    compiled: Callable[[Ints, Ints, int], tuple[Ints, ...]] = njit(cache=True)(tree)
    return compiled
