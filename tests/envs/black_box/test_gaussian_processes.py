"""Samples of Gaussian processes: their covariance over problems, and in one problem, beside the kernels' formulas."""

import math
from collections.abc import Callable

import pytest
import torch

from envs.black_box.gaussian_processes import KERNELS, WAVES, GaussianProcess


def squared(r: float) -> float:
    return math.exp(-r * r / 2)


def matern52(r: float) -> float:
    return (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)


def matern32(r: float) -> float:
    return (1 + math.sqrt(3) * r) * math.exp(-math.sqrt(3) * r)


FORMULAS: dict[str, Callable[[float], float]] = {"squared": squared, "matern52": matern52, "matern32": matern32}


def values(process: GaussianProcess, points_ND: torch.Tensor, problems: int) -> torch.Tensor:
    """B × N."""
    given_BG = process.draw(torch.arange(problems))
    return torch.stack([process.value(x_D.expand(problems, -1), given_BG) for x_D in points_ND], 1)


def kernel(name: str, points_ND: torch.Tensor, length_scale: float) -> torch.Tensor:
    rows = points_ND.tolist()
    return torch.tensor([[FORMULAS[name](math.dist(a, b) / length_scale) for b in rows] for a in rows])


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dimensions", [1, 4])
def test_the_covariance_over_problems_is_the_kernel(name: str, dimensions: int) -> None:
    """Sixteen thousand samples: a standard error of .008 or so an entry, and .011 of variances."""
    points_ND = torch.rand(7, dimensions, generator=torch.Generator().manual_seed(3)) * 0.6
    value_BN = values(GaussianProcess(dimensions, name, 0.25), points_ND, 16_000)
    assert value_BN.mean(0).abs().max() < 0.03
    assert (value_BN.T.cov() - kernel(name, points_ND, 0.25)).abs().max() < 0.045
    moment_N = value_BN.pow(4).mean(0) / value_BN.var(0).square()
    assert (moment_N - 3).abs().max() < 0.25  # of a normal distribution


@pytest.mark.parametrize(("name", "bound"), [("squared", 0.02), ("matern52", 0.035), ("matern32", 0.04)])
def test_frequencies_of_one_problem_give_its_kernel(name: str, bound: float) -> None:
    """The mean of cos ω·δ, in each of twenty problems; independent frequencies would be off by .04."""
    process = GaussianProcess(3, name, 0.3)
    omega_BDM = process.draw(torch.arange(20))[:, : 3 * WAVES].unflatten(1, (3, WAVES))
    points_ND = torch.rand(12, 3, generator=torch.Generator().manual_seed(4))
    apart_NND = points_ND[:, None] - points_ND[None]
    found_BNN = torch.einsum("bdm,xyd->bxym", omega_BDM, apart_NND).cos().mean(3)
    error_BNN = found_BNN - kernel(name, points_ND, 0.3)
    assert error_BNN.square().mean().sqrt() < bound


def test_a_sample_is_the_sum_of_its_waves() -> None:
    process = GaussianProcess(2, "squared", 0.3)
    given_BG = process.draw(torch.tensor([9]))
    numbers, point = given_BG[0].tolist(), [0.2, 0.7]
    rows = [numbers[i * WAVES : (i + 1) * WAVES] for i in range(4)]
    waves = zip(*rows, strict=True)
    by_hand = sum(size * math.cos(a * point[0] + b * point[1] + phase) for a, b, phase, size in waves)
    assert process.value(torch.tensor([point]), given_BG).item() == pytest.approx(by_hand, abs=1e-4)


def test_length_scales_and_kernels_are_drawn_for_each_problem() -> None:
    """A wave's frequency goes as one over the length scale; any kernel is one of the three."""
    plain_BG, spread_BG = (GaussianProcess(1, "squared", 0.3, s).draw(torch.arange(300)) for s in (1.0, 4.0))
    ratio_BM = (plain_BG / spread_BG)[:, :WAVES]
    torch.testing.assert_close(ratio_BM, ratio_BM.median(1, keepdim=True).values.expand_as(ratio_BM), rtol=1e-3, atol=0)
    assert 0.25 <= ratio_BM.median(1).values.min() < 0.27
    assert 3.7 < ratio_BM.median(1).values.max() < 4.01
    assert ratio_BM[:, 0].log().mean().abs() < 0.2
    mixed_BG, *pure = (GaussianProcess(2, name, 0.3).draw(torch.arange(60)) for name in ("any", "matern52", "matern32"))
    squared_BG = GaussianProcess(2, "squared", 0.3).draw(torch.arange(60))
    known = torch.stack([mixed_BG[:, 2 * WAVES :] - one[:, 2 * WAVES :] for one in (squared_BG, *pure)])
    assert known.abs().max() == 0  # phases and amplitudes are the same in all
    same_KB = torch.stack([(mixed_BG == one).all(1) for one in pure])
    assert same_KB.sum(0).max() == 1
    assert 10 < same_KB[0].sum() < 30
    assert 10 < same_KB[1].sum() < 30
