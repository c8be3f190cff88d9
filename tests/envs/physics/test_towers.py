"""Towers: their physics beside closed forms, welds in plain Python, what is paid and when; and a tower is a function of
its number and of what was done to it."""

import sys
from typing import Any

import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.physics.blocks import DISCOUNTS
from envs.physics.tower_room import MASS, SIDE, SUBSTEP
from envs.physics.tower_settings import ANSWER, CLEAR, MOVE
from envs.physics.towers import Towers, TowersState, relative
from envs.physics.welds import BLOCKS, drawn_ways, members, questions, right_answers, ways
from envs.spec import SpecError
from envs.stepper import Action

CONFIGS: list[dict[str, Any]] = [
    {},
    {"actuator": "fist", "steps": 9, "question": "bodies among 1 4"},
    {"actuator": "velocity", "discount": 1, "seconds": 0.05},
    {"push": 5, "lift": 200, "friction": 0, "seconds": 0.2, "frame": "room"},
]

BLOCKS_UP = range(BLOCKS)


def towers(**config: Any) -> Towers:
    return Towers("tower", config)


def laid(world: Towers, *episodes: int, discount: str = "0.99", question: str = "bodies") -> TowersState:
    episode_B = torch.tensor(episodes)
    parts = DISCOUNTS.index(discount), questions().index(question)
    return world.begin(episode_B, *(torch.full_like(episode_B, part) for part in parts))


def do(world: Towers, state: TowersState, primitive: int, *tokens: str, payload: Any = None) -> None:
    call = [primitive, *map(world.spec.token, tokens), 0, 0, 0][:4]
    payload_BX = None if payload is None else torch.tensor([payload] * state.batch)
    world.act(state, Action(torch.tensor([call] * state.batch), payload_BX), torch.ones(state.batch, dtype=torch.bool))


def pushed(world: Towers, state: TowersState, steps: int, *, seed: int) -> None:
    """By random forces, the same for a tower wherever it is in a batch."""
    for step in range(steps):
        generators = [torch.Generator().manual_seed(seed + 1000 * step + int(e)) for e in state.episode_B]
        draw = [[0, int(torch.randint(1, 6, (), generator=g)), int(torch.randint(6, 10, (), generator=g)), 0]
                for g in generators]  # fmt: skip
        world.act(state, Action(torch.tensor(draw)), torch.ones(state.batch, dtype=torch.bool))


def one_of_each_way(world: Towers) -> TowersState:
    """The first tower that is welded in each way."""
    way_B = drawn_ways(torch.arange(2000))
    return laid(world, *(int((way_B == way).nonzero()[0]) for way in range(len(ways()))))


@pytest.mark.parametrize("config", CONFIGS)
def test_the_world_keeps_its_promises(config: dict[str, Any]) -> None:
    world = make("towers", "tower", config)
    other = {"EPISODE": digits(10**17), "DISCOUNT": [2], "QUESTION": [len(world.spec.hidden[2].values) - 1]}
    layouts = [{}, {"EPISODE": digits(17)}, other, {"EPISODE": [0, 1, 7], "DISCOUNT": [0]}]
    check_world(world, layouts, generator=torch.Generator().manual_seed(3))


# --- motion -----------------------------------------------------------------------------------------------------------


def test_a_free_block_moves_as_a_force_for_a_time_says() -> None:
    """Without friction the uppermost block, where it is free, has the speed F t / m, and nothing else moves."""
    world = towers(friction=0)
    state = one_of_each_way(world)
    free_B = torch.tensor([way.count(way[-1]) == 1 for way in ways()])
    do(world, state, MOVE, "5", "right")
    found = [room.bodies[-1].velocity.x for room, free in zip(state.rooms, free_B, strict=True) if free]
    assert found == pytest.approx([25 * 0.1 / MASS] * int(free_B.sum()), rel=2e-3)
    assert float((state.pose_BN3 - state.start_BN3)[free_B, :4, :2].abs().max()) < 2e-3


