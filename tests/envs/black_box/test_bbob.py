"""BBOB's functions: beside an independent implementation, Gallagher's beside plain Python; minima, and instances."""

import math

import pytest
import torch

from envs.black_box.bbob import DEFINITIONS, Bbob, Instance, asymmetric, oscillated

NUMBERS = range(1, 25)
GALLAGHER = (21, 22)
TURNED = (9, 19)
"""Functions whose minimum lies where a rotation leads it."""


def minimiser(function: Bbob, number: int, given_BG: torch.Tensor) -> torch.Tensor:
    """float64 B × D, in the domain from -5 to 5."""
    it, size = function.instance(given_BG), function.dimensions
    if number in TURNED:
        half_BD1 = torch.full_like(it.xopt_BD, 0.5)[:, :, None]
        return (it.R_BDD.mT @ half_BD1)[:, :, 0] / max(1, math.sqrt(size) / 8)
    if number == 4:
        return torch.where(torch.arange(size) % 2 == 0, it.xopt_BD.abs(), it.xopt_BD)
    return it.xopt_BD


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dimensions", [2, 7])
def test_minima_are_zero_and_in_the_domain(number: int, dimensions: int) -> None:
    function = Bbob(number, dimensions)
    given_BG = function.draw(torch.arange(40))
    least_BD = minimiser(function, number, given_BG)
    assert least_BD.abs().max() <= 5
    assert function.definition.value(least_BD, function.instance(given_BG)).abs().max() < 1e-10
    points = torch.rand(40, 50, dimensions, generator=torch.Generator().manual_seed(number))
    assert min(function.value(x_BD, given_BG).min().item() for x_BD in points.unbind(1)) > 0
    assert torch.equal(function.least(given_BG), torch.zeros(40))


def test_logarithms_are_of_the_value() -> None:
    plain, log = Bbob(12, 3), Bbob(12, 3, log=True)
    given_BG = plain.draw(torch.arange(9))
    points = torch.rand(9, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(log.value(points, given_BG), (plain.value(points, given_BG) + 1e-8).log10())
    assert log.least(given_BG).tolist() == [-8.0] * 9


def test_rotations_are_orthonormal_and_instances_differ() -> None:
    function = Bbob(13, 6)
    it = function.instance(function.draw(torch.arange(300)))
    for turn_BDD in (it.R_BDD, it.Q_BDD):
        torch.testing.assert_close(turn_BDD @ turn_BDD.mT, torch.eye(6).double().expand(300, 6, 6), rtol=0, atol=1e-6)
        assert turn_BDD.mean(0).abs().max() < 0.12  # no preferred direction: the sign is drawn, too
    assert (it.R_BDD - it.Q_BDD).abs().amax((1, 2)).min() > 0.1
    assert -4 <= it.xopt_BD.min() < -3.9
    assert 3.9 < it.xopt_BD.max() <= 4


def gallagher(x: list[float], peaks: list[list[float]], curves: list[list[float]], turn: list[list[float]]) -> float:
    count, size, heights = len(peaks), len(x), []
    for i, (peak, curve) in enumerate(zip(peaks, curves, strict=True)):
        apart = [a - b for a, b in zip(x, peak, strict=True)]
        turned = [sum(r * a for r, a in zip(row, apart, strict=True)) for row in turn]
        weight = 10.0 if i == 0 else 1.1 + 8 * (i - 1) / (count - 2)
        heights.append(weight * math.exp(-sum(c * t * t for c, t in zip(curve, turned, strict=True)) / (2 * size)))
    gap = 10 - max(heights)
    log = math.log(gap)
    return math.exp(log + 0.049 * (math.sin(10 * log) + math.sin(7.9 * log))) ** 2


@pytest.mark.parametrize("number", GALLAGHER)
def test_gallaghers_peaks_are_those_of_plain_python(number: int) -> None:
    function = Bbob(number, 4)
    given_BG = function.draw(torch.arange(5))
    it = function.instance(given_BG)
    x_BD = 10 * torch.rand(5, 4, generator=torch.Generator().manual_seed(1)).double() - 5
    rows = zip(x_BD.tolist(), it.peak_BND.tolist(), it.curve_BND.tolist(), it.R_BDD.tolist(), strict=True)
    expected = [gallagher(*row) for row in rows]
    assert function.definition.value(x_BD, it).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("number", "peaks", "sharpest"), [(21, 101, 1e3), (22, 21, 1e6)])
