"""Worlds whose parameters are optimised: what they promise every world, and their losses, by second ways."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dsl
from dsl.teacher import compile_teacher
from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.objectives.functions import ACTIVATIONS, UNSEEN, Conv, Mlp, Quadratic, Rosenbrock, images
from envs.objectives.world import IMAGES, WORST, Optimisee, OptimiseeState
from envs.spec import Channel, SpecError
from envs.stepper import Action
from envs.world import Scored
from traces.machine.lockstep import run

CONFIGS: list[dict[str, Any]] = [
    {},
    {"dimensions": 3, "steps": 7},
    {"function": "rosenbrock", "dimensions": 2, "rate": 1e-4},
    {"function": "rosenbrock", "dimensions": 5, "rate": 1e-4},
    {"function": "digits", "units": 5, "minibatch": 11, "rate": 0.5},
    {"function": "digits", "units": 3, "layers": 2, "activation": "relu", "minibatch": 7},
    {"function": "conv", "units": 2, "layers": 2, "activation": "tanh", "minibatch": 5, "rate": 0.3},
]


def made(config: dict[str, Any]) -> Optimisee:
    return make("optimisee", "w", config)


def begun(world: Optimisee, *numbers: int, unseen: int = 0) -> OptimiseeState:
    episode_B = torch.tensor(numbers)
    return world.begin(episode_B, torch.full_like(episode_B, unseen))


def updated(world: Optimisee, state: OptimiseeState, times: int = 1, **payload: torch.Tensor | None) -> None:
    for _ in range(times):
        world.act(state, Action(torch.zeros(state.batch, 4).long(), **payload), torch.ones(state.batch).bool())


def gradient(world: Optimisee, state: OptimiseeState) -> torch.Tensor:
    """By a graph of its own."""
    theta_BD = state.theta_BD.detach().requires_grad_()
    (gradient_BD,) = torch.autograd.grad(world.batched.losses(theta_BD, *world._data(state)).sum(), theta_BD)
    return gradient_BD


def loss(world: Optimisee, state: OptimiseeState) -> torch.Tensor:
    return world.score(state)["loss"]


@pytest.mark.parametrize("config", CONFIGS)
def test_they_keep_their_promises(config: dict[str, Any]) -> None:
    world = made(config)
    assert isinstance(world, Scored)
    laid = {"IMAGES": [1]} if IMAGES in world.spec.hidden else {}
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": digits(10**17), **laid}, {"EPISODE": [0, 1, 7], **laid}]
    check_world(world, layouts, generator=torch.Generator().manual_seed(2))


def test_a_quadratic_is_the_sum_of_squares() -> None:
    world = made({"dimensions": 3})
    state = begun(world, 5)
    numbers, theta = state.given_BG[0].tolist(), state.theta_BD[0].tolist()
    rows, y = [numbers[i : i + 3] for i in (0, 3, 6)], numbers[9:]
    by_hand = sum((sum(w * t for w, t in zip(r, theta, strict=True)) - b) ** 2 for r, b in zip(rows, y, strict=True))
    assert loss(world, state).item() == pytest.approx(by_hand, rel=1e-5)


def test_drawn_numbers_are_normal() -> None:
    given_BG = begun(made({}), *range(2000)).given_BG
    assert given_BG.mean().item() == pytest.approx(0, abs=0.01)
    assert given_BG.var().item() == pytest.approx(1, abs=0.01)
    assert given_BG.T.corrcoef().fill_diagonal_(0).abs().max() < 0.1


def test_the_least_of_a_valley_is_zero() -> None:
    world = made({"function": "rosenbrock", "dimensions": 3})
    state = begun(world, 1, 2)
    updated(world, state, payload_BX=state.given_BG[:, 9:] - state.theta_BD.detach())
    assert loss(world, state).tolist() == pytest.approx([0, 0], abs=1e-9)
    assert gradient(world, state).abs().max() < 1e-3


def test_a_valley_without_turn_is_rosenbrocks() -> None:
    given = torch.cat([torch.eye(2).flatten(), torch.ones(2)])  # z = 1 + (θ − 1) = θ
    x, y = -0.5, 0.7
    loss = Rosenbrock(2).loss(torch.tensor([x, y]), given)
    assert loss.item() == pytest.approx(100 * (y - x * x) ** 2 + (1 - x) ** 2, rel=1e-5)


def shown(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first images, for a network that needs nothing else."""
    return images().pixels_NI[:count], images().label_N[:count], torch.zeros(0)


