"""Test functions of the literature: their formulas in plain Python, their minima, and how they are perturbed."""

import math
from collections.abc import Callable

import pytest
import torch

from envs.black_box.classic import FORMULAS, HARTMANN3, HARTMANN6, Classic
from envs.black_box.repellers import repelled

KNOWN = sorted(name for name, formula in FORMULAS.items() if formula.minimum is not None)


def branin(a: float, b: float) -> float:
    x, y = 15 * a - 5, 15 * b
    original = (y - 5.1 * x * x / (4 * math.pi**2) + 5 * x / math.pi - 6) ** 2
    original += 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return (original - 10 - 44.81) / 51.95


def goldstein_price(a: float, b: float) -> float:
    x, y = 4 * a - 2, 4 * b - 2
    one = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    two = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return (math.log(one * two) - 8.693) / 2.427


def hartmann(*point: float) -> float:
    exponents, centres = HARTMANN3 if len(point) == 3 else HARTMANN6
    total = 0.0
    for weight, row, centre in zip((1.0, 1.2, 3.0, 3.2), exponents, centres, strict=True):
        total -= weight * math.exp(-sum(a * (x - c / 1e4) ** 2 for a, x, c in zip(row, point, centre, strict=True)))
    return total


PLAIN: dict[str, Callable[..., float]] = {
    "branin": branin,
    "goldstein_price": goldstein_price,
    "hartmann3": hartmann,
    "hartmann6": hartmann,
}


@pytest.mark.parametrize("name", KNOWN)
def test_formulas_are_those_of_plain_python(name: str) -> None:
    function = Classic(name, perturbed=False)
    given_BG = function.draw(torch.arange(20)).double()
    point_BD = torch.rand(20, function.dimensions, generator=torch.Generator().manual_seed(1)).double()
    expected = [PLAIN[name](*point) for point in point_BD.tolist()]
    assert function.value(point_BD, given_BG).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "paper"), [("branin", -1.047), ("goldstein_price", -3.129), ("hartmann3", -3.863), ("hartmann6", -3.322)]
)
def test_minima_are_those_of_the_paper(name: str, paper: float) -> None:
    """Nothing lies below among twenty thousand points, and gradients vanish at the place."""
    function = Classic(name, perturbed=False)
    formula = function.formula
    assert formula.minimum == pytest.approx(paper, abs=5e-4)
    place_1D = torch.tensor([formula.minimiser]).double().requires_grad_()
    value = formula.value(place_1D)
    value.backward()
    assert value.item() == pytest.approx(formula.minimum, abs=1e-7)
    assert place_1D.grad is not None
    assert place_1D.grad.abs().max() < 1e-3
    points = torch.rand(20_000, function.dimensions, generator=torch.Generator().manual_seed(1)).double()
    assert formula.value(points).min() > value


@pytest.mark.parametrize("name", KNOWN)
def test_a_perturbed_minimum_is_reached_in_the_cube(name: str) -> None:
    """Its place is found by the inverse of what is given; translations, scales, ends and orders all occur."""
    function = Classic(name, perturbed=True)
    size, given_BG = function.dimensions, function.draw(torch.arange(500)).double()
    turn_BDD, centre_BD = given_BG[:, : size * size].unflatten(1, (size, size)), given_BG[:, size * size :]
    place_D = torch.tensor(function.formula.minimiser).double()
    point_BD = torch.linalg.solve(turn_BDD, place_D - centre_BD) + 0.5
    assert point_BD.min() >= -1e-6
    assert point_BD.max() <= 1 + 1e-6
    least_B = function.least(given_BG)
    assert least_B is not None
    torch.testing.assert_close(function.value(point_BD, given_BG), least_B, rtol=1e-5, atol=1e-5)
    scale_BD = turn_BDD.abs().sum(2)
    assert 0.9 <= scale_BD.min() < 0.91
    assert 1.09 < scale_BD.max() <= 1.1
    assert ((turn_BDD != 0).sum(1) == 1).all()
    assert 0.3 < (turn_BDD.sum(2) > 0).double().mean() < 0.7
    orders = {tuple(row) for row in turn_BDD.abs().argmax(2).tolist()}
    assert len(orders) >= min(math.factorial(size), 100)
    assert 0.09 < (centre_BD - 0.5).abs().max() <= 0.1 + 1e-6


def test_a_perturbation_reads_the_function_elsewhere() -> None:
    """One problem by hand: coordinates in another order, from the other end, stretched and moved."""
    function = Classic("branin", perturbed=True)
    given_BG = torch.tensor([[0.0, -0.9, 1.1, 0.0, 0.55, 0.42]]).double()
    x, y = 0.3, 0.8
    turned = 0.55 + 0.9 * ((1 - y) - 0.5), 0.42 + 1.1 * (x - 0.5)
    found = function.value(torch.tensor([[x, y]]).double(), given_BG)
    assert found.item() == pytest.approx(branin(*turned), rel=1e-6)


def by_hand(u: list[float]) -> float:
    """The particle, step by step."""
    x, y, vx, vy, value = 0.0, 0.9, 0.0, 0.0, 0.0
    for _ in range(50):
        ax, ay = -vx, -1.0 - vy
        for px, py, strength in (u[:3], u[3:]):
            dx, dy = x - (2 * px - 1), y - (2 * py - 1)
            push = strength / (dx * dx + dy * dy + 0.05)
            ax, ay = ax + push * dx, ay + push * dy
        vx, vy = vx + 0.1 * ax, vy + 0.1 * ay
        x, y = x + 0.1 * vx, y + 0.1 * vy
        value += 0.15 * math.exp(-((x - 0.2) ** 2 + (y + 0.3) ** 2) / (2 * 0.4**2))
        value -= 0.15 * math.exp(-((x - 0.5) ** 2 + (y - 0.3) ** 2) / (2 * 0.5**2))
    return value


def test_repellers_steer_the_particle_as_by_hand() -> None:
    points = torch.rand(20, 6, generator=torch.Generator().manual_seed(1)).double()
    assert repelled(points).tolist() == pytest.approx([by_hand(u) for u in points.tolist()], rel=1e-5, abs=1e-5)


def test_repellers_are_as_hard_as_they_are_said_to_be() -> None:
    """The figures of the module: the best of 100 random points, and a point close to the best known one."""
    points = torch.rand(200, 100, 6, generator=torch.Generator().manual_seed(0))
    best = repelled(points.flatten(0, 1)).view(200, 100).amin(1).mean()
    assert best.item() == pytest.approx(-3.9, abs=0.1)
    best_known = torch.tensor([[0.2913, 0.9589, 0.6594, 0.8919, 0.4295, 1.0]])
    assert repelled(best_known).item() == pytest.approx(-5.50, abs=0.01)
