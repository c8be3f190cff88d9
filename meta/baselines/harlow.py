"""Agents of Harlow's task.

Shape legend: ``B`` episodes, ``K`` bits of an object's code. Sides are 1 (left) and 2 (right).
"""

from __future__ import annotations

import torch

from envs.spec import WorldSpec
from envs.world import State


class _Eyes:
    """What both agents share: the fields of an observation, and turning to a cross."""

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self.cross, self.last, self.paid = (spec.field(name) for name in ("CROSS", "LAST", "REWARD"))
        self.bits = int(spec.config["bits"])
        amounts = [0.0, *map(float, spec.fields[self.paid].values[1:])]
        self.amount_R = torch.tensor(amounts)

    def codes(self, obs_BF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """int64 B×K: the objects at the left and at the right; 0 where none is seen."""
        left_BK, right_BK = obs_BF[:, -2 * self.bits :].split(self.bits, 1)
        return left_BK, right_BK

    def outcome(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """What the last choice of an object brought, 1 or -1; 0 where none was made in the last step."""
        paid_B = self.amount_R.to(obs_BF.device)[obs_BF[:, self.paid]]
        return torch.where(paid_B.abs() == 1, paid_B, 0.0)

    def looking(self, side_B: torch.Tensor, obs_BF: torch.Tensor) -> torch.Tensor:
        """To the cross, where there is one."""
        return torch.where(obs_BF[:, self.cross] > 0, obs_BF[:, self.cross], side_B)


class SideStayer:
    """Win, stay; lose, shift; of sides, as one does who sees no objects. The first side is drawn."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.eyes, self.generator = _Eyes(spec), generator

    def begin(self, state: State) -> None:
        self.side_B = 1 + torch.randint(2, (state.batch,), generator=self.generator, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        lost_B = self.eyes.outcome(obs_BF) < 0
        self.side_B = torch.where(lost_B, 3 - self.side_B, self.side_B)
        return self.eyes.looking(self.side_B, obs_BF)


class ObjectStayer:
    """Win, stay; lose, shift; of objects: the best agent where one object always pays. The first side is drawn."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.eyes, self.generator = _Eyes(spec), generator

    def begin(self, state: State) -> None:
        shape, device = (state.batch, self.eyes.bits), state.device
        self.good_BK = torch.full(shape, -1, device=device)
        self.seen = self.good_BK.clone(), self.good_BK.clone()
        self.side_B = 1 + torch.randint(2, (state.batch,), generator=self.generator, device=device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        outcome_B1 = self.eyes.outcome(obs_BF)[:, None]
        left_BK, right_BK = self.seen
        chose_left_B1 = (self.side_B == 1)[:, None]
        took_left_B1 = chose_left_B1 == (outcome_B1 > 0)  # what pays lay at the left
        found_BK = torch.where(took_left_B1, left_BK, right_BK)
        self.good_BK = torch.where(outcome_B1 != 0, found_BK, self.good_BK)
        left_BK, right_BK = self.eyes.codes(obs_BF)
        there_B1 = (left_BK > 0).all(1, keepdim=True)
        self.seen = torch.where(there_B1, left_BK, self.seen[0]), torch.where(there_B1, right_BK, self.seen[1])
        side_B = torch.where((left_BK == self.good_BK).all(1), 1, torch.where((right_BK == self.good_BK).all(1), 2, 0))
        self.side_B = torch.where(side_B > 0, side_B, self.side_B)
        return self.eyes.looking(self.side_B, obs_BF)