def test_networks_are_those_of_torch() -> None:
    net = Mlp(units=4, layers=2, activation="relu")
    theta_D = net.draw(torch.tensor([3])).theta_BD[0]
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 10)
    )  # fmt: skip
    with torch.no_grad():
        fill(model, theta_D)
        expected = torch.nn.functional.cross_entropy(model(images().pixels_NI[:9]), images().label_N[:9])
    assert net.dimensions == sum(p.numel() for p in model.parameters())
    torch.testing.assert_close(net.loss(theta_D, *shown(9)), expected)


def test_convolutions_are_those_of_torch() -> None:
    net = Conv(channels=3, layers=2, activation="tanh")
    theta_D = net.draw(torch.tensor([3])).theta_BD[0]
    one, two = (torch.nn.Conv2d(inputs, 3, 3, stride=2, padding=1) for inputs in (1, 3))
    last = torch.nn.Linear(12, 10)
    with torch.no_grad():
        fill(torch.nn.ModuleList([one, two, last]), theta_D)
        x = two(one(images().pixels_NI[:9].view(9, 1, 8, 8)).tanh()).tanh()
        expected = torch.nn.functional.cross_entropy(last(x.permute(0, 2, 3, 1).flatten(1)), images().label_N[:9])
    torch.testing.assert_close(net.loss(theta_D, *shown(9)), expected)


