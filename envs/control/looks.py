"""What things look like: colours that tell the things of a scene apart, and some that no training aims at.

Colours are points near the middles of the cells of a lattice. The thing that a task is about has a colour from a few
cells that are kept for tests, or from the others; what else stands around has any.

Shape legend: ``B`` instances, ``K`` things, ``C`` cells.
"""

from __future__ import annotations

from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch

SIDE = 3
"""Cells of the lattice along red, green and blue."""

CELLS = SIDE**3

KEPT = (2, 7, 12, 18, 23)
"""Cells of colours that are aimed at in tests alone."""

SPREAD = 0.16
"""By how much at most each part of a colour lies off the middle of its cell; cells are 2/3 wide."""

NUMBERS = 3
"""Of a colour, each between -1 and 1."""

CELL, ORDER, OFFSET, OWN_OFFSET = 101, 102, 103, 104
"""What is drawn, as a part of the numbers that are mixed."""


def colours(
    episode_B: torch.Tensor, task_B: torch.Tensor, kept_B: torch.Tensor, goal_B: torch.Tensor, things: int
) -> torch.Tensor:
    """float32 B × K × 3, no two in one cell; that of the goal is a function of the task's number alone.

    Args:
        task_B: int64, the numbers of the tasks. kept_B: bool, whether their goals have colours that are kept for tests.
        goal_B: int64, which thing is the goal. things: K, at most :data:`CELLS`.
    """
    device = episode_B.device
    kept = torch.zeros(CELLS, dtype=torch.bool, device=device).index_fill_(0, torch.tensor(KEPT, device=device), True)
    usual_B = (~kept).nonzero()[:, 0][below(CELLS - len(KEPT), task_B, CELL)]
    cell_B1 = torch.where(kept_B, kept.nonzero()[:, 0][below(len(KEPT), task_B, CELL)], usual_B)[:, None]
    number_C = torch.arange(CELLS, device=device)
    key_BC = uniform(episode_B[:, None], ORDER, number_C).masked_fill(number_C == cell_B1, -1.0)
    ranked_BK = key_BC.argsort(dim=1)[:, :things]  # the goal's cell comes first
    place_K, goal_B1 = torch.arange(things, device=device), goal_B[:, None]
    is_goal_BK = place_K == goal_B1
    rank_BK = torch.where(is_goal_BK, 0, torch.where(place_K < goal_B1, place_K + 1, place_K))
    cell_BK = ranked_BK.gather(1, rank_BK)
    part_3 = torch.arange(NUMBERS, device=device)
    apart_BK3 = uniform(episode_B[:, None, None], OFFSET, place_K[:, None], part_3)
    own_B13 = uniform(task_B[:, None], OWN_OFFSET, part_3)[:, None]
    offset_BK3 = SPREAD * (2 * torch.where(is_goal_BK[..., None], own_B13, apart_BK3) - 1)
    middle_BK3 = (cell_BK[..., None] // SIDE**part_3 % SIDE - 1) * (2 / SIDE)
    return (middle_BK3 + offset_BK3).float()
