"""Learning to optimise: the core by second ways, training, new rows, and the optimiser for any module."""

import math
import re
from typing import Any

import pytest
import torch

from dsl import loads
from envs import make
from envs.objectives.world import Optimisee, OptimiseeState
from meta.optimisation.learner import LEARNER
from meta.optimisation.network import (
    UNIT_SIDE,
    OptimiserConfig,
    OptimiserCore,
    averaged,
    encoded,
    orthogonal,
    sized,
)  # fmt: skip
from npi.core.coordinate_cells import BATCHED_COORDINATES, conditioned
from npi.learners.conformance import check_learner
from npi.learners.interface import TaskInput
from npi.learners.objectives.unrolled import UnrolledTraining
from npi.learners.rollout import play, rollout
from tests.support.paths import PROGRAMS

LEARNING = PROGRAMS / "learning"

QUICK = UnrolledTraining(updates=40, batch=32, truncation=20, rate=5e-3, check_every=40, problems=32)


def core(seed: int = 0, **config: Any) -> OptimiserCore:
    return LEARNER.core(OptimiserConfig(**config), (), generator=torch.Generator().manual_seed(seed))


def quadratics(dimensions: int = 10) -> Optimisee:
    return made({"dimensions": dimensions})


def made(config: dict[str, Any]) -> Optimisee:
    return make("optimisee", "w", config)


def problems(world: Optimisee, count: int) -> OptimiseeState:
    episode_B = torch.arange(10**8, 10**8 + count)
    return world.begin(episode_B, torch.zeros_like(episode_B))


def task_of(world: Optimisee, row_BP: torch.Tensor) -> TaskInput:
    return TaskInput(world.spec, 0, row_BP, torch.zeros(len(row_BP), 3, dtype=torch.int64))


# --- the core --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        "dimensions: 3",
        "function: rosenbrock, dimensions: 2",
        "function: digits, units: 2, minibatch: 5",
        "function: conv, units: 2, minibatch: 3",
    ],
)
def test_it_keeps_its_promises(settings: str) -> None:
    text = (LEARNING / "quadratic.npi").read_text()
    text = re.sub(r"optimisee(\(.*\))?", f"optimisee({settings})", text, count=1).replace("100", "10")
    check_learner(LEARNER, loads(text, path="quadratic.npi"))


def test_gradients_are_seen_as_logarithm_and_sign() -> None:
    gradient_BD = torch.tensor([[1.0, -math.e, math.exp(-5), -math.exp(-10), math.exp(-12), 0.0]])
    expected = [[0, 1], [0.1, -1], [-0.5, 1], [-1, -1], [-1, math.exp(-2)], [-1, 0]]
    torch.testing.assert_close(encoded(gradient_BD, 10.0)[0].T, torch.tensor(expected))


def test_without_a_row_it_is_torchs_lstm() -> None:
    net = core(seed=3, units=5, averages=0)
    gradient_1D = torch.tensor([[0.3, -20.0, 1e-7]])
    cells = [torch.nn.LSTMCell(inputs, 5) for inputs in (2, 5)]
    order = torch.cat([torch.arange(10), torch.arange(15, 20), torch.arange(10, 15)])  # torch has the last two swapped
    with torch.no_grad():
        for cell, layer in zip(cells, (net.one, net.two), strict=True):
            cell.bias_hh.zero_()
            cell.bias_ih.copy_(layer.bias[order])
            cell.weight_ih.copy_(layer.weight[order, :-5])
            cell.weight_hh.copy_(layer.weight[order, -5:])
    hidden_BND, states = torch.zeros(1, 20, 3), [None, None]
    for _ in range(3):
        step_BD, hidden_BND = net(gradient_1D, torch.zeros(1, 16), hidden_BND)
        x = encoded(gradient_1D, 10.0)[0].T
        for place, cell in enumerate(cells):
            states[place] = cell(x, states[place])
            x = states[place][0]  # type: ignore[index]
        torch.testing.assert_close(step_BD[0], 0.1 * net.out(x)[:, 0])