def test_all_blocks_together_move_by_the_force_over_all_of_the_mass() -> None:
    """However they are welded and whichever is pushed: forces between them cancel. In four steps of the simulation,
    each of which changes places before speeds, the force moves their middle by F / M dt² (0 + 1 + 2 + 3)."""
    world = towers(friction=0)
    for block in BLOCKS_UP:
        state = one_of_each_way(world)
        do(world, state, MOVE, str(1 + block), "left")
        moved_B = (state.pose_BN3 - state.start_BN3)[:, :, 0].mean(1)
        assert moved_B.tolist() == pytest.approx([-25 / (BLOCKS * MASS) * SUBSTEP**2 * 6] * len(ways()), rel=1e-6)


def distances(state: TowersState) -> torch.Tensor:
    """Between the middles of each two blocks, B × N × N."""
    return torch.cdist(state.pose_BN3[:, :, :2], state.pose_BN3[:, :, :2])


def test_welded_blocks_keep_their_distance_and_others_do_not() -> None:
    world = towers()
    state = one_of_each_way(world)
    before, start_BN3 = distances(state), state.pose_BN3.clone()
    pushed(world, state, 30, seed=1)
    body_BN = torch.tensor(ways())
    welded_BNN = body_BN[:, :, None] == body_BN[:, None]
    change_BNN = (distances(state) - before).abs()
    assert float(change_BNN[welded_BNN].max()) < 1e-9
    turn_BNN = (state.pose_BN3[:, :, None, 2] - state.pose_BN3[:, None, :, 2]).abs()
    assert float(turn_BNN[welded_BNN].max()) < 1e-12
    apart_BNN = (change_BNN > 1e-3) | (turn_BNN > 1e-3)
    assert float(apart_BNN[~welded_BNN].float().mean()) > 0.97
    assert float((state.pose_BN3 - start_BN3)[:, :, :2].abs().max()) > SIDE


@pytest.mark.parametrize("actuator", ["direct", "fist"])
def test_nothing_moves_that_nothing_touches(actuator: str) -> None:
    """So an observer who does nothing sees the same whatever is welded."""
    world = towers(actuator=actuator)
    state = one_of_each_way(world)
    seen = world.observe(state).channels["moved"]
    for _ in range(40):
        world.wait(state, torch.ones(state.batch, dtype=torch.bool))
    assert torch.equal(world.observe(state).channels["moved"], seen)
    assert torch.equal(state.pose_BN3, state.start_BN3)
    assert float(world.observe(state).channels["time"][0]) == pytest.approx(4.0)


def test_a_fist_moves_at_its_speed_by_either_way_of_steering_it() -> None:
    steered, driven = towers(actuator="fist", speed=0.5), towers(actuator="velocity", speed=0.5)
    one, two = laid(steered, *range(6)), laid(driven, *range(6))
    assert torch.equal(one.fist_B2, two.fist_B2)
    place_B2 = one.fist_B2.clone()
    for _ in range(2):
        do(steered, one, MOVE, "up")
        do(driven, two, MOVE, payload=[0.0, 1.0])
    rises = 0.5 * (2 * 0.1 - SUBSTEP)  # it has its speed after the first step of the simulation
    assert (one.fist_B2 - place_B2).tolist() == [pytest.approx([0, rises], abs=1e-9)] * 6
    for side, payload in (("left", [-1.0, 0.0]), ("right", [3.0, 0.0]), ("right", [1.0, 0.0])):
        do(steered, one, MOVE, side)
        do(driven, two, MOVE, payload=payload)  # beyond the bound is at the bound
        assert torch.equal(one.pose_BN3, two.pose_BN3)
        assert torch.equal(one.fist_B2, two.fist_B2)


def test_what_is_suggested_is_legal_and_brings_a_fist_to_the_tower() -> None:
    for config in CONFIGS[:3]:
        world = towers(**{**config, "steps": 30})
        state = laid(world, *range(8))
        for _ in range(24):
            action = world.suggest(state)
            assert world.legal(action).all()
            world.act(state, action, torch.ones(8, dtype=torch.bool))
        if world.config.actuator != "direct":
            assert float((state.pose_BN3 - state.start_BN3)[:, :, 0].abs().amax(1).min()) > 0.01


