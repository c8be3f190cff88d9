"""The puzzle box: what it promises every world, and its rules, likeness and demonstrations by second ways."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.control.puzzle_box import BODY_SIGMA, OBJECT_SIGMA, PuzzleBox, PuzzleBoxState, likeness
from envs.control.puzzle_box_hand import Body, advanced
from envs.control.puzzle_box_settings import GRACE, IRRELEVANT, STEPS, PuzzleBoxConfig
from envs.episodic.trials import digits
from envs.spec import SpecError
from envs.stepper import Action

TEST = 2
"""The index of the split."""


def made(**config: Any) -> PuzzleBox:
    world: Any = make("puzzle_box", "box", config)
    return world


def begun(world: PuzzleBox, count: int = 40, **parts: int) -> PuzzleBoxState:
    layouts = [{"EPISODE": digits(n)} | {name: [index] for name, index in parts.items()} for n in range(count)]
    return world.reset(layouts)


def moved(world: PuzzleBox, state: PuzzleBoxState, velocity_B2: torch.Tensor) -> None:
    action = Action(torch.zeros(state.batch, 4, dtype=torch.int64), velocity_B2)
    world.act(state, action, torch.ones(state.batch, dtype=torch.bool))


@pytest.mark.parametrize("config", [{}, {"demonstrations": 3, "dwell": 1, "lost": 0, "response": 1}])
def test_it_keeps_its_promises(config: dict[str, Any]) -> None:
    layouts = [{}, {"EPISODE": digits(17), "SPLIT": [TEST]}, {"EPISODE": digits(3), "SHOWN": [1]}, {"WALLS": [2]}]
    check_world(made(**config), layouts, generator=torch.Generator().manual_seed(2))


def test_steps_come_in_order_and_need_their_acts() -> None:
    """Beside a plain loop over random touches."""
    config, draw = PuzzleBoxConfig(dwell=3), random.Random(0)
    progress_BS, counts, done = torch.zeros(1, 6), [0] * 6, [False] * 6
    for _ in range(400):
        touched = [draw.random() < 0.8 for _ in STEPS]
        before = list(done)
        for place in range(6):
            allowed = place <= IRRELEVANT or before[place - 1]
            counts[place] = counts[place] + 1 if touched[place] and allowed else 0
            done[place] = done[place] or counts[place] >= 3
        progress_BS = advanced(config, progress_BS, torch.tensor([touched]))
        assert (progress_BS[0] == 1).tolist() == done
        if all(done):
            progress_BS, counts, done = torch.zeros(1, 6), [0] * 6, [False] * 6


def test_demonstrators_do_all_six_steps_and_end_with_the_reward() -> None:
    """In the order of the literature, but where they come by a site in passing, or their layout shuffles it."""
    in_order = {}
    for shuffled in (0.0, 1.0):
        state = begun(made(shuffled=shuffled), 100)
        done_BLS = state.frame_BLD[..., 2:] == 1
        first_BS, last_B = done_BLS.long().argmax(1), state.length_B - 1
        assert done_BLS[torch.arange(100), last_B].all()
        assert torch.equal(first_BS[:, 5], last_B)
        assert (first_BS[:, 3] < first_BS[:, 4]).all()
        assert (first_BS[:, 4] < first_BS[:, 5]).all()
        in_order[shuffled] = float((first_BS[:, :3].diff(dim=1) > 0).all(1).float().mean())
    assert in_order[0.0] > 0.8
    assert in_order[1.0] < 0.4


def test_the_acts_of_a_demonstrator_lead_along_its_demonstration() -> None:
    world = made()
    layouts = [{"EPISODE": digits(n), "SPLIT": [TEST]} for n in range(20)]
    episodes = world.demonstrate(layouts, generator=torch.Generator())
    live_B = episodes.live_TB.sum(0)
    assert torch.equal(episodes.seen[0].channels["demonstration"].lengths_B, live_B + 1)  # type: ignore[union-attr]
    torch.testing.assert_close(episodes.scores["likeness"].sum(0), live_B.float())
    assert (episodes.scores["reward"] * episodes.live_TB).sum(0).tolist() == [1.0] * 20
    assert (episodes.scores["irrelevant"] * episodes.live_TB).sum(0).tolist() == [3.0] * 20


def test_what_the_box_is_made_of_changes_nothing_but_a_field() -> None:
    world, generator = made(), torch.Generator().manual_seed(0)
    opaque, transparent = (begun(world, WALLS=index) for index in (1, 2))
    for _ in range(20):
        velocity_B2 = torch.rand(40, 2, generator=generator) * 2 - 1
        for state in (opaque, transparent):
            moved(world, state, velocity_B2)
    seen = [world.observe(state) for state in (opaque, transparent)]
    fields = [one.fields_BF.clone() for one in seen]
    place = world.spec.field("TRANSPARENT")
    assert [one[:, place].unique().tolist() for one in fields] == [[0], [1]]
    fields[0][:, place] = 1
    assert torch.equal(*fields)
    assert all(torch.equal(seen[0].channels[name], seen[1].channels[name]) for name in ("hand", "sites", "box"))  # type: ignore[arg-type]


def test_likeness_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    hand_B2, progress_BS, frame_BD = (torch.rand(5, n, generator=generator) for n in (2, 6, 8))
    found_B = likeness(Body(hand_B2, hand_B2, progress_BS), frame_BD)
    columns = (part.tolist() for part in (hand_B2, progress_BS, frame_BD, found_B))
    for hand, progress, frame, found in zip(*columns, strict=True):
        body = math.dist(hand, frame[:2]) ** 2 / BODY_SIGMA**2
        things = math.dist(progress, frame[2:]) ** 2 / OBJECT_SIGMA**2
        assert found == pytest.approx(0.5 * math.exp(-things) + 0.5 * math.exp(-body), abs=1e-6)


def test_who_loses_the_demonstration_comes_to_an_end() -> None:
    """A hand that rests is off its demonstration in the end; where none is shown, it goes on."""
    world = made(lost=4)
    shown, hidden = begun(world), begun(world, SHOWN=1)
    low_B, over_B = torch.zeros(40).long(), torch.zeros(40).bool()
    for step in range(1, 60):
        for state in (shown, hidden):
            moved(world, state, torch.zeros(40, 2))
        low_B = torch.where((world.score(shown)["likeness"] < 0.1) & (step < shown.length_B), low_B + 1, 0)
        over_B |= (low_B >= 4) | (step >= shown.length_B - 1 + GRACE)
        assert torch.equal(world.ended(shown), over_B)
    assert over_B.all()
    assert not world.ended(hidden).any()
    assert hidden.step_B.tolist() == [59] * 40
    assert shown.step_B.float().mean() < 45


def test_training_has_so_many_demonstrations_and_no_split_shares_any() -> None:
    world = made(demonstrations=7)
    starts = {split: begun(world, 30, SPLIT=split).hand_B2 for split in range(3)}
    assert torch.equal(starts[0][:7], starts[0][7:14])
    rows = [tuple(row) for part in starts.values() for row in part.tolist()]
    assert len(set(rows)) == 7 + 30 + 30


def test_hidden_demonstrations_are_not_in_the_observation() -> None:
    demonstration = made().observe(begun(made(), SHOWN=1)).channels["demonstration"]
    assert demonstration.lengths_B.tolist() == [0] * 40  # type: ignore[union-attr]
    assert not demonstration.padded_BLX.any()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"demonstrations": 0}, "demonstrations of a puzzle box is 0; it can be 1 to"),
        ({"radius": 0.5}, "radius of a puzzle box is 0.5; it can be 0.02 to 0.2"),
        ({"demos": 5}, "no setting demos; did you mean"),
    ],
)
def test_bad_settings_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        made(**config)


def test_a_drawing_shows_both_hands_and_what_is_done() -> None:
    world = made()
    state = begun(world, 2)
    state.progress_BS[1, 3] = 1
    text = world.draw(state, 1)
    assert "done: LIFT" in text
    assert "L" in "".join(text.splitlines()[1:-2])
    assert text.count("@") == 1
