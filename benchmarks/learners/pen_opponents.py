"""Opponents that learn nothing: a demonstration's forces once more, and its places tracked by a controller.

Both see the sheets of the demonstration and of the scene, and scale what was shown by the ratio of their sizes. Gains
of the controller were chosen on the validation split.

Shape legend: ``B`` scenes, ``L`` moments of a demonstration, ``S`` numbers of a body, ``X`` payload.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from envs.control.demonstrations import DEMONSTRATION, Demonstration, unpacked
from envs.control.pen import SIZES, Pen, PenState, judged
from envs.control.pen_hand import ACCELERATION
from envs.spec import SLOTS
from envs.stepper import Action, Ragged
from envs.world import Layout

Policy = Callable[[torch.Tensor, int], torch.Tensor]
"""act_BX in a state, body_B6, after so many acts."""

STIFFNESSES, BRAKES, LEADS = (8.0, 16.0, 36.0, 64.0, 100.0, 144.0, 196.0), (4.0, 8.0, 12.0, 16.0), (0, 1, 2)
"""What gains are chosen from, and how many moments ahead what is tracked lies."""


@dataclass(frozen=True)
class Gains:
    """Acceleration a unit of length and a unit of speed, and moments ahead."""

    stiffness: float
    brake: float
    lead: int


@dataclass(frozen=True)
class Rebased:
    """A demonstration as it would lie on the scene's sheet: place_BL2, speed_BL2, pen_BL, force_BL2."""

    place_BL2: torch.Tensor
    speed_BL2: torch.Tensor
    pen_BL: torch.Tensor
    force_BL2: torch.Tensor


def rebased(shown: Demonstration, state: PenState) -> Rebased:
    """Moved to the scene's sheet, and scaled."""
    other_BL3 = shown.objects_BLKF[:, :, 0]
    ratio_BL1 = state.sheet_B3[:, None, 2:] / other_BL3[..., 2:]
    place_BL2 = state.sheet_B3[:, None, :2] + ratio_BL1 * (shown.body_BLS[..., :2] - other_BL3[..., :2])
    force_BL2 = ratio_BL1 * shown.action_BLX[..., :2]
    return Rebased(place_BL2, ratio_BL1 * shown.body_BLS[..., 2:4], 2 * shown.body_BLS[..., 4] - 1, force_BL2)


def replay(shown: Rebased) -> Policy:
    """The demonstrator's forces, whatever happens."""
    return lambda body_B6, t: torch.cat([shown.force_BL2[:, t], shown.pen_BL[:, t + 1, None]], 1)


def tracking(shown: Rebased, gains: Gains) -> Policy:
    """Proportional and derivative control towards the demonstrated places and velocities."""

    def act(body_B6: torch.Tensor, t: int) -> torch.Tensor:
        return torch.cat([back(shown, gains, body_B6, t).clamp(-1, 1), shown.pen_BL[:, t + 1, None]], 1)

    return act


def both(shown: Rebased, gains: Gains) -> Policy:
    """The demonstrator's forces, and control towards its places: what a person would write who has the forces."""

    def act(body_B6: torch.Tensor, t: int) -> torch.Tensor:
        force_B2 = shown.force_BL2[:, t] + back(shown, gains, body_B6, t)
        return torch.cat([force_B2.clamp(-1, 1), shown.pen_BL[:, t + 1, None]], 1)

    return act


def back(shown: Rebased, gains: Gains, body_B6: torch.Tensor, t: int) -> torch.Tensor:
    """The force of a controller."""
    at = min(t + gains.lead, shown.place_BL2.shape[1] - 1)
    place_B2, speed_B2 = shown.place_BL2[:, at] - body_B6[:, :2], shown.speed_BL2[:, at] - body_B6[:, 2:4]
    return (gains.stiffness * place_B2 + gains.brake * speed_B2) / ACCELERATION


def shown_in(world: Pen, state: PenState) -> Demonstration:
    """The demonstrations of a batch."""
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    return unpacked(held, SIZES)


@torch.no_grad()
def tried(world: Pen, state: PenState, policy: Policy) -> dict[str, torch.Tensor]:
    """The scores of a policy in scenes, B each; ``state`` changes."""
    call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64)
    everyone_B = torch.ones(state.batch, dtype=torch.bool)
    for t in range(world.config.steps):
        world.act(state, Action(call_B4, policy(state.body_B6, t)), everyone_B)
    return judged(state.trail_BT3, state)


def chosen_gains(world: Pen, layouts: Sequence[Layout], control: Callable[[Rebased, Gains], Policy]) -> Gains:
    """Those of the least mean error in scenes of the validation split."""
    errors: dict[Gains, float] = {}
    for parts in itertools.product(STIFFNESSES, BRAKES, LEADS):
        gains, state = Gains(*parts), world.reset(layouts)
        policy = control(rebased(shown_in(world, state), state), gains)
        errors[gains] = float(tried(world, state, policy)["error"].mean())
    return min(errors, key=lambda gains: errors[gains])
