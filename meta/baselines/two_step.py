"""Agents of the two-step task, and the sign by which one tells them apart (Daw et al. 2011).

Who knows how options lead to states stays more often after a reward behind the usual way, and less often behind the
rare one. Look for that sign in episodes that pay ``at random``: where the same state pays for long, an option that is
better by now is both chosen again and led to rewards the usual way, and an agent without a model shows a part of the
sign, too (Akam, Costa and Dayan 2015).

Shape legend: ``B`` episodes, ``T`` trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from envs.spec import WorldSpec
from envs.world import State
from meta.baselines.agent import drawn
from meta.baselines.rollout import Rollout


class _Valuing:
    """What both agents share: values that follow rewards, and choices that follow values."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator, rate: float, sharpness: float) -> None:
        self.at, self.last, self.paid = (spec.field(name) for name in ("STATE", "LAST", "REWARD"))
        self.common = float(spec.config["common"])
        self.generator, self.rate, self.sharpness = generator, rate, sharpness

    def start(self, state: State) -> None:
        self.value_B2 = torch.full((state.batch, 2), 0.5, device=state.device)

    def follow(self, index_B: torch.Tensor, paid_B: torch.Tensor, learned_B: torch.Tensor) -> None:
        """Move the values named, 0 or 1, to what was paid."""
        old_B1 = self.value_B2.gather(1, index_B[:, None])
        new_B1 = old_B1 + self.rate * (paid_B[:, None] - old_B1)
        self.value_B2.scatter_(1, index_B[:, None], torch.where(learned_B[:, None], new_B1, old_B1))

    def choose(self, worth_B2: torch.Tensor) -> torch.Tensor:
        return 1 + drawn((self.sharpness * worth_B2).softmax(1), self.generator)


class ModelFree:
    """Values of the two options: whichever was chosen is worth more after a reward, whatever state it led to.

    Args:
        rate: by which part a value moves to what was paid. sharpness: of choices, the inverse temperature.
    """

    def __init__(
        self, spec: WorldSpec, *, generator: torch.Generator, rate: float = 0.5, sharpness: float = 5.0
    ) -> None:
        self.values = _Valuing(spec, generator=generator, rate=rate, sharpness=sharpness)

    def begin(self, state: State) -> None:
        self.values.start(state)
        self.option_B = torch.ones(state.batch, dtype=torch.int64, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        values = self.values
        first_B = obs_BF[:, values.at] == 0
        paid_B = (obs_BF[:, values.paid] - 1).clamp(min=0).float()
        values.follow(self.option_B - 1, paid_B, first_B & (obs_BF[:, values.last] > 0))
        token_B = values.choose(values.value_B2)
        self.option_B = torch.where(first_B, token_B, self.option_B)
        return token_B


class ModelBased:
    """Values of the two states that pay; an option is worth what the states are to which it leads.

    Args:
        rate, sharpness: as those of :class:`ModelFree`.
    """

    def __init__(
        self, spec: WorldSpec, *, generator: torch.Generator, rate: float = 0.5, sharpness: float = 5.0
    ) -> None:
        self.values = _Valuing(spec, generator=generator, rate=rate, sharpness=sharpness)

    def begin(self, state: State) -> None:
        self.values.start(state)
        self.state_B = torch.ones(state.batch, dtype=torch.int64, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        values = self.values
        at_B = obs_BF[:, values.at]
        paid_B = (obs_BF[:, values.paid] - 1).clamp(min=0).float()
        values.follow(self.state_B - 1, paid_B, (at_B == 0) & (obs_BF[:, values.last] > 0))
        self.state_B = torch.where(at_B > 0, at_B, self.state_B)
        worth_B2 = values.common * values.value_B2 + (1 - values.common) * values.value_B2.flip(1)
        return values.choose(worth_B2)


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
