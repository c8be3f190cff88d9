"""Samples of Gaussian processes as sums of waves: random Fourier features (Rahimi and Recht 2007).

A stationary kernel of variance 1 is the mean of ``cos(ω·δ)`` over its spectral density, and a sample is
``f(x) = Σ_m (a_m cos ω_m·x + c_m sin ω_m·x) / √M`` with normal a and c. Each pair is one wave with a random phase whose
amplitude is Rayleigh distributed, so that M cosines do what 2M features of the paper's first form do: given the
frequencies, f is exactly Gaussian and its variance is exactly 1 everywhere.

Frequencies are points of Sobol's sequence, shifted at random for each problem, instead of independent ones (quasi-Monte
Carlo features, Avron et al. 2016): each is still distributed as the spectral density says, and together they are spread
more evenly. Over problems the covariance has no bias. In one problem it is off by this much (root mean square over
pairs of points, 64 problems, length scale 0.3; pairs are closer than uniform ones from 6 dimensions on):

| Dimensions | 1 | 2 | 3 | 6 | 9 | 20 |
|---|---|---|---|---|---|---|
| squared, independent frequencies | .031 | .039 | .041 | .035 | .037 | .040 |
| squared, shifted Sobol points | .001 | .008 | .014 | .024 | .032 | .038 |
| Matérn 5/2, shifted Sobol points | .010 | .019 | .025 | .028 | .034 | .039 |
| Matérn 3/2, shifted Sobol points | .013 | .021 | .028 | .030 | .034 | .039 |

Shape legend: ``B`` problems, ``D`` dimensions, ``M`` waves, ``X`` coordinates of a Sobol point, ``G`` numbers that make
a problem what it is.
"""

from __future__ import annotations

import math

from envs.black_box.functions import shifted, sobol
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch

WAVES = 256
"""M, a power of two, as Sobol's sequence asks for."""

KERNELS = ("squared", "matern52", "matern32")
"""Squared exponential, and Matérn's with smoothness 5/2 and 3/2."""

ANY = "any"
"""Instead of a kernel's name: each problem draws one of :data:`KERNELS`."""

SHIFT, PHASE, AMPLITUDE, KERNEL, LENGTH = 71, 72, 73, 74, 75
"""What is drawn, as a part of the numbers that are mixed."""


class GaussianProcess:
    """Samples of a kernel over the unit cube.

    Args:
        kernel: of :data:`KERNELS`, or :data:`ANY`.
        spread: length scales are up to so many times larger or smaller, log-uniformly drawn for each problem.
    """

    def __init__(self, dimensions: int, kernel: str, length_scale: float, spread: float = 1.0) -> None:
        self.dimensions, self.kernel = dimensions, kernel
        self.length_scale, self.spread = length_scale, spread

    def draw(self, episode_B: torch.Tensor) -> torch.Tensor:
        """given_BG: frequencies (D × M), phases and amplitudes."""
        wave = torch.arange(WAVES, device=episode_B.device)
        turn_BM = uniform(episode_B[:, None], PHASE, wave).float() * (2 * math.pi)
        square_BM = -torch.log1p(-uniform(episode_B[:, None], AMPLITUDE, wave)).float()
        return torch.cat([self._frequencies(episode_B).flatten(1), turn_BM, (square_BM * (2 / WAVES)).sqrt()], 1)

    def value(self, point_BD: torch.Tensor, given_BG: torch.Tensor) -> torch.Tensor:
        omega, phase_BM, amplitude_BM = given_BG.split([self.dimensions * WAVES, WAVES, WAVES], 1)
        omega_BDM = omega.unflatten(1, (self.dimensions, WAVES))
        angle_B1M = torch.baddbmm(phase_BM[:, None], point_BD[:, None], omega_BDM)
        return (amplitude_BM * angle_B1M[:, 0].cos()).sum(1)  # twice as fast as a product of matrices

    def least(self, given_BG: torch.Tensor) -> None:
        """The minimum of a sample is not known."""

    def _frequencies(self, episode_B: torch.Tensor) -> torch.Tensor:
        """omega_BDM, as the spectral density is distributed: Gaussian, or Student's t of twice the smoothness."""
        size = self.dimensions
        place_BXM = _places(episode_B, size + (0 if self.kernel == "squared" else 3))
        omega_BDM = _normal(place_BXM[:, :size])
        if self.kernel != "squared":
            omega_BDM = omega_BDM * self._tails(episode_B, place_BXM[:, size:])[:, None]
        length_B = self.length_scale * self.spread ** (2 * uniform(episode_B, LENGTH) - 1)
        return omega_BDM / length_B.float()[:, None, None]

    def _tails(self, episode_B: torch.Tensor, place_B3M: torch.Tensor) -> torch.Tensor:
        """B × M: √(degrees / χ²), by which a normal frequency becomes one of Student's t; 1 of the squared kernel."""
        first_BM, second_BM = (-2 * place_B3M[:, :2].log()).unbind(1)
        chi3_BM = first_BM + _normal(place_B3M[:, 2]).square()
        tails = {"matern52": (5 / (chi3_BM + second_BM)).sqrt(), "matern32": (3 / chi3_BM).sqrt()}
        if self.kernel != ANY:
            return tails[self.kernel]
        choices = torch.stack([torch.ones_like(chi3_BM), tails["matern52"], tails["matern32"]])
        chosen_B = below(len(KERNELS), episode_B, KERNEL)
        return choices[chosen_B, torch.arange(len(episode_B), device=episode_B.device)]


def _places(episode_B: torch.Tensor, size: int) -> torch.Tensor:
    """float32 B × X × M, above 0 and below 1: Sobol's sequence, moved by a shift of each problem's own."""
    coordinate = torch.arange(size, device=episode_B.device)
    shift_BX1 = uniform(episode_B[:, None], SHIFT, coordinate).float()[:, :, None]
    return shifted(shift_BX1, sobol(size, WAVES, episode_B.device).T).clamp(2.0**-24, 1 - 2.0**-24)


def _normal(place: torch.Tensor) -> torch.Tensor:
    """The normal quantile."""
    return torch.erfinv(2 * place - 1) * math.sqrt(2)
