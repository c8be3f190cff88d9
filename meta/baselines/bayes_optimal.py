"""The Bayes-optimal agent of two independent arms, by dynamic programming over all that can have been seen.

After t pulls it is known how often the first arm was pulled (N), how often it won (V), and how often the second one won
(W); the second was pulled t - N times. No agent has a smaller mean regret where chances are uniform beforehand.

Shape legend: ``N``, ``V``, ``W`` as above, each 0 to t; ``S`` pulls, ``B`` episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from envs.spec import WorldSpec
from meta.baselines.agent import largest
from meta.baselines.bandits import Counting


@dataclass(frozen=True)
class Plan:
    """What is best.

    Attributes:
        ahead: for each number of pulls that are over, by how much the second arm is worth more than the first: float32
            N×V×W. Places that cannot be reached hold anything.
        reward: the mean sum of rewards of the best agent.
    """

    ahead: tuple[torch.Tensor, ...]
    reward: float

    @property
    def regret(self) -> float:
        """The mean regret of the best agent: the better of two uniform chances is 2/3 on average."""
        return 2 / 3 * len(self.ahead) - self.reward

    def lost(self, arm_SB: torch.Tensor, reward_SB: torch.Tensor) -> torch.Tensor:
        """float32 S×B: by how much less a choice was worth than the best one, given what had been seen (arm 0 or 1).

        All that an agent loses is the sum of this in the mean, so :attr:`regret` and the mean sum are its mean regret.
        The luck of single episodes is in neither.
        """
        won_SB = (reward_SB > 0).long()
        before_KSB = torch.stack([arm_SB == 0, (arm_SB == 0) * won_SB, (arm_SB == 1) * won_SB]).long()
        before_KSB = before_KSB.cumsum(1) - before_KSB
        found = []
        for ahead_NVW, arm_B, (pulls_B, first_B, second_B) in zip(
            self.ahead, arm_SB, before_KSB.unbind(1), strict=True
        ):
            ahead_B = ahead_NVW.to(arm_B.device)[pulls_B, first_B, second_B]
            found.append(torch.where(arm_B == 0, ahead_B, -ahead_B).clamp(min=0))
        return torch.stack(found)


@lru_cache(maxsize=2)
def plan(horizon: int) -> Plan:
    """The best plan for so many pulls; at 100 pulls it takes 100 MB."""
    value_NVW = torch.zeros(horizon + 1, horizon + 1, horizon + 1, dtype=torch.float64)
    ahead = []
    for over in range(horizon - 1, -1, -1):
        count = torch.arange(over + 1, dtype=torch.float64)
        first_NV1 = ((count + 1) / (count[:, None] + 2))[:, :, None].clamp(max=1)
        second_N1W = ((count + 1) / (over - count[:, None] + 2))[:, None, :].clamp(max=1)
        won_NVW, lost_NVW = value_NVW[1:, 1:, :-1], value_NVW[1:, :-1, :-1]
        one_NVW = first_NV1 * (1 + won_NVW) + (1 - first_NV1) * lost_NVW
        won_NVW, lost_NVW = value_NVW[:-1, :-1, 1:], value_NVW[:-1, :-1, :-1]
        two_NVW = second_N1W * (1 + won_NVW) + (1 - second_N1W) * lost_NVW
        ahead.append((two_NVW - one_NVW).float())
        value_NVW = torch.maximum(one_NVW, two_NVW)
    return Plan(tuple(reversed(ahead)), float(value_NVW))


class BayesOptimal(Counting):
    """Plays by :func:`plan`, for as many pulls as the world shows."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        super().__init__(spec, generator=generator)
        if self.arms != 2:
            raise ValueError(f"the plan is for two arms, and world {spec.name} has {self.arms}")
        self.plan = plan(int(spec.config["steps"]))

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        wins_BA, pulls_BA = self.wins_BA.long(), (self.wins_BA + self.losses_BA).long()
        over = int(pulls_BA[0].sum())  # as many in every episode
        ahead_B = self.plan.ahead[over].to(obs_BF.device)[pulls_BA[:, 0], wins_BA[:, 0], wins_BA[:, 1]]
        even_B = ahead_B.abs() < 1e-6
        return largest(torch.stack([torch.where(even_B, 0.0, -ahead_B), torch.zeros_like(ahead_B)], 1), self.generator)
