"""What another stepper would have decided at each step of a run, beside what was decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs.spec import RETURN
from envs.stepper import Observation, Stepper
from traces.recording.batch import Ints, TraceBatch
from traces.recording.text import walk


@dataclass(frozen=True)
class Comparison:
    """Two opinions about the steps of one trace, in the order of the trace's columns.

    Attributes:
        calls_S4: what the other stepper would have called.
        compared_S: whether it was asked: not after the first difference in a frame, where it would speak of a way
            that it would not have gone. A frame that is called later begins anew for both.
        differs_S: whether it was asked and would have called something else.
    """

    calls_S4: Ints
    compared_S: NDArray[np.bool_]
    differs_S: NDArray[np.bool_]


def compare(stepper: Stepper, trace: TraceBatch) -> Comparison:
    """Ask a stepper about every frame of some traces: one step of all frames at a time.

    The stepper sees what was observed, with its own hidden numbers.
    """
    calls_S4 = np.zeros_like(trace.calls)
    compared_S = np.zeros(trace.steps, bool)
    differs_S = np.zeros(trace.steps, bool)
    frame_m = np.flatnonzero(trace.length > 0)  # frames that still agree and go on
    hidden_MH = torch.zeros(len(trace.program), stepper.width, dtype=stepper.dtype)
    number = 0
    with torch.no_grad():
        while len(frame_m):
            step_m, index_m = trace.start[frame_m] + number, torch.from_numpy(frame_m)
            decision = stepper.step(
                Observation(torch.from_numpy(trace.obs[step_m].astype(np.int64))),
                torch.from_numpy(trace.program[frame_m].astype(np.int64)),
                torch.from_numpy(trace.arguments[frame_m].astype(np.int64)),
                hidden_MH[index_m],
            )
            hidden_MH[index_m] = decision.hidden_BH
            other_m4 = decision.call_B4.numpy().copy()
            other_m4[other_m4[:, 0] == RETURN, 1:] = 0
            differs_m = (other_m4 != trace.calls[step_m]).any(axis=1)
            calls_S4[step_m], compared_S[step_m], differs_S[step_m] = other_m4, True, differs_m
            number += 1
            frame_m = frame_m[~differs_m & (trace.length[frame_m] > number)]
    return Comparison(calls_S4, compared_S, differs_S)


def time_order(trace: TraceBatch) -> Ints:
    """Indices of one trace's steps in the order of time."""
    return np.array([step for _, step in walk(trace)], np.int64)
