"""Blocks on a table, seen from the side, and a gripper that moves them; exact, a step at a time.

Places are middles. A gripper moves as it is told (it has no mass), and takes or leaves a block:

* It closes on the nearest block within :data:`REACH` along both axes that nothing stands on, and moves to its middle.
  An open gripper, or an empty one, passes by blocks.
* A block in the gripper is stopped by others: it does not move aside into one that stands higher than its lower edge,
  and not below what it could stand on.
* A block that is let go falls. It stands where its middle is above another one, or where others hold it up on both
  sides; otherwise it slides off to the side, at most :data:`SLIDES` times.

Shape legend: ``B`` instances, ``K`` blocks, ``S`` stages, ``X`` any leading dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.support.lazy_torch import torch

SIDE = 0.2
"""Of a block, in units of length."""

FLOOR = SIDE / 2
"""The middle of what stands on the table."""

WALL, CEILING = 1.8, 2.6
"""How far aside and how far up a gripper can go."""

SPEED = 0.25
"""Of a gripper along each axis, in units of length a step."""

REACH = 0.4 * SIDE

CLOSE = 0.01
"""Places that differ by no more are taken for the same."""

SLIDES = 3

NOTHING = -1
"""In place of a block's number."""


class Bench(NamedTuple):
    """What there is.

    Attributes:
        hand_B2: float32, the gripper. closed_B: bool. held_B: int64, which block is in it, or :data:`NOTHING`.
        place_BK2: float32. exists_BK: bool.
    """

    hand_B2: torch.Tensor
    closed_B: torch.Tensor
    held_B: torch.Tensor
    place_BK2: torch.Tensor
    exists_BK: torch.Tensor

    @property
    def is_held_BK(self) -> torch.Tensor:
        return torch.arange(self.place_BK2.shape[1], device=self.held_B.device) == self.held_B[:, None]

    @property
    def solid_BK(self) -> torch.Tensor:
        """bool: blocks that are not in the gripper."""
        return self.exists_BK & ~self.is_held_BK


def moved(bench: Bench, action_B3: torch.Tensor) -> Bench:
    """A step later.

    Args:
        action_B3: velocity in parts of :data:`SPEED`, each from -1 to 1, and the grip: above 0 it is or gets closed.
    """
    velocity_B2, wants_B = SPEED * action_B3[:, :2].clamp(-1, 1), action_B3[:, 2] > 0
    holds_B, solid_BK = bench.held_B != NOTHING, bench.solid_BK
    hand_B2 = _hand(bench, velocity_B2, solid_BK)
    place_BK2 = torch.where(bench.is_held_BK[..., None], hand_B2[:, None], bench.place_BK2)
    offset_BK2 = (place_BK2 - hand_B2[:, None]).abs()
    can_BK = solid_BK & (offset_BK2 <= REACH).all(2) & ~covered(place_BK2, solid_BK)
    near_B = offset_BK2.sum(2).masked_fill(~can_BK, torch.inf).argmin(1)
    takes_B = wants_B & ~bench.closed_B & ~holds_B & can_BK.any(1)
    taken_B2 = place_BK2[torch.arange(len(near_B), device=near_B.device), near_B]
    hand_B2 = torch.where(takes_B[:, None], taken_B2, hand_B2)
    leaves_B = holds_B & ~wants_B
    left_B2 = fallen(hand_B2[:, 0], place_BK2, solid_BK)
    place_BK2 = torch.where((leaves_B[:, None] & bench.is_held_BK)[..., None], left_B2[:, None], place_BK2)
    held_B = torch.where(takes_B, near_B, torch.where(leaves_B, NOTHING, bench.held_B))
    return Bench(hand_B2, wants_B, held_B, place_BK2, bench.exists_BK)


