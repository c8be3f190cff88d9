"""Agents of worlds that reward, to compare learners with. An agent chooses by what it sees, for a batch of episodes.

Shape legend: ``B`` episodes, ``A`` choices, ``F`` observation fields. A choice is a token: the one argument of the
world's one primitive.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action
from envs.world import Privileged, State, World


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
