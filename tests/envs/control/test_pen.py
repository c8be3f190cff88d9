"""The pen: its motion against plain numbers, paths and scores against loops, splits, demonstrations, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.conformance import CHECKS, check_world
from envs.control.demonstrations import DEMONSTRATION, OBJECTS, of_episodes, packed, unpacked
from envs.control.pen import NEAR, SIZES, Pen, PenState
from envs.control.pen_paths import UP, path, shared, strokes_in_order, strokes_of, warped_distance
from envs.control.pen_strokes import SPLITS, generated, split_numbers
from envs.spec import SpecError
from envs.stepper import Action, Ragged
from envs.world import Layout

SMALL = {"alphabets": 3, "steps": 40}


def numbered(count: int, **parts: list[int]) -> list[Layout]:
    return [{"EPISODE": [int(digit) for digit in str(number)], **parts} for number in range(count)]


def act(payload_B3: torch.Tensor) -> Action:
    return Action(torch.zeros(len(payload_B3), 4, dtype=torch.int64), payload_B3)


def drawn(world: Pen, state: PenState, *, times: float = 1.0) -> dict[str, torch.Tensor]:
    """What the demonstrator does, its forces multiplied."""
    for _ in range(world.config.steps):
        payload_B3 = world.suggest(state).payload_BX
        assert payload_B3 is not None
        payload_B3 = torch.cat([times * payload_B3[:, :2], payload_B3[:, 2:]], 1)
        world.act(state, act(payload_B3), torch.ones(state.batch, dtype=torch.bool))
    return world.score(state)


@pytest.mark.parametrize("config", [{}, {"shown": "no", "push": 0.0}, {"actions": "no"}])
def test_the_world_conforms(config: dict[str, int | str]) -> None:
    layouts = [{"EPISODE": [7]}, {"EPISODE": [1, 2], "DRAWING": [4], "SPLIT": [1]}, {"PUSH": [2]}]
    world = Pen("sheet", {**SMALL, **config})
    assert check_world(world, layouts, generator=torch.Generator().manual_seed(0)) == tuple(CHECKS)


def test_the_pen_moves_as_stated() -> None:
    """The second way: plain numbers, step by step, with a push and a wall on the way."""
    world = Pen("sheet", SMALL)
    state = world.reset([{"PUSH": [2]}])
    (x, y, u, v, _, _), (px, py) = state.body_B6[0].tolist(), state.push_speed_B2[0].tolist()
    assert 0.5 <= math.hypot(px, py) <= 1
    assert 8 <= int(state.push_step_B) < 32
    for step in range(40):
        fx, fy, pen = (3.0, -0.2, 0.4) if step < 30 else (-0.5, 0.1, -0.1)  # beyond the bound, then from the wall
        if step == int(state.push_step_B):
            u, v = u + px, v + py
        world.act(state, act(torch.tensor([[fx, fy, pen]])), torch.tensor([True]))
        u += 0.1 * (12 * max(-1, min(1, fx)) - 2 * u)
        v += 0.1 * (12 * fy - 2 * v)
        x, y = x + 0.1 * u, y + 0.1 * v
        x, u = (math.copysign(1.5, x), 0.0) if abs(x) > 1.5 else (x, u)
        y, v = (math.copysign(1.5, y), 0.0) if abs(y) > 1.5 else (y, v)
        expected = torch.tensor([x, y, u, v, float(pen > 0), (step + 1) / 40])
        assert torch.allclose(state.body_B6[0], expected, atol=1e-4)
        assert torch.allclose(state.trail_BT3[0, step + 1], expected[[0, 1, 4]], atol=1e-4)
    assert bool(world.ended(state))


def test_the_demonstrator_keeps_to_the_path_and_comes_back_after_a_push() -> None:
    """Without noise it is exact; plain numbers for its force are in the head of envs/control/pen_hand.py."""
    world = Pen("sheet", {**SMALL, "noise": 0.0, "steps": 80})
    quiet = world.reset(numbered(50, PUSH=[1]))
    scores = drawn(world, quiet)
    assert float(scores["error"].mean()) < 0.01, "corners alone, where the force does not suffice"
    assert torch.equal(scores["order"], torch.ones(50))
    pushed = drawn(world, world.reset(numbered(50, PUSH=[2])))
    assert bool((pushed["success"] == 1).all())
    assert float(drawn(world, world.reset(numbered(50, PUSH=[1])), times=0.0)["success"].mean()) < 0.5


def test_the_force_of_the_demonstrator_by_plain_numbers() -> None:
    world = Pen("sheet", SMALL)
    state = world.reset([{"PUSH": [1]}])
    goals = state.goal_BL2[0].tolist()
    for step in range(39):
        body = state.body_B6[0].tolist()
        force = world.suggest(state).payload_BX
        assert force is not None
        for axis in (0, 1):
            w = (goals[step][axis] - goals[max(0, step - 1)][axis]) / 0.1
            more = (goals[step + 1][axis] - goals[step][axis]) / 0.1
            wanted = (more - (1 - 0.2) * w) / 0.1 + 16 * (goals[step][axis] - body[axis]) + 6 * (w - body[2 + axis])
            assert math.isclose(float(force[0, axis]), max(-1, min(1, wanted / 12)), abs_tol=2e-3)
        world.act(state, act(force + torch.tensor([[0.1, -0.1, 0.0]])), torch.tensor([True]))


def test_demonstrations_are_the_same_drawing_on_another_sheet() -> None:
    world = Pen("sheet", {**SMALL, "noise": 0.0})
    state = world.reset(numbered(60))
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    shown = unpacked(held, SIZES)
    assert torch.equal(packed(shown).padded_BLX, held.padded_BLX)
    other_B13 = shown.objects_BLKF[:, :1, 0]
    moved_B = (other_B13[:, 0, :2] - state.sheet_B3[:, :2]).norm(dim=1)
    assert float(moved_B.median()) > 0.2
    ratio_B11 = state.sheet_B3[:, None, 2:] / other_B13[..., 2:]
    assert float(ratio_B11.max()) > 1.3
    rebased_BL2 = state.sheet_B3[:, None, :2] + ratio_B11 * (shown.body_BLS[..., :2] - other_B13[..., :2])
    assert float((rebased_BL2 - state.goal_BL2).norm(dim=2).mean()) < 0.02
    assert torch.equal(shown.body_BLS[..., 4] > 0, state.stroke_BL != UP)
    quiet = Pen("sheet", {**SMALL, "actions": "no"}).reset(numbered(3))
    silent = unpacked(Ragged(quiet.line_BLD, quiet.length_B), SIZES)
    assert not silent.action_BLX.any()


def test_replayed_actions_lead_where_they_led() -> None:
    world = Pen("sheet", SMALL)
    episodes = world.demonstrate(numbered(20, PUSH=[2]), generator=torch.Generator().manual_seed(0))
    state = world.reset(numbered(20, PUSH=[2]))
    assert episodes.actions is not None
    for action in episodes.actions:
        world.act(state, action, torch.ones(20, dtype=torch.bool))
    assert torch.allclose(state.body_B6, of_episodes(episodes, SIZES).body_BLS[:, -1], atol=1e-5)
    for name, score_B in world.score(state).items():
        assert torch.allclose(score_B, episodes.scores[name][-1], atol=1e-5)


# --- paths and scores -------------------------------------------------------------------------------------------------


def test_paths_go_along_the_strokes_evenly() -> None:
    """Of two strokes of lengths 3 and 1 and a way of 1 between them, 13 steps: 7, 3 and 3."""
    strokes = (np.array([[0.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 3.0], [1.5, 3.0], [2.0, 3.0]]))
    place_L2, stroke_L = path(strokes, 13)
    assert stroke_L.tolist() == [UP, *[0] * 7, *[UP] * 3, *[1] * 3]
    assert np.allclose(place_L2[[0, 7, 10, 13]], np.array([[0, 0], [0, 3], [1, 3], [2, 3]]) / 3)
    assert np.allclose(np.diff(place_L2[:8], axis=0), [[0, 1 / 7]] * 7)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=15), st.integers(20, 100))
def test_steps_are_shared_out_by_length(lengths: list[float], steps: int) -> None:
    length_P = np.array(lengths) + 1e-3
    count_P = shared(length_P, steps)
    assert count_P.sum() == steps
    assert count_P.min() >= 1
    assert np.abs(count_P - 1 - (steps - len(lengths)) * length_P / length_P.sum()).max() < 1


def test_warped_distances_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(3)
    one, other = torch.randn(3, 7, 2, generator=generator), torch.randn(3, 11, 2, generator=generator)
    for b, found in enumerate(warped_distance(one, other).tolist()):
        best: dict[tuple[int, int], float] = {}
        for i in range(7):
            for j in range(11):
                before = [best[k] for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if k in best]
                best[i, j] = math.dist(one[b, i].tolist(), other[b, j].tolist()) + min(before, default=0.0)
        assert math.isclose(found, best[6, 10] / 11, rel_tol=1e-4)
    assert float(warped_distance(one, one).max()) < 1e-3


def test_strokes_count_where_they_are_drawn_in_their_turn() -> None:
    """Two lines side by side: as they are; exchanged; the first one backwards; one left out; one in two parts."""
    first, second = [[0.0, y] for y in (0.0, 0.5, 1.0)], [[1.0, y] for y in (0.0, 0.5, 1.0)]
    path_BL2, stroke_BL = torch.tensor([[*first, *second]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    cases = [
        ([*first, *second], [0, 0, 0, 1, 1, 1], 1.0),
        ([*second, *first], [0, 0, 0, 1, 1, 1], 0.0),
        ([*first[::-1], *second], [0, 0, 0, 1, 1, 1], 1.0),  # it is still more like the first
        ([*first, *first], [0, 0, 0, UP, UP, UP], 0.5),
        ([*first, *second], [0, UP, 1, 2, 2, 2], 1 / 3),
    ]
    for trail, strokes, expected in cases:
        found = strokes_in_order(torch.tensor([trail]), torch.tensor([strokes]), path_BL2, stroke_BL)
        assert math.isclose(float(found), expected, abs_tol=1e-6), (strokes, found)
    down = torch.tensor([[True, True, False, True, False, True]])
    assert strokes_of(down).tolist() == [[0, 0, UP, 1, UP, 2]]


# --- splits and errors ------------------------------------------------------------------------------------------------


def test_splits_share_neither_alphabets_nor_drawers() -> None:
    drawings = generated(5)
    split = split_numbers(drawings, 0)
    for number_N in (drawings.group_N, drawings.drawer_N):
        seen = [set(number_N[split[name]].tolist()) for name in SPLITS]
        assert all(seen)
        assert sum(map(len, seen)) == len(set().union(*seen))
    assert any((split["test"] != other).any() for other in (split_numbers(drawings, seed)["test"] for seed in (1, 2)))
    world = Pen("sheet", {**SMALL, "alphabets": 5})
    for number, name in enumerate(SPLITS):
        state = world.reset(numbered(50, SPLIT=[number]))
        assert set(state.drawing_B.tolist()) <= set(split[name].tolist())


def test_a_drawing_is_asked_for_by_its_number() -> None:
    world = Pen("sheet", SMALL)
    state = world.reset(numbered(5, DRAWING=[1, 2]))
    assert state.drawing_B.tolist() == [int(world.numbers[0][11])] * 5
    with pytest.raises(ValueError, match=r"instance 0: DRAWING is 99999; the split 'train' has \d+"):
        world.reset([{"DRAWING": [9] * 5}])


def test_errors_name_the_fix() -> None:
    with pytest.raises(SpecError, match=r"steps of pen is 5; it can be 20 to 1000"):
        Pen("sheet", {"steps": 5})
    with pytest.raises(ValueError, match=r"the data peple are bound to no strokes.*--data peple=FOLDER"):
        Pen("sheet", {"data": "peple"}).reset([{}])
    world = Pen("sheet", SMALL)
    with pytest.raises(ValueError, match=r"give B x moments x 14"):
        world.reset([{}], given={DEMONSTRATION: torch.zeros(1, 4, 9)})
    with pytest.raises(ValueError, match="sheets are drawn and cannot be given"):
        world.reset([{}], given={OBJECTS: torch.zeros(1, 1, 3)})
    with pytest.raises(ValueError, match="DRAWN"):
        world.reset([{"DRAWN": [1]}])


def test_a_drawing_of_text_shows_both_sheets_and_strokes_by_number() -> None:
    world = Pen("sheet", SMALL)
    state = world.reset([{"EPISODE": [5], "PUSH": [1]}])
    begun = world.draw(state)
    drawn(world, state)
    ended = world.draw(state, width=80)
    assert "demonstrated" in begun
    assert begun.count("1") > 3, "the demonstration is there from the beginning"
    right = [line[len(line) // 2 :] for line in ended.split("\n")[1:]]
    assert "".join(right).count("1") > 3
    assert max(map(len, ended.split("\n"))) <= 80
    alone = Pen("sheet", {**SMALL, "shown": "no"})
    assert "demonstrated" not in alone.draw(alone.reset([{}]))
    assert NEAR == 0.1
