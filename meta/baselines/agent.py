"""Agents of worlds that reward, to compare learners with. An agent chooses by what it sees, for a batch of episodes.

Shape legend: ``B`` episodes, ``S`` steps, ``A`` choices, ``F`` observation fields. A choice is a token: the one
argument of the world's one primitive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action
from envs.world import Privileged, Scored, State, World


class Agent(Protocol):
    """What acts in a batch of episodes from their beginnings."""

    def begin(self, state: State) -> None:
        """New episodes, in their first state. Only :class:`Oracle` may keep it: agents know what they see."""
        ...

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """int64 B, tokens: the next choice. What is observed also tells what the last one brought."""
        ...


def choices(spec: WorldSpec) -> int:
    """How many choices a world offers; ``ValueError`` for one with more than one primitive or argument."""
    if len(spec.primitives) != 1 or len(spec.primitives[0].slots) != 1:
        raise ValueError(f"agents choose the one argument of one primitive; world {spec.name} has other calls")
    return len(spec.primitives[0].slots[0].tokens)


def calls(token_B: torch.Tensor) -> torch.Tensor:
    """call_B4 of choices."""
    call_B4 = torch.zeros(len(token_B), 1 + SLOTS, dtype=torch.int64, device=token_B.device)
    call_B4[:, 1] = token_B
    return call_B4


def drawn(weight_BA: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """int64 B: an index by weights."""
    return torch.multinomial(weight_BA, 1, generator=generator)[:, 0]


def largest(score_BA: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """int64 B: the index of the largest score, each of several as often."""
    return drawn((score_BA == score_BA.max(1, keepdim=True).values).double(), generator)


class Random:
    """Every choice as often."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.choices, self.generator = choices(spec), generator

    def begin(self, state: State) -> None:
        pass

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        return 1 + torch.randint(self.choices, (len(obs_BF),), generator=self.generator, device=obs_BF.device)


class Oracle:
    """Knows the state, and makes the choice that is worth most now. Its regret is 0."""

    def __init__(self, world: World[Any]) -> None:
        assert isinstance(world, Privileged)
        self.world, self.choices = world, choices(world.spec)

    def begin(self, state: State) -> None:
        self.state = state

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        tokens = (torch.full((len(obs_BF),), 1 + a, device=obs_BF.device) for a in range(self.choices))
        return 1 + torch.stack([self.world.value(self.state, Action(calls(token_B))) for token_B in tokens], 1).argmax(
            1
        )


@dataclass(frozen=True)
class Curve:
    """Means over episodes and their standard errors, one a step."""

    mean_S: torch.Tensor
    error_S: torch.Tensor


@dataclass(frozen=True)
class Rollout:
    """What happened.

    Attributes:
        obs_SBF: what was seen before each choice, int16. chosen_SB: the choices, tokens.
        reward_SB: what they brought. regret_SB: how much more the best choice was worth than the one made.
    """

    obs_SBF: torch.Tensor
    chosen_SB: torch.Tensor
    reward_SB: torch.Tensor
    regret_SB: torch.Tensor

    def regret(self) -> Curve:
        """Of the regret so far."""
        return curve(self.regret_SB.double().cumsum(0))

    def reward(self) -> Curve:
        """Of the reward of each step."""
        return curve(self.reward_SB.double())


def curve(value_SB: torch.Tensor) -> Curve:
    """Means and standard errors of each step; the error of one episode is not a number."""
    return Curve(value_SB.mean(1), value_SB.std(1) / value_SB.shape[1] ** 0.5)


@torch.no_grad()
def rollout(world: World[Any], agent: Agent, state: State, steps: int) -> Rollout:
    """Play the episodes of a state for so many steps; the state is changed.

    Raises ``ValueError`` for a world that does not reward.
    """
    if not (isinstance(world, Scored) and isinstance(world, Privileged)):
        raise ValueError(f"world {world.spec.name} does not reward; take a bandit, two_step or harlow")
    agent.begin(state)
    everyone_B = torch.ones(state.batch, dtype=torch.bool, device=state.device)
    seen, chosen, rewards, regrets = [], [], [], []
    for _ in range(steps):
        obs_BF = world.observe(state).fields_BF
        token_B = agent.act(obs_BF)
        action = Action(calls(token_B))
        regrets.append(world.optimum(state) - world.value(state, action))
        world.act(state, action, everyone_B)
        seen.append(obs_BF.short())
        chosen.append(token_B)
        rewards.append(world.score(state)["reward"])
    return Rollout(torch.stack(seen), torch.stack(chosen), torch.stack(rewards), torch.stack(regrets))
