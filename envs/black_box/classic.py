"""Test functions of the literature on the unit cube, perturbed as in Chen et al. (2017).

Branin and Goldstein-Price are standardised as in Picheny, Wagner and Ginsbourger (2013, "A benchmark of kriging-based
infill criteria for noisy optimization"), the latter being the logarithm of the original. Hartmann's
functions are those of Dixon and Szegő (1978).

A perturbation reads the function at ``z = ½ + t + s ⊗ (y − ½)``, where y is the point with its coordinates in another
order and some of them counted from the other end; t, s, the order and the ends are drawn for each problem, t and s for
each dimension. Where a translation would move the minimum out of the cube it is shortened, so that the minimum is
reached and known.

Shape legend: ``B`` problems, ``D`` dimensions, ``K`` summands, ``G`` numbers that make a problem what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from envs.black_box.functions import constant
from envs.black_box.repellers import DIMENSIONS as REPELLER_DIMENSIONS
from envs.black_box.repellers import repelled
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch

TRANSLATION = 0.1
"""The largest one, in units of the cube."""

LEAST_SCALE, MOST_SCALE = 0.9, 1.1

TRANSLATE, STRETCH, FLIP, ORDER = 91, 92, 93, 94
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass(frozen=True)
class Formula:
    """A function on the unit cube: its value, its minimum and a place of it; none of a minimum that is not known."""

    dimensions: int
    value: Callable[[torch.Tensor], torch.Tensor]
    minimum: float | None = None
    minimiser: tuple[float, ...] = ()


class Classic:
    """A function of :data:`FORMULAS`, as it is or perturbed."""

    def __init__(self, name: str, perturbed: bool) -> None:
        self.formula, self.perturbed = FORMULAS[name], perturbed
        self.dimensions = self.formula.dimensions

    def draw(self, episode_B: torch.Tensor) -> torch.Tensor:
        """given_BG: a matrix A (D × D) and c, so that ``z = c + A (x − ½)``."""
        size, batch = self.dimensions, len(episode_B)
        axis = torch.arange(size, device=episode_B.device)
        if not self.perturbed:
            eye_BDD = torch.eye(size, device=episode_B.device).expand(batch, size, size)
            return torch.cat([eye_BDD.flatten(1), eye_BDD.new_full((batch, size), 0.5)], 1)
        parts = episode_B[:, None]
        scale_BD = LEAST_SCALE + (MOST_SCALE - LEAST_SCALE) * uniform(parts, STRETCH, axis)
        sign_BD = 2 * below(2, parts, FLIP, axis) - 1
        order_BDD = torch.nn.functional.one_hot(uniform(parts, ORDER, axis).argsort(1), size)
        shift_BD = self._inside(TRANSLATION * (2 * uniform(parts, TRANSLATE, axis) - 1), scale_BD)
        turn_BDD = (scale_BD * sign_BD)[:, :, None] * order_BDD
        return torch.cat([turn_BDD.flatten(1), 0.5 + shift_BD], 1).float()

    def value(self, point_BD: torch.Tensor, given_BG: torch.Tensor) -> torch.Tensor:
        turn, centre_BD = given_BG.split([self.dimensions**2, self.dimensions], 1)
        turn_BDD = turn.unflatten(1, (self.dimensions, self.dimensions))
        z_BD1 = torch.baddbmm(centre_BD[:, :, None], turn_BDD, point_BD[:, :, None] - 0.5)
        return self.formula.value(z_BD1[:, :, 0])

    def least(self, given_BG: torch.Tensor) -> torch.Tensor | None:
        minimum = self.formula.minimum
        return None if minimum is None else given_BG.new_full((len(given_BG),), minimum)

    def _inside(self, shift_BD: torch.Tensor, scale_BD: torch.Tensor) -> torch.Tensor:
        """A translation with which the place of the minimum is the image of a point of the cube."""
        if not self.formula.minimiser:
            return shift_BD
        centred_D = constant(self.formula.minimiser, shift_BD.dtype, shift_BD.device) - 0.5
        return shift_BD.clamp(centred_D - scale_BD / 2, centred_D + scale_BD / 2)


def branin(z_BD: torch.Tensor) -> torch.Tensor:
    x1_B, x2_B = 15 * z_BD[:, 0] - 5, 15 * z_BD[:, 1]
    valley_B = x2_B - 5.1 / (4 * math.pi**2) * x1_B.square() + 5 / math.pi * x1_B - 6
    return (valley_B.square() + 10 * (1 - 1 / (8 * math.pi)) * x1_B.cos() - 44.81) / 51.95


def goldstein_price(z_BD: torch.Tensor) -> torch.Tensor:
    x, y = (4 * z_BD - 2).unbind(1)
    one_B = 1 + (x + y + 1).square() * (19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y)
    tilted_B = (2 * x - 3 * y).square()
    two_B = 30 + tilted_B * (18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y)
    return ((one_B * two_B).log() - 8.693) / 2.427


HARTMANN_WEIGHTS = (1.0, 1.2, 3.0, 3.2)

HARTMANN3 = (
    ((3.0, 10, 30), (0.1, 10, 35), (3.0, 10, 30), (0.1, 10, 35)),
    ((3689, 1170, 2673), (4699, 4387, 7470), (1091, 8732, 5547), (381, 5743, 8828)),
)
"""Exponents, and centres in parts of ten thousand."""

HARTMANN6 = (
    (
        (10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14),
    ),
    (
        (1312, 1696, 5569, 124, 8283, 5886), (2329, 4135, 8307, 3736, 1004, 9991),
        (2348, 1451, 3522, 2883, 3047, 6650), (4047, 8828, 8732, 5743, 1091, 381),
    ),
)  # fmt: skip


def hartmann3(z_BD: torch.Tensor) -> torch.Tensor:
    return _hartmann(z_BD, *HARTMANN3)


def hartmann6(z_BD: torch.Tensor) -> torch.Tensor:
    return _hartmann(z_BD, *HARTMANN6)


def _hartmann(z_BD: torch.Tensor, exponents: tuple[Any, ...], centres: tuple[Any, ...]) -> torch.Tensor:
    parts = exponents, centres, HARTMANN_WEIGHTS
    a_KD, p_KD, weight_K = (constant(part, z_BD.dtype, z_BD.device) for part in parts)
    power_BK = (a_KD * (z_BD[:, None] - p_KD * 1e-4).square()).sum(2)
    return -(weight_K * (-power_BK).exp()).sum(1)


FORMULAS: Mapping[str, Formula] = MappingProxyType({
    "branin": Formula(2, branin, -1.0473939, ((math.pi + 5) / 15, 2.275 / 15)),
    "goldstein_price": Formula(2, goldstein_price, -3.1291256, (0.5, 0.25)),
    "hartmann3": Formula(3, hartmann3, -3.8627798, (0.1146143, 0.5556489, 0.8525470)),
    "hartmann6": Formula(
        6, hartmann6, -3.3223680, (0.2016895, 0.1500107, 0.4768740, 0.2753324, 0.3116516, 0.6573005)
    ),
    "repellers": Formula(REPELLER_DIMENSIONS, repelled),
})  # fmt: skip
"""By the name of the setting. Minima are those of the formulas, to the digits of float32."""