def fill(model: torch.nn.Module, theta_D: torch.Tensor) -> None:
    """The numbers of a problem as those of a module: weights there are inputs × outputs, here outputs × inputs."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            outputs, size = len(layer.weight), layer.weight.numel()
            weight, bias, theta_D = theta_D.split([size, outputs, len(theta_D) - size - outputs])
            found = weight.view(-1, outputs).T
            if isinstance(layer, torch.nn.Conv2d):  # windows lie in the order row, column, channel
                found = found.view(outputs, 3, 3, -1).permute(0, 3, 1, 2)
            layer.weight.copy_(found)
            layer.bias.copy_(bias)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "function", [Quadratic(3), Rosenbrock(3), Mlp(2, 1, "sigmoid"), Mlp(2, 1, "any"), Conv(2, 1, "tanh")]
)
def test_gradients_are_those_of_finite_differences(function: Any) -> None:
    theta_BD, given_BG = function.draw(torch.tensor([7]))
    theta_D = theta_BD[0].double()
    pixels_MI, label_M, _ = shown(5)
    given = (pixels_MI.double(), label_M, given_BG[0]) if function.images else (given_BG[0].double(),)
    found_D = torch.func.grad(function.loss)(theta_D, *given)
    for place in range(0, len(theta_D), max(1, len(theta_D) // 7)):
        nudge_D = torch.zeros_like(theta_D)
        nudge_D[place] = 1e-6
        slope = (function.loss(theta_D + nudge_D, *given) - function.loss(theta_D - nudge_D, *given)) / 2e-6
        assert found_D[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-7)


def test_any_activation_is_one_of_them_for_each_problem() -> None:
    """Each problem is that of a network with one activation, from the same numbers; all three are drawn."""
    theta_BD, given_BG = Mlp(4, 2, "any").draw(torch.arange(40))
    chosen_B = given_BG.argmax(1)
    assert sorted(set(chosen_B.tolist())) == [0, 1, 2]
    for theta_D, given_G, chosen in zip(theta_BD[:9], given_BG, chosen_B, strict=False):
        pixels_MI, label_M, nothing = shown(9)
        one = Mlp(4, 2, list(ACTIVATIONS)[chosen]).loss(theta_D, pixels_MI, label_M, nothing)
        torch.testing.assert_close(Mlp(4, 2, "any").loss(theta_D, pixels_MI, label_M, given_G), one)


def test_weights_begin_as_large_as_the_spread_lets_them() -> None:
    plain_BD, spread_BD = (Mlp(4, 1, "relu", spread).draw(torch.arange(300)).theta_BD for spread in (1.0, 3.0))
    scale_B = spread_BD[:, 0] / plain_BD[:, 0]
    torch.testing.assert_close(spread_BD, plain_BD * scale_B[:, None])
    assert 1 / 3 <= scale_B.min() < 0.4
    assert 2.5 < scale_B.max() <= 3
    assert scale_B.log().mean().abs() < 0.15


def test_a_gradient_says_which_tensors_it_consists_of() -> None:
    channel = made({"function": "digits", "units": 3, "layers": 2}).spec.channels[0]
    assert channel.parts == ((64, 3), (3,), (3, 3), (3,), (3, 10), (10,))
    assert made({"function": "quadratic"}).spec.channels[0].parts == ()


@pytest.mark.parametrize("shape", [(11,), (9,), (5, 2), (None, 10)])
def test_parts_that_do_not_add_up_are_refused(shape: tuple[int | None, ...]) -> None:
    """Ten numbers lie in parts of shapes (2, 3) and (4,). Red where a total is not compared."""
    parts = ((2, 3), (4,))
    assert Channel("gradient", (10,), parts=parts).size == 10
    with pytest.raises(SpecError, match=r"channel gradient has the shape \(.*\); its parts have the shapes"):
        Channel("gradient", shape, parts=parts)


@pytest.mark.parametrize("config", CONFIGS)
def test_problems_of_a_batch_are_those_one_by_one(config: dict[str, Any]) -> None:
    world, numbers = made(config), (3, 10**8, 41)
    together = begun(world, *numbers)
    updated(world, together, 2)
    for place, number in enumerate(numbers):
        alone = begun(world, number)
        updated(world, alone, 2)
        torch.testing.assert_close(alone.theta_BD[0], together.theta_BD[place], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loss(world, alone)[0], loss(world, together)[place], rtol=1e-4, atol=1e-5)


def test_no_image_is_both_seen_and_unseen() -> None:
    pixels_NI, label_N = images()
    assert len(label_N) == 1797
    world = made({"function": "digits", "minibatch": 200})
    shown = []
    for unseen in (0, 1):
        state = begun(world, *range(40), unseen=unseen)
        pixels_BMI, _, _ = world._data(state)
        shown.append({tuple(row) for row in pixels_BMI.flatten(0, 1).tolist()})
    kept = {tuple(row) for row in pixels_NI[-UNSEEN:].tolist()}
    assert not shown[0] & shown[1]
    assert len(shown[0]) > 0.99 * (1797 - UNSEEN)
    assert shown[1] <= kept


def test_each_step_has_other_images() -> None:
    world = made({"function": "digits", "minibatch": 20})
    state = begun(world, 4)
    first, again = loss(world, state).item(), loss(world, state).item()
    updated(world, state, payload_BX=torch.zeros_like(state.theta_BD))
    assert first == again != loss(world, state).item()


def test_moved_parameters_are_in_the_graph_until_they_are_detached() -> None:
    world = made({"dimensions": 2})
    state = begun(world, 1, 2, 3)
    step_BD = torch.full((3, 2), 0.1, requires_grad=True)
    updated(world, state, payload_BX=step_BD)
    loss(world, state).sum().backward(retain_graph=True)
    assert step_BD.grad is not None
    torch.testing.assert_close(step_BD.grad, gradient(world, state))
    step_BD.grad = None
    world.detach(state)
    loss(world, state).sum().backward()
    assert step_BD.grad is None


@pytest.mark.parametrize("config", CONFIGS)
def test_the_gradient_that_is_shown_is_that_of_the_loss(config: dict[str, Any]) -> None:
    world = made(config)
    state = begun(world, 3, 41)
    payloads = [None, torch.full_like(state.theta_BD, 0.01), None]
    for payload_BX in payloads:
        shown_BD = world.observe(state).channels["gradient"]
        torch.testing.assert_close(shown_BD, gradient(world, state))
        assert not shown_BD.requires_grad
        late = world.observe(state)
        updated(world, state, payload_BX=payload_BX)
    with pytest.raises(ValueError, match="read before the next action"):
        _ = late.channels["gradient"]


def test_update_goes_down_the_gradient_or_where_it_was_told() -> None:
    world = made({"dimensions": 3, "rate": 0.02})
    state = begun(world, 1, 2)
    expected_BD = state.theta_BD.detach() - 0.02 * gradient(world, state)
    payload_BD = torch.arange(6.0).view(2, 3)
    expected_BD[1] = state.theta_BD.detach()[1] + payload_BD[1]
    updated(world, state, payload_BX=payload_BD, given_B=torch.tensor([False, True]))
    torch.testing.assert_close(state.theta_BD.detach(), expected_BD)
    again_BD = expected_BD - 0.02 * gradient(world, state)
    updated(world, state)
    torch.testing.assert_close(state.theta_BD.detach(), again_BD)


def test_what_is_seen_are_halvings_and_trends() -> None:
    world = made({"dimensions": 2, "steps": 3})
    state = begun(world, 1)
    assert seen(world, state) == ("0", "0", "none")
    before = first = loss(world, state).item()
    for turn, share in enumerate((0.7, 0.9, -0.5, 0.0)):  # of the way to the least
        W, y = state.given_BG[0, :4].view(2, 2), state.given_BG[0, 4:]
        least_D = torch.linalg.solve(W, y)
        updated(world, state, payload_BX=share * (least_D - state.theta_BD.detach()))
        now = loss(world, state).item()
        level = max(WORST, math.floor(math.log2(first / now)))
        trend = "fell" if now < before else "rose"
        assert seen(world, state) == (str(min(turn + 1, 3)), str(level), trend)
        before = now


def seen(world: Optimisee, state: OptimiseeState) -> tuple[str, ...]:
    (row,) = world.observe(state).fields_BF.tolist()
    return tuple(field.values[value] for field, value in zip(world.spec.fields, row, strict=True))


FALL = """
world bowls is optimisee(function: quadratic)

