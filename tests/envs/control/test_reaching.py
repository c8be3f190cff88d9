"""Particle reaching: dynamics against a loop, what a task fixes and what a scene draws, demonstrations, errors."""

from __future__ import annotations

import math

import pytest
import torch

from envs.conformance import CHECKS, check_world
from envs.control.demonstrations import BODY, DEMONSTRATION, OBJECTS, of_episodes, packed, unpacked
from envs.control.looks import KEPT, SIDE
from envs.control.reaching import SIZES, Reaching
from envs.spec import SpecError
from envs.stepper import Action, Ragged
from envs.world import Layout


def numbered(count: int, **parts: list[int]) -> list[Layout]:
    return [{"EPISODE": [int(digit) for digit in str(number)], **parts} for number in range(count)]


def push(force_B2: torch.Tensor) -> Action:
    return Action(torch.zeros(len(force_B2), 4, dtype=torch.int64), force_B2)


@pytest.mark.parametrize("config", [{}, {"shown": "no", "landmarks": 3, "fewest": 1}, {"actions": "no", "steps": 5}])
def test_the_world_conforms(config: dict[str, int | str]) -> None:
    layouts = [{"EPISODE": [7]}, {"EPISODE": [1, 2], "SKILL": [4], "SPLIT": [1]}, {"COUNT": [2]}]
    world = Reaching("plane", config)
    assert check_world(world, layouts, generator=torch.Generator().manual_seed(0)) == tuple(CHECKS)


def test_the_mass_moves_as_stated() -> None:
    """The second way: plain numbers, step by step, with a wall on the way."""
    world = Reaching("plane", {"shown": "no"})
    state = world.reset(numbered(1))
    x, y, u, v = state.body_B4[0].tolist()
    for step in range(40):
        fx, fy = (3.0, -0.4) if step < 30 else (-0.5, 0.2)  # beyond the bound, then against the wall
        world.act(state, push(torch.tensor([[fx, fy]])), torch.tensor([True]))
        u += 0.1 * (4 * max(-1, min(1, fx)) - 2 * u)
        v += 0.1 * (4 * fy - 2 * v)
        x, y = x + 0.1 * u, y + 0.1 * v
        x, u = (math.copysign(1.5, x), 0.0) if abs(x) > 1.5 else (x, u)
        y, v = (math.copysign(1.5, y), 0.0) if abs(y) > 1.5 else (y, v)
        assert torch.allclose(state.body_B4[0], torch.tensor([x, y, u, v]), atol=1e-4)


def test_success_is_the_right_landmark_alone_and_has_a_gradient() -> None:
    world = Reaching("plane", {"shown": "no"})
    state = world.reset(numbered(40, COUNT=[5]))
    for landmark in range(5):
        state.body_B4[:, :2] = state.objects_BKF[:, landmark, :2]
        assert torch.equal(world.score(state)["success"] > 0, state.goal_B == landmark)
        assert torch.equal(world.observe(state).fields_BF[:, 0], torch.full((40,), landmark + 1))
    state.body_B4[:, :2] = state.place_B2 + 0.3
    force_B2 = torch.zeros(40, 2, requires_grad=True)
    world.act(state, push(force_B2), torch.ones(40, dtype=torch.bool))
    world.score(state)["distance"].sum().backward()
    assert force_B2.grad is not None
    assert bool((force_B2.grad > 0).all()), "away from the goal"


