"""Agents beside whom learners stand, each by a second way: published values, brute force, plain Python."""

from functools import cache
from math import exp, lgamma, log, sqrt

import pytest
import torch

from envs.episodic.bandit import FAMILIES, Bandit
from envs.episodic.harlow import RULES, Harlow
from envs.episodic.two_step import TwoStep
from envs.scratchpad.world import Scratchpad
from envs.stepper import Action
from meta.baselines.agent import Agent, Oracle, Random, Rollout, calls, curve, rollout
from meta.baselines.bandits import (
    CaseThompson,
    Filtered,
    MirroredGreedy,
    Thompson,
    Ucb1,
    beta,
    drawn_cases,
    informative_cases,
    pair_cases,
    walk,
)
from meta.baselines.bayes_optimal import plan
from meta.baselines.gittins import discounted, finite
from meta.baselines.harlow import ObjectStayer, SideStayer
from meta.baselines.registry import lineup
from meta.baselines.two_step import ModelBased, ModelFree, stays
from tests.support.pads import SORTING


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bandit(family: str, *, steps: int = 100, arms: int = 2, **more: float) -> Bandit:
    return Bandit("arms", {"family": family, "steps": steps, "arms": arms, **more})


def played(world: Bandit, agent: Agent, episodes: int, *, prior: int = 0) -> Rollout:
    episode_B = torch.arange(episodes)
    family_B = torch.full_like(episode_B, FAMILIES.index(world.config.family))
    state = world.begin(episode_B, family_B, torch.full_like(episode_B, prior))
    return rollout(world, agent, state, world.config.steps)


PUBLISHED = {(0, 0): 0.7029, (0, 1): 0.5001, (1, 0): 0.8001, (1, 1): 0.6346, (2, 2): 0.6010, (9, 1): 0.8695}
"""Gittins indices by wins and losses, discount 0.9, uniform prior (Gittins 1989)."""


def test_gittins_indices_are_the_published_ones() -> None:
    index_NW = discounted(0.9, 10, 1001)
    for (wins, losses), value in PUBLISHED.items():
        assert float(index_NW[wins + losses, wins]) == pytest.approx(value, abs=6e-5)
    for discount, value in ((0.5, 0.5590), (0.95, 0.7614), (0.99, 0.8699)):
        assert float(discounted(discount, 0, 201)[0, 0]) == pytest.approx(value, abs=6e-5)


def test_gittins_indices_rise_with_wins_and_with_what_is_ahead() -> None:
    index_NW, index_TNW = discounted(0.9, 10, 101), finite(10, 101)
    for n in range(1, 10):
        assert (index_NW[n, 1 : n + 1] > index_NW[n, :n]).all()
    assert (index_TNW[:-1, 0, 0] > index_TNW[1:, 0, 0]).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        discounted(1.0, 3)


def test_finite_indices_by_hand() -> None:
    """One pull left: the mean. Two left: 2x = 1/2 (1 + 2/3) + 1/2 x, where after a loss one takes x; x = 5/9."""
    index_TNW = finite(2, 1001)
    assert float(index_TNW[1, 1, 1]) == pytest.approx(2 / 3, abs=1e-3)
    assert float(index_TNW[1, 1, 0]) == pytest.approx(1 / 3, abs=1e-3)
    assert float(index_TNW[0, 0, 0]) == pytest.approx(5 / 9, abs=1e-3)


@cache
def best_value(left: int, counts: tuple[int, int, int, int]) -> float:
    """The mean reward ahead of the best agent, by recursion over (wins, losses) of both arms."""
    return max(option_values(left, counts)) if left else 0.0


def option_values(left: int, counts: tuple[int, int, int, int]) -> tuple[float, float]:
    found = []
    for arm in (0, 1):
        wins, losses = counts[2 * arm : 2 * arm + 2]
        pays = (wins + 1) / (wins + losses + 2)
        won, lost = list(counts), list(counts)
        won[2 * arm] += 1
        lost[2 * arm + 1] += 1
        found.append(pays * (1 + best_value(left - 1, tuple(won))) + (1 - pays) * best_value(left - 1, tuple(lost)))
    return found[0], found[1]


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_the_plan_is_that_of_brute_force(horizon: int) -> None:
    found = plan(horizon)
    assert found.reward == pytest.approx(best_value(horizon, (0, 0, 0, 0)), abs=1e-12)
    for over in range(horizon):
        for n in range(over + 1):
            for one in range(n + 1):
                for two in range(over - n + 1):
                    values = option_values(horizon - over, (one, n - one, two, over - n - two))
                    assert float(found.ahead[over][n, one, two]) == pytest.approx(values[1] - values[0], abs=1e-6)