def test_gallaghers_peaks_have_each_shape_once(number: int, peaks: int, sharpest: float) -> None:
    """The widths of the others are those of a geometric row up to 1000², in any order, and so are the axes."""
    function = Bbob(number, 3)
    curve_BND = function.instance(function.draw(torch.arange(4))).curve_BND
    alpha_BN = curve_BND.amin(2) ** -4  # the least is α^(-1/4)
    expected = [1000 ** (2 * j / (peaks - 2)) for j in range(peaks - 1)]
    for alpha_N in alpha_BN.tolist():
        assert alpha_N[0] == pytest.approx(sharpest, rel=1e-3)
        assert sorted(alpha_N[1:]) == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(curve_BND.amax(2) / curve_BND.amin(2), alpha_BN.sqrt(), rtol=1e-3, atol=0)
    assert len(set(curve_BND[:, 1:].argmax(2).flatten().tolist())) == 3


def test_transformations_are_those_of_plain_python() -> None:
    numbers = [-3.0, -0.2, 0.0, 0.4, 2.5]
    x = torch.tensor([numbers], dtype=torch.float64)

    def osz(value: float) -> float:
        if value == 0:
            return 0.0
        log, (a, b) = math.log(abs(value)), ((10, 7.9) if value > 0 else (5.5, 3.1))
        return math.copysign(math.exp(log + 0.049 * (math.sin(a * log) + math.sin(b * log))), value)

    assert oscillated(x)[0].tolist() == pytest.approx([osz(v) for v in numbers], rel=1e-12)
    bent = [v ** (1 + 0.2 * i / 4 * math.sqrt(v)) if v > 0 else v for i, v in enumerate(numbers)]
    assert asymmetric(0.2, x)[0].tolist() == pytest.approx(bent, rel=1e-12)


def uniform(count: int, seed: int) -> list[float]:
    """The generator of BBOB 2009: Park and Miller's, shuffled in a table of 32."""

    def after(state: int) -> int:
        state = 16807 * (state % 127773) - 2836 * (state // 127773)
        return state + 2147483647 if state < 0 else state

    table, state = [0] * 32, seed
    for i in range(39, -1, -1):
        state = after(state)
        if i < 32:
            table[i] = state
    drawn, found = table[0], []
    for _ in range(count):
        state, place = after(state), drawn // 67108865
        drawn, table[place] = table[place], state
        found.append(drawn / 2.147483647e9)
    return found


def rotation(seed: int, size: int) -> torch.Tensor:
    """That of an instance of BBOB 2009: Gaussian columns, made orthonormal one after the other."""
    numbers, count = uniform(2 * size * size, seed), size * size
    normal = [math.sqrt(-2 * math.log(a)) * math.cos(2 * math.pi * b) for a, b in zip(numbers[:count], numbers[count:])]  # noqa: B905
    turn = torch.tensor(normal, dtype=torch.float64).view(size, size).T.contiguous()
    for i in range(size):
        for j in range(i):
            turn[:, i] -= turn[:, i] @ turn[:, j] * turn[:, j]
        turn[:, i] /= turn[:, i].norm()
    return turn


SEEDS = {4: 3, 18: 17}
"""Functions whose rotations are those of another one."""

SECOND_FIRST = (6, 7, 9, 13, 19, 23, 24)
"""Functions whose R is drawn from the second seed, and Q from the first."""


@pytest.mark.parametrize("number", sorted(set(NUMBERS) - set(GALLAGHER)))
def test_values_are_those_of_an_independent_implementation(number: int) -> None:
    """Instances of ``ioh``: its place of the minimum, and rotations from the seeds of BBOB 2009."""
    ioh = pytest.importorskip("ioh", reason="needs the package ioh (0.3.22), an implementation of BBOB in C++")
    size, instance = 5, 3
    problem = ioh.get_problem(number, instance=instance, dimension=size, problem_class=ioh.ProblemClass.BBOB)
    seed = SEEDS.get(number, number) + 10_000 * instance
    turns = [rotation(seed + 1_000_000, size), rotation(seed, size)]
    R, Q = turns[::-1] if number in SECOND_FIRST else turns
    x_BD = 10 * torch.rand(30, size, generator=torch.Generator().manual_seed(1)).double() - 5
    none = torch.zeros(30, 0, size).double()
    xopt_D = torch.tensor(problem.optimum.x, dtype=torch.float64)
    it = Instance(xopt_D.expand(30, size), R.expand(30, size, size), Q.expand(30, size, size), none, none)
    expected = [problem(x) - problem.optimum.y for x in x_BD.tolist()]
    assert DEFINITIONS[number - 1].value(x_BD, it).tolist() == pytest.approx(expected, rel=1e-9)
