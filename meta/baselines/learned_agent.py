"""A program with a signal as an agent, so that it runs where baselines run.

Shape legend: ``B`` episodes, ``F`` observation fields, ``P`` numbers of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

import torch

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from envs.world import State
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerCore, TaskInput


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


class LearnedPolicy:
    """A row beside a frozen network, in any world: the likeliest actions of the instances that are live.

    Args:
        spec: of the world.
    """

    def __init__(self, net: LearnerCore, row_P: torch.Tensor, spec: WorldSpec) -> None:
        self.net, self.row_P, self.spec = net, row_P.detach(), spec
        self.hidden_BH: torch.Tensor | None = None

    def act(self, seen: Observation, live_B: torch.Tensor) -> Action:
        """Of all instances; zeros for those that are not live."""
        if self.hidden_BH is None:
            self.hidden_BH = self.net.begin(self._task(len(live_B)), seen)
        live = live_B.nonzero()[:, 0]
        step = self.net.step(self._task(len(live)), seen.select(live), self.hidden_BH[live])
        self.hidden_BH[live] = step.hidden_BH
        call_B4 = torch.zeros(len(live_B), 1 + SLOTS, dtype=torch.int64)
        call_B4[live] = step.action.call_B4
        if step.action.payload_BX is None:
            return Action(call_B4)
        payload_BX = step.action.payload_BX.new_zeros(len(live_B), step.action.payload_BX.shape[1])
        payload_BX[live] = step.action.payload_BX
        return Action(call_B4, payload_BX)

    def _task(self, count: int) -> TaskInput:
        return TaskInput(self.spec, 0, self.row_P.expand(count, -1), torch.zeros(count, SLOTS, dtype=torch.int64))