def test_the_best_agent_reaches_what_the_plan_promises() -> None:
    world = bandit("independent", steps=30)
    agents = lineup(world, "independent")
    regret = played(world, agents["best"](generator()), 6_000).regret()
    assert float(regret.mean_S[-1]) == pytest.approx(plan(30).regret, abs=3 * float(regret.error_S[-1]))
    others = {name: float(played(world, make(generator()), 6_000).regret().mean_S[-1]) for name, make in agents.items()}
    assert others["oracle"] == 0
    margin = 2 * float(regret.error_S[-1])
    assert all(value > plan(30).regret - margin for name, value in others.items() if name != "oracle")
    assert others["Gittins, finite"] < others["Thompson"] < others["UCB1"] < others["random"]


def test_a_mean_regret_is_the_least_one_and_what_choices_lose() -> None:
    """The agents who know no more than they see; pulls at random are 1/2 worth, the better arm 2/3."""
    world, best = bandit("independent", steps=30), plan(30)
    agents = lineup(world, "independent")
    lost, error = {}, {}
    for name in ("best", "random", "Thompson", "UCB1"):
        plays = played(world, agents[name](generator()), 6_000)
        sums = curve(best.lost(plays.chosen_SB - 1, plays.reward_SB).double().cumsum(0))
        regret = plays.regret()
        lost[name], error[name] = float(sums.mean_S[-1]), float(sums.error_S[-1])
        assert best.regret + lost[name] == pytest.approx(float(regret.mean_S[-1]), abs=3 * float(regret.error_S[-1]))
        assert error[name] < float(regret.error_S[-1])
    assert lost["best"] == pytest.approx(0, abs=1e-5)
    assert best.regret + lost["random"] == pytest.approx(30 * (2 / 3 - 1 / 2), abs=3 * error["random"])


def test_the_least_regret_at_a_hundred_pulls() -> None:
    assert plan(100).regret == pytest.approx(1.7482, abs=1e-4)


def ahead(a: int, b: int, c: int, d: int) -> float:
    """The chance that a draw of Beta(a, b) is larger than one of Beta(c, d), in closed form."""
    logs = lambda x, y: lgamma(x) + lgamma(y) - lgamma(x + y)  # noqa: E731
    return sum(exp(logs(c + i, b + d) - log(b + i) - logs(1 + i, b) - logs(c, d)) for i in range(a)) if a else 0.0


def chances_of(agent: Agent, world: Bandit, history: list[tuple[int, int]], copies: int = 40_000) -> float:
    """How often an agent pulls the first arm after a history of (arm, reward)."""
    agent.begin(world.reset([{}] * copies))
    obs_BF = torch.zeros(copies, 3, dtype=torch.int64)
    for step, (arm, paid) in enumerate(history):
        agent.act(obs_BF)
        obs_BF = torch.tensor([[arm, 1 + paid, 1 + step]]).repeat(copies, 1)
    return float((agent.act(obs_BF) == 1).double().mean())


def test_thompson_pulls_an_arm_as_often_as_it_is_the_best() -> None:
    world = bandit("independent")
    history = [(1, 1), (1, 0), (2, 1), (2, 0), (2, 0)]
    expected = 1 - ahead(2, 3, 2, 2)
    assert chances_of(Thompson(world.spec, generator=generator()), world, history) == pytest.approx(expected, abs=0.01)


def test_draws_of_beta_have_its_mean_and_spread() -> None:
    draws = beta(torch.full((40_000,), 3.0), torch.full((40_000,), 5.0), generator())
    assert float(draws.mean()) == pytest.approx(3 / 8, abs=0.004)
    assert float(draws.var()) == pytest.approx(15 / (64 * 9), rel=0.04)


