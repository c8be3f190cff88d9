"""A program with a signal as a player, so that it plays where opponents play.

Shape legend: ``B`` episodes, ``F`` observation fields, ``P`` numbers of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

import torch

from envs.registry import make
from envs.spec import SLOTS
from envs.world import State
from npi.learners.core import HostedCore
from npi.learners.interface import Asked


class Learned:
    """A row on its frozen core (implements ``meta.baselines.player.Player``), without exploring.

    Args:
        core: of a learner that learns from a reward.
        row_P: what is learned of the program.
        world: index of its world in the core.
    """

    def __init__(self, core: HostedCore, row_P: torch.Tensor, *, world: int = 0) -> None:
        spec = core.worlds[world]
        self.core, self.row_P, self.index = core, row_P.detach(), world
        self.width = core.learner.width(core.net, make(spec.kind, spec.name, spec.config))

    def begin(self, state: State) -> None:
        """New episodes: nothing is remembered."""
        row_BP = self.row_P.expand(state.batch, -1)
        self.asked = Asked(self.index, row_BP, torch.zeros(state.batch, SLOTS, dtype=torch.int64))
        self.hidden_BH = torch.zeros(state.batch, self.width)

    @torch.no_grad()
    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """int64 B: the token of the next choice."""
        step = self.core.learner.step(self.core.net, self.asked, obs_BF, self.hidden_BH, generator=None)
        self.hidden_BH = step.hidden_BH
        return step.act[:, 1]
