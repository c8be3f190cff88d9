"""Where the steps of a dataset are: by the text, or by the states of the machine that merging finds in its frames.

Shape legend: ``S`` steps of all frames of a program, ``I`` those in one state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from envs.spec import RETURN
from npi.training.dataset import Dataset
from npi.training.induction.machine import machine_of_frames
from npi.training.induction.state_merging import Machine
from npi.training.places import Finder, Places, finder_of_texts
from traces.recording.text import call_text
from traces.recording.unique_frames import FrameSet


def finders_of(datasets: Sequence[Dataset]) -> tuple[list[Finder], int]:
    """For each dataset what finds its places, and how many the program with the most has.

    Raises ``ValueError`` where the frames are explained neither by a text nor by a small machine.
    """
    finders, most = [], 0
    for dataset in datasets:
        find = infer_places if dataset.programs is None else finder_of_texts(dataset.programs)
        places = find(dataset.frames)
        most = max([most, *(len(reads) - 1 for reads in places.reads.values())])
        finders.append(_known(dataset.frames, places, find))
    return finders, most


def _known(frames: FrameSet, places: Places, find: Finder) -> Finder:
    """The finder, which has found the places of these frames already."""
    return lambda asked: places if asked is frames else find(asked)


def infer_places(frames: FrameSet) -> Places:
    """The places of all programs of these frames.

    Raises:
        ValueError: that names the program whose frames no small machine explains.
    """
    before_S, after_S = (torch.zeros(frames.steps, dtype=torch.int64) for _ in range(2))
    frame_S = torch.arange(len(frames)).repeat_interleave(frames.length_M)
    reads = {}
    for program in frames.program_M.unique().tolist():
        own = frames.program_M == program
        machine = machine_of_frames(frames.select(own), frames.table.signatures[program])
        node_S = machine.walk()
        name = frames.table.signatures[program].name
        if (node_S < 0).any():
            raise ValueError(f"no small machine explains the {len(machine.steps.start_M)} different frames of {name}")
        steps = machine.steps
        before = np.where(steps.step_S == 0, 0, node_S + 1)
        after = np.append(before[1:], 0)
        after[steps.call_S4[:, 0] == RETURN] = 0
        mine_S = own[frame_S]
        before_S[mine_S], after_S[mine_S] = torch.from_numpy(before), torch.from_numpy(after)
        reads[program] = {
            place: _read(machine, np.flatnonzero(before == place), after, name) for place in np.unique(before).tolist()
        }
    return Places(before_S, after_S, reads)


def _read(machine: Machine, at_I: np.ndarray, after_S: np.ndarray, name: str) -> frozenset[int]:
    """The fewest inputs found that settle the calls of some steps, and where they lead."""
    steps = machine.steps
    needed = steps.fewest(at_I, steps.number_S[at_I] * (1 + int(after_S.max())) + after_S[at_I], steps.present)
    if not needed.settled:
        one = call_text(steps.frames.table, steps.call_S4[at_I[0]])
        raise ValueError(f"nothing that {name} sees tells its calls apart in the state in which it calls {one}")
    return frozenset(needed.inputs)