def test_thompson_that_knows_two_cases_follows_bayes() -> None:
    """Medium: 0.25 and 0.75. A win of the first arm and two losses of the second speak thrice for the second case."""
    world = bandit("medium")
    agent = CaseThompson(world.spec, pair_cases(world.spec, "medium"), generator=generator())
    assert chances_of(agent, world, []) == pytest.approx(0.5, abs=0.01)
    assert chances_of(agent, world, [(1, 1), (2, 0), (2, 0)]) == pytest.approx(27 / 28, abs=0.005)
    assert chances_of(agent, world, [(1, 1), (2, 1)]) == pytest.approx(0.5, abs=0.01)


def test_ucb1_by_plain_python() -> None:
    world = bandit("independent", steps=40)
    found = played(world, Ucb1(world.spec, generator=generator()), 50)
    for b in range(50):
        pulls, wins = [0, 0], [0.0, 0.0]
        for step, (token, paid) in enumerate(
            zip(found.chosen_SB[:, b].tolist(), found.reward_SB[:, b].tolist(), strict=True)
        ):
            if min(pulls) > 0:
                bounds = [wins[a] / pulls[a] + sqrt(2 * log(step) / pulls[a]) for a in (0, 1)]
                assert bounds[token - 1] >= max(bounds) - 1e-9
            else:
                assert pulls[token - 1] == 0
            pulls[token - 1] += 1
            wins[token - 1] += paid


def test_knowing_the_prior_helps() -> None:
    for family, prior in (("uniform", 0), ("hard", 0), ("drawn", 3)):
        world = bandit(family)
        agents = lineup(world, family, prior=prior)
        told = played(world, agents["Thompson, true prior"](generator()), 2_000, prior=prior).regret()
        plain = played(world, agents["Thompson"](generator()), 2_000, prior=prior).regret()
        assert float(told.mean_S[-1]) < float(plain.mean_S[-1]) - 3 * float(plain.error_S[-1])


def test_the_cases_of_a_drawn_prior_are_those_of_the_world() -> None:
    world = bandit("drawn", arms=5)
    episode_B = torch.arange(500)
    drawn = torch.full_like(episode_B, FAMILIES.index("drawn"))
    chances = world.begin(episode_B, drawn, torch.full_like(episode_B, 9)).chance_BA
    assert {tuple(row) for row in chances.tolist()} == {
        tuple(row) for row in drawn_cases(world.spec, 9).mean_CA.tolist()
    }


def test_who_asks_the_informative_arm_pulls_the_target_ever_after() -> None:
    world = bandit("informative", arms=11, steps=5)
    found = played(world, lineup(world, "informative")["best"](generator()), 500)
    assert (found.chosen_SB[0] == 11).all()
    assert (found.reward_SB[1:] == 5).all()
    assert float(found.regret().mean_S[-1]) == pytest.approx(5 - 0.55, abs=0.05)
    cases = informative_cases(world.spec)
    assert cases.likely_CAR.sum(2).unique().tolist() == [1.0]
    assert float(cases.mean_CA[:, 10].mean()) == pytest.approx(0.55)


def test_filtering_of_arms_that_rest_is_counting() -> None:
    """Without drift the grid says what counts of wins and losses say."""
    world = bandit("restless", steps=60, drift=0.0)
    one, two = (played(world, kind(world.spec, generator=generator()), 200) for kind in (Filtered, MirroredGreedy))
    lead_SB = torch.where((one.chosen_SB == 1) == (one.reward_SB > 0), 1, -1).cumsum(0)[:-1]
    clear = lead_SB.abs() > 0
    assert ((one.chosen_SB[1:] == 1) == (lead_SB > 0))[clear].all()
    assert torch.equal(one.chosen_SB, two.chosen_SB)


def test_filtering_pays_where_arms_change() -> None:
    assert torch.allclose(walk(0.05).sum(1), torch.ones(101))
    world = bandit("restless")
    best, plain = (
        played(world, kind(world.spec, generator=generator()), 1_000).regret() for kind in (Filtered, Thompson)
    )
    assert float(best.mean_S[-1]) < float(plain.mean_S[-1]) / 2


def two_step(agent: type[ModelFree] | type[ModelBased] | type[Random], *, at_random: bool) -> tuple[TwoStep, Rollout]:
    world, episode_B = TwoStep("w", {}), torch.arange(1_000)
    state = world.begin(episode_B, torch.full_like(episode_B, int(at_random)))
    return world, rollout(world, agent(world.spec, generator=generator()), state, 200)


