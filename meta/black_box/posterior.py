"""What Gaussian processes say of a function, from the points that were asked for so far (Rasmussen and Williams 2006,
chapters 2 and 5): a bank of them with other length scales and noise, of which the likeliest is asked.

Each has a Matérn kernel of degree 5/2, a constant mean and an amplitude, both at their most likely values, so that
neither shifts nor scales of the values change what is said. Values above the median count by their logarithm: where a
function is large its details do not matter, and functions that grow without end look like samples of a process. A new
point adds a row to the inverse of each Cholesky factor, in time of the order of the square of the number of points.

Shape legend: ``B`` problems, ``S`` processes of the bank, ``N`` points so far, ``M`` room for points, ``C`` places that
are asked about, ``D`` dimensions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self, final

import torch

LENGTH_SCALES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Of the kernels, in sides of the cube."""

USUAL_LENGTH, LENGTH_SPREAD = 0.3, 0.7
"""Length scales are log-normally distributed beforehand: the median in one dimension, from where it grows with the root
of their number (Hvarfner et al. 2024, section 4), and the standard deviation of the logarithm."""

NOISES = (1e-4, 1e-2)
"""Variances of noise, in squares of the amplitude."""

SMALLEST_VARIANCE = 1e-8
"""Of a value that is as good as known, in squares of the amplitude."""

SMALLEST_SQUARE = 1e-20
"""An amplitude's, where all values are alike."""

NORMAL_DEVIATIONS = 1.4826
"""Standard deviations of a normal distribution are so many median deviations."""

DEEPEST = 4.0
"""The least value lies so many units below the median, at most."""

TAIL = -4.0
"""Standard deviations below which the improvement's logarithm has a series of its own."""


class Belief(NamedTuple):
    """Of places, by the likeliest process of each problem: mean_BC and deviation_BC, as values are after
    :func:`flattened`."""

    mean_BC: torch.Tensor
    deviation_BC: torch.Tensor


class Likeliest(NamedTuple):
    """One process of each problem: its index in the bank, mean and amplitude, and what these leave, whitened.

    ``least_B`` is the least value, ``unit_B`` what its unit is in values as they were told.
    """

    least_B: torch.Tensor
    unit_B: torch.Tensor
    index_B: torch.Tensor
    mean_B: torch.Tensor
    amplitude_B: torch.Tensor
    rest_BN: torch.Tensor


