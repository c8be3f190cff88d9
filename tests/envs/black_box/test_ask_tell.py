"""Searches whose values are told: what they promise every world, and questions and answers by plain Python."""

import math
from itertools import product
from typing import Any

import pytest
import torch

from envs import make
from envs.black_box.ask_tell import QUERY, TELL, AskTell, AskTellState
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.spec import SpecError
from envs.stepper import Action

CONFIGS: list[dict[str, Any]] = [
    {},
    {"dimensions": 1, "levels": 5, "values": 7, "steps": 9},
    {"dimensions": 3, "levels": 2, "values": 3},
]


def made(config: dict[str, Any]) -> AskTell:
    world: Any = make("ask_tell", "w", config)
    return world


def asked(world: AskTell, state: AskTellState, points: list[list[float]] | None, active: list[bool]) -> None:
    payload_BX = None if points is None else torch.tensor(points)
    world.act(state, Action(torch.tensor([[QUERY, 0, 0, 0]] * state.batch), payload_BX), torch.tensor(active))


def told(world: AskTell, state: AskTellState, values: list[int]) -> None:
    tokens = [world.spec.token(str(value)) for value in values]
    call_B4 = torch.tensor([[TELL, token, 0, 0] for token in tokens])
    world.act(state, Action(call_B4), torch.ones(len(values), dtype=torch.bool))


@pytest.mark.parametrize("config", CONFIGS)
def test_they_keep_their_promises(config: dict[str, Any]) -> None:
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": digits(10**17)}, {"EPISODE": [0, 1, 7]}]
    check_world(made(config), layouts, generator=torch.Generator().manual_seed(2))


def test_a_batch_of_searches_goes_as_plain_python_does_one_by_one() -> None:
    """Red where a point is asked for twice, a value goes to another point, or one search leaks into another."""
    batch, levels, steps = 3, 3, 7
    world = made({"dimensions": 2, "levels": levels, "values": 5, "steps": steps})
    state, generator = world.begin(torch.arange(batch)), torch.Generator().manual_seed(4)
    points = [(x / (levels - 1), y / (levels - 1)) for x, y in product(range(levels), repeat=2)]
    left, history = [list(points) for _ in range(batch)], [list[tuple[tuple[float, ...], int]]() for _ in range(batch)]
    for step in range(steps + 2):
        wanted = torch.rand(batch, 2, generator=generator).mul(1.4).sub(0.2)
        active = [(b + step) % 3 > 0 for b in range(batch)]
        values = torch.randint(5, (batch,), generator=generator).tolist()
        asked(world, state, wanted.tolist(), active)
        told(world, state, values)
        for b in range(batch):
            if active[b] and len(history[b]) < steps:
                inside = [min(1.0, max(0.0, x)) for x in wanted[b].tolist()]
                nearest = min(left[b], key=lambda point, inside=inside: math.dist(point, inside))
                left[b].remove(nearest)
                history[b].append((nearest, values[b]))
    seen = world.observe(state)
    for b, reading in enumerate(world.read(state)):
        assert reading["TOLD"] == [value for _, value in history[b]]
        assert reading["QUERIES"] == [len(history[b])]
        shown = seen.channels["history"][b, : len(history[b])].tolist()  # type: ignore[index]
        assert shown == [[*point, value] for point, value in history[b]]
        least = [value for _, value in history[b][:-1]]
        better = not least or history[b][-1][1] < min(least)
        assert world.spec.fields[1].values[reading["TREND"][0]] == ("better" if better else "worse")
        last = [world.spec.fields[2 + axis].values[reading[f"X{1 + axis}"][0]] for axis in range(2)]
        if active[b] and len(history[b]) < steps:
            assert last == [str(1 + round(x * (levels - 1))) for x in history[b][-1][0]]


def test_nothing_is_told_without_a_question() -> None:
    world = made({"levels": 4})
    state = world.begin(torch.tensor([1, 2]))
    told(world, state, [3, 4])
    assert state.step_B.tolist() == [0, 0]
    asked(world, state, None, [True, False])
    told(world, state, [3, 4])
    told(world, state, [1, 1])
    assert [reading["TOLD"] for reading in world.read(state)] == [[3], []]


def test_once_all_points_were_asked_for_any_can_be_again() -> None:
    world = made({"dimensions": 1, "levels": 2, "values": 4, "steps": 5})
    state = world.begin(torch.tensor([0]))
    for value in range(4):
        asked(world, state, [[0.9]], [True])
        told(world, state, [value])
    assert state.history_BTX[0, :, 0].tolist() == [1, 0, 1, 1, 0]  # the last line was not told


def test_wrong_settings_are_told() -> None:
    with pytest.raises(SpecError, match="setting levels of an ask-and-tell search is 1"):
        made({"levels": 1})
    with pytest.raises(SpecError, match="400 levels of 2 coordinates are 160000 points"):
        made({"levels": 400})
