"""A score beside its control: means and standard errors, by hand."""

import math
import statistics

import pytest
import torch

from meta.talk.comparison import mean_error, paired, unpaired

SCORES, CONTROLS = [3.0, 5.0, 4.0, 8.0, 7.0], [1.0, 4.0, 2.0, 5.0, 1.0]


def test_pairs_are_compared_by_their_differences() -> None:
    found = paired(torch.tensor(SCORES), torch.tensor(CONTROLS))
    differences = [one - other for one, other in zip(SCORES, CONTROLS, strict=True)]
    assert (found.score, found.control, found.count) == (5.4, 2.6, 5)
    squares = sum((x - 2.8) ** 2 for x in differences) + 2 * 3.0**2  # from 0 to 6, the largest difference
    assert found.error == pytest.approx(math.sqrt(squares / 6 / 5))
    assert found.multiple == pytest.approx(2.8 / found.error)


def test_errors_of_problems_apart_add_in_squares() -> None:
    found = unpaired(torch.tensor(SCORES), torch.tensor(CONTROLS), higher=False)
    one, other = (mean_error(torch.tensor(x, dtype=torch.float64), 7.0) for x in (SCORES, CONTROLS))
    assert found.error == pytest.approx(math.hypot(one, other))
    assert found.multiple == pytest.approx(-2.8 / found.error)
    assert not found.reached


def test_of_many_problems_the_error_is_that_of_the_sample() -> None:
    value_B = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).double()
    plain = statistics.stdev(value_B.tolist()) / math.sqrt(len(value_B))
    assert mean_error(value_B, 8.0) == pytest.approx(plain, rel=1e-2)


def test_alike_outcomes_are_not_without_error() -> None:
    """All of 20 right beside none of 20 right: as if one right and one wrong had been seen besides."""
    found = unpaired(torch.ones(20), torch.zeros(20))
    assert found.error == pytest.approx(math.sqrt(2 * (2 * 0.25 / 21) / 20))
    assert found.reached
    assert paired(torch.ones(3), torch.zeros(3)).error > 0
