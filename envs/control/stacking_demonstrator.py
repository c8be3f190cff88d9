"""The scripted demonstrator of block stacking: it knows the stages, and what to do in any state.

The first stage that is not met is next. What stands on its blocks is put aside before, and so is a lower one that
stands where it does not belong; whatever else is in the gripper, too. On its way the gripper goes above all blocks;
near its goal it comes down by a funnel, so that its velocity is a continuous function of where it is.

Shape legend: ``B`` instances, ``K`` blocks, ``S`` stages, ``C`` places of the table.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.control.stacking_hand import CLOSE, FLOOR, NOTHING, SIDE, SPEED, WALL, Bench, met, moved
from envs.control.stacking_skills import STEPS as SKILL_STEPS
from envs.control.stacking_skills import Skill, rise, rising
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch

MARGIN = SIDE / 2
"""How far above all blocks the gripper goes."""

NARROW, WIDE = 0.04, 0.14
"""How far aside the funnel ends at its bottom and on top."""

ALIGNED = 0.05
"""How near to its goal along both axes the grip changes."""

PLACES = 21
"""Of the table, for what is put aside."""

SPACE = 1.4 * SIDE
"""How far from other blocks something is put aside, if it can be."""

NOISE = 111
"""What is drawn, as a part of the numbers that are mixed."""


class Goal(NamedTuple):
    """What is to be done: the stages of towers, top_BS and under_BS, or a skill."""

    top_BS: torch.Tensor
    under_BS: torch.Tensor
    skill: Skill


def suggested(bench: Bench, goal: Goal) -> torch.Tensor:
    """action_B3 of a demonstrator without noise; nothing, with an open gripper, where all stages are met."""
    source_B, aim_B2 = _next(bench, goal.top_BS, goal.under_BS)
    if not bool(goal.skill.is_B.any()):
        return _handled(bench, source_B, aim_B2)
    here_B, skill = torch.arange(len(source_B), device=source_B.device), goal.skill
    onto_B2 = _above(bench.place_BK2[here_B, skill.block_B.clamp(min=0)])
    source_B = torch.where(skill.is_B, skill.block_B, source_B)
    handled_B3 = _handled(bench, source_B, torch.where(skill.is_B[:, None], onto_B2, aim_B2))
    return torch.where((skill.is_B & rising(bench, skill))[:, None], rise(bench, skill), handled_B3)


def _handled(bench: Bench, source_B: torch.Tensor, aim_B2: torch.Tensor) -> torch.Tensor:
    """action_B3 that takes a block, or brings what is held to an aim."""
    holds_B, (x_B, y_B) = bench.held_B != NOTHING, bench.hand_B2.unbind(1)
    here_B = torch.arange(len(source_B), device=source_B.device)
    goal_B2 = torch.where(holds_B[:, None], aim_B2, bench.place_BK2[here_B, source_B.clamp(min=0)])
    off_B, height_B = goal_B2[:, 0] - x_B, goal_B2[:, 1]
    clear_B = bench.place_BK2[..., 1].masked_fill(~bench.solid_BK, FLOOR).amax(1) + SIDE + MARGIN
    far_B = ((off_B.abs() - NARROW) / (WIDE - NARROW)).clamp(0, 1)
    wanted_B = height_B + (clear_B - height_B) * far_B
    goes_B = torch.maximum(1 - far_B, ((y_B - clear_B + MARGIN) / MARGIN).clamp(0, 1))
    speed_B2 = torch.stack([(off_B / SPEED).clamp(-1, 1) * goes_B, ((wanted_B - y_B) / SPEED).clamp(-1, 1)], 1)
    there_B = (off_B.abs() < ALIGNED) & ((height_B - y_B).abs() < ALIGNED)
    closes_B = torch.where(holds_B, ~there_B, there_B & ~bench.closed_B)
    needed_B = source_B != NOTHING
    grip_B = torch.where(closes_B & needed_B, 1.0, -1.0)
    return torch.cat([speed_B2 * needed_B[:, None], grip_B[:, None]], 1)


def _above(place_B2: torch.Tensor) -> torch.Tensor:
    """Where a block stands that stands on one there."""
    return torch.stack([place_B2[:, 0], place_B2[:, 1] + SIDE], 1)


def _next(bench: Bench, top_BS: torch.Tensor, under_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """source_B, the block to be moved, or nothing; aim_B2, where to."""
    here_B = torch.arange(len(top_BS), device=top_BS.device)
    met_BS = met(top_BS, under_BS, bench.place_BK2, bench.held_B)
    open_BS = (top_BS != NOTHING) & ~met_BS
    first_B = open_BS.long().argmax(1)
    needed_B = open_BS.any(1)
    top_B, under_B = (part_BS[here_B, first_B].clamp(min=0) for part_BS in (top_BS, under_BS))
    over_top_B, over_under_B = _highest_over(bench, top_B), _highest_over(bench, under_B)
    placed_B = (bench.place_BK2[here_B, under_B, 1] < FLOOR + CLOSE) | (met_BS & (top_BS == under_B[:, None])).any(1)
    over_under_B = torch.where((over_under_B == NOTHING) & ~placed_B, under_B, over_under_B)
    blocker_B = torch.where(over_top_B != NOTHING, over_top_B, over_under_B)
    source_B = torch.where(blocker_B != NOTHING, blocker_B, top_B)
    aside_B = (blocker_B != NOTHING) | ((bench.held_B != NOTHING) & (bench.held_B != source_B))
    source_B = torch.where(bench.held_B != NOTHING, bench.held_B, torch.where(needed_B, source_B, NOTHING))
    aside_B = aside_B | ~needed_B
    onto_B2 = _above(bench.place_BK2[here_B, under_B])
    return source_B, torch.where(aside_B[:, None], _free(bench), onto_B2)


def _highest_over(bench: Bench, block_B: torch.Tensor) -> torch.Tensor:
    """The highest block that stands over one, or nothing; nothing stands over what is in the gripper."""
    here_B = torch.arange(len(block_B), device=block_B.device)
    apart_BK2 = bench.place_BK2 - bench.place_BK2[here_B, block_B][:, None]
    over_BK = bench.solid_BK & (apart_BK2[..., 0].abs() < SIDE - CLOSE) & (apart_BK2[..., 1] > SIDE / 2)
    over_BK &= (block_B != bench.held_B)[:, None]
    highest_B = apart_BK2[..., 1].masked_fill(~over_BK, -torch.inf).argmax(1)
    return torch.where(over_BK.any(1), highest_B, NOTHING)


def _free(bench: Bench) -> torch.Tensor:
    """B × 2: the nearest place of the table with some space around it, or the one with the most."""
    place_C = torch.linspace(-WALL + MARGIN, WALL - MARGIN, PLACES, device=bench.hand_B2.device)
    apart_BCK = (place_C[:, None] - bench.place_BK2[:, None, :, 0]).abs()
    space_BC = apart_BCK.masked_fill(~bench.solid_BK[:, None], torch.inf).amin(2).clamp(max=SPACE)
    way_BC = (place_C - bench.hand_B2[:, :1]).abs()
    x_B = place_C[(100 * space_BC - way_BC).argmax(1)]
    return torch.stack([x_B, torch.full_like(x_B, FLOOR)], 1)


class Shown(NamedTuple):
    """Demonstrations of L moments at most; behind their ends things stay as they are, and actions are zeros.

    Attributes:
        hand_BL2, closed_BL, held_BL, place_BLK2: what there was before each action, and after the last one.
        action_BL3: that followed; zeros behind the last one. length_B: int64, moments.
    """

    hand_BL2: torch.Tensor
    closed_BL: torch.Tensor
    held_BL: torch.Tensor
    place_BLK2: torch.Tensor
    action_BL3: torch.Tensor
    length_B: torch.Tensor

    @property
    def body_BL3(self) -> torch.Tensor:
        """The gripper's place, and whether it is closed."""
        return torch.cat([self.hand_BL2, self.closed_BL[..., None].float()], 2)

    def select(self, index_B: torch.Tensor) -> Shown:
        """Those named, in that order, no longer than the longest of them."""
        longest = int(self.length_B[index_B].max()) if len(index_B) else 1
        return Shown(*[*(part[index_B, :longest] for part in self[:-1]), self.length_B[index_B]])


