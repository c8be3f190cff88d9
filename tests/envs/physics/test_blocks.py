"""Blocks that are poked: their motion beside closed forms and beside small steps, their masses and questions in plain
Python, what is paid and when, and what is rendered."""

import math
import statistics
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.physics.blocks import ANSWER, BETAS, CLEAR, DISCOUNTS, POKE, Blocks, BlocksState, draws
from envs.physics.motion import Motion, landing_time, moved
from envs.physics.questions import questions
from envs.physics.rendering import WIDTH, render
from envs.spec import SpecError
from envs.stepper import Action

CONFIGS: list[dict[str, Any]] = [
    {},
    {"blocks": 2, "steps": 3, "question": "lightest"},
    {"beta": 10, "discount": 1, "gravity": 0, "seconds": 0.05, "least": 0.01},
    {"pixels": 32, "steps": 10},
    {"blocks": 5, "pixels": 17, "question": "place of 4 among 2 4 5"},
]


def blocks(**config: Any) -> Blocks:
    return Blocks("table", config)


def laid(
    world: Blocks, *episodes: int, beta: str = "5", discount: str = "0.99", question: str = "heavy"
) -> BlocksState:
    episode_B = torch.tensor(episodes)
    parts = BETAS.index(beta), DISCOUNTS.index(discount), world.questions.index(question)
    return world.begin(episode_B, *(torch.full_like(episode_B, part) for part in parts))


def do(world: Blocks, state: BlocksState, primitive: int, block: int = 0) -> None:
    action = Action(torch.tensor([[primitive, block, 0, 0]] * state.batch))
    world.act(state, action, torch.ones(state.batch, dtype=torch.bool))


@pytest.mark.parametrize("config", CONFIGS)
def test_the_world_keeps_its_promises(config: dict[str, Any]) -> None:
    world = make("blocks", "table", config)
    other = {
        "EPISODE": digits(10**17),
        "BETA": [0],
        "DISCOUNT": [2],
        "QUESTION": [len(world.spec.hidden[3].values) - 1],
    }
    layouts = [{}, {"EPISODE": digits(17)}, other, {"EPISODE": [0, 1, 7], "BETA": [3]}]
    check_world(world, layouts, generator=torch.Generator().manual_seed(3))


# --- motion -----------------------------------------------------------------------------------------------------------

HEIGHT, SPEED = st.floats(0, 3), st.floats(-8, 8)
RISE = st.floats(-20, 60).filter(lambda a: a == 0 or abs(a) > 1e-3)


def small_steps(height: float, speed: float, rise: float, seconds: float, count: int) -> tuple[float, float]:
    """The motion by many steps of the exact parabola, each checked for the floor after it."""
    dt = seconds / count
    for _ in range(count):
        height, speed = height + speed * dt + rise * dt * dt / 2, speed + rise * dt
        if height <= 0 and speed <= 0:
            height, speed = 0.0, 0.0
    return height, speed


@settings(max_examples=60, deadline=None)
@given(HEIGHT, SPEED, RISE)
def test_motion_is_that_of_small_steps(height: float, speed: float, rise: float) -> None:
    motion = Motion(*(torch.tensor([x], dtype=torch.float64) for x in (height, speed)))
    found = moved(motion, torch.tensor([rise], dtype=torch.float64), 0.4)
    expected = small_steps(height, speed, rise, 0.4, 4000)
    assert float(found.height) == pytest.approx(expected[0], abs=1e-2)
    assert float(found.speed) == pytest.approx(expected[1], abs=5e-2)
    assert float(found.height) >= 0


@settings(max_examples=100, deadline=None)
@given(HEIGHT, SPEED, RISE, st.floats(0.01, 0.99))
def test_a_step_is_its_two_parts(height: float, speed: float, rise: float, share: float) -> None:
    """Also where the floor is reached in one of them."""
    motion = Motion(*(torch.tensor([x], dtype=torch.float64) for x in (height, speed)))
    rise_1 = torch.tensor([rise], dtype=torch.float64)
    whole = moved(motion, rise_1, 0.4)
    parts = moved(moved(motion, rise_1, 0.4 * share), rise_1, 0.4 * (1 - share))
    for one, two in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_motion_of_a_poke_and_a_fall_in_closed_form() -> None:
    """From rest h = a t² / 2 and v = a t; it comes down 2 v / g after the poke, and then rests."""
    world = blocks()
    state = laid(world, 5)
    do(world, state, POKE, 2)
    mass = float(state.mass_BN[0, 1])
    rise = 15 / mass - 9.81
    assert state.height_BN[0].tolist() == pytest.approx([0, rise * 0.01 / 2, 0, 0])
    assert float(world.observe(state).channels["heights"][0, 1]) == pytest.approx(100 * rise * 0.01 / 2)
    speed = rise * 0.1
    height = rise * 0.01 / 2
    lands = (speed + math.sqrt(speed**2 + 2 * 9.81 * height)) / 9.81
    assert float(landing_time(Motion(state.height_BN, state.speed_BN), torch.tensor(-9.81))[0, 1]) == pytest.approx(
        lands
    )
    for number in range(math.ceil(lands / 0.1)):
        assert float(state.height_BN[0, 1]) > 0, number
        do(world, state, POKE, 1)
    assert float(state.height_BN[0, 1]) == float(state.speed_BN[0, 1]) == 0


