"""Training with forced states, for tests: its examples, two worlds together, frames that a core runs otherwise."""

import torch

from envs.stepper import Observation
from npi.core.config import CoreConfig
from npi.library.library import Library
from npi.running.core_stepper import CoreStepper
from npi.training.forced import ForcedStates
from npi.training.frame_objective import FrameObjective
from npi.training.learn_rows import RowObjective
from tests.support.tiny import SMALL, dataset, forcing, objective_on, strip, tape, untrained
from traces.recording.unique_frames import FrameSet


def forced(objective: FrameObjective | RowObjective) -> ForcedStates:
    assert isinstance(objective.supervision, ForcedStates)
    return objective.supervision


def two_worlds(core: CoreConfig = SMALL, **changes) -> FrameObjective:
    """Training on the strip and the tape."""
    return objective_on(untrained(core, strip(), tape()), [dataset(strip()), dataset(tape())], forcing(**changes))


def stepped_wrong(library: Library, table, frames: FrameSet) -> list[int]:
    """Frames in which the core, its state its own, calls otherwise somewhere."""
    stepper = CoreStepper.of(library, table)
    found = []
    for m in range(len(frames)):
        hidden = torch.zeros(1, 1, dtype=torch.int64)
        for s in range(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m])):
            obs = frames.obs_SF[[s]].to(torch.int64)
            decision = stepper.step(Observation(obs), frames.program_M[[m]], frames.arguments_M3[[m]], hidden)
            hidden = decision.hidden_BH
            if decision.call_B4[0].tolist() != frames.call_S4[s].tolist():
                found.append(m)
                break
    return found
