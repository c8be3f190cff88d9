"""Gittins indices of an arm that pays 1 or 0 with an unknown chance, uniform beforehand (Gittins 1979).

The index of what was seen of an arm is the sure reward a pull for which one would be indifferent between it and this
arm, to be left for good at any time. Whoever always pulls the arm with the largest index maximises the sum of
rewards that are discounted by the same factor at each step. Kaufmann (2018) uses the same index for a number of pulls
that are left, undiscounted; it is not exactly optimal, and very close.

Shape legend: ``N`` pulls of an arm, ``W`` wins among them, ``L`` sure rewards on a grid. Tables are N×W.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from envs.spec import WorldSpec
from meta.baselines.agent import largest
from meta.baselines.bandits import Counting

TAIL = 1e-3
"""Where rewards count for less, nothing more is learned: the arm is pulled or left for ever."""


@lru_cache(maxsize=8)
def discounted(discount: float, pulls: int, grid: int = 401) -> torch.Tensor:
    """float64 N×W, N = 0 to ``pulls``: the index by pulls and wins, where rewards are discounted.

    Stopping is worked out for ``grid`` sure rewards, and the index interpolated between them.
    """
    if not 0 < discount < 1:
        raise ValueError(f"the discount is {discount}; give a number between 0 and 1")
    deep = pulls + 1 + int(math.log(TAIL) / math.log(discount))
    sure_L = torch.linspace(0, 1, grid, dtype=torch.float64) / (1 - discount)
    index_NW = torch.zeros(pulls + 1, pulls + 1, dtype=torch.float64)
    mean_W1 = means(deep)
    value_WL = torch.maximum(mean_W1 / (1 - discount), sure_L)
    for n in range(deep - 1, -1, -1):
        mean_W1 = means(n)
        win_WL, lose_WL = value_WL[1 : n + 2], value_WL[: n + 1]
        go_on_WL = mean_W1 * (1 + discount * win_WL) + (1 - mean_W1) * discount * lose_WL
        if n <= pulls:
            index_NW[n, : n + 1] = crossing(go_on_WL - sure_L)
        value_WL = torch.maximum(go_on_WL, sure_L)
    return index_NW


@lru_cache(maxsize=8)
def finite(horizon: int, grid: int = 201) -> torch.Tensor:
    """float64 horizon × N×W: the same by how many pulls are over in all, of ``horizon``, undiscounted."""
    sure_L = torch.linspace(0, 1, grid, dtype=torch.float64)
    index_TNW = torch.zeros(horizon, horizon, horizon, dtype=torch.float64)
    value_NWL = torch.zeros(horizon + 1, horizon + 1, grid, dtype=torch.float64)
    for over in range(horizon - 1, -1, -1):
        # An arm was pulled at most as often as all: N and W go from 0 to ``over``.
        count_N1 = torch.arange(over + 1, dtype=torch.float64)[:, None]
        mean_NW1 = ((torch.arange(over + 1) + 1) / (count_N1 + 2))[..., None]
        win_NWL, lose_NWL = value_NWL[1 : over + 2, 1 : over + 2], value_NWL[1 : over + 2, : over + 1]
        go_on_NWL = mean_NW1 * (1 + win_NWL) + (1 - mean_NW1) * lose_NWL
        stop_L = sure_L * (horizon - over)
        index_TNW[over, : over + 1, : over + 1] = crossing(go_on_NWL - stop_L)
        value_NWL = torch.maximum(go_on_NWL, stop_L)
    return index_TNW


def means(pulls: int) -> torch.Tensor:
    """float64 W×1: how often an arm pays, by what was seen, after so many pulls with 0 to all of them won."""
    return ((torch.arange(pulls + 1, dtype=torch.float64) + 1) / (pulls + 2))[:, None]


def crossing(more_L: torch.Tensor) -> torch.Tensor:
    """Where what going on brings more than stopping, falling along the last axis, reaches 0."""
    last = more_L.shape[-1] - 1
    place = (more_L > 0).sum(-1, keepdim=True).clamp(1, last)
    above, below = more_L.gather(-1, place - 1)[..., 0], more_L.gather(-1, place)[..., 0]
    part = torch.where(above > below, above / (above - below), 0.0)
    return (place[..., 0] - 1 + part) / last


class Gittins(Counting):
    """The arm with the largest index of :func:`discounted` rewards."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator, discount: float = 0.99) -> None:
        super().__init__(spec, generator=generator)
        self.index_NW = discounted(discount, int(spec.config["steps"]))

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        wins_BA, losses_BA = self.wins_BA.long(), self.losses_BA.long()
        return largest(self.index_NW.to(obs_BF.device)[wins_BA + losses_BA, wins_BA], self.generator)


class FiniteGittins(Counting):
    """The arm with the largest index of the pulls that are left, of as many as the world shows."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        super().__init__(spec, generator=generator)
        self.trial, self.index_TNW = spec.field("TRIAL"), finite(int(spec.config["steps"]))

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        wins_BA, losses_BA = self.wins_BA.long(), self.losses_BA.long()
        table_TNW = self.index_TNW.to(obs_BF.device)
        return largest(table_TNW[obs_BF[:, self.trial, None], wins_BA + losses_BA, wins_BA], self.generator)
