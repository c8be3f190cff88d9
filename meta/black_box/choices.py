"""Which of finitely many choices to try next, where a row says what values to expect of them.

The choices' features give a kernel. Some of the choices stand for all: each is the one of which those before it say
least (a pivoted Cholesky factor, Harbrecht et al. 2012). A row says what values to expect there and how much they vary
from problem to problem, and a few things more; what lies between follows by the kernel. So a row is the experience with
a family of problems, and the same on other machines: nothing in it depends on the signs or the order of eigenvectors.

Shape legend: ``B`` problems, ``K`` choices, ``D`` features, ``M`` choices that stand for all, ``N`` results, ``W``
choices that are being evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import torch

from meta.black_box.experience import Experience
from meta.black_box.history import History
from meta.black_box.posterior import Belief, distance, log_expected_improvement, matern
from meta.black_box.proposals import Suggestions

LENGTH = 1.0
"""The kernel's length scale, in sides of the cube."""

TIES = 1e-6
"""Variances that differ by less are alike; of those the first choice stands for all."""

MEAN, LOG_VARIANCE, LOG_NOISE = 0.4, -3.0, -6.0
"""The mean without experience, of values from 0 to 1, and logarithms of the variances of values and of noise."""

SMALLEST_VARIANCE = 1e-9


class Choices(NamedTuple):
    """feature_KD; factor_KM, the pivoted Cholesky factor of their kernel; rest_KK, what it leaves of the kernel."""

    feature_KD: torch.Tensor
    factor_KM: torch.Tensor
    rest_KK: torch.Tensor

    @classmethod
    def of(cls, feature_KD: torch.Tensor, components: int) -> Self:
        """At most so many choices stand for all."""
        told_KD = feature_KD.detach().float().cpu().contiguous()
        factor_KM, rest_KK = _factored(told_KD.numpy().tobytes(), tuple(told_KD.shape), min(components, len(told_KD)))
        return cls(feature_KD, factor_KM.to(feature_KD), rest_KK.to(feature_KD))

    def nearest(self, point_BND: torch.Tensor) -> torch.Tensor:
        """int64 B × N: which choice each point is."""
        far_BNK = self.feature_KD.square().sum(1) - 2 * point_BND @ self.feature_KD.T
        return far_BNK.argmin(2)


