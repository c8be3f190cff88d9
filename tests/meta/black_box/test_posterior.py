"""Gaussian processes beside NumPy, one point at a time beside all at once, and improvements beside sampling."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meta.black_box.experience import Experience
from meta.black_box.posterior import (
    LENGTH_SCALES,
    NOISES,
    Belief,
    Likeliest,
    Posterior,
    flattened,
    log_expected_improvement,
)
from meta.black_box.proposals import spread_evenly, suggested

B, N, D, C = 3, 11, 2, 5


def data(seed: int = 0, count: int = N, size: int = D) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    point_BND = torch.rand(B, count, size, generator=generator)
    return point_BND, (7 * point_BND.sum(2)).sin() + point_BND[..., 0]


def by_numpy(point_ND: np.ndarray, value_N: np.ndarray, place_CD: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The evidence, mean and standard deviation of the likeliest process, in double precision."""
    middle = np.sort(value_N)[(len(value_N) - 1) // 2]
    unit = 1.4826 * np.sort(np.abs(value_N - middle))[(len(value_N) - 1) // 2]
    unit = max(unit, (middle - value_N.min()) / 4)
    value_N = np.array([math.log(1 + (v - middle) / unit) if v > middle else (v - middle) / unit for v in value_N])
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for length in LENGTH_SCALES:
        for noise in NOISES:

            def kernel(a: np.ndarray, b: np.ndarray, length: float = length) -> np.ndarray:
                far = math.sqrt(5) * np.linalg.norm(a[:, None] - b[None], axis=2) / length
                return np.asarray((1 + far + far**2 / 3) * np.exp(-far))

            K = kernel(point_ND, point_ND) + noise * np.eye(len(point_ND))
            inverse, one = np.linalg.inv(K), np.ones(len(K))
            mean = one @ inverse @ value_N / (one @ inverse @ one)
            rest = value_N - mean
            square = rest @ inverse @ rest / len(K)
            evidence = -np.linalg.slogdet(K)[1] / 2 - len(K) / 2 * math.log(square)
            k = kernel(point_ND, place_CD)
            variance = square * (1 - np.einsum("nc,nm,mc->c", k, inverse, k))
            if best is None or evidence > best[0]:
                best = evidence, mean + k.T @ inverse @ rest, np.sqrt(variance)
    assert best is not None
    return best


def test_beliefs_are_those_of_linear_algebra() -> None:
    point_BND, value_BN = data()
    place_BCD = torch.rand(B, C, D, generator=torch.Generator().manual_seed(1))
    posterior = Posterior.of(point_BND, value_BN)
    belief = posterior.at(place_BCD, posterior.likeliest())
    for b in range(B):
        _, mean_C, deviation_C = by_numpy(*(part[b].double().numpy() for part in (point_BND, value_BN, place_BCD)))
        np.testing.assert_allclose(belief.mean_BC[b], mean_C, atol=2e-3)
        np.testing.assert_allclose(belief.deviation_BC[b], deviation_C, atol=2e-3)


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_points_one_by_one_are_points_all_at_once(seed: int, count: int, size: int) -> None:
    point_BND, value_BN = data(seed, count, size)
    whole, grown = Posterior.of(point_BND, value_BN), Posterior(B, size, count + 3)
    for n in range(count):
        grown.add(point_BND[:, n], value_BN[:, n])
    place_BCD = torch.rand(B, C, size, generator=torch.Generator().manual_seed(seed + 1))
    for process in range(len(LENGTH_SCALES) * len(NOISES)):
        chosen = [_process(posterior, process) for posterior in (whole, grown)]
        one, other = (p.at(place_BCD, c) for p, c in zip((whole, grown), chosen, strict=True))
        torch.testing.assert_close(one.mean_BC, other.mean_BC, atol=2e-2, rtol=1e-2)
        torch.testing.assert_close(one.deviation_BC, other.deviation_BC, atol=2e-2, rtol=1e-2)


def _process(posterior: Posterior, index: int) -> Likeliest:
    """One process of the bank, whatever its evidence."""
    flat_BN, unit_B = flattened(posterior.value_BM[:, : posterior.count])
    inverse_BNN = posterior.inverse_BSMM[:, index, : posterior.count, : posterior.count]
    value_BN, one_BN = ((inverse_BNN @ part[..., None])[..., 0] for part in (flat_BN, torch.ones_like(flat_BN)))
    mean_B = (value_BN * one_BN).sum(1) / one_BN.square().sum(1)
    rest_BN = value_BN - mean_B[:, None] * one_BN
    amplitude_B = rest_BN.square().mean(1).sqrt()
    return Likeliest(flat_BN.amin(1), unit_B, torch.full((B,), index), mean_B, amplitude_B, rest_BN)


def test_many_points_on_one_place_leave_numbers() -> None:
    """Red where noise below 32 bits lets the factor's inverse grow without end."""
    posterior = Posterior(1, 1, 100)
    for n in range(100):
        point_BD = torch.tensor([[0.95 + 0.02 * math.sin(n)]])
        posterior.add(point_BD, (9 * point_BD[:, 0]).sin())
    belief = posterior.at(torch.linspace(0, 1, 50)[None, :, None], posterior.likeliest())
    assert belief.mean_BC.abs().max() < 100
    assert belief.deviation_BC.isfinite().all()


def test_shifted_and_scaled_values_give_the_same_places() -> None:
    point_BND, value_BN = data()
    best_BD = point_BND[torch.arange(B), value_BN.argmin(1)]
    nothing = Experience.of(torch.zeros(B, Experience.width(0)))
    one = suggested(Posterior.of(point_BND, value_BN), best_BD, nothing)
    other = suggested(Posterior.of(point_BND, 8 * value_BN - 16), best_BD, nothing)
    torch.testing.assert_close(one.improving_BD, other.improving_BD, atol=1e-3, rtol=0)
    torch.testing.assert_close(one.least_BD, other.least_BD, atol=1e-3, rtol=0)
    torch.testing.assert_close(one.log_gain_B, other.log_gain_B, atol=1e-2, rtol=1e-2)


def test_experience_moves_the_choice_among_processes_and_how_much_is_explored() -> None:
    """Red where a row's numbers reach no process: longer ones are chosen, then noisy ones, then farther points."""
    point_BND, value_BN = data(count=4)
    posterior, none_B = Posterior.of(point_BND, value_BN), torch.zeros(B)
    lengths = [posterior.length_S[posterior.likeliest(none_B + log, none_B).index_B] for log in (-3.0, 0.0, 3.0)]
    assert (lengths[0] <= lengths[1]).all()
    assert (lengths[1] <= lengths[2]).all()
    assert (lengths[0] < lengths[2]).all()
    quiet, noisy = (posterior.noise_S[posterior.likeliest(none_B, none_B + log).index_B] for log in (-9.0, 9.0))
    assert (quiet < noisy).all()
    best_BD = point_BND[torch.arange(B), value_BN.argmin(1)]
    told_2BX = torch.zeros(2, B, Experience.width(0))
    told_2BX[0, :, 3], told_2BX[1, :, 3] = -4, 4
    near, far = (suggested(posterior, best_BD, Experience.of(told_BX)).improving_BD for told_BX in told_2BX)
    nearest = [(one_BD[:, None] - point_BND).norm(dim=2).amin(1).mean() for one_BD in (near, far)]
    assert nearest[0] < nearest[1]


def test_suppositions_leave_no_trace() -> None:
    point_BND, value_BN = data()
    posterior, place_BCD = Posterior(B, D, N + 2), torch.rand(B, C, D)
    for n in range(N):
        posterior.add(point_BND[:, n], value_BN[:, n])
    before = posterior.at(place_BCD, posterior.likeliest())
    with posterior.supposing([place_BCD[:, 0], place_BCD[:, 1]]):
        assert posterior.count == N + 2
        within = posterior.at(place_BCD[:, :2], posterior.likeliest())
        assert (within.deviation_BC < 0.3 * before.deviation_BC[:, :2] + 0.05).all()
    after = posterior.at(place_BCD, posterior.likeliest())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_expected_improvement_is_that_of_samples() -> None:
    belief = Belief(torch.tensor([[0.0, 1.0, -2.0]]), torch.tensor([[1.0, 0.5, 0.1]]))
    best_B = torch.tensor([0.2])
    drawn = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    gain_C = (best_B - (belief.mean_BC + belief.deviation_BC * drawn)).clamp(min=0).mean(0)
    torch.testing.assert_close(log_expected_improvement(belief, best_B).exp()[0], gain_C, rtol=0.03, atol=1e-3)


def test_small_improvements_have_a_logarithm_and_a_slope() -> None:
    mean_1C = torch.linspace(2, 40, 100)[None].requires_grad_()
    found_1C = log_expected_improvement(Belief(mean_1C, torch.ones(1, 100)), torch.zeros(1))
    assert (found_1C.diff() < 0).all()
    found_1C.sum().backward()
    assert mean_1C.grad is not None
    assert (mean_1C.grad < -1).all()


def test_the_sequence_fills_the_cube_and_begins_in_its_middle() -> None:
    point_ND = spread_evenly(3, torch.arange(64))
    assert point_ND[0].tolist() == [0.5] * 3
    corner = (point_ND > 0.5).long() @ torch.tensor([1, 2, 4])
    assert torch.bincount(corner[1:], minlength=8).min() >= 6
