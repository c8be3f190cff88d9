"""What the functions of a black box promise. Each is written for a batch of problems.

Shape legend: ``B`` problems, ``D`` dimensions, ``G`` numbers that make a problem what it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch


class Function(Protocol):
    """A family of problems over the unit cube. Less is better.

    Attributes:
        dimensions: D.
    """

    dimensions: int

    def draw(self, episode_B: torch.Tensor) -> torch.Tensor:
        """given_BG, float32: problems by their numbers."""
        ...

    def value(self, point_BD: torch.Tensor, given_BG: torch.Tensor) -> torch.Tensor:
        """value_B of a point of each problem, differentiable by the points."""
        ...

    def least(self, given_BG: torch.Tensor) -> torch.Tensor | None:
        """The minimum of each problem over the cube, float32 B, where it is known."""
        ...


def normal(episode_B: torch.Tensor, what: int, count: int) -> torch.Tensor:
    """float64 B × count: normally distributed numbers, a function of an episode's number and of what is drawn."""
    place = torch.arange(count, device=episode_B.device)
    return normals(uniform(episode_B[:, None], what, place))


def normals(uniform_BX: torch.Tensor) -> torch.Tensor:
    """Normal quantiles of numbers at least 0 and below 1; finite."""
    return torch.special.ndtri(uniform_BX.clamp(min=2.0**-54))


@lru_cache(maxsize=32)
def sobol(dimensions: int, count: int, device: torch.device) -> torch.Tensor:
    """float32 count × D: the first points of Sobol's sequence."""
    return torch.quasirandom.SobolEngine(dimensions).draw(count).to(device)


@lru_cache(maxsize=64)
def constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor of numbers in (nested) tuples, made once: acts that are captured need nothing of the host."""
    return torch.tensor(values, dtype=dtype, device=device)


def shifted(shift: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Points of the unit cube, moved by a shift; what leaves the cube comes in again at the other side."""
    moved = shift + point
    return moved - (moved >= 1).float()