def test_a_fist_has_no_more_than_its_strength() -> None:
    """One that is too weak to slide the tower stands before it."""
    far = {}
    for strength in (1.0, 100.0):
        world = towers(actuator="fist", strength=strength)
        state = laid(world, *(e for e in range(60) if int(drawn_ways(torch.tensor([e]))) == 0))
        right_B = state.fist_B2[:, 0] < 0
        for _ in range(16):
            call_B4 = torch.zeros(state.batch, 4, dtype=torch.int64)
            call_B4[:, 1] = torch.where(right_B, world.spec.token("right"), world.spec.token("left"))
            world.act(state, Action(call_B4), torch.ones(state.batch, dtype=torch.bool))
        far[strength] = float((state.pose_BN3 - state.start_BN3)[:, 0, 0].abs().min())
    assert far[1.0] < 0.01 < 0.05 < far[100.0]


def test_relative_poses_stay_where_all_is_one_body() -> None:
    """A tower that is moved and turned as a whole; of two that are not one body the change shows."""
    pose_BN3 = laid(towers(), 1, 2, 3).start_BN3
    cos, sin, across, up = 0.6, 0.8, 1.5, -0.4
    x, y, angle = pose_BN3.unbind(2)
    whole_BN3 = torch.stack([cos * x - sin * y + across, sin * x + cos * y + up, angle + 0.9272952180016122], 2)
    torch.testing.assert_close(relative(whole_BN3)[:, 1:], relative(pose_BN3)[:, 1:])
    whole_BN3[:, 3:, 0] += 0.01
    changed_BN = (relative(whole_BN3) - relative(pose_BN3))[:, 1:].abs().amax(2) > 1e-6
    assert changed_BN.tolist() == [[False, False, True, False]] * 3


# --- a tower is a function of its number and of what was done ---------------------------------------------------------


def test_an_episode_is_the_same_again_alone_in_a_batch_and_from_a_copy() -> None:
    world = towers()
    state, again = laid(world, *range(5)), laid(world, *range(5))
    pushed(world, state, 8, seed=5)
    pushed(world, again, 8, seed=5)
    assert torch.equal(state.pose_BN3, again.pose_BN3)
    for b in range(5):
        alone = laid(world, b)
        pushed(world, alone, 8, seed=5)
        assert torch.equal(alone.pose_BN3[0], state.pose_BN3[b])
    copied = state.select(torch.tensor([3, 1]))
    pushed(world, state, 6, seed=9)
    pushed(world, copied, 6, seed=9)
    assert torch.equal(copied.pose_BN3, state.pose_BN3[[3, 1]])


def test_cleared_it_is_as_at_the_beginning() -> None:
    world = towers()
    state, fresh = laid(world, 1, 2), laid(world, 1, 2)
    pushed(world, state, 5, seed=2)
    do(world, state, ANSWER, "2")
    do(world, state, CLEAR)
    assert world.read(state) == world.read(fresh)
    pushed(world, state, 5, seed=3)
    pushed(world, fresh, 5, seed=3)
    assert torch.equal(state.pose_BN3, fresh.pose_BN3)


# --- welds and questions ----------------------------------------------------------------------------------------------


def test_ways_are_all_partitions_and_every_number_of_bodies_is_as_likely() -> None:
    """Stirling numbers of the second kind: 1, 15, 25, 10, 1."""
    sets = {frozenset(frozenset(n for n in BLOCKS_UP if way[n] == body) for body in way) for way in ways()}
    assert [sum(len(part) == count for part in sets) for count in range(1, 6)] == [1, 15, 25, 10, 1]
    assert len(ways()) == 52
    way_B = drawn_ways(torch.arange(50_000))
    count_W = torch.tensor([len(set(way)) for way in ways()])
    share_W = torch.bincount(way_B, minlength=52) / 50_000
    for count, size in zip(range(1, 6), (1, 15, 25, 10, 1), strict=True):
        assert share_W[count_W == count].tolist() == pytest.approx([0.2 / size] * size, abs=5e-3)


