"""Functions in closed form whose parameters are optimised, each written for one problem; worlds run them in batches.

Shape legend: ``B`` problems, ``D`` parameters of each, ``G`` given numbers that make a problem what it is.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from envs.support.counter_rng import BELL, bell, below, uniform
from envs.support.lazy_torch import torch

BEGIN, GIVEN, SHIFT, SCALE = 41, 42, 43, 44
"""What is drawn, as a part of the numbers that are mixed."""

SMALL = 0.01
"""The standard deviation of a quadratic's first parameters."""

STEEP = 100.0
"""By how much Rosenbrock's valley is steeper across than along."""

BOX = 5.0
"""Beyond it Rosenbrock's function grows in proportion, so that its gradient has a bound, and no step leads to numbers
that are none."""


class Drawn(NamedTuple):
    """Problems: where their parameters begin, theta_BD, and what is given, given_BG; float32."""

    theta_BD: torch.Tensor
    given_BG: torch.Tensor


class Function(Protocol):
    """A family of problems.

    Attributes:
        dimensions: D. images: whether the loss is of images, which the world draws anew for each step.
    """

    dimensions: int
    images: bool

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        """Problems by their numbers."""
        ...

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        """Of one problem: of what is given (given_G); of images, pixels_MI and label_M."""
        ...


class Quadratic:
    """``||Wθ − y||²``, W and y Gaussian (Andrychowicz et al. 2016, section 3.1); θ begins close to zero."""

    images = False

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        size = self.dimensions
        return Drawn(normal(episode_B, BEGIN, size) * SMALL, normal(episode_B, GIVEN, size * size + size))

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        W, y = given[0].split([self.dimensions**2, self.dimensions])
        return (W.view(self.dimensions, self.dimensions) @ theta_D - y).square().sum()


class Rosenbrock:
    """Rosenbrock's valley, turned, scaled and shifted at random: ``z = 1 + s R (θ − c)``, and the sum over i of
    ``100 (z[i+1] − z[i]²)² + (1 − z[i])²``. It begins where z is Gaussian."""

    images = False

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        size = self.dimensions
        turn_BDD = torch.linalg.qr(normal(episode_B, GIVEN, size * size).double().view(-1, size, size)).Q.float()
        turn_BDD = turn_BDD * torch.exp2(2 * uniform(episode_B, SCALE) - 1).float()[:, None, None]
        least_BD = normal(episode_B, SHIFT, size)
        theta_BD = least_BD + torch.linalg.solve(turn_BDD, normal(episode_B, BEGIN, size) - 1)
        return Drawn(theta_BD, torch.cat([turn_BDD.flatten(1), least_BD], 1))

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        turn, least_D = given[0].split([self.dimensions**2, self.dimensions])
        free_D = 1 + turn.view(self.dimensions, self.dimensions) @ (theta_D - least_D)
        z_D = free_D.clamp(-BOX, BOX)
        valley = STEEP * (z_D[1:] - z_D[:-1].square()).square() + (1 - z_D[:-1]).square()
        return valley.sum() + STEEP * (free_D - z_D).abs().sum()


def normal(episode_B: torch.Tensor, what: int, count: int) -> torch.Tensor:
    """float32 B × count: normally distributed numbers, a function of an episode's number and of what is drawn."""
    place = torch.arange(count, device=episode_B.device)
    return bell().to(episode_B.device).float()[below(BELL, episode_B[:, None], what, place)]