def _hand(bench: Bench, velocity_B2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """Where the gripper comes to."""
    (x_B, y_B), holds_B = bench.hand_B2.unbind(1), bench.held_B != NOTHING
    aside_B = (x_B + velocity_B2[:, 0]).clamp(-WALL, WALL)
    blocked_B = holds_B & (y_B < surface(aside_B, bench.place_BK2, solid_BK) - CLOSE)
    x_B = torch.where(blocked_B, x_B, aside_B)
    up_B = (y_B + velocity_B2[:, 1]).clamp(FLOOR, CEILING)
    lowest_B = surface(x_B, bench.place_BK2, solid_BK)
    return torch.stack([x_B, torch.where(holds_B, torch.maximum(up_B, lowest_B), up_B)], 1)


def under(x_B: torch.Tensor, place_BK2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """bool B × K: what a block there would be above or beside, and touch."""
    return solid_BK & ((place_BK2[..., 0] - x_B[:, None]).abs() < SIDE - CLOSE)


def surface(x_B: torch.Tensor, place_BK2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """B: the lowest that the middle of a block can be above what stands there."""
    top_BK = torch.where(under(x_B, place_BK2, solid_BK), place_BK2[..., 1] + SIDE, FLOOR)
    return top_BK.amax(1)


def fallen(x_B: torch.Tensor, place_BK2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """B × 2: where a block comes to rest that is let go there."""
    for _ in range(SLIDES):
        y_B = surface(x_B, place_BK2, solid_BK)
        off_BK = x_B[:, None] - place_BK2[..., 0]
        bears_BK = under(x_B, place_BK2, solid_BK) & ((place_BK2[..., 1] + SIDE - y_B[:, None]).abs() < CLOSE)
        right_B = (bears_BK & (off_BK <= SIDE / 2)).any(1)
        left_B = (bears_BK & (off_BK >= -SIDE / 2)).any(1)
        slides_B = bears_BK.any(1) & ~(right_B & left_B)
        bearer_B = torch.where(left_B, place_BK2[..., 0].masked_fill(~bears_BK, -torch.inf).amax(1),
                               place_BK2[..., 0].masked_fill(~bears_BK, torch.inf).amin(1))  # fmt: skip
        aside_B = (bearer_B + torch.where(left_B, SIDE, -SIDE)).clamp(-WALL, WALL)
        x_B = torch.where(slides_B, aside_B, x_B)
    return torch.stack([x_B, surface(x_B, place_BK2, solid_BK)], 1)


def covered(place_BK2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """bool B × K: blocks that another one stands on."""
    return stands_on(place_BK2, solid_BK).any(1)


def stands_on(place_BK2: torch.Tensor, solid_BK: torch.Tensor) -> torch.Tensor:
    """bool B × K × K: whether the first block touches the second one from above."""
    apart_BKK2 = place_BK2[:, :, None] - place_BK2[:, None]
    touches_BKK = (apart_BKK2[..., 0].abs() < SIDE - CLOSE) & ((apart_BKK2[..., 1] - SIDE).abs() < CLOSE)
    return touches_BKK & solid_BK[:, :, None] & solid_BK[:, None]


def met(top_XS: torch.Tensor, under_XS: torch.Tensor, place_XK2: torch.Tensor, held_X: torch.Tensor) -> torch.Tensor:
    """bool X × S: the stages whose upper block stands on the middle of the other one, and is not in the gripper."""
    index_XS2 = top_XS.clamp(min=0)[..., None].expand(*top_XS.shape, 2)
    below_XS2 = under_XS.clamp(min=0)[..., None].expand(*under_XS.shape, 2)
    apart_XS2 = place_XK2.gather(-2, index_XS2) - place_XK2.gather(-2, below_XS2)
    on_XS = (apart_XS2[..., 0].abs() <= SIDE / 2 + CLOSE) & ((apart_XS2[..., 1] - SIDE).abs() < CLOSE)
    held_XS = held_X[..., None]
    return on_XS & (top_XS != NOTHING) & (top_XS != held_XS) & (under_XS != held_XS)