@lru_cache(maxsize=64)
def _factored(content: bytes, shape: tuple[int, int], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """factor_KM and rest_KK of features that are given as bytes."""
    feature_KD = torch.frombuffer(bytearray(content), dtype=torch.float32).view(shape).double()
    rest_KK, columns = matern(distance(feature_KD, feature_KD), torch.tensor(LENGTH)), list[torch.Tensor]()
    for _ in range(count):
        left_K = rest_KK.diagonal()
        pivot = int((left_K >= left_K.max() - TIES).nonzero()[0])
        columns.append(rest_KK[:, pivot] / rest_KK[pivot, pivot].clamp(min=TIES).sqrt())
        rest_KK = rest_KK - columns[-1][:, None] * columns[-1]
    return torch.stack(columns, 1), rest_KK


class Prior(NamedTuple):
    """What to expect of choices before any result: mean_BK, covariance as :meth:`covariance` says, and of each problem
    the variance of noise."""

    mean_BK: torch.Tensor
    vary_BM: torch.Tensor
    variance_B: torch.Tensor
    noise_B: torch.Tensor

    @classmethod
    def of(cls, choices: Choices, row: Experience) -> Self:
        """Where a row has more components than there are choices, those that are left over say nothing."""
        used = choices.factor_KM.shape[1]
        mean_BK = MEAN + row.level_B[:, None] + row.pull_BM[:, :used] @ choices.factor_KM.T
        variance_B, noise_B = (LOG_VARIANCE + row.log_variance_B).exp(), (LOG_NOISE + row.log_noise_B).exp()
        return cls(mean_BK, row.log_vary_BM[:, :used].exp(), variance_B, noise_B)

    def covariance(self, choices: Choices, index_BN: torch.Tensor) -> torch.Tensor:
        """B × N × K: of some choices with all."""
        vary_BNM = choices.factor_KM[index_BN] * self.vary_BM[:, None]
        return self.variance_B[:, None, None] * (vary_BNM @ choices.factor_KM.T + choices.rest_KK[index_BN])

    def variance(self, choices: Choices) -> torch.Tensor:
        """B × K: of the choices' values."""
        told_BK = self.vary_BM @ choices.factor_KM.square().T + choices.rest_KK.diagonal()
        return self.variance_B[:, None] * told_BK


def believed(
    choices: Choices, prior: Prior, index_BN: torch.Tensor, value_BN: torch.Tensor, live_BN: torch.Tensor
) -> Belief:
    """Of all choices, B × K, after some values, of which those count that are live (Rasmussen and Williams 2006,
    algorithm 2.1)."""
    known = index_BN.shape[1]
    if not known:
        return Belief(prior.mean_BK, prior.variance(choices).sqrt())
    cross_BNK = prior.covariance(choices, index_BN) * live_BN[:, :, None]
    inner_BNN = cross_BNK.gather(2, index_BN[:, None].expand(-1, known, -1)) * live_BN[:, None]
    own_BN = torch.where(live_BN, prior.noise_B[:, None], 1.0)
    factor_BNN = torch.linalg.cholesky(inner_BNN + torch.diag_embed(own_BN))
    rest_BN = torch.where(live_BN, value_BN - prior.mean_BK.gather(1, index_BN), 0.0)
    white = torch.linalg.solve_triangular(factor_BNN, torch.cat([rest_BN[:, :, None], cross_BNK], 2), upper=False)
    mean_BK = prior.mean_BK + (white[:, :, :1] * white[:, :, 1:]).sum(1)
    variance_BK = prior.variance(choices) - white[:, :, 1:].square().sum(1)
    return Belief(mean_BK, variance_BK.clamp(min=SMALLEST_VARIANCE).sqrt())


@torch.no_grad()
def suggested_choices(
    choices: Choices, row: Experience, history: History, pending: Sequence[torch.Tensor] = ()
) -> Suggestions:
    """The choice whose improvement is expected to be largest, and the one whose value is expected to be least, of those
    that were not tried yet. Before the first result both are the one of the least mean.

    Args:
        pending: choices that are being evaluated, B × D each; they count as tried, with the value that is expected.
    """
    prior = Prior.of(choices, row)
    known = min(int(history.count_B1.max()), history.value_BM.shape[1])
    index_BN, value_BN = choices.nearest(history.point_BMD[:, :known]), history.value_BM[:, :known]
    live_BN = torch.arange(known, device=index_BN.device) < history.count_B1
    belief = believed(choices, prior, index_BN, value_BN, live_BN)
    if pending:
        waits_BW = choices.nearest(torch.stack(list(pending), 1))
        index_BN = torch.cat([index_BN, waits_BW], 1)
        value_BN = torch.cat([value_BN, belief.mean_BC.gather(1, waits_BW)], 1)
        live_BN = torch.cat([live_BN, torch.ones_like(waits_BW, dtype=torch.bool)], 1)
        belief = believed(choices, prior, index_BN, value_BN, live_BN)
    tried_BK = torch.zeros_like(belief.mean_BC).scatter_reduce(1, index_BN, live_BN.float(), "amax") > 0
    counted = Belief(belief.mean_BC, belief.deviation_BC * row.exploring_B[:, None])
    gain_BK = log_expected_improvement(counted, history.best_B1[:, 0])
    gain_BK = torch.where(history.count_B1 > 0, gain_BK, -counted.mean_BC)
    log_gain_B, improving_B = gain_BK.masked_fill(tried_BK, -torch.inf).max(1)
    mean_B, least_B = belief.mean_BC.masked_fill(tried_BK, torch.inf).min(1)
    amplitude_B, each_B = prior.variance_B.sqrt(), torch.arange(len(least_B), device=least_B.device)
    return Suggestions(
        choices.feature_KD[improving_B], choices.feature_KD[least_B], log_gain_B - amplitude_B.log(),
        (history.best_B1[:, 0] - mean_B) / amplitude_B, belief.deviation_BC[each_B, improving_B] / amplitude_B,
        torch.full_like(amplitude_B, LENGTH),
    )  # fmt: skip
