"""Sine waves from a few points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.conformance import CHECKS, check_world
from envs.images.sines import PLACE, SUPPORT, Sines
from envs.spec import SpecError
from envs.stepper import Action


def predict(value_B: torch.Tensor) -> Action:
    return Action(torch.zeros(len(value_B), 4, dtype=torch.int64), value_B[:, None])


def test_the_world_conforms() -> None:
    layouts = [{"EPISODE": [7]}, {"EPISODE": [1, 2]}, {}]
    world = Sines("waves", {"shots": 3, "queries": 5})
    assert check_world(world, layouts, generator=torch.Generator().manual_seed(0)) == tuple(CHECKS)


def test_points_and_answers_lie_on_one_wave() -> None:
    """The second way: amplitude and phase are solved for from two points by linear algebra, all others must fit."""
    world = Sines("waves", {})
    state = world.reset([{"EPISODE": [number // 10, number % 10]} for number in range(50)])
    x_BL, y_BL = world.observe(state).channels[SUPPORT].double().unbind(2)  # type: ignore[union-attr]
    for x_L, y_L in zip(x_BL.numpy(), y_BL.numpy(), strict=True):
        parts, *_ = np.linalg.lstsq(np.stack([np.sin(x_L), np.cos(x_L)], 1), y_L, rcond=None)
        assert np.abs(np.stack([np.sin(x_L), np.cos(x_L)], 1) @ parts - y_L).max() < 1e-4
        assert 0.1 <= np.hypot(*parts) <= 5
    first_B = state.wanted_BQ[:, 0].clone()
    world.act(state, predict(first_B + 2), torch.ones(50, dtype=torch.bool))
    assert torch.allclose(world.score(state)["error"], torch.tensor(4.0))


def test_errors_have_a_gradient_and_demonstrations_none_left() -> None:
    world = Sines("waves", {"queries": 3})
    state = world.reset([{"EPISODE": [4]}])
    said_B = torch.zeros(1, requires_grad=True)
    world.act(state, predict(said_B), torch.tensor([True]))
    world.score(state)["error"].sum().backward()
    assert torch.allclose(said_B.grad, -2 * state.wanted_B)  # type: ignore[arg-type]
    episodes = world.demonstrate([{"EPISODE": [4]}, {}], generator=torch.Generator())
    assert episodes.ended_TB.sum(0).tolist() == [1, 1]
    replayed = world.reset([{"EPISODE": [4]}, {}])
    for action in episodes.actions or ():
        world.act(replayed, action, torch.tensor([True, True]))
        assert float(world.score(replayed)["error"].max()) == 0
    assert world.ended(replayed).all()
    assert float(world.observe(replayed).channels[PLACE].abs().max()) == 0  # type: ignore[union-attr, operator]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match=r"weakest of sines is 3\.0; it can be 0 to 2"):
        Sines("waves", {"weakest": 3, "strongest": 2.0})
    with pytest.raises(ValueError, match="give B x 10 x 2"):
        Sines("waves", {}).reset([{}], given={SUPPORT: torch.zeros(1, 3, 2)})
