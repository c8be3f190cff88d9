"""The experience with a class of functions that a row holds for Gaussian processes.

Shape legend: ``B`` problems, ``M`` choices of a table that stand for all, ``X`` numbers of an experience.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch

COMMON = 5
"""Numbers of an experience that are not of single choices."""

LEVEL_UNIT, PULL_UNIT = 0.1, 0.15
"""The units of what moves means."""

LOG_UNIT = 0.5
"""The unit of the logarithms that are of all problems of a class."""

LARGEST_LOG = 8.0
"""Logarithms lie at most so far from 0."""


class Experience(NamedTuple):
    """What a row says; zeros say nothing.

    Of the choices of a table (:mod:`meta.black_box.choices`): pull_BM and log_vary_BM, by how much the mean is moved at
    those that stand for all, and the logarithm of how much more than usual values vary there; level_B moves all
    means, log_variance_B is the logarithm of the factor of all variances.

    Of functions, too: log_noise_B, of the factor of the variance of noise; exploring_B, the factor by which standard
    deviations count; and log_length_B, of the factor of the usual length scale.
    """

    pull_BM: torch.Tensor
    log_vary_BM: torch.Tensor
    level_B: torch.Tensor
    log_variance_B: torch.Tensor
    log_noise_B: torch.Tensor
    exploring_B: torch.Tensor
    log_length_B: torch.Tensor

    @staticmethod
    def width(components: int) -> int:
        """X."""
        return 2 * components + COMMON

    @classmethod
    def of(cls, told_BX: torch.Tensor) -> Self:
        components = (told_BX.shape[1] - COMMON) // 2
        pull_BM, vary_BM, common_B5 = told_BX.split([components, components, COMMON], 1)
        level_B, variance_B, noise_B, exploring_B, length_B = common_B5.unbind(1)
        vary_BM, variance_B, noise_B, exploring_B, length_B = (
            log.clamp(-LARGEST_LOG, LARGEST_LOG)
            for log in (vary_BM, variance_B, noise_B, LOG_UNIT * exploring_B, LOG_UNIT * length_B)
        )
        level_B, pull_BM = LEVEL_UNIT * level_B, PULL_UNIT * pull_BM
        return cls(pull_BM, vary_BM, level_B, variance_B, noise_B, exploring_B.exp(), length_B)