def test_a_task_is_a_colour_and_a_scene_is_drawn() -> None:
    """Goals of one skill look the same and lie anywhere; those kept for tests have colours that no training aims at."""
    world = Reaching("plane", {"shown": "no"})

    def goals(**parts: list[int]) -> torch.Tensor:
        state = world.reset(numbered(60, **parts))
        return state.objects_BKF[torch.arange(60), state.goal_B]

    for split in (0, 1):
        goal_B5 = goals(SKILL=[7], SPLIT=[split])
        assert len(goal_B5[:, 2:].unique(dim=0)) == 1
        assert len(goal_B5[:, :2].unique(dim=0)) == 60
        cell_B3 = ((goals(SPLIT=[split])[:, 2:] + 1) * SIDE / 2).long()
        cells = set((cell_B3 * torch.tensor([SIDE**0, SIDE**1, SIDE**2])).sum(1).tolist())
        assert cells <= set(KEPT) if split else not cells & set(KEPT)
    state = world.reset(numbered(200))
    for objects_KF, count in zip(state.objects_BKF, state.count_B.tolist(), strict=True):
        assert not objects_KF[count:].any()
        apart = torch.pdist(objects_KF[:count, :2]), torch.pdist(objects_KF[:count, 2:])
        assert float(apart[0].min()) > 0.29
        assert float(apart[1].min()) > 0.3


def test_demonstrations_show_the_task_in_another_scene() -> None:
    world = Reaching("plane", {})
    state = world.reset(numbered(100))
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    shown = unpacked(held, SIZES)
    assert torch.equal(packed(shown).padded_BLX, held.padded_BLX)
    end_B2, here = shown.body_BLS[:, -1, :2], torch.arange(100)
    away_BK = (shown.objects_BLKF[:, -1, :, :2] - end_B2[:, None]).norm(dim=2)
    away_BK[torch.arange(10) >= shown.count_B[:, None]] = torch.inf
    assert torch.equal(away_BK.argmin(1), state.goal_B), "it ends at the same landmark"
    assert torch.equal(shown.objects_BLKF[:, 0, :, 2:], state.objects_BKF[:, :, 2:]), "which looks the same"
    moved_B = (shown.objects_BLKF[here, 0, state.goal_B, :2] - state.place_B2).norm(dim=1)
    assert float(moved_B.median()) > 0.3, "and lies elsewhere"
    replayed_B4 = shown.body_BLS[:, 0]
    for step in range(30):
        replayed = world.reset(numbered(100))
        replayed.body_B4.copy_(replayed_B4)
        world.act(replayed, push(shown.action_BLX[:, step]), torch.ones(100, dtype=torch.bool))
        replayed_B4 = replayed.body_B4
        assert torch.allclose(replayed_B4, shown.body_BLS[:, step + 1], atol=1e-5)
    quiet = Reaching("plane", {"actions": "no"}).reset(numbered(3))
    silent = unpacked(Ragged(quiet.line_BLD, quiet.length_B), SIZES)
    assert not silent.action_BLX.any()
    assert not silent.told_B.any()


def test_what_is_demonstrated_here_becomes_a_demonstration() -> None:
    world = Reaching("plane", {"noise": 0.0})
    episodes = world.demonstrate(numbered(7), generator=torch.Generator())
    assert bool((episodes.scores["success"][-1] > 0).all())
    shown = of_episodes(episodes, SIZES)
    assert shown.length_B.tolist() == [31] * 7
    state = world.reset(numbered(7), given={DEMONSTRATION: packed(shown).padded_BLX})
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    assert torch.equal(unpacked(held, SIZES).body_BLS, shown.body_BLS)


def test_errors_name_the_fix() -> None:
    with pytest.raises(SpecError, match=r"fewest of reaching is 5; it can be 1 to 3"):
        Reaching("plane", {"landmarks": 3, "fewest": 5})
    with pytest.raises(SpecError, match=r"shown of reaching is 'nope'"):
        Reaching("plane", {"shown": "nope"})
    world = Reaching("plane", {"landmarks": 3})
    with pytest.raises(ValueError, match=r"give B x moments x 23"):
        world.reset([{}], given={DEMONSTRATION: torch.zeros(1, 4, 9)})
    with pytest.raises(ValueError, match="landmarks are drawn and cannot be given"):
        world.reset([{}], given={OBJECTS: torch.zeros(1, 3, 5)})
    with pytest.raises(ValueError, match="REACHED"):
        world.reset([{"REACHED": [1]}])
    assert "[" in world.draw(world.reset([{}]))
    assert BODY in world.observe(world.reset([{}])).channels
