"""Worlds of trials: what they promise every world, and their chance, by plain Python beside the tensors."""

from pathlib import Path
from typing import Any

import pytest
import torch

import dsl
from dsl.errors.error import LanguageError
from dsl.teacher import compile_teacher
from envs import make
from envs.conformance import check_world
from envs.episodic.bandit import ARMS, FAMILIES, PULLS, Bandit
from envs.episodic.harlow import RULES, Harlow, scrambled
from envs.episodic.trials import digits
from envs.episodic.two_step import TwoStep
from envs.spec import SpecError
from envs.stepper import Action
from envs.support.counter_rng import mixed, uniform
from envs.world import Scored
from meta.baselines.agent import calls
from tests.support.paths import PROGRAMS
from traces.machine.lockstep import run

LEARNING = PROGRAMS / "learning"
WORD = 2**64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def full(like_B: torch.Tensor, value: int) -> torch.Tensor:
    return torch.full_like(like_B, value)


def mix64(*parts: int) -> int:
    """SplitMix64 in Python's numbers."""
    found = parts[0] % WORD
    for number, part in enumerate(parts):
        found = ((found if number == 0 else found ^ part) + 0x9E3779B97F4A7C15) % WORD
        found = (found ^ (found >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        found = (found ^ (found >> 27)) * 0x94D049BB133111EB % WORD
        found ^= found >> 31
    return found


def uniform_of(*parts: int) -> float:
    return (mix64(*parts) >> 11) / 2**53


def test_chance_is_splitmix() -> None:
    assert mix64(0) == 0xE220A8397B1DCDAF  # the first number of the published generator, from seed 0
    parts = [(0, 3, 7), (10**17, 1, 2), (12345, 0, 99)]
    found = mixed(*(torch.tensor(column) for column in zip(*parts, strict=True)))
    assert [n % WORD for n in found.tolist()] == [mix64(*row) for row in parts]
    assert uniform(torch.tensor([5]), 2).tolist() == [uniform_of(5, 2)]


CONFIGS: list[tuple[str, dict[str, Any], dict[str, list[int]]]] = [
    ("bandit", {}, {"FAMILY": [2], "PRIOR": [3]}),
    ("bandit", {"arms": 5}, {"FAMILY": [1], "PRIOR": [1, 2]}),
    ("bandit", {"arms": 11, "family": "informative", "steps": 5}, {"FAMILY": [0]}),
    ("bandit", {"family": "restless", "drift": 0.2, "steps": 7}, {"FAMILY": [4]}),
    ("two_step", {}, {"PAYS": [1]}),
    ("two_step", {"switch": 0.5, "steps": 3}, {"PAYS": [0]}),
    ("harlow", {}, {"OBJECTS": [1]}),
    ("harlow", {"reach": 3, "fixation": 1}, {"OBJECTS": [1], "RULE": [3]}),
    ("harlow", {"trials": 30, "bits": 3, "seen": 4}, {"RULE": [2]}),
    ("harlow", {"pixels": 16, "reach": 2, "fixation": 1}, {"OBJECTS": [1], "RULE": [3]}),
]


@pytest.mark.parametrize(("kind", "config", "laid"), CONFIGS)
def test_the_worlds_keep_their_promises(kind: str, config: dict[str, Any], laid: dict[str, list[int]]) -> None:
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": digits(10**17), **laid}, {"EPISODE": [0, 1, 7], **laid}]
    world = make(kind, "w", config)
    assert isinstance(world, Scored)
    check_world(world, layouts, generator=generator(2))


@pytest.mark.parametrize(("kind", "config", "laid"), CONFIGS)
def test_what_is_seen_is_what_was_paid(kind: str, config: dict[str, Any], laid: dict[str, list[int]]) -> None:
    world = make(kind, "w", config)
    state = world.reset([{"EPISODE": digits(n), **laid} for n in range(13)])
    field, everyone = world.spec.fields[world.spec.field("REWARD")], torch.ones(13, dtype=torch.bool)
    tokens = len(world.spec.primitives[0].slots[0].tokens)
    assert set(world.observe(state).fields_BF[:, world.spec.field("REWARD")].tolist()) == {0}
    for _ in range(19):
        world.act(state, Action(calls(1 + torch.randint(tokens, (13,), generator=generator()))), everyone)
        seen = [field.values[i] for i in world.observe(state).fields_BF[:, world.spec.field("REWARD")].tolist()]
        assert [float(value) for value in seen] == pytest.approx(world.score(state)["reward"].tolist())


def test_where_less_is_wanted_rewards_turn_round_and_what_is_seen_does_not() -> None:
    world = Bandit("w", {"family": "uniform"})
    more, less = (world.reset([{"EPISODE": digits(n), "WANTED": [w]} for n in range(50)]) for w in (0, 1))
    everyone = torch.ones(50, dtype=torch.bool)
    for arm in (1, 2, 2):
        pull = calls(torch.full((50,), arm))
        torch.testing.assert_close(world.value(less, Action(pull)), -world.value(more, Action(pull)))
        other = calls(torch.full((50,), 3 - arm))
        torch.testing.assert_close(
            world.optimum(less), -torch.minimum(world.value(more, Action(pull)), world.value(more, Action(other)))
        )
        world.act(more, Action(pull), everyone)
        world.act(less, Action(pull), everyone)
        assert torch.equal(world.observe(more).fields_BF, world.observe(less).fields_BF)
        torch.testing.assert_close(world.score(less)["reward"], -world.score(more)["reward"])
    assert 0 < float(world.score(more)["reward"].mean()) < 1


@pytest.mark.parametrize("family", ["independent", "uniform", "easy", "restless"])
def test_a_bandit_is_what_plain_python_says(family: str) -> None:
    """Episode by episode: the chances, and what 9 pulls pay. Of restless ones the step is taken from the state."""
    world, numbers = Bandit("w", {"family": family}), [0, 1, 99, 123456789012]
    state = world.reset([{"EPISODE": digits(n)} for n in numbers])
    expected = []
    for n in numbers:
        first = uniform_of(n, ARMS, 0)
        low = first if family in ("uniform", "restless") else 0.1 if first < 0.5 else 0.9
        expected.append([first, uniform_of(n, ARMS, 1)] if family == "independent" else [low, 1 - low])
    assert torch.allclose(state.chance_BA, torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    for step in range(9):
        arms = [(n + step) % 2 for n in numbers]
        chances = [float(row[a]) for row, a in zip(state.chance_BA, arms, strict=True)]
        wins = [uniform_of(n, PULLS, step, a) < c for n, a, c in zip(numbers, arms, chances, strict=True)]
        world.act(state, Action(calls(torch.tensor(arms) + 1)), torch.ones(4, dtype=torch.bool))
        assert world.score(state)["reward"].tolist() == wins


def test_restless_chances_walk_as_far_as_declared() -> None:
    world, episode_B = Bandit("w", {"family": "restless", "drift": 0.03}), torch.arange(20_000)
    state = world.begin(episode_B, full(episode_B, FAMILIES.index("restless")), full(episode_B, 0))
    before_B = state.chance_BA[:, 0].clone()
    world.act(state, Action(calls(full(episode_B, 1))), torch.ones(20_000, dtype=torch.bool))
    step_B = (state.chance_BA[:, 0] - before_B)[(before_B > 0.2) & (before_B < 0.8)]
    assert float(step_B.std()) == pytest.approx(0.03, rel=0.02)
    assert abs(float(step_B.mean())) < 0.001
    for _ in range(300):
        world.act(state, Action(calls(full(episode_B, 2))), torch.ones(20_000, dtype=torch.bool))
    assert 0 <= float(state.chance_BA.min()) <= 0.01 <= 0.99 <= float(state.chance_BA.max()) <= 1
    assert torch.allclose(state.chance_BA.sum(1), torch.ones(20_000, dtype=torch.float64))


def test_restless_chances_come_back_from_0_and_1() -> None:
    """From a chance of 0.01 a step of -0.04 leads to 0.03; red where chances stick to 0 and 1."""
    world, episode_B = Bandit("w", {"family": "restless", "drift": 0.5}), torch.arange(20_000)
    state = world.begin(episode_B, full(episode_B, FAMILIES.index("restless")), full(episode_B, 0))
    inside = Bandit("w", {"family": "restless", "drift": 1e-3})  # the same luck, in small steps that leave nothing
    small = inside.begin(episode_B, full(episode_B, FAMILIES.index("restless")), full(episode_B, 0))
    before_B = small.chance_BA[:, 0].clone()
    for one, its in ((world, state), (inside, small)):
        one.act(its, Action(calls(full(episode_B, 1))), torch.ones(20_000, dtype=torch.bool))
    expected = []
    for was, now in zip(before_B.tolist(), small.chance_BA[:, 0].tolist(), strict=True):
        there = was + 500 * (now - was)  # 0.5 of a standard deviation for each 0.001
        expected.append(2 - there if there > 1 else -there if there < 0 else there)
    well_B = (before_B > 0.01) & (before_B < 0.99) & (torch.tensor(expected) > 0) & (torch.tensor(expected) < 1)
    assert int(well_B.sum()) > 15_000
    assert torch.allclose(state.chance_BA[well_B, 0], torch.tensor(expected, dtype=torch.float64)[well_B], atol=1e-9)


def test_the_informative_arm_tells_the_target() -> None:
    """On the first trial it pays 0.55 on average, and the others 1.4, as in the paper."""
    world, episode_B = Bandit("w", {"arms": 11, "family": "informative"}), torch.arange(20_000)
    state = world.begin(episode_B, full(episode_B, FAMILIES.index("informative")), full(episode_B, 0))
    assert float(world.value(state, Action(calls(full(episode_B, 11)))).mean()) == pytest.approx(0.55, abs=0.01)
    assert float(world.value(state, Action(calls(full(episode_B, 4)))).mean()) == pytest.approx(1.4, abs=0.05)
    world.act(state, Action(calls(full(episode_B, 11))), torch.ones(20_000, dtype=torch.bool))
    target_B = (10 * world.score(state)["reward"]).round().long()
    assert set(world.value(state, Action(calls(target_B))).tolist()) == {5.0}


@pytest.mark.parametrize("arms", [2, 5])
def test_drawn_priors_are_few_cases(arms: int) -> None:
    world, episode_B = Bandit("w", {"arms": arms}), torch.arange(2_000)
    drawn = full(episode_B, FAMILIES.index("drawn"))
    one, same, other = (world.begin(episode_B, drawn, full(episode_B, prior)).chance_BA for prior in (7, 7, 8))
    assert torch.equal(one, same)
    assert len({tuple(row) for row in one.tolist()}) == 6
    assert not {tuple(row) for row in one.tolist()} & {tuple(row) for row in other.tolist()}


def test_what_a_choice_is_worth_is_what_it_brings_on_average() -> None:
    """Two-step: of the trials in which an option is worth a, b, … the share that pays is a, b, …"""
    world, episode_B = TwoStep("w", {"switch": 0.1}), torch.arange(4_000)
    state, everyone = world.begin(episode_B, full(episode_B, 0)), torch.ones(4_000, dtype=torch.bool)
    found: dict[float, list[float]] = {}
    chance = generator()
    for _ in range(20):
        call_B4 = calls(1 + torch.randint(2, (4_000,), generator=chance))
        worth_B = world.value(state, Action(call_B4))
        assert world.optimum(state).unique().tolist() == pytest.approx([0.8 * 0.9 + 0.2 * 0.1])
        world.act(state, Action(call_B4), everyone)
        assert not world.score(state)["reward"].any()
        assert not world.optimum(state).any()
        world.act(state, Action(call_B4), everyone)
        for worth, paid in zip(worth_B.tolist(), world.score(state)["reward"].tolist(), strict=True):
            found.setdefault(round(worth, 3), []).append(paid)
    assert sorted(found) == [0.26, 0.74]
    for worth, paid in found.items():
        assert sum(paid) / len(paid) == pytest.approx(worth, abs=0.012)


def test_ways_and_changes_of_the_two_step_task_are_as_often_as_declared() -> None:
    world, episode_B = TwoStep("w", {}), torch.arange(4_000)
    for random, often in ((0, 0.025), (1, 0.5)):
        state, everyone = world.begin(episode_B, full(episode_B, random)), torch.ones(4_000, dtype=torch.bool)
        changed, common = [], []
        for _ in range(20):
            before_B = state.good_B.clone()
            world.act(state, Action(calls(full(episode_B, 2))), everyone)
            common.append(state.at_B == 2)
            world.act(state, Action(calls(full(episode_B, 1))), everyone)
            changed.append(state.good_B != before_B)
        assert float(torch.stack(common).float().mean()) == pytest.approx(0.8, abs=0.006)
        assert float(torch.stack(changed).float().mean()) == pytest.approx(often, abs=0.008)
        assert state.trial_B.unique().tolist() == [20]


@pytest.mark.parametrize("rule", RULES)
def test_harlow_pays_by_its_rule(rule: str) -> None:
    """What pays, read from what is seen and paid alone, when always the left is chosen."""
    world, episode_B = Harlow("w", {"rule": rule, "trials": 9}), torch.arange(300)
    state = world.begin(episode_B, full(episode_B, 0), full(episode_B, RULES.index(rule)))
    everyone, paying = torch.ones(300, dtype=torch.bool), []
    lefts, goods = [], []
    for _ in range(9):
        left_BK, right_BK = world.observe(state).fields_BF[:, 5:].split(11, 1)
        assert not (left_BK == right_BK).all(1).any()
        world.act(state, Action(calls(full(episode_B, 1))), everyone)
        won_B = world.score(state)["reward"] > 0
        paying.append(won_B)
        goods.append(torch.where(won_B[:, None], left_BK, right_BK))
        lefts.append(left_BK)
    same = torch.stack([(good == goods[0]).all(1) for good in goods])
    sides = torch.stack(paying)
    assert 0.4 < float(sides[0].float().mean()) < 0.6
    assert 0.4 < float(torch.stack([(left == lefts[0]).all(1) for left in lefts[1:]]).float().mean()) < 0.6
    if rule == "side":
        assert (sides == sides[0]).all()
    else:
        expected = {"object": [True] * 9, "alternate": [t % 2 == 0 for t in range(9)], "avoid": [True] + [False] * 8}
        assert same.T.tolist() == [expected[rule]] * 300
    assert (world.observe(state).fields_BF[:, 5:] == 0).all()
    world.act(state, Action(calls(full(episode_B, 1))), everyone)
    assert not world.score(state)["reward"].any()


def test_unseen_objects_are_never_seen_ones() -> None:
    codes = scrambled(torch.arange(2**11), 11)
    assert sorted(codes.tolist()) == list(range(2**11))
    world, episode_B = Harlow("w", {"seen": 100}), torch.arange(5_000)
    seen, unseen = (world.begin(episode_B, full(episode_B, u), full(episode_B, 0)).codes_B2 for u in (0, 1))
    assert set(seen.flatten().tolist()) == set(codes[:100].tolist())
    assert set(unseen.flatten().tolist()) <= set(codes[100:].tolist())


def test_a_cross_comes_before_the_objects() -> None:
    """By hand: turned away and back, to the cross (0.2), and to an object."""
    world = Harlow("w", {"reach": 2, "fixation": 1})
    state, everyone = world.reset([{"EPISODE": digits(n)} for n in range(20)]), torch.ones(20, dtype=torch.bool)
    cross_B = world.observe(state).fields_BF[:, 1].clone()
    assert set(cross_B.tolist()) == {1, 2}
    paid, shown = [], []
    for side_B in (3 - cross_B, cross_B, cross_B, cross_B, cross_B, cross_B):
        world.act(state, Action(calls(side_B)), everyone)
        paid.append(world.score(state)["reward"].abs())
        shown.append((world.observe(state).fields_BF[:, 5:] > 0).all(1))
    assert torch.stack(paid, 1).tolist() == [pytest.approx([0, 0, 0, 0.2, 0, 1])] * 20
    assert torch.stack(shown, 1).tolist() == [[False, False, False, True, True, False]] * 20


BAD = [
    ("bandit(arm: 3)", "a bandit has no setting arm; did you mean 'arms'?"),
    ("bandit(arms: many)", "the setting arms of a bandit is 'many'; give a whole number"),
    ("bandit(arms: 1)", "it can be 2 to 1000"),
    ("bandit(family: eazy)", "did you mean 'easy'?"),
    ("bandit(arms: 3, family: easy)", "the family easy has 2 arms, and the bandit 3; write arms: 2"),
    ("bandit(family: informative)", "write arms: 11"),
    ("two_step(common: 1.5)", "the setting common of a two_step is 1.5; it can be 0 to 1"),
    ("harlow(rule: sight)", "the setting rule of a harlow is 'sight'"),
    ("harlow(bits: 4, seen: 15)", "15 of 16 objects are seen"),
    ("harlow(pixels: 7)", "the setting pixels of a harlow is 7; it can be 8 to 64"),
    ("harlow(pixels: 16, bits: 13)", "the setting bits of a harlow with pictures is 13; it can be 3 to 12"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_wrong_declarations_are_told_with_their_place(text: str, message: str) -> None:
    with pytest.raises(LanguageError) as caught:
        dsl.loads(f"\nworld w is {text}\n\nprogram A:\n    maximise reward over 5 steps\n")
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.code) == (2, "NPI044")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"LAST": [1]}, "'LAST' is what comes out, and cannot be laid out"),
        ({"EPISOD": [1]}, "did you mean 'EPISODE'?"),
        ({"FAMILY": [99]}, "give one index below"),
        ({"EPISODE": [1] * 19}, "give 1 to 18 decimal digits"),
    ],
)
def test_wrong_layouts_are_told(layout: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match="instance 1") as caught:
        make("bandit", "w", {}).reset([{}, layout])
    assert message in str(caught.value)


