"""Places that a Gaussian process would ask about next: where the improvement is expected to be largest, and where the
value is expected to be least.

Both are looked for among places spread evenly over the cube, and among some around the best point; then, around what
is found, at ever smaller distances. The places come from Sobol's sequence, so that nothing is drawn at random.

Shape legend: ``B`` problems, ``C`` places, ``D`` dimensions, ``X`` numbers of a Sobol point.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, Self

import torch

from meta.black_box.experience import Experience
from meta.black_box.posterior import Belief, Likeliest, Posterior, log_expected_improvement

FAR, NEAR, CLOSER = 32, 32, 12
"""Places over the cube, around the best point, and around what was found, in each of :data:`ROUNDS`."""

ROUNDS = (0.1, 0.02)
"""Largest distances of the last, in sides of the cube, as a standard deviation."""

WIDEST, DECADES = 0.3, 2.0
"""The largest standard deviation of places around the best point, and by how many decades the smallest is less."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, without whole parts, are spread evenly: by so much places move from step to step."""

SMALLEST_SHARE = 1e-9
"""Of an improvement that counts."""

FEWEST = 0.3
"""The least share of coordinates in which a place around the best point differs from it."""


class Suggestions(NamedTuple):
    """What a process suggests: a place of each kind, BD, and what is believed there.

    Attributes:
        improving_BD: where the improvement is expected to be largest. least_BD: where the value is.
        log_gain_B: the logarithm of that improvement, in amplitudes. fall_B: how far below the best value the least one
            is expected to be, in amplitudes. unsure_B: the standard deviation at the first place, in amplitudes.
        length_B: the length scale, in sides of the cube.
    """

    improving_BD: torch.Tensor
    least_BD: torch.Tensor
    log_gain_B: torch.Tensor
    fall_B: torch.Tensor
    unsure_B: torch.Tensor
    length_B: torch.Tensor


@torch.no_grad()
def suggested(posterior: Posterior, best_BD: torch.Tensor, row: Experience) -> Suggestions:
    """By the likeliest process of each problem; ``best_BD`` is the best point so far."""
    process = posterior.likeliest(row.log_length_B, row.log_noise_B)
    best_B = process.least_B
    step, size = posterior.count, best_BD.shape[1]
    far_BCD = _sobol(FAR, size, step).to(best_BD).expand(len(best_BD), -1, -1)
    judged = Judged.of(posterior, process, torch.cat([far_BCD, _around(best_BD, _near(NEAR, size, step))], 1), row)
    for spread in ROUNDS:
        offset_CD = spread * _offsets(CLOSER, size, step)
        found = [judged.improving_BD, judged.least_BD]
        places = [*(one_BD[:, None] for one_BD in found), *(_around(one_BD, offset_CD) for one_BD in found)]
        judged = Judged.of(posterior, process, torch.cat(places, 1), row)
    amplitude_B = process.amplitude_B
    return Suggestions(
        judged.improving_BD,
        judged.least_BD,
        judged.log_gain_B - amplitude_B.log(),
        (best_B - judged.mean_B) / amplitude_B,
        judged.deviation_B / amplitude_B,
        posterior.length_S[process.index_B],
    )


class Judged(NamedTuple):
    """The best of some places: see :class:`Suggestions`, and the mean at the second, in the units of the values.

    What is expected of a place that is as good as known counts little: improvements are augmented (Huang et al. 2006,
    equation 12).
    """

    improving_BD: torch.Tensor
    least_BD: torch.Tensor
    log_gain_B: torch.Tensor
    mean_B: torch.Tensor
    deviation_B: torch.Tensor

    @classmethod
    def of(cls, posterior: Posterior, process: Likeliest, place_BCD: torch.Tensor, row: Experience) -> Self:
        belief = posterior.at(place_BCD, process)
        counted = Belief(belief.mean_BC, belief.deviation_BC * row.exploring_B[:, None])
        noise_B1 = process.amplitude_B[:, None] * posterior.noise_S[process.index_B].sqrt()[:, None]
        new_BC = 1 - noise_B1 / torch.hypot(belief.deviation_BC, noise_B1)
        log_gain_BC = log_expected_improvement(counted, process.least_B) + new_BC.clamp(min=SMALLEST_SHARE).log()
        log_gain_B, improving_B = log_gain_BC.max(1)
        mean_B, least_B = belief.mean_BC.min(1)
        each_B = torch.arange(len(least_B), device=least_B.device)
        places = place_BCD[each_B, improving_B], place_BCD[each_B, least_B]
        return cls(*places, log_gain_B, mean_B, belief.deviation_BC[each_B, improving_B])


def _around(point_BD: torch.Tensor, offset_CD: torch.Tensor) -> torch.Tensor:
    """place_BCD around a point of each problem, inside the cube."""
    return (point_BD[:, None] + offset_CD.to(point_BD)).clamp(0, 1)


@lru_cache(maxsize=4096)
def _near(count: int, size: int, step: int) -> torch.Tensor:
    """offset_CD of many sizes, each in some of the coordinates."""
    normal_CD, shown_CD, log_C1 = _sobol(count, 2 * size + 1, step).split([size, size, 1], 1)
    return WIDEST * 10 ** (-DECADES * log_C1) * _quantile(normal_CD) * (shown_CD < max(FEWEST, 2 / size))


@lru_cache(maxsize=4096)
def _offsets(count: int, size: int, step: int) -> torch.Tensor:
    """offset_CD of many sizes up to a standard deviation of 1, in all coordinates."""
    normal_CD, log_C1 = _sobol(count, size + 1, step).split([size, 1], 1)
    return 10 ** (-DECADES * log_C1) * _quantile(normal_CD)


@lru_cache(maxsize=4096)
def _sobol(count: int, size: int, step: int) -> torch.Tensor:
    """place_CX: the first points of the sequence, moved by a shift that goes with the step."""
    shift_X = (1 + step) * GOLDEN * torch.arange(1, 1 + size)
    return (_unmoved(count, size) + shift_X) % 1


@lru_cache(maxsize=64)
def _unmoved(count: int, size: int) -> torch.Tensor:
    return torch.quasirandom.SobolEngine(size).draw(count)


def _quantile(uniform: torch.Tensor) -> torch.Tensor:
    """The normal quantile."""
    return torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))


SEQUENCE = 1024
"""Points of the sequence that fills the cube, which then begins anew."""


def spread_evenly(size: int, step_B: torch.Tensor) -> torch.Tensor:
    """point_BD: of a sequence that fills the cube, the points of these steps; the first is the middle."""
    return _sequence(size).to(step_B.device)[step_B % SEQUENCE]


@lru_cache(maxsize=64)
def _sequence(size: int) -> torch.Tensor:
    return torch.quasirandom.SobolEngine(size).draw(1 + SEQUENCE)[1:]