program FALL "Go down as long as it helps":
    UPDATE
    while TREND == "fell" and STEP != 30:
        UPDATE

task fall(episode: number):
    EPISODE = digits(episode)
    run FALL
    expect sum(LEVEL) > 0
    train episode of 3 digits
"""


def test_a_program_with_a_body_descends(tmp_path: Path) -> None:
    (tmp_path / "fall.npi").write_text(FALL)
    programs = dsl.load(tmp_path / "fall.npi")
    (task,) = programs.tasks
    problems = task.draw(3, 20, generator=np.random.default_rng(0), spread=True)
    world = programs.world
    state = world.reset([p.layout for p in problems])
    first = torch.tensor([p.program for p in problems])
    table = programs.table
    outcome = run(compile_teacher(programs), world, state, table, first, torch.zeros(20, 3).long())
    right = [task.judge(p, reading) for p, reading in zip(problems, outcome.read(world), strict=True)]
    assert sum(right) >= 18


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"function": "cubic"}, "function of an optimisee is 'cubic'"),
        ({"unit": 3}, "no setting unit.*units"),
        ({"function": "rosenbrock", "dimensions": 1}, "dimensions of an optimisee is 1; it can be 2 to"),
        ({"function": "conv", "layers": 4}, "layers of an optimisee is 4"),
        ({"activation": "Relu"}, "did you mean 'relu'"),
        ({"rate": 0.0}, "rate of an optimisee is 0.0; give a positive number"),
        ({"minibatch": 0}, "minibatch of an optimisee is 0"),
    ],
)
def test_wrong_settings_are_told(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        made(config)


def test_parts_that_do_not_belong_are_told() -> None:
    with pytest.raises(ValueError, match="'IMAGES' is no part"):
        made({}).reset([{"IMAGES": [1]}])
    with pytest.raises(ValueError, match="comes out"):
        made({}).reset([{"LEVEL": [1]}])