@final
class Posterior:
    """The bank's beliefs about functions on the cube of D dimensions, of up to M points each.

    Attributes:
        count: N. log_longer_S: logarithms of the length scales, in usual ones.
        point_BMD, value_BM: the points, and the values as they were told.
        inverse_BSMM: of the Cholesky factors of the kernels' matrices. log_root_BS: a factor's log-determinant.
    """

    def __init__(self, problems: int, dimensions: int, room: int, *, device: torch.device | None = None) -> None:
        bank = list(itertools.product(LENGTH_SCALES, NOISES))
        self.length_S, self.noise_S = (torch.tensor(part, device=device) for part in zip(*bank, strict=True))
        self.log_longer_S = (self.length_S / (USUAL_LENGTH * math.sqrt(dimensions))).log()
        self.count = 0
        self.point_BMD = torch.zeros(problems, room, dimensions, device=device)
        self.inverse_BSMM = torch.zeros(problems, len(bank), room, room, device=device)
        self.value_BM = torch.zeros(problems, room, device=device)
        self.log_root_BS = torch.zeros(problems, len(bank), device=device)

    @classmethod
    @torch.no_grad()
    def of(cls, point_BND: torch.Tensor, value_BN: torch.Tensor) -> Self:
        """The beliefs after these points, all at once; equal to adding one by one."""
        problems, count, dimensions = point_BND.shape
        found = cls(problems, dimensions, count, device=point_BND.device)
        kernel_BSNN = found._kernels(point_BND, point_BND)
        eye_NN = torch.eye(count, device=point_BND.device)
        factor_BSNN = torch.linalg.cholesky(kernel_BSNN + found.noise_S[:, None, None] * eye_NN)
        found.inverse_BSMM = torch.linalg.solve_triangular(factor_BSNN, eye_NN.expand_as(factor_BSNN), upper=False)
        found.log_root_BS = factor_BSNN.diagonal(dim1=2, dim2=3).log().sum(2)
        found.point_BMD, found.value_BM, found.count = point_BND, value_BN, count
        return found

    @torch.no_grad()
    def add(self, point_BD: torch.Tensor, value_B: torch.Tensor) -> None:
        """One more point of each function; beliefs have no gradient by points and values."""
        n = self.count
        inverse_BSNN = self.inverse_BSMM[:, :, :n, :n]
        kernel_BSN1 = self._kernels(self.point_BMD[:, :n], point_BD[:, None])
        row_BS1N = (inverse_BSNN @ kernel_BSN1).mT
        variance_BS1 = (1 - row_BS1N.square().sum(3)).clamp(min=0) + self.noise_S[:, None]
        root_BS1 = variance_BS1.sqrt()
        self.inverse_BSMM[:, :, n, :n] = -(row_BS1N @ inverse_BSNN)[:, :, 0] / root_BS1
        self.inverse_BSMM[:, :, n, n] = 1 / root_BS1[..., 0]
        self.log_root_BS += root_BS1[..., 0].log()
        self.point_BMD[:, n], self.value_BM[:, n] = point_BD, value_B
        self.count = n + 1

    @contextmanager
    def supposing(self, points: Sequence[torch.Tensor]) -> Iterator[None]:
        """For a while, some more points, BD each, whose values are what is expected there."""
        count, log_root_BS = self.count, self.log_root_BS
        self.log_root_BS = log_root_BS.clone()
        for point_BD in points:
            process = self.likeliest()
            gap_B = self.at(point_BD[:, None], process).mean_BC[:, 0] - process.least_B
            least_B = self.value_BM[:, : self.count].amin(1)
            self.add(point_BD, least_B + process.unit_B * gap_B)
        try:
            yield
        finally:
            self.count, self.log_root_BS = count, log_root_BS

    def likeliest(self, log_length_B: torch.Tensor | None = None, log_noise_B: torch.Tensor | None = None) -> Likeliest:
        """The process of the most evidence, at the likeliest mean and amplitude (section 5.4.1).

        Args:
            log_length_B, log_noise_B: by what logarithms length scales and noise are larger than usual beforehand.
        """
        flat_BN, unit_B = flattened(self.value_BM[:, : self.count])
        told_BN2 = torch.stack([flat_BN, torch.ones_like(flat_BN)], 2)
        inverse_BSNN = self.inverse_BSMM[:, :, : self.count, : self.count]
        value_BSN, one_BSN = (inverse_BSNN @ told_BN2[:, None]).unbind(3)
        mean_BS = (value_BSN * one_BSN).sum(2) / one_BSN.square().sum(2)
        rest_BSN = value_BSN - mean_BS[..., None] * one_BSN
        square_BS = rest_BSN.square().mean(2).clamp(min=SMALLEST_SQUARE)
        evidence_BS = -self.log_root_BS - self.count / 2 * square_BS.log()
        index_B = (evidence_BS + self._log_prior(log_length_B, log_noise_B)).argmax(1)
        each_B = torch.arange(len(index_B), device=index_B.device)
        parts = mean_BS, square_BS.sqrt(), rest_BSN
        return Likeliest(flat_BN.amin(1), unit_B, index_B, *(part[each_B, index_B] for part in parts))

    def _log_prior(self, log_length_B: torch.Tensor | None, log_noise_B: torch.Tensor | None) -> torch.Tensor:
        """Of the processes, S, or B × S where problems have their own."""
        if log_length_B is None or log_noise_B is None:
            return -(self.log_longer_S / LENGTH_SPREAD).square() / 2
        longer_BS = (self.log_longer_S - log_length_B[:, None]) / LENGTH_SPREAD
        noisy_S = self.noise_S.log() - self.noise_S.log().mean()
        return log_noise_B[:, None] * noisy_S / self.noise_S.log().std() - longer_BS.square() / 2

    def at(self, place_BCD: torch.Tensor, process: Likeliest) -> Belief:
        """What one process of each problem believes of places; differentiable by them."""
        n, each_B = self.count, torch.arange(len(place_BCD), device=place_BCD.device)
        length_B11 = self.length_S[process.index_B][:, None, None]
        point_BND = self.point_BMD[:, :n]
        point_BND = point_BND.clone() if place_BCD.requires_grad else point_BND  # more points are written beside it
        kernel_BNC = matern(distance(point_BND, place_BCD), length_B11)
        white_BNC = self.inverse_BSMM[each_B, process.index_B, :n, :n] @ kernel_BNC
        mean_BC = process.mean_B[:, None] + (process.rest_BN[:, None] @ white_BNC)[:, 0]
        variance_BC = (1 - white_BNC.square().sum(1)).clamp(min=SMALLEST_VARIANCE)
        return Belief(mean_BC, process.amplitude_B[:, None] * variance_BC.sqrt())

    def _kernels(self, one_BND: torch.Tensor, other_BCD: torch.Tensor) -> torch.Tensor:
        """kernel_BSNC of each process of the bank."""
        return matern(distance(one_BND, other_BCD)[:, None], self.length_S[:, None, None])


