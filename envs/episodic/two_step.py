"""The two-step task (Daw et al. 2011), as learners are given it in Wang et al. (2016, section 3.2; 2018).

A trial has two steps. In state 1 an option is chosen; it leads to state 2 or 3, the first option to 2 most of the time,
the second to 3. There any choice brings the reward: one of the two states pays often, the other one rarely, and which
one changes now and then. Who knows how options lead to states draws other conclusions from a reward after a rare way
than who repeats what was rewarded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, read_settings, within
from envs.spec import NONE, Field, Signature, Slot, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "two_step"

STATES = ("1", "2", "3")

PAYS = ("in turns", "at random")
"""How the state that pays often is drawn: it changes now and then; or it is drawn anew in each trial. In the latter
nothing can be learned. It is there to look at agents: what happens in a trial has nothing to do with what happened
before, so that whether a choice is repeated follows from this trial alone (Akam, Costa and Dayan 2015)."""

BEGIN, WAY, LUCK, SWITCH = 21, 22, 23, 24
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass(frozen=True)
class TwoStepConfig:
    """The settings of ``two_step(…)`` in a program file.

    Attributes:
        common: how often the first option leads to state 2, and the second one to 3.
        high, low: how often the better and the worse state pay.
        switch: how often they change places after a trial.
        steps: the largest trial number that is shown.
    """

    common: float = 0.8
    high: float = 0.9
    low: float = 0.1
    switch: float = 0.025
    steps: int = 100

    def __post_init__(self) -> None:
        for key in ("common", "high", "low", "switch"):
            within("a two_step", key, getattr(self, key), 0, 1)
        within("a two_step", "steps", self.steps, 1, 10_000)


@dataclass
class TwoStepState(EpisodeState):
    """A batch of episodes, each part int64 B.

    Attributes:
        episode_B, random_B: what was laid out, a number and an index into :data:`PAYS`. trial_B: trials that are over.
        good_B: the state that pays often, 1 or 2 (an index into :data:`STATES`). at_B: the present state, likewise.
        last_B: the last choice, 1 or 2; 0 before it. paid_B: what it brought, 0 or 1.
    """

    random_B: torch.Tensor
    trial_B: torch.Tensor
    good_B: torch.Tensor
    at_B: torch.Tensor
    last_B: torch.Tensor
    paid_B: torch.Tensor


class TwoStep(Trials[TwoStepState]):
    """The world (implements ``World[TwoStepState]``, ``Scored``, ``Privileged``); see the head of this file."""

    def __init__(self, name: str, config: TwoStepConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, TwoStepConfig) else read_settings(TwoStepConfig, config, f"a {KIND}")
        self.spec = _spec(name, self.config)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return episode_number(number, layout), laid_value(number, layout, self.spec.hidden[1], 0)

    def begun(self, laid_BX: torch.Tensor) -> TwoStepState:
        return self.begin(*columns(laid_BX))

    def begin(self, episode_B: torch.Tensor, random_B: torch.Tensor) -> TwoStepState:
        """Episodes by tensors: their numbers, and whether what pays is drawn in each trial (0 or 1)."""
        none_B = torch.zeros_like(episode_B)
        trial_B, at_B, last_B, paid_B = (none_B.clone() for _ in range(4))
        return TwoStepState(episode_B, random_B, trial_B, 1 + below(2, episode_B, BEGIN), at_B, last_B, paid_B)

    def observe(self, state: TwoStepState) -> Observation:
        paid_B = torch.where(state.last_B > 0, 1 + state.paid_B, 0)
        return Observation(
            torch.stack([state.at_B, state.last_B, paid_B, state.trial_B.clamp(max=self.config.steps)], 1)
        )

    def act(self, state: TwoStepState, action: Action, active_B: torch.Tensor) -> None:
        chosen_B = active_B & self.legal(action)
        option_B = torch.where(chosen_B, action.call_B4[:, 1], 1)
        first_B = state.at_B == 0
        common_B = uniform(state.episode_B, WAY, state.trial_B) < self.config.common
        reached_B = torch.where(common_B, option_B, 3 - option_B)
        paid_B = uniform(state.episode_B, LUCK, state.trial_B) < self._chance(state, state.at_B)
        often_B = torch.where(state.random_B == 1, 0.5, self.config.switch)
        switched_B = uniform(state.episode_B, SWITCH, state.trial_B) < often_B
        ended_B = chosen_B & ~first_B
        state.good_B.copy_(torch.where(ended_B & switched_B, 3 - state.good_B, state.good_B))
        state.paid_B.copy_(torch.where(chosen_B, (paid_B & ~first_B).long(), state.paid_B))
        state.at_B.copy_(torch.where(chosen_B, torch.where(first_B, reached_B, 0), state.at_B))
        state.last_B.copy_(torch.where(chosen_B, option_B, state.last_B))
        state.trial_B.add_(ended_B.long())

    def _chance(self, state: TwoStepState, at_B: torch.Tensor) -> torch.Tensor:
        """How often a state pays now."""
        return torch.where(at_B == state.good_B, self.config.high, self.config.low)

    def score(self, state: TwoStepState) -> dict[str, torch.Tensor]:
        return {"reward": state.paid_B.float()}

    def value(self, state: TwoStepState, action: Action) -> torch.Tensor:
        """In state 1 what the option brings on average in this trial; in the others all is decided, and it is 0."""
        option_B = torch.where(self.legal(action), action.call_B4[:, 1], 1)
        decides_B = self.legal(action) & (state.at_B == 0)
        return torch.where(decides_B, self._brings(state, option_B), 0.0).float()

    def optimum(self, state: TwoStepState) -> torch.Tensor:
        """What the better option is worth."""
        one_B, two_B = (self._brings(state, torch.full_like(state.at_B, option)) for option in (1, 2))
        return torch.where(state.at_B == 0, torch.maximum(one_B, two_B), 0.0).float()

    def _brings(self, state: TwoStepState, option_B: torch.Tensor) -> torch.Tensor:
        common = self.config.common
        return common * self._chance(state, option_B) + (1 - common) * self._chance(state, 3 - option_B)

    def hidden(self, state: TwoStepState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.random_B], 1).tolist()
        return [(digits(episode), [random]) for episode, random in laid]


def _spec(name: str, config: TwoStepConfig) -> WorldSpec:
    options = ("1", "2")
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("STATE", STATES),
            Field("LAST", ("none", *options)),
            Field("REWARD", ("none", "0", "1")),
            Field("TRIAL", tuple(map(str, range(config.steps + 1)))),
        ),
        tokens=(NONE, *options),
        primitives=(Signature("CHOOSE", (Slot("option", (1, 2)),), "Choose an option, or go on from where it led"),),
        hidden=(EPISODE, Field("PAYS", PAYS)),
    )
