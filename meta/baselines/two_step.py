"""Agents of the two-step task, and the sign by which one tells them apart (Daw et al. 2011).

Who knows how options lead to states stays more often after a reward behind the usual way, and less often behind the
rare one. Look for that sign in episodes that pay ``at random``: where the same state pays for long, an option that is
better by now is both chosen again and led to rewards the usual way, and an agent without a model shows a part of the
sign, too (Akam, Costa and Dayan 2015).

Shape legend: ``B`` episodes, ``T`` trials.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from envs.spec import WorldSpec
from envs.world import State
from meta.baselines.agent import Rollout, drawn

RATE = 0.5
"""By which part a value moves to what was paid."""

SHARPNESS = 5.0
"""Of choices: the inverse temperature."""


class Valuing(ABC):
    """What both agents share: values that follow rewards, and choices that follow values."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.at, self.last, self.paid = (spec.field(name) for name in ("STATE", "LAST", "REWARD"))
        self.common, self.generator = float(spec.config["common"]), generator

    def begin(self, state: State) -> None:
        self.value_B2 = torch.full((state.batch, 2), 0.5, device=state.device)
        self.valued_B = torch.ones(state.batch, dtype=torch.int64, device=state.device)

    @abstractmethod
    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """int64 B, tokens: the next choice; ``valued_B`` is what the next reward counts for, 1 or 2."""

    def follow(self, obs_BF: torch.Tensor, learned_B: torch.Tensor) -> None:
        """Move the values of what counts to what was paid."""
        paid_B1 = (obs_BF[:, self.paid, None] - 1).clamp(min=0).float()
        old_B1 = self.value_B2.gather(1, self.valued_B[:, None] - 1)
        new_B1 = torch.where(learned_B[:, None], old_B1 + RATE * (paid_B1 - old_B1), old_B1)
        self.value_B2.scatter_(1, self.valued_B[:, None] - 1, new_B1)

    def choose(self, worth_B2: torch.Tensor) -> torch.Tensor:
        return 1 + drawn((SHARPNESS * worth_B2).softmax(1), self.generator)


class ModelFree(Valuing):
    """Values of the two options: whichever was chosen is worth more after a reward, whatever state it led to."""

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        first_B = obs_BF[:, self.at] == 0
        self.follow(obs_BF, first_B & (obs_BF[:, self.last] > 0))
        token_B = self.choose(self.value_B2)
        self.valued_B = torch.where(first_B, token_B, self.valued_B)
        return token_B


class ModelBased(Valuing):
    """Values of the two states that pay; an option is worth what the states are to which it leads."""

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        at_B = obs_BF[:, self.at]
        self.follow(obs_BF, (at_B == 0) & (obs_BF[:, self.last] > 0))
        self.valued_B = torch.where(at_B > 0, at_B, self.valued_B)
        return self.choose(self.common * self.value_B2 + (1 - self.common) * self.value_B2.flip(1))


@dataclass(frozen=True)
class Stays:
    """How often the option of a trial is chosen again in the next one, by what happened in it.

    Attributes:
        common, rare: where a reward came (first) or none did (second), behind the usual way or the rare one.
    """

    common: tuple[float, float]
    rare: tuple[float, float]

    @property
    def by_reward(self) -> float:
        """By how much more one stays after a reward."""
        return (self.common[0] + self.rare[0] - self.common[1] - self.rare[1]) / 2

    @property
    def interaction(self) -> float:
        """By how much more a reward makes one stay behind the usual way than behind the rare one: the sign of who
        knows which way was usual."""
        return (self.common[0] - self.common[1]) - (self.rare[0] - self.rare[1])


def stays(spec: WorldSpec, played: Rollout) -> Stays:
    """Of trials that began and ended in one rollout. Steps 0, 2, 4, … choose options, the others collect."""
    option_TB = played.chosen_SB[0::2]
    trials = min(len(option_TB) - 1, len(played.chosen_SB) // 2)
    reached_TB = played.obs_SBF[1::2, :, spec.field("STATE")][:trials]
    paid_TB = played.reward_SB[1::2][:trials] > 0
    stay_TB = (option_TB[1 : trials + 1] == option_TB[:trials]).double()
    common_TB = reached_TB == option_TB[:trials]

    def share(which_TB: torch.Tensor) -> float:
        return float(stay_TB[which_TB].mean())

    found = [(share(way & paid_TB), share(way & ~paid_TB)) for way in (common_TB, ~common_TB)]
    return Stays(*found)