def flattened(value_BN: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values in units from their median, those above it by their logarithm; and the units, B.

    A unit is the median deviation, but at least a quarter of what the least value lies below the median, so that a
    search which has come close to a minimum does not see its last steps enlarged; where both are 0, the mean deviation.
    """
    median_B1 = value_BN.median(1, keepdim=True).values
    off_BN = value_BN - median_B1
    usual_B1 = NORMAL_DEVIATIONS * off_BN.abs().median(1, keepdim=True).values
    unit_B1 = torch.maximum(usual_B1, -off_BN.amin(1, keepdim=True) / DEEPEST)
    unit_B1 = torch.where(unit_B1 > 0, unit_B1, off_BN.abs().mean(1, keepdim=True))
    unit_B1 = torch.where(unit_B1 > 0, unit_B1, 1.0)
    off_BN = off_BN / unit_B1
    return torch.where(off_BN > 0, off_BN.clamp(min=0).log1p(), off_BN), unit_B1[:, 0]


def distance(one_BND: torch.Tensor, other_BCD: torch.Tensor) -> torch.Tensor:
    """distance_BNC; its gradient is 0 where two places are one."""
    return torch.cdist(one_BND, other_BCD, compute_mode="donot_use_mm_for_euclid_dist")


def matern(distance_X: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Matérn's kernel of degree 5/2 (equation 4.17)."""
    scaled = math.sqrt(5) * distance_X / length
    return (1 + scaled + scaled.square() / 3) * (-scaled).exp()


def log_expected_improvement(belief: Belief, best_B: torch.Tensor) -> torch.Tensor:
    """B × C: the logarithm of how far a value is expected to lie below the best one (Ament et al. 2023, section 4)."""
    z_BC = (best_B[:, None] - belief.mean_BC) / belief.deviation_BC
    log_density_BC = -z_BC.square() / 2 - math.log(math.sqrt(2 * math.pi))
    near_BC = z_BC.clamp(min=TAIL)
    usual_BC = (log_density_BC.exp() + near_BC * torch.special.ndtr(near_BC)).clamp(min=1e-30).log()
    tail_BC = log_density_BC - 2 * z_BC.clamp(max=TAIL).abs().log()  # φ(z) / z²
    return torch.where(z_BC > TAIL, usual_BC, tail_BC) + belief.deviation_BC.log()