@pytest.mark.parametrize("averages", [0, 1])
def test_each_coordinate_of_each_problem_is_moved_by_itself(averages: int) -> None:
    net, luck = core(seed=4, units=5, averages=averages), torch.Generator().manual_seed(1)
    row_BP, gradient_KBD = torch.randn(2, 16, generator=luck), torch.randn(4, 2, 3, generator=luck)
    together_BND = torch.zeros(2, net.numbers, 3)
    alone = {(b, d): torch.zeros(1, net.numbers, 1) for b in range(2) for d in range(3)}
    for gradient_BD in gradient_KBD:
        step_BD, together_BND = net(gradient_BD, row_BP, together_BND)
        for (b, d), hidden_1N1 in alone.items():
            step_11, alone[b, d] = net(gradient_BD[b, d].view(1, 1), row_BP[b : b + 1], hidden_1N1)
            torch.testing.assert_close(step_BD[b, d], step_11[0, 0])
            torch.testing.assert_close(together_BND[b, :, d], alone[b, d][0, :, 0])


def test_many_coordinates_are_moved_as_few_are() -> None:
    """Another way to multiply, and the same numbers."""
    net, luck = core(seed=4, units=5), torch.Generator().manual_seed(1)
    row_BP, gradient_BD = torch.randn(2, 16, generator=luck), torch.randn(2, BATCHED_COORDINATES + 7, generator=luck)
    hidden_BND = torch.randn(2, net.numbers, BATCHED_COORDINATES + 7, generator=luck).abs()
    hidden_BND[:, -1] = 3.0  # steps so far
    whole = net(gradient_BD, row_BP, hidden_BND)
    parts = [net(g, row_BP, h) for g, h in zip(gradient_BD.split(40, 1), hidden_BND.split(40, 2), strict=True)]
    for one, cut in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(one, torch.cat(cut, -1))


def test_averages_are_weighted_means_of_all_gradients_so_far() -> None:
    gradient_KD = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).double()
    averages_BXD, keeps = torch.zeros(1, 4, 4).double(), (0.3, 0.8, 0.99)
    for gradient_D in gradient_KD:
        averages_BXD = averaged([gradient_D[None], gradient_D[None], gradient_D[None] ** 2], averages_BXD, keeps)
    for place, (kept, parts_KD) in enumerate(zip(keeps, (gradient_KD, gradient_KD, gradient_KD**2), strict=True)):
        weight_K1 = torch.tensor([[kept**ago] for ago in reversed(range(7))]).double()
        expected_D = (weight_K1 * parts_KD).sum(0) / weight_K1.sum()
        torch.testing.assert_close(averages_BXD[0, place], expected_D)
    assert averages_BXD[0, -1].tolist() == [7] * 4


@pytest.mark.parametrize("way", ["adam", "momentum"])
@pytest.mark.parametrize("keeps", [{}, {"beta_long": 0.7, "beta_squares": 0.95}], ids=["usual", "others"])
def test_where_the_cells_say_nothing_it_is_adam_or_momentum(way: str, keeps: dict[str, float]) -> None:
    net, nowhere = core(units=3, **keeps), -100.0
    long = net.config.beta_long
    with torch.no_grad():
        net.out.weight.zero_()
        net.out.bias.copy_(torch.tensor([0.0, *((0.5, nowhere) if way == "adam" else (nowhere, 0.5))]))
    rate = net.config.scale * math.exp(0.5)
    weight = torch.nn.Parameter(torch.zeros(4))
    adam = torch.optim.Adam([weight], rate, betas=(long, net.config.beta_squares), eps=1e-10)
    (mean_D, own_D, moved_D), hidden_BND = torch.zeros(3, 4), torch.zeros(1, net.numbers, 4)
    for step, gradient_D in enumerate(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), 1):
        weight.grad = gradient_D
        adam.step()
        mean_D = long * mean_D + (1 - long) * gradient_D
        own_D = own_D - rate * mean_D / (1 - long**step)
        with torch.no_grad():
            step_BD, hidden_BND = net(gradient_D[None], torch.zeros(1, 16), hidden_BND)
        moved_D = moved_D + step_BD[0]
        torch.testing.assert_close(moved_D, weight.detach() if way == "adam" else own_D)


@pytest.mark.parametrize("far", [100.0, 7.0])
def test_a_wall_moves_momentum_no_farther_than_a_slope(far: float) -> None:
    net = core(units=3, momentum_clip=far)
    with torch.no_grad():
        net.out.weight.zero_()
        net.out.bias.copy_(torch.tensor([0.0, -100.0, 0.5]))
        gradient_1D, hidden_BND = torch.tensor([[far, -far, 5e4, -5e4, 0.5 * far]]), torch.zeros(1, net.numbers, 5)
        step_BD, _ = net(gradient_1D, torch.zeros(1, 16), hidden_BND)
    longest = net.config.scale * math.exp(0.5) * far
    torch.testing.assert_close(step_BD[0], longest * torch.tensor([-1, 1, -1, 1, -0.5]))