def demonstrated(bench: Bench, goal: Goal, seed_B: torch.Tensor, *, noise: float, steps: int) -> Shown:
    """What the demonstrator does until all stages are met, in so many steps at most; a skill takes :data:`SKILL_STEPS`.

    Args:
        noise: standard deviation of what each part of its velocity is off by; drawn by ``seed_B`` and the step.
    """
    benches, actions, axis_2 = [bench], list[torch.Tensor](), torch.arange(2, device=seed_B.device)
    length_B = torch.ones_like(seed_B)
    for step in range(steps):
        live_B = torch.where(goal.skill.is_B, step < SKILL_STEPS, ~achieved(bench, goal))
        if not bool(live_B.any()):
            break
        chance_B2 = uniform(seed_B[:, None], NOISE, step, axis_2).clamp(min=2.0**-54)
        action_B3 = suggested(bench, goal)
        action_B3[:, :2] = (action_B3[:, :2] + noise * torch.special.ndtri(chance_B2).float()).clamp(-1, 1)
        bench = chosen(live_B, moved(bench, action_B3), bench)
        benches.append(bench)
        actions.append(torch.where(live_B[:, None], action_B3, 0.0))
        length_B = length_B + live_B
    actions.append(torch.zeros_like(bench.hand_B2[:, :1]).expand(-1, 3))
    parts = [torch.stack([getattr(one, name) for one in benches], 1) for name in Bench._fields[:-1]]
    return Shown(*[*parts, torch.stack(actions, 1), length_B])


def achieved(bench: Bench, goal: Goal) -> torch.Tensor:
    """bool B: all stages are met, and the gripper holds nothing; never with a skill."""
    met_BS = met(goal.top_BS, goal.under_BS, bench.place_BK2, bench.held_B) | (goal.top_BS == NOTHING)
    return met_BS.all(1) & (bench.held_B == NOTHING) & ~goal.skill.is_B


def chosen(where_B: torch.Tensor, first: Bench, second: Bench) -> Bench:
    """The first where ``where_B`` (bool) is true, else the second."""
    return Bench(*(
        torch.where(where_B.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in zip(first, second, strict=True)
    ))  # fmt: skip
