"""A program with a signal as an agent, so that it runs where baselines run.

Shape legend: ``B`` episodes, ``F`` observation fields, ``P`` numbers of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

import torch

from envs.spec import SLOTS
from envs.stepper import Observation
from envs.world import State
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import TaskInput


class Learned:
    """A row on its frozen core (implements ``meta.baselines.agent.Agent``), without exploring.

    Args:
        core: of a learner that learns from a reward, in its first world.
        row_P: what is learned of the program.
    """

    def __init__(self, core: LearnerProgramCore, row_P: torch.Tensor) -> None:
        self.core, self.row_P = core, row_P.detach()

    def begin(self, state: State) -> None:
        """New episodes: nothing is remembered."""
        row_BP = self.row_P.expand(state.batch, -1)
        arguments_B3 = torch.zeros(state.batch, SLOTS, dtype=torch.int64)
        self.task = TaskInput(self.core.worlds[0], 0, row_BP, arguments_B3)
        self.hidden_BH = self.core.net.begin(self.task)

    @torch.no_grad()
    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """int64 B: the token of the next choice."""
        action, self.hidden_BH, _ = self.core.net.step(self.task, Observation(obs_BF), self.hidden_BH)
        return action.call_B4[:, 1]