PARTS = [(3, 5), (4,), (2, 3, 4), (7, 2)]


def direction_of(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    gradient_BD = scale * torch.randn(2, 15 + 4 + 24 + 14, generator=torch.Generator().manual_seed(0))
    return gradient_BD, orthogonal(gradient_BD, PARTS)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_matrices_are_made_orthogonal_one_by_one(scale: float) -> None:
    """By the polynomial of their singular values. Red where parts are mixed up, or read the other way."""
    both = [part.split([15, 4, 24, 14], 1) for part in direction_of(scale)]
    for gradient_BX, found_BX, shape in zip(*both, PARTS, strict=True):
        for before, after in zip((gradient_BX / scale).double(), found_BX.double(), strict=True):
            U, size, V = torch.linalg.svd(before.view(shape[0], -1), full_matrices=False)
            size = size / size.norm()
            for _ in range(3 if len(size) > 1 else 0):
                size = 3.4445 * size - 4.7750 * size**3 + 2.0315 * size**5
            expected = U @ (size * (64 * len(size)) ** 0.5 / size.norm()).diag() @ V
            torch.testing.assert_close(after.view(expected.shape), expected, rtol=1e-3, atol=1e-4)


def test_a_gradient_without_parts_keeps_its_direction() -> None:
    gradient_BD, _ = direction_of(7.0)
    expected = UNIT_SIDE**0.5 * gradient_BD / gradient_BD.norm(dim=1, keepdim=True)
    torch.testing.assert_close(orthogonal(gradient_BD), expected)
    assert orthogonal(torch.zeros(1, 6), [(2, 3)]).tolist() == [[0] * 6]


def test_a_core_reads_what_tensors_do() -> None:
    """The same numbers as one matrix or as another, or as one vector, are moved otherwise."""
    net, hidden = core(units=3, orthogonal=1), torch.zeros(1, core(units=3, orthogonal=1).numbers, 12)
    gradient_1D = torch.randn(1, 12, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        steps = [
            net(gradient_1D, torch.zeros(1, 16), hidden, orthogonal(gradient_1D, parts)).step_BD
            for parts in ([(3, 4)], [(6, 2)], [(2, 3), (6,)])
        ]
    assert all((steps[a] - steps[b]).abs().max() > 1e-3 for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("settings", [{"averages": 0}, {}, {"clock": 1}, {"clock": 1, "orthogonal": 1}])
def test_in_place_it_moves_as_with_a_graph(settings: dict[str, int]) -> None:
    net, luck = core(seed=2, units=5, **settings), torch.Generator().manual_seed(1)
    row_P, hidden_1ND = torch.randn(16, generator=luck), torch.zeros(1, net.numbers, 9)
    held_ND = hidden_1ND[0].clone()
    for _ in range(4):
        gradient_1D = torch.randn(1, 9, generator=luck)
        direction = orthogonal(gradient_1D, [(3, 3)]) if net.config.orthogonal else None
        step_1D, hidden_1ND = net(gradient_1D, row_P[None], hidden_1ND, direction)
        along = None if direction is None else direction[0]
        step_D = net.move_(net.plain(row_P), gradient_1D[0], held_ND, along)
        torch.testing.assert_close(step_D, step_1D[0].detach(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(held_ND, hidden_1ND[0].detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_sized_gradients_are_those_of_any_scale(scale: float) -> None:
    gradient_KD = torch.tensor([[1.0, -2.0, 0.0], [3.0, 0.5, 0.0]])
    averages_BXD, config = torch.zeros(1, 4, 3), OptimiserConfig()
    for gradient_D in scale * gradient_KD:
        averages_BXD = averaged([gradient_D[None], gradient_D[None], gradient_D[None] ** 2], averages_BXD, config.betas)
    looks_BID = sized(scale * gradient_KD[1:], averages_BXD)
    size = ((config.beta_squares * 1 + 9) / (config.beta_squares + 1)) ** 0.5
    expected = [3 / size, *((kept * 1 + 3) / (kept + 1) / size for kept in (config.beta_short, config.beta_long))]
    torch.testing.assert_close(looks_BID[0, :, 0], torch.tensor(expected))
    assert looks_BID[0, :, 2].tolist() == [0] * 3


def test_steps_stay_numbers_where_gradients_are_huge() -> None:
    net = core(units=3)
    hidden_BND = torch.zeros(1, net.numbers, 2)
    for gradient in (1e30, -1e25, 1.0, 0.0):
        step_BD, hidden_BND = net(torch.full((1, 2), gradient), torch.zeros(1, 16), hidden_BND)
        assert bool(step_BD.isfinite().all())
        assert bool(hidden_BND.isfinite().all())


def test_settings_that_cannot_be() -> None:
    for units in (0, 10**9):
        with pytest.raises(ValueError, match=f"units must be at least 1 and at most 16384, it is {units}"):
            OptimiserConfig(units=units)
    with pytest.raises(ValueError, match="averages is 0 or 1, it is 2"):
        OptimiserConfig(averages=2)
    with pytest.raises(ValueError, match="clock and orthogonal need averages; set averages to 1"):
        OptimiserConfig(averages=0, orthogonal=1)
    for name, wrong in (("beta_short", -0.1), ("beta_long", 1.0), ("beta_squares", math.nan)):
        with pytest.raises(ValueError, match=f"{name} is a share from 0 to below 1, it is {wrong}"):
            OptimiserConfig(**{name: wrong})
    with pytest.raises(ValueError, match="momentum_clip must be positive, it is 0"):
        OptimiserConfig(momentum_clip=0)


def test_rows_reach_every_gate_and_what_comes_out() -> None:
    net, row_1P = core(units=3), torch.randn(1, 16, generator=torch.Generator().manual_seed(1))
    plain, told = (conditioned(net.layers, net.rows, row) for row in (torch.zeros(1, 16), row_1P))
    for one, other in zip(plain, told, strict=True):
        assert (one.gain_BO1 != other.gain_BO1).all()
        assert (one.bias_BO1 != other.bias_BO1).all()


def test_its_gradient_is_that_of_finite_differences() -> None:
    """Of the first step; what follows is seen without a graph, so that it is another one (section 2.1)."""
    world, net = quadratics(3), core(seed=1, units=4).double()
    row_P = torch.randn(16, generator=torch.Generator().manual_seed(2)).double().requires_grad_()

    def outer(row_P: torch.Tensor) -> torch.Tensor:
        state = problems(world, 2)
        state.theta_BD = state.theta_BD.detach().double().requires_grad_()
        state.given_BG = state.given_BG.double()
        state.loss_B = world._loss(state)
        hidden_BH = torch.zeros(2, net.hidden_size(world.spec)).double()
        episodes, _ = rollout(net, world, state, task_of(world, row_P.expand(2, -1)), hidden_BH, 1)
        return (episodes.scores["loss"].mean(1) + 1e-6).log().mean()

    (gradient_P,) = torch.autograd.grad(outer(row_P), row_P)
    for place in range(0, 16, 5):
        nudge_P = torch.zeros(16).double()
        nudge_P[place] = 1e-6
        with torch.enable_grad():
            slope = (outer(row_P + nudge_P) - outer(row_P - nudge_P)).item() / 2e-6
        assert gradient_P[place].item() == pytest.approx(slope, rel=1e-4, abs=1e-10)
        assert slope != 0


def test_a_stretch_sees_nothing_of_the_one_before() -> None:
    world, net = quadratics(3), core()
    state = problems(world, 2)
    early, late = (torch.zeros(2, 16, requires_grad=True) for _ in range(2))
    before, after = task_of(world, early), task_of(world, late)
    _, hidden_BH = rollout(net, world, state, before, net.begin(before), 3)
    episodes, _ = rollout(net, world, state, after, hidden_BH.detach(), 3, first_step=3)
    episodes.scores["loss"].mean().backward()
    assert early.grad is None
    assert late.grad is not None


def test_worlds_without_steps_to_add_are_refused() -> None:
    with pytest.raises(ValueError, match="has no channel 'gradient'"):
        LEARNER.admit(make("bandit", "arms", {}).spec)


def test_a_loss_is_judged_in_the_mean_and_at_horizons() -> None:
    world, net = quadratics(2), core()
    episodes = play(net, world, problems(world, 3), task_of(world, torch.zeros(3, 16)), 50)
    scores = LEARNER.judge(world, episodes)
    assert list(scores) == ["loss", "loss at 20", "loss at 50"]
    torch.testing.assert_close(scores["loss at 20"], episodes.scores["loss"][19])