def test_right_answers_are_those_of_plain_python() -> None:
    assert len(questions()) == len(set(questions())) == len(members()) == 26
    for place, name in enumerate(questions()):
        asked = [int(n) - 1 for n in name.removeprefix("bodies").removeprefix(" among").split()] or list(BLOCKS_UP)
        expected = [len({way[n] for n in asked}) - 1 for way in ways()]
        assert right_answers()[:, place].tolist() == expected, name


# --- what is paid -----------------------------------------------------------------------------------------------------


def test_an_answer_pays_one_or_minus_one_discounted_and_ends_the_experiment() -> None:
    world = towers()
    for pushes, discount in ((0, "0.95"), (3, "0.99"), (1, "1")):
        state = laid(world, 1, 2, 3, 4, discount=discount)
        for _ in range(pushes):
            do(world, state, MOVE, "3", "up")
            assert world.score(state)["reward"].tolist() == [0] * 4
        right_B = state.correct_B == 2
        action = Action(torch.tensor([[ANSWER, world.spec.token("3"), 0, 0]] * 4))
        known = world.conclusion(state, action)
        do(world, state, ANSWER, "3")
        worth = float(discount) ** pushes
        assert world.score(state)["reward"].tolist() == pytest.approx([worth if r else -worth for r in right_B])
        assert torch.equal(known.score_B, world.score(state)["reward"])
        assert torch.equal(known.ends_B, world.ended(state))
        assert world.ended(state).all()
        assert [reading["RIGHT"] for reading in world.read(state)] == [[int(r)] for r in right_B]
        pose_BN3 = state.pose_BN3.clone()
        do(world, state, MOVE, "1", "up")
        assert torch.equal(state.pose_BN3, pose_BN3)


def test_the_last_step_without_an_answer_pays_minus_one() -> None:
    world = towers(steps=3)
    state = laid(world, 1, discount="0.95")
    for _ in range(3):
        assert not world.ended(state).any()
        do(world, state, MOVE, "3", "left")
    assert world.ended(state).all()
    assert float(world.score(state)["reward"]) == pytest.approx(-(0.95**2))
    assert world.read(state)[0]["RIGHT"] == []


@pytest.mark.parametrize(("actuator", "steps", "calls"), [("direct", 150, 25), ("fist", 100, 9), ("velocity", 100, 6)])
def test_steps_and_calls_are_those_of_the_paper(actuator: str, steps: int, calls: int) -> None:
    """A fist of any velocity has one call with a payload in place of four."""
    world = towers(actuator=actuator)
    tokens = len(world.spec.tokens)
    every = torch.cartesian_prod(torch.arange(2), *[torch.arange(tokens)] * 3)
    assert int(world.legal(Action(every)).sum()) == calls
    assert world.config.limit == steps


# --- settings and drawings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"actuator": "fits"}, "did you mean 'fist'"),
        ({"question": "bodies among 4 1"}, "did you mean 'bodies among"),
        ({"seconds": 0.11}, "no multiple of 0.025 s"),
        ({"offset": 0.2}, "it can be 0 to 0.04"),
        ({"frame": "flor"}, "the setting frame of a world of towers is 'flor'"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        towers(**config)


def test_without_the_engine_of_physics_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("envs.physics.towers", "envs.physics.tower_room"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymunk", None)
    with pytest.raises(SpecError, match=r"world tower needs pymunk: pip install 'npi-engine\[physics\]'"):
        make("towers", "tower", {})


def test_a_drawing_shows_where_blocks_are_and_what_was_done() -> None:
    world = towers(actuator="fist", offset=0)
    state = laid(world, 1)
    state.pose_BN3[0, 4] = torch.tensor([0.6, 0.1, 0.0], dtype=torch.float64)
    state.fist_B2[0] = torch.tensor([-0.52, 0.45], dtype=torch.float64)
    lines = [line.strip("|").rstrip() for line in world.draw(state, width=60).splitlines()]
    assert lines[:4] == [""] * 4
    assert lines[4:] == [
        "                           4444",
        "                           4444",
        "                           3333",
        "                  o        3333",
        "                           2222",
        "                           2222",
        "                           1111        5555",
        "                           1111        5555",
        "+----------------------------------------------------------+",
        "asked: bodies; 0.0 s; answer: -",
    ]