def test_nothing_that_rests_falls_through_the_floor_and_no_weight_floats() -> None:
    still = Motion(torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    found = moved(still, torch.tensor([-9.81, 0.0], dtype=torch.float64), 0.1)
    assert found.height.tolist() == found.speed.tolist() == [0, 0]
    rising = moved(Motion(torch.tensor([1.0]), torch.tensor([2.0])), torch.tensor([0.0]), 0.5)
    assert (float(rising.height), float(rising.speed)) == (2, 2)


# --- masses and questions ---------------------------------------------------------------------------------------------


def test_draws_have_the_means_and_spreads_of_their_beta_distributions() -> None:
    """Mean a / (a + b), variance a b / ((a + b)² (a + b + 1)); one heavy block in each, as often each of them."""
    world, count = blocks(), 20_000
    for beta in BETAS[1:]:
        state = laid(world, *range(count), beta=beta)
        draw_BN = (state.mass_BN - 0.25) / 1.0
        heavy_BN = torch.arange(4) == state.heavy_B[:, None]
        b = float(beta)
        variance = b / ((b + 1) ** 2 * (b + 2))
        for part, mean in ((draw_BN[heavy_BN], b / (b + 1)), (draw_BN[~heavy_BN], 1 / (b + 1))):
            assert float(part.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / len(part)))
            assert float(part.var()) == pytest.approx(variance, rel=0.05)
        assert torch.bincount(state.heavy_B).tolist() == pytest.approx([count / 4] * 4, rel=0.05)


def test_draws_invert_the_distribution_functions() -> None:
    number_BN = torch.tensor([[0.1, 0.1, 0.7, 0.7]], dtype=torch.float64)
    heavy_BN = torch.tensor([[True, False, True, False]])
    found = draws(number_BN, torch.tensor([[3.0]], dtype=torch.float64), heavy_BN)[0].tolist()
    assert [found[0] ** 3, 1 - (1 - found[1]) ** 3, found[2] ** 3, 1 - (1 - found[3]) ** 3] == pytest.approx(
        [0.1, 0.1, 0.7, 0.7]
    )


def plain_answer(name: str, masses: list[float], heavy: int) -> int:
    """By the words of a question; blocks count from 0."""
    if name == "heavy":
        return heavy
    what, _, group = name.partition(" of " if "heaviest" in name or "lightest" in name else " among ")
    members = [int(n) - 1 for n in group.split()] or list(range(len(masses)))
    ordered = sorted(members, key=lambda n: -masses[n])
    if what.startswith("place of "):
        return ordered.index(int(what.split()[-1]) - 1)
    place = {"heaviest": 0, "second heaviest": 1, "third heaviest": 2, "fourth heaviest": 3, "lightest": -1}[what]
    return ordered[place]


@pytest.mark.parametrize("count", [2, 4, 5])
def test_right_answers_are_those_of_plain_python(count: int) -> None:
    world = blocks(blocks=count)
    for name in world.questions:
        state = laid(world, *range(12), beta="3", question=name)
        rows = zip(state.mass_BN.tolist(), state.heavy_B.tolist(), strict=True)
        assert state.correct_B.tolist() == [plain_answer(name, masses, heavy) for masses, heavy in rows], name
    assert len(set(world.questions)) == len(world.questions) == len(questions(count))


def test_the_heavy_block_is_not_always_the_heaviest() -> None:
    """With β = 3 a light one is heavier in about one experiment of eight: that is what an oracle cannot know."""
    state = laid(blocks(), *range(4000), beta="3")
    assert statistics.fmean((state.mass_BN.argmax(1) != state.heavy_B).tolist()) == pytest.approx(0.118, abs=0.02)


# --- what is paid -----------------------------------------------------------------------------------------------------


