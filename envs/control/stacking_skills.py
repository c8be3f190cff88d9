"""Skills of a gripper: to take a block, or to put what it holds onto one; then it rises to a height, and waits there.

Which block it is about is told apart, as an argument of the program that has the skill. In training skills are drawn,
or are ``lift``; ``pick`` and ``place`` rise to a height near which none of those does.

Shape legend: ``B`` instances, ``K`` blocks, ``X`` any leading dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.control.stacking_hand import FLOOR, NOTHING, SIDE, SPEED, WALL, Bench
from envs.spec import Field
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch

NONE, FREE, DRAWN, LIFT, PICK, PLACE = "none", "free", "drawn", "lift", "pick", "place"

SKILL = Field("SKILL", (NONE, FREE, DRAWN, LIFT, PICK, PLACE))
"""The hidden part that says which skill an episode is about; ``none``: towers are built, as the task says; ``free``:
nothing is asked, so that programs can do what they like."""

LOWEST, HIGHEST = 1.2, 2.2
"""Between which heights the gripper rises in training."""

RISE, KEPT = 1.7, 0.15
"""The height of ``pick`` and ``place``; those of training differ from it by more than ``KEPT``."""

LIFTS = 1.4
"""The height of ``lift``, which takes."""

NEAR = 0.1
"""To its height, for a skill to be done."""

STEPS = 40
"""Of a demonstration."""

ON_TOWER = 0.5
"""The share of skills that take which are about a block on top of a tower; others are about one that stands alone."""

PUTS, HEIGHT, ORDER, HIGH, LEAN, ABOUT, HAND = range(131, 138)
"""What is drawn, as a part of the numbers that are mixed."""


class Skill(NamedTuple):
    """Of a batch.

    Attributes:
        is_B, puts_B: bool, whether there is one (or all is free); whether it puts, or takes.
        height_B: float32. block_B: int64, which block it is about; nothing where all is free.
    """

    is_B: torch.Tensor
    puts_B: torch.Tensor
    height_B: torch.Tensor
    block_B: torch.Tensor


def kinds(skill_B: torch.Tensor, seed_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """puts_B and height_B by indices of :data:`SKILL`; those that are drawn by a seed."""
    drawn_B, share_B = skill_B == SKILL.values.index(DRAWN), 2 * uniform(seed_B, HEIGHT) - 1
    away_B = share_B.sign() * (KEPT + ((HIGHEST - LOWEST) / 2 - KEPT) * share_B.abs())
    puts_B = torch.where(drawn_B, uniform(seed_B, PUTS) < 0.5, skill_B == SKILL.values.index(PLACE))
    height_B = torch.where(skill_B == SKILL.values.index(LIFT), LIFTS, torch.where(drawn_B, RISE + away_B, RISE))
    return puts_B, height_B.float()


def laid_out(
    bench: Bench, puts_B: torch.Tensor, asked_B: torch.Tensor, seed_B: torch.Tensor
) -> tuple[Bench, torch.Tensor, torch.Tensor]:
    """A bench for skills: some blocks are a tower, the others stand alone; a skill that puts begins with a block in the
    gripper, high above.

    Args:
        asked_B: int64, the block that each is about, or :data:`~envs.control.stacking_hand.NOTHING`: one is drawn.

    Returns:
        The bench; block_B, which block each is about; lone_B, one that stands alone, or is in the gripper.
    """
    here_B, place_K = torch.arange(len(seed_B), device=seed_B.device), torch.arange(bench.place_BK2.shape[1])
    place_K, count_B = place_K.to(seed_B.device), bench.exists_BK.sum(1)
    high_B = 1 + below(2**30, seed_B, HIGH) % (count_B - 1)
    key_BK = uniform(seed_B[:, None], ORDER, place_K).masked_fill(~bench.exists_BK, 2.0)
    order_BK = key_BK.argsort(1)
    on_tower_B = puts_B | (uniform(seed_B, ABOUT) < ON_TOWER)
    role_B = torch.where(on_tower_B, high_B - 1, count_B - 1)
    block_B = torch.where(asked_B == NOTHING, order_BK[here_B, role_B], asked_B)
    from_B = (order_BK == block_B[:, None]).long().argmax(1)
    order_BK[here_B, from_B] = order_BK[here_B, role_B]
    order_BK[here_B, role_B] = block_B
    rank_BK, lone_B = order_BK.argsort(1), order_BK[here_B, count_B - 1]
    tower_BK = rank_BK < high_B[:, None]
    lean_BK = 0.1 * SIDE * (2 * uniform(seed_B[:, None], LEAN, place_K) - 1).float()
    base_B1 = bench.place_BK2[here_B, order_BK[:, 0], 0][:, None]
    x_BK = torch.where(tower_BK, base_B1 + lean_BK, bench.place_BK2[..., 0])
    y_BK = torch.where(tower_BK, FLOOR + SIDE * rank_BK, bench.place_BK2[..., 1])
    share_B2 = uniform(seed_B[:, None], HAND, torch.arange(2, device=seed_B.device))
    lowest_B = torch.where(puts_B, LOWEST, 2 * SIDE)
    x_B, y_B = WALL * (2 * share_B2[:, 0] - 1), lowest_B + (HIGHEST - lowest_B) * share_B2[:, 1]
    hand_B2 = torch.stack([x_B, y_B], 1).float()
    held_BK1 = (puts_B[:, None] & (place_K == lone_B[:, None]))[..., None]
    place_BK2 = torch.where(held_BK1, hand_B2[:, None], torch.stack([x_BK, y_BK], 2)) * bench.exists_BK[..., None]
    return Bench(hand_B2, puts_B, torch.where(puts_B, lone_B, NOTHING), place_BK2, bench.exists_BK), block_B, lone_B


def rising(bench: Bench, skill: Skill) -> torch.Tensor:
    """bool B: whether nothing but to rise is left."""
    return (bench.held_B != NOTHING) != skill.puts_B


def rise(bench: Bench, skill: Skill) -> torch.Tensor:
    """action_B3 that goes up or down to the height, and keeps the grip."""
    up_B = ((skill.height_B - bench.hand_B2[:, 1]) / SPEED).clamp(-1, 1)
    return torch.stack([torch.zeros_like(up_B), up_B, torch.where(bench.held_B != NOTHING, 1.0, -1.0)], 1)


def skilled(skill: Skill, stands_X: torch.Tensor, height_X: torch.Tensor, held_X: torch.Tensor) -> torch.Tensor:
    """bool X: the block is held, or what was held stands on it; and the gripper is at its height.

    Args:
        skill: of shapes that go with X. stands_X: bool, whether what was held stands on the block.
    """
    holds_X = (held_X == skill.block_B) & (skill.block_B != NOTHING)
    there_X = (height_X - skill.height_B).abs() < NEAR
    return there_X & torch.where(skill.puts_B, stands_X & (held_X == NOTHING), holds_X)