REWARDED = [path for path in sorted(LEARNING.glob("*.npi")) if 'core "meta-rl"' in path.read_text()]


@pytest.mark.parametrize("path", REWARDED, ids=lambda path: path.stem)
def test_program_files_say_what_is_learned(path: Path) -> None:
    programs = dsl.load(path)
    assert not programs.warnings
    for program in programs.signals:
        assert (program.signal.aim, program.signal.what, program.signal.core) == ("maximise", "reward", "meta-rl")
    for task in programs.tasks:
        (drawn,) = task.draw(task.test_sizes[0], 1, generator=generator(), spread=False)
        again = task.problem(drawn.values)
        assert again.layout == drawn.layout
        first, second = (programs.world.reset([layout]) for layout in (drawn.layout, again.layout))
        assert torch.equal(programs.world.observe(first).fields_BF, programs.world.observe(second).fields_BF)
        assert programs.world.read(first)[0]["EPISODE"] == list(drawn.layout["EPISODE"])


PLAYS = """
world arms is bandit(family: easy)

program PLAY "Win, stay; lose, shift":
    while TRIAL < 20:
        ONCE

program ONCE "One pull":
    if LAST == "none":
        PULL(1)
    elif (REWARD == 1 and LAST == 1) or (REWARD == 0 and LAST == 2):
        PULL(1)
    else:
        PULL(2)

task play(episode: number):
    EPISODE = digits(episode)
    run PLAY
    expect TRIAL == [20]
    train episode of 3 digits
    test episode of 4 digits
"""


def test_a_text_can_play_too() -> None:
    """A program with a body in such a world, run by the machine."""
    programs = dsl.loads(PLAYS)
    teacher = compile_teacher(programs)
    problems = programs.tasks[0].draw(4, 7, generator=generator(), spread=False)
    state = programs.world.reset([p.layout for p in problems])
    program_N = torch.tensor([p.program for p in problems])
    run(teacher, programs.world, state, programs.table, program_N, torch.zeros(7, 3, dtype=torch.int64))
    assert [reading["TRIAL"] for reading in programs.world.read(state)] == [[20]] * 7


def test_a_text_cannot_read_what_is_hidden() -> None:
    with pytest.raises(LanguageError, match="FAMILY is laid out and never seen") as caught:
        dsl.loads(PLAYS.replace("while TRIAL < 20", 'while FAMILY == "easy"'))
    assert (caught.value.line, caught.value.code) == (5, "NPI080")


def test_settings_are_checked_without_a_file_too() -> None:
    with pytest.raises(SpecError, match="give a whole number"):
        Bandit("w", {"arms": True})