def test_an_answer_pays_one_or_minus_one_discounted_and_ends_the_experiment() -> None:
    world = blocks()
    for pokes, discount in ((0, "0.95"), (3, "0.95"), (2, "0.99"), (4, "1")):
        state = laid(world, 1, 2, 3, discount=discount)
        for block in range(pokes):
            do(world, state, POKE, 1 + block)
            assert world.score(state)["reward"].tolist() == [0, 0, 0]
            assert not world.ended(state).any()
        right_B = state.heavy_B == 1
        do(world, state, ANSWER, 2)
        worth = float(discount) ** pokes
        assert world.score(state)["reward"].tolist() == pytest.approx([worth if r else -worth for r in right_B])
        assert world.ended(state).all()
        assert [reading["RIGHT"] for reading in world.read(state)] == [[int(r)] for r in right_B]
        height_BN = state.height_BN.clone()
        do(world, state, POKE, 1)
        do(world, state, ANSWER, 1)
        assert torch.equal(state.height_BN, height_BN)
        assert state.answer_B.tolist() == [2, 2, 2]


def test_the_last_step_without_an_answer_pays_minus_one() -> None:
    world = blocks(steps=3)
    state = laid(world, 1, discount="0.95")
    for _ in range(3):
        assert not world.ended(state).any()
        do(world, state, POKE, 1)
    assert world.ended(state).all()
    assert float(world.score(state)["reward"]) == pytest.approx(-(0.95**2))
    assert world.read(state)[0]["RIGHT"] == []


def test_what_a_call_would_pay_is_what_it_pays() -> None:
    world = blocks()
    state = laid(world, *range(30), discount="0.95")
    do(world, state, POKE, 3)
    for primitive in (POKE, ANSWER):
        for block in (1, 2, 3, 4):
            action = Action(torch.tensor([[primitive, block, 0, 0]] * 30))
            known, tried = world.conclusion(state, action), state.select(torch.arange(30))
            world.act(tried, action, torch.ones(30, dtype=torch.bool))
            assert torch.equal(known.ends_B, world.ended(tried))
            assert torch.equal(known.score_B, world.score(tried)["reward"])


def test_cleared_it_is_as_at_the_beginning_with_the_same_masses() -> None:
    world = blocks()
    state = laid(world, 1, 2)
    begun = world.read(state), world.observe(state)
    for primitive in (POKE, POKE, ANSWER, CLEAR):
        do(world, state, primitive, 0 if primitive == CLEAR else 2)
    assert world.read(state) == begun[0]
    assert torch.equal(world.observe(state).channels["heights"], begun[1].channels["heights"])
    assert not world.ended(state).any()


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_holds_each_block_at_its_height() -> None:
    """The grey of a column is a block's area; its centre of mass is where the block is."""
    height_BN = torch.tensor([[0.0, 0.013, 0.4, 1.1], [0.9, 0.0, 0.2, 0.0]], dtype=torch.float64)
    picture_BYX = render(height_BN, 32, 1.5).double()
    side = WIDTH * 8
    for number in range(4):
        column_BY = picture_BYX[:, :, 8 * number : 8 * number + 8].sum(2)
        assert column_BY.sum(1).tolist() == pytest.approx([side**2] * 2, rel=1e-2)
        from_floor_Y = 32 - (torch.arange(32) + 0.5)
        middle_B = (column_BY * from_floor_Y).sum(1) / column_BY.sum(1)
        expected = side / 2 + height_BN[:, number] * (32 - side) / 1.5
        assert middle_B.tolist() == pytest.approx(expected.tolist(), abs=0.02)
    assert picture_BYX.min() == 0
    assert picture_BYX.max() == 1


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"beta": 4}, "the setting beta of a world of blocks is '4'"),
        ({"discount": 0.9}, "the setting discount of a world of blocks is '0.9'"),
        ({"question": "heavyest"}, "did you mean 'heav"),
        ({"blocks": 6}, "it can be 2 to 5"),
        ({"least": 2.0}, "give a least that is below most"),
        ({"force": 10.0}, "give a force above 12.2625"),
        ({"pixels": 4}, "it can be 8 to 64"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        blocks(**config)


def test_a_drawing_shows_where_blocks_are_and_what_was_done() -> None:
    world = blocks(question="lightest")
    state = laid(world, 5, question="lightest")
    do(world, state, POKE, 2)
    state.height_BN[0] = torch.tensor([0.0, 0.09, 0.33, 1.5])
    assert [line.rstrip() for line in world.draw(state).splitlines()] == [
        " 128 cm |                    [4]",
        "  32 cm |              [3]",
        "   8 cm |        [2]",
        "   2 cm |",
        "   0 cm |  [1]",
        "        +------------------------",
        "           0.0   9.0  33.0 150.0 cm",
        "asked: lightest; step 1; poked: 2; answer: -",
    ]
