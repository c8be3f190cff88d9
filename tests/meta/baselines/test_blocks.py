"""The Bayes-optimal weigher: beside a plain recursion over midpoints, beside published figures and its own experiments,
and better than those who poke a fixed number of blocks."""

from functools import cache

import pytest
import torch

from envs.physics.blocks import BETAS, DISCOUNTS, Blocks, BlocksState
from meta.baselines.blocks import StoppingPlan, Weigher, draw_of, experiments

WORLD = Blocks("table", {})

COUNT = 4000


def begun(beta: str, discount: str, count: int = COUNT) -> BlocksState:
    zero_B = torch.zeros(count, dtype=torch.int64)
    episode_B = 10**8 + torch.arange(count)
    return WORLD.begin(episode_B, zero_B + BETAS.index(beta), zero_B + DISCOUNTS.index(discount), zero_B)


def plain_start(blocks: int, beta: int, discount: float, count: int) -> float:
    """By posteriors in plain Python, over draws whose distribution functions are at the middles of equal parts."""
    middles = [(i + 0.5) / count for i in range(count)]
    heavy = [u ** (1 / beta) for u in middles]
    light = [1 - (1 - u) ** (1 / beta) for u in middles]

    def density(x: float, is_heavy: bool) -> float:
        return beta * (x if is_heavy else 1 - x) ** (beta - 1)

    @cache
    def value(seen: tuple[float, ...]) -> float:
        likely = [1.0] * blocks
        for candidate in range(blocks):
            for number, x in enumerate(seen):
                likely[candidate] *= density(x, candidate == number)
        posterior = [part / sum(likely) for part in likely]
        stop = 2 * max(posterior) - 1
        if len(seen) == blocks:
            return stop
        chance = posterior[len(seen)]
        ahead = sum(
            chance * value((*seen, h)) + (1 - chance) * value((*seen, x)) for h, x in zip(heavy, light, strict=True)
        )
        return max(stop, discount * ahead / count)

    return value(())


@pytest.mark.parametrize(("blocks", "beta", "discount", "count"), [(2, 3, 0.95, 80), (3, 3, 0.9, 24), (3, 5, 0.99, 24)])
def test_the_plan_is_that_of_plain_posteriors(blocks: int, beta: int, discount: float, count: int) -> None:
    found = StoppingPlan(blocks, float(beta), discount).start
    assert found == pytest.approx(plain_start(blocks, beta, discount, count), abs=5e-3)


@pytest.mark.parametrize(
    ("beta", "discount", "mean", "right", "pokes"),
    [
        ("3", "0.95", 0.648, 0.878, 3.21), ("5", "0.95", 0.855, 0.987, 2.57), ("10", "0.95", 0.891, 1.0, 2.27),
        ("3", "0.99", 0.744, 0.885, 3.46), ("5", "0.99", 0.955, 0.991, 2.78), ("10", "0.99", 0.978, 1.0, 2.27),
    ],
)  # fmt: skip
def test_experiments_come_to_the_plan_and_no_fixed_number_of_pokes_does(
    beta: str, discount: str, mean: float, right: float, pokes: float
) -> None:
    """Beside figures that were computed apart from this on 1,500 experiments."""
    plan = StoppingPlan(4, float(beta), float(discount))
    found = experiments(WORLD, Weigher(WORLD.config, plan), begun(beta, discount))
    error = float(found.return_B.std()) / COUNT**0.5
    assert float(found.return_B.mean()) == pytest.approx(plan.start, abs=4 * error)
    assert plan.start == pytest.approx(mean, abs=0.012)
    means = found.means()
    assert means["right"] == pytest.approx(right, abs=0.015)
    assert means["pokes"] == pytest.approx(pokes, abs=0.08)
    for fixed in range(5):
        other = experiments(WORLD, Weigher(WORLD.config, plan, pokes=fixed), begun(beta, discount))
        assert float((other.return_B - found.return_B).mean()) < 0, fixed
        assert other.pokes_B.unique().tolist() == [fixed]


def test_who_does_not_poke_knows_nothing() -> None:
    found = experiments(WORLD, Weigher(WORLD.config, StoppingPlan(4, 3.0, 0.99), pokes=0), begun("3", "0.99"))
    assert found.means()["right"] == pytest.approx(0.25, abs=0.03)


def test_a_draw_is_read_off_a_height() -> None:
    state = begun("3", "0.99", 50)
    rise_BN = 15 / state.mass_BN - 9.81
    found_BN = draw_of(WORLD.config, 100 * rise_BN * 0.1**2 / 2)
    torch.testing.assert_close(found_BN, state.mass_BN - 0.25)
