"""An agent in a world for some steps: what it chose, what that was worth, and how far from the best.

Shape legend: ``S`` steps, ``B`` episodes, ``F`` observation fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from envs.stepper import Action
from envs.world import Privileged, Scored, State, World
from meta.baselines.agent import Agent, calls


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
