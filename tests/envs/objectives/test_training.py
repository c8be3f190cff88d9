"""Networks whose rate and width are chosen: what they promise every world, and each by plain torch, one by one."""

from typing import Any

import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.objectives.functions import ACTIVATIONS, CLASSES, SIDE, UNSEEN, NarrowMlp, images
from envs.objectives.training import BUILD, EXAMPLE, LEAST, LOSSES, PER_DOUBLING, UPDATE, Training, TrainingState
from envs.spec import SpecError
from envs.stepper import Action
from envs.support.counter_rng import below

SMALL: dict[str, Any] = {"units": 5, "examples": 7, "validation": 11, "steps": 9}


def made(config: dict[str, Any]) -> Training:
    world: Any = make("training", "w", config)
    return world


def act(world: Training, state: TrainingState, calls: list[list[int]], payload_BX: torch.Tensor | None = None) -> None:
    world.act(state, Action(torch.tensor(calls), payload_BX), torch.ones(state.batch, dtype=torch.bool))


@pytest.mark.parametrize("config", [{"examples": 20, "validation": 30}, SMALL | {"activation": "relu"}])
def test_they_keep_their_promises(config: dict[str, Any]) -> None:
    laid = {"IMAGES": [1], "RATE": [3], "WIDTH": [1]}
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": digits(10**17), **laid}, {"EPISODE": [0, 1, 7], **laid}]
    check_world(made(config), layouts, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("given", [False, True])
def test_a_batch_of_networks_is_trained_as_plain_torch_trains_each(given: bool) -> None:
    """Red where units beyond the width count, rates are mixed up, or images of another half are shown."""
    world, steps = made(SMALL), 4
    episodes, unseen = [3, 141, 59, 26], [0, 1, 0, 1]
    rates, widths = [11, 13, 9, 12], [5, 3, 1, 2]
    state = world.begin(torch.tensor(episodes), torch.tensor(unseen), torch.full((4,), 16), torch.full((4,), 4))
    act(world, state, [[UPDATE, 0, 0, 0]] * 4)  # what is built next knows nothing of it
    act(world, state, [[BUILD, rate, width, 0] for rate, width in zip(rates, widths, strict=True)])
    for _ in range(steps):
        gradient_BD = world.observe(state).channels["gradient"]
        assert isinstance(gradient_BD, torch.Tensor)
        act(world, state, [[UPDATE, 0, 0, 0]] * 4, -gradient_BD if given else None)
    fields_BF = world.observe(state).fields_BF
    for b, (episode, half, rate, width) in enumerate(zip(episodes, unseen, rates, widths, strict=True)):
        net, shown, kept = plain(world, episode, half, width)
        train = torch.optim.SGD(net.parameters(), lr=2 ** ((rate - 11) / 2))
        for _ in range(steps):
            train.zero_grad()
            torch.nn.functional.cross_entropy(net(shown[0]), shown[1]).backward()
            train.step()
        with torch.no_grad():
            losses = [torch.nn.functional.cross_entropy(net(x), y).item() for x, y in (shown, kept)]
        assert world.score(state)["loss"][b].item() == pytest.approx(losses[0], rel=1e-4)
        assert state.valid_B[b].item() == pytest.approx(losses[1], rel=1e-4)
        level = fields_BF[b, 1].item()
        low, high = (LEAST * 2 ** ((level + side) / PER_DOUBLING) for side in (0, 1))
        assert low <= losses[1] < high
    assert fields_BF[:, 0].tolist() == [steps] * 4


def plain(
    world: Training, episode: int, half: int, width: int
) -> tuple[torch.nn.Module, tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """The network of an episode as one of torch that has its units alone, its images, and those it is judged by."""
    drawn = world.network.draw(torch.tensor([episode]))
    first, bias, last, end = drawn.theta_BD[0].split([64 * 5, 5, 5 * CLASSES, CLASSES])
    kind = int(drawn.given_BG[0].argmax())
    activation = [torch.nn.Sigmoid, torch.nn.ReLU, torch.nn.Tanh][kind]
    assert list(ACTIVATIONS) == ["sigmoid", "relu", "tanh"]
    net = torch.nn.Sequential(torch.nn.Linear(SIDE * SIDE, width), activation(), torch.nn.Linear(width, CLASSES))
    with torch.no_grad():
        net[0].weight.copy_(first.view(64, 5)[:, :width].T)
        net[0].bias.copy_(bias[:width])
        net[2].weight.copy_(last.view(5, CLASSES)[:width].T * (5 / width) ** 0.5)
        net[2].bias.copy_(end)
    pixels_NI, label_N = images()
    begin = (len(label_N) - UNSEEN) * half
    front = UNSEEN - world.config.validation
    index = begin + below(front, torch.tensor(episode), EXAMPLE, torch.arange(world.config.examples))
    held = slice(begin + front, begin + UNSEEN)
    return net, (pixels_NI[index], label_N[index]), (pixels_NI[held], label_N[held])


def test_no_image_for_validation_is_trained_on() -> None:
    world = made({"examples": 1000})
    state = world.begin(torch.tensor([1, 2]), torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([1, 1]))
    shown, kept = world._data(state).pixels_BMI, world._held_out(state).pixels_BMI
    for b in range(2):
        both = [{tuple(row) for row in part[b].tolist()} for part in (shown, kept)]
        assert len(both[0] & both[1]) <= 1  # two of the digits' images are the same


def test_a_step_that_leads_nowhere_is_the_worst_loss() -> None:
    world = made(SMALL)
    state = world.begin(*(torch.tensor([n]) for n in (1, 0, 11, 5)))
    act(world, state, [[UPDATE, 0, 0, 0]], torch.full((1, world.network.dimensions), torch.nan))
    assert world.observe(state).fields_BF.tolist() == [[1, LOSSES - 1]]


def test_the_score_has_a_gradient_by_the_steps_that_were_given() -> None:
    """Of finite differences: what rows of an optimiser are learned by."""
    world = made(SMALL)
    step_BD = torch.randn(1, world.network.dimensions, generator=torch.Generator().manual_seed(1)) / 30

    def loss(scale: torch.Tensor) -> torch.Tensor:
        state = world.begin(*(torch.tensor([n]) for n in (1, 0, 9, 3)))
        for _ in range(2):
            act(world, state, [[UPDATE, 0, 0, 0]], scale * step_BD)
        return world.score(state)["loss"][0]

    scale = torch.tensor(1.0, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(scale), scale)
    with torch.no_grad():
        steep = (loss(torch.tensor(1.01)) - loss(torch.tensor(0.99))) / 0.02
    assert slope.item() == pytest.approx(steep.item(), rel=1e-2)


def test_a_gradient_is_read_before_the_parameters_move() -> None:
    world = made(SMALL)
    state = world.begin(*(torch.tensor([n]) for n in (1, 0, 9, 3)))
    seen = world.observe(state)
    act(world, state, [[UPDATE, 0, 0, 0]])
    with pytest.raises(ValueError, match="must be read before the next action"):
        seen.channels["gradient"]


def test_wrong_settings_are_told() -> None:
    with pytest.raises(SpecError, match="setting units of a training is 1"):
        made({"units": 1})
    with pytest.raises(SpecError, match="setting rate of a training is 0"):
        made({"rate": 0})
    assert NarrowMlp(3, "relu").dimensions == 64 * 3 + 3 + 3 * 10 + 10
