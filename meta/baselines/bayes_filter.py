"""The best agent of restless arms, whose chances add up to 1 while the first one walks.

Shape legend: ``B`` episodes, ``G`` chances on a grid.
"""

from __future__ import annotations

from statistics import NormalDist

import torch

from envs.spec import WorldSpec
from envs.world import State
from meta.baselines.agent import largest

GRID = 101
"""Chances of the first arm that are told apart."""


class Filtered:
    """Keeps how likely each chance of the first arm is by what was seen, and pulls the arm that pays more on average.

    A pull tells the same about both arms and changes neither, so nothing is gained by exploring, and this is the
    Bayes-optimal agent, to the width of the grid.
    """

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        self.chance_G = (torch.arange(GRID) + 0.5) / GRID
        self.moves_GG = walk(float(spec.config["drift"]))
        self.generator = generator

    def begin(self, state: State) -> None:
        self.likely_BG = torch.full((state.batch, GRID), 1 / GRID, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        chance_G, moves_GG = self.chance_G.to(obs_BF.device), self.moves_GG.to(obs_BF.device)
        for_first_B = (obs_BF[:, self.last] == 1) == (obs_BF[:, self.paid] == 2)
        told_BG = torch.where(for_first_B[:, None], chance_G, 1 - chance_G)
        found_BG = (self.likely_BG * told_BG) @ moves_GG
        found_BG = found_BG / found_BG.sum(1, keepdim=True)
        self.likely_BG = torch.where((obs_BF[:, self.last] > 0)[:, None], found_BG, self.likely_BG)
        mean_B = self.likely_BG @ chance_G
        even_B = (mean_B - 0.5).abs() < 1e-6
        return 1 + largest(
            torch.stack([torch.where(even_B, 0.5, mean_B), torch.where(even_B, 0.5, 1 - mean_B)], 1), self.generator
        )


def walk(drift: float) -> torch.Tensor:
    """float32 G×G: how often a chance becomes another in one pull; the walk comes back from 0 and 1."""
    if drift == 0:
        return torch.eye(GRID)
    normal = NormalDist(0, drift)
    edges = [normal.cdf((step - 0.5) / GRID) for step in range(-GRID, GRID + 2)]
    moves_GG = torch.zeros(GRID, GRID, dtype=torch.float64)
    for start in range(GRID):
        for step in range(-GRID, GRID + 1):
            there = start + step
            there = -1 - there if there < 0 else 2 * GRID - 1 - there if there >= GRID else there
            if 0 <= there < GRID:
                moves_GG[start, there] += edges[step + GRID + 1] - edges[step + GRID]
    return (moves_GG / moves_GG.sum(1, keepdim=True)).float()