def test_the_sign_of_a_model() -> None:
    """Where each trial pays at random: the interaction of reward and way is of who knows the ways, and of no other."""
    based, free, chance = (
        stays(world.spec, found)
        for world, found in (two_step(kind, at_random=True) for kind in (ModelBased, ModelFree, Random))
    )
    assert based.interaction > 0.5
    assert abs(based.by_reward) < 0.02
    assert abs(free.interaction) < 0.02
    assert free.by_reward > 0.3
    assert abs(chance.interaction) < 0.02
    assert abs(chance.by_reward) < 0.02


def test_stays_by_plain_python() -> None:
    world, found = two_step(ModelBased, at_random=False)
    counts: dict[tuple[bool, bool], list[int]] = {}
    at = world.spec.field("STATE")
    for b in range(1_000):
        for trial in range(99):
            option, following = int(found.chosen_SB[2 * trial, b]), int(found.chosen_SB[2 * trial + 2, b])
            common = int(found.obs_SBF[2 * trial + 1, b, at]) == option
            counts.setdefault((common, bool(found.reward_SB[2 * trial + 1, b])), []).append(option == following)
    share = {key: sum(value) / len(value) for key, value in counts.items()}
    told = stays(world.spec, found)
    assert told.common == pytest.approx((share[True, True], share[True, False]))
    assert told.rare == pytest.approx((share[False, True], share[False, False]))


def test_a_model_pays_a_little() -> None:
    (world, free), (_, based) = (two_step(kind, at_random=False) for kind in (ModelFree, ModelBased))
    assert float(based.regret().mean_S[-1]) < float(free.regret().mean_S[-1]) - 1


@pytest.mark.parametrize(("reach", "fixation", "steps"), [(1, 0, 6), (3, 1, 36)])
def test_agents_of_harlow(reach: int, fixation: int, steps: int) -> None:
    """The object's agent is right from the second trial on; who sees sides alone is never better than chance."""
    world, episode_B = Harlow("w", {"reach": reach, "fixation": fixation}), torch.arange(2_000)
    right = {}
    for kind in (ObjectStayer, SideStayer):
        state = world.begin(episode_B, torch.ones_like(episode_B), torch.full_like(episode_B, RULES.index("object")))
        rollout(world, kind(world.spec, generator=generator()), state, steps)
        right[kind] = (state.right_BT == 2).double().mean(0).tolist()
    assert right[ObjectStayer][1:] == [1.0] * 5
    assert right[ObjectStayer][0] == pytest.approx(0.5, abs=0.04)
    assert right[SideStayer] == pytest.approx([0.5] * 6, abs=0.04)


def test_a_play_keeps_what_happened() -> None:
    world = bandit("easy", steps=7)
    before = torch.get_rng_state()
    found = played(world, Oracle(world), 13)
    assert torch.equal(torch.get_rng_state(), before)
    assert (found.obs_SBF.shape, found.chosen_SB.shape) == ((7, 13, 3), (7, 13))
    assert not found.regret_SB.any()
    worst = rollout(world, Random(world.spec, generator=generator()), world.reset([{}, {"EPISODE": [5]}, {}]), 7)
    state = world.reset([{}, {"EPISODE": [5]}, {}])
    for step in range(7):
        assert torch.equal(worst.obs_SBF[step].long(), world.observe(state).fields_BF)
        gap = world.optimum(state) - world.value(state, Action(calls(worst.chosen_SB[step])))
        assert torch.equal(worst.regret_SB[step], gap)
        world.act(state, Action(calls(worst.chosen_SB[step])), torch.ones(3, dtype=torch.bool))
    curve = worst.regret()
    assert float(curve.mean_S[-1]) == pytest.approx(float(worst.regret_SB.sum()) / 3)
    sums = worst.regret_SB.double().sum(0)
    assert float(curve.error_S[-1]) == pytest.approx(float(sums.std()) / sqrt(3))


def test_agents_take_one_choice_of_a_world() -> None:
    pad = Scratchpad("pad", SORTING)
    with pytest.raises(ValueError, match="one primitive"):
        Random(pad.spec, generator=generator())
    with pytest.raises(ValueError, match="does not reward"):
        rollout(pad, Oracle(bandit("easy")), pad.reset([{"A": [0]}]), 3)
