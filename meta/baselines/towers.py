"""What towers are judged beside: classifiers of what pushes show that nobody chose.

Shape legend: ``B`` towers, ``K`` steps, ``M`` numbers of an observation, ``A`` answers, ``P`` parameters of a row,
``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn.utils import skip_init

from envs.physics.tower_settings import DIRECT, DIRECTIONS, MOVE, NUMBERS, side_token
from envs.physics.towers import Towers, TowersState
from envs.spec import SLOTS
from envs.stepper import Action, Observation
from npi.core.initialisation import seeded_linear

UNITS = 64
"""Of a classifier's recurrent layer."""

KEPT = 0.85
"""How often a fist that moves at random keeps its direction."""

ACROSS, UP = 16, 4
"""Steps of a fist's sweep through a tower and back, and between two of them."""


class TowerAgent(Protocol):
    """What acts in a batch of experiments from their beginnings, by what is observed."""

    def act(self, seen: Observation, live_B: torch.Tensor) -> Action:
        """The next action of each; of those that are over (not live) it counts for nothing."""
        ...


@dataclass(frozen=True)
class TowerExperiments:
    """How a batch of experiments went.

    Attributes:
        return_B: what was paid, discounted. right_B: bool. pushes_B: before the answer. seconds_B: until the answer.
    """

    return_B: torch.Tensor
    right_B: torch.Tensor
    pushes_B: torch.Tensor
    seconds_B: torch.Tensor

    def means(self) -> dict[str, float]:
        """By name."""
        return {name.removesuffix("_B"): float(part.double().mean()) for name, part in vars(self).items()}


@torch.no_grad()
def tower_experiments(world: Towers, agent: TowerAgent, state: TowersState) -> TowerExperiments:
    """Experiments from their beginnings to their ends; the state is changed."""
    return_B = torch.zeros(state.batch, dtype=torch.float64, device=state.device)
    for _ in range(world.config.limit):
        live_B = ~world.ended(state)
        if not bool(live_B.any()):
            break
        world.act(state, agent.act(world.observe(state), live_B), live_B)
        return_B += torch.where(live_B, world.score(state)["reward"].double(), 0.0)
    pushes_B = state.step_B - (state.answer_B > 0).long()
    return TowerExperiments(return_B, state.right_B.clone(), pushes_B, world.config.seconds * pushes_B.double())


Pusher = Callable[[Towers, TowersState, int, Action | None, torch.Generator], Action | None]
"""The next action by the world, its state, the step, the last action and a source of chance; None: nothing is done."""


def passive(
    world: Towers, state: TowersState, step: int, last: Action | None, generator: torch.Generator
) -> Action | None:
    """Only observes."""
    return None


def random_pushes(
    world: Towers, state: TowersState, step: int, last: Action | None, generator: torch.Generator
) -> Action | None:
    """Any block in any direction; a fist mostly keeps its direction."""
    B, call_B4 = state.batch, torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64)
    side_B = 1 + len(NUMBERS) + torch.randint(len(DIRECTIONS), (B,), generator=generator)
    if world.config.actuator == DIRECT:
        call_B4[:, 1] = 1 + torch.randint(len(NUMBERS), (B,), generator=generator)
        call_B4[:, 2] = side_B
        return Action(call_B4)
    keeps_B = torch.rand(B, generator=generator) < KEPT
    call_B4[:, 1] = side_B if last is None else torch.where(keeps_B, last.call_B4[:, 1], side_B)
    return Action(call_B4)


def fixed_pushes(
    world: Towers, state: TowersState, step: int, last: Action | None, generator: torch.Generator
) -> Action | None:
    """The same for every tower: each block sideways in turn, from above; a fist sweeps through the tower."""
    call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64)
    call_B4[:, 0] = MOVE
    if world.config.actuator == DIRECT:
        call_B4[:, 1] = len(NUMBERS) - step % len(NUMBERS)
        call_B4[:, 2] = side_token("left" if step // len(NUMBERS) % 2 else "right")
        return Action(call_B4)
    place, sweep = step % (ACROSS + UP), step // (ACROSS + UP)
    from_left_B = torch.tensor([room.plan.fist is not None and room.plan.fist[0] < 0 for room in state.rooms])
    sideways_B = torch.where(from_left_B ^ bool(sweep % 2), side_token("right"), side_token("left"))
    call_B4[:, 1] = sideways_B if place < ACROSS else side_token("up")
    return Action(call_B4)


class PushClassifier(nn.Module):
    """A recurrent classifier that observes towers which others push; when to stop is no part of it."""

    def __init__(self, world: Towers, *, generator: torch.Generator) -> None:
        super().__init__()
        numbers = sum(channel.size for channel in world.spec.channels) + sum(field.size for field in world.spec.fields)
        self.enter = seeded_linear(numbers, UNITS, generator=generator)
        self.cell = skip_init(nn.GRU, UNITS, UNITS)
        self.out = seeded_linear(UNITS, len(NUMBERS), generator=generator)
        with torch.no_grad():
            for part in self.cell.parameters():
                part.uniform_(-(UNITS**-0.5), UNITS**-0.5, generator=generator)

    def forward(self, seen_KBM: torch.Tensor) -> torch.Tensor:
        """log_KBA: the logarithm of each answer's chance, after what is seen up to each step."""
        hidden_KBH, _ = self.cell(torch.relu(self.enter(seen_KBM)))
        found: torch.Tensor = self.out(hidden_KBH).log_softmax(2)
        return found


def watched(
    world: Towers, state: TowersState, pusher: Pusher, steps: int, *, generator: torch.Generator
) -> torch.Tensor:
    """seen_KBM: what is observed before and after each of so many steps; the state is changed."""
    everyone_B = torch.ones(state.batch, dtype=torch.bool)
    seen, action = [_numbers(world, state)], None
    for step in range(steps):
        action = pusher(world, state, step, action, generator)
        if action is None:
            world.wait(state, everyone_B)
        else:
            world.act(state, action, everyone_B)
        seen.append(_numbers(world, state))
    return torch.stack(seen)


def _numbers(world: Towers, state: TowersState) -> torch.Tensor:
    """An observation as numbers, M of each instance: those of channels squashed, fields as one of their values."""
    seen = world.observe(state)
    parts = [part.flatten(1) for part in seen.channels.values() if isinstance(part, torch.Tensor)]
    real_BM = torch.cat(parts, 1)
    fields = [
        nn.functional.one_hot(column_B, field.size)
        for column_B, field in zip(seen.fields_BF.unbind(1), world.spec.fields, strict=True)
    ]
    return torch.cat([real_BM.sign() * real_BM.abs().log1p(), *(part.float() for part in fields)], 1)
