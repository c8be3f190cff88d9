"""Optimal stopping from reward: its gradient beside that of returns added up over every way through an episode, what
coverage changes, rollouts that stop where all have come to their ends, and training from nothing."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from envs.physics.blocks import ANSWER, BETAS, DISCOUNTS, Blocks
from meta.baselines.blocks import StoppingPlan
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from npi.jobs.learners import train_learner
from npi.learners.interface import TaskInput
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.objectives.stopping import Walk, belief_loss, stopping_loss, worth_after
from npi.learners.rollout import STRETCH, calls, play

ENDS_A = torch.tensor([False, False, True, True])
"""Two calls that go on, and two that conclude."""

STEPS = 3

TASK = """world table is blocks(blocks: 2, beta: 10)

program WHICH "Find the heavy block":
    maximise reward over 20 steps
    core "meta-rl"

task which:
    run WHICH
    expect RIGHT == [1]
    train
    test
"""


class Tree:
    """Logits and payments for each way that calls can go on; a critic that says anything."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.ways = [way for length in range(STEPS) for way in product((0, 1), repeat=length)]
        self.logits = torch.randn(len(self.ways), 4, generator=generator, dtype=torch.float64, requires_grad=True)
        self.pays = torch.randn(len(self.ways), 2, generator=generator, dtype=torch.float64)
        self.critic = torch.randn(STEPS, generator=generator, dtype=torch.float64)

    def walk(self, chosen: tuple[int, ...]) -> Walk:
        """An episode that goes on by these calls."""
        places = [self.ways.index(chosen[:step]) for step in range(STEPS)]
        pay_T1A = torch.zeros(STEPS, 1, 4, dtype=torch.float64)
        pay_T1A[:, 0, 2:] = self.pays[places]
        return Walk(
            self.logits[places].log_softmax(1)[:, None], self.critic[:, None], ENDS_A.expand(STEPS, 1, 4), pay_T1A,
            torch.tensor(chosen)[:, None], torch.ones(STEPS, 1, dtype=torch.float64),
        )  # fmt: skip

    def mean_return(self, way: tuple[int, ...] = ()) -> torch.Tensor:
        """Over all that can happen from here on."""
        place = self.ways.index(way)
        chance_A = self.logits[place].softmax(0)
        found = (chance_A[2:] * self.pays[place]).sum()
        for call in (0, 1):
            last = len(way) == STEPS - 1
            found = found + chance_A[call] * (self.pays[place].min() if last else self.mean_return((*way, call)))
        return found

    def chance(self, chosen: tuple[int, ...]) -> float:
        """Of these calls, where calls that conclude are left out."""
        found = 1.0
        for step, call in enumerate(chosen):
            found *= float(self.logits.detach()[self.ways.index(chosen[:step])][:2].softmax(0)[call])
        return found


def gradient(of: torch.Tensor, tree: Tree) -> torch.Tensor:
    return torch.autograd.grad(of, tree.logits)[0]


def test_the_mean_gradient_is_that_of_the_mean_return() -> None:
    """Over every sequence of calls, by its chance; entropies and the critic's errors left out."""
    tree = Tree()
    found = torch.zeros_like(tree.logits)
    for chosen in product((0, 1), repeat=STEPS):
        loss = stopping_loss(tree.walk(chosen), coverage=0.0, entropy=0.0, value_weight=0.0)
        found += tree.chance(chosen) * gradient(-loss, tree)
    torch.testing.assert_close(found, gradient(tree.mean_return(), tree))


def test_coverage_weighs_decisions_that_are_seldom_reached() -> None:
    """With all of the weight each decision has the gradient that it has where going on is certain before it."""
    tree = Tree()
    last = tree.ways.index((0, 1))
    with torch.no_grad():
        tree.logits[0, 2] = 40  # nothing behind the first step is ever reached
    seldom, often = (
        gradient(-stopping_loss(tree.walk((0, 1, 0)), coverage=c, entropy=0.0, value_weight=0.0), tree)[last]
        for c in (0.0, 1.0)
    )
    assert seldom.abs().max() < 1e-12
    chance_A = tree.logits[last].softmax(0)
    pay_A = torch.cat([tree.pays[last].min().expand(2), tree.pays[last]])
    alone = torch.autograd.grad((chance_A * pay_A).sum(), tree.logits)[0][last]
    baseline = tree.pays[last].min() - tree.critic[2]
    which = torch.autograd.grad(tree.logits[last][:2].log_softmax(0)[0] * baseline, tree.logits)[0][last]
    torch.testing.assert_close(often, alone + which)


def test_beliefs_are_about_which_conclusion_pays_most() -> None:
    """The cross-entropy of each step added up; how likely the policy goes on changes nothing, nor is changed."""
    tree = Tree()
    walk = tree.walk((0, 1, 0))
    chosen = [tree.ways.index(way) for way in ((), (0,), (0, 1))]
    by_hand = 0.0
    for place in chosen:
        first, second = (float(part) for part in tree.logits[place, 2:].detach())
        best = first if tree.pays[place, 0] > tree.pays[place, 1] else second
        by_hand -= best - math.log(math.exp(first) + math.exp(second))
    found = belief_loss(walk)
    assert float(found.detach()) == pytest.approx(by_hand)
    by_NA = gradient(found, tree)
    assert by_NA[:, :2].abs().max() < 1e-12
    assert by_NA[chosen, 2:].abs().min() > 0
    with torch.no_grad():
        tree.logits[:, :2] += 3
    assert float(belief_loss(tree.walk((0, 1, 0))).detach()) == pytest.approx(by_hand)


def test_the_worth_of_going_on_is_that_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    go_TB, pay_TB = torch.rand(4, 5, generator=generator), torch.randn(4, 5, generator=generator)
    last_B = torch.randn(5, generator=generator)
    found_TB = worth_after(go_TB, pay_TB, last_B)
    for b in range(5):
        worth = float(last_B[b])
        for t in range(3, -1, -1):
            assert float(found_TB[t, b]) == pytest.approx(worth, rel=1e-5)
            worth = float(pay_TB[t, b]) + float(go_TB[t, b]) * worth


def test_a_world_that_does_not_say_what_calls_conclude_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arms.npi"
    path.write_text(
        TASK.replace("blocks(blocks: 2, beta: 10)", "bandit(arms: 2)").replace("RIGHT == [1]", "TRIAL == [20]")
    )
    with pytest.raises(ValueError, match="does not; train with stopping: 0"):
        train_learner([path], out=tmp_path / "library", training=OnPolicyTraining(updates=1, stopping=1))


def test_a_rollout_stops_where_all_have_come_to_their_ends() -> None:
    """An untrained core that answers after some pokes: no stretch of steps lies behind the last answer."""
    world = Blocks("table", {})
    core = LEARNER.core(MetaRLConfig(hidden=8), [world.spec], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        core.worlds[0].policy.bias[4:] = 5.0  # answers
    zero_B = torch.zeros(50, dtype=torch.int64)
    state = world.begin(torch.arange(50), zero_B + 1, zero_B, zero_B)
    task = TaskInput(world.spec, 0, torch.zeros(50, 8), torch.zeros(50, 3, dtype=torch.int64))
    episodes = play(core, world, state, task, 100)
    assert episodes.steps == STRETCH
    assert bool(world.ended(state).all())
    assert bool((calls(episodes)[0, :, 0] == ANSWER).all())
    assert episodes.live_TB[1:].sum() == 0


def test_training_from_nothing_finds_when_to_stop(tmp_path: Path) -> None:
    """Two blocks, of which one poke tells which is heavy. Who answers at once has 0 in the mean."""
    path = tmp_path / "which.npi"
    path.write_text(TASK)
    training = OnPolicyTraining(
        updates=60, batch=128, rate=2e-2, row_rate=2e-2, check_every=60, truncation=4, stopping=1, entropy=0.02
    )
    config = MetaRLConfig(hidden=16)
    library = train_learner([path], out=tmp_path / "library", config=config, training=training).library
    world = Blocks("table", {"blocks": 2, "beta": 10})
    zero_B = torch.zeros(2000, dtype=torch.int64)
    state = world.begin(
        10**8 + torch.arange(2000), zero_B + BETAS.index("10"), zero_B + DISCOUNTS.index("0.99"), zero_B
    )
    row_BP = library.memory.embeddings_NP[0].detach().expand(2000, -1)
    task = TaskInput(world.spec, 0, row_BP, torch.zeros(2000, 3, dtype=torch.int64))
    episodes = play(library.core.net, world, state, task, 20)
    mean = float((episodes.scores["reward"] * episodes.live_TB).sum(0).mean())
    assert mean > 0.96 * StoppingPlan(2, 10.0, 0.99).start


def test_settings_of_stopping_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="coverage"):
        replace(OnPolicyTraining(), coverage=1.5)


def test_a_payload_is_learned_like_the_call_that_it_goes_with() -> None:
    """Its likelihood has the weight that the choice of the call has: what comes after beside what was expected."""
    tree = Tree()
    payload_TB = torch.zeros(STEPS, 1, dtype=torch.float64, requires_grad=True)
    loss = stopping_loss(
        tree.walk((1, 0, 1))._replace(payload_TB=payload_TB), coverage=0.0, entropy=0.0, value_weight=0.0
    )
    (found_TB,) = torch.autograd.grad(loss, payload_TB)
    ways, go, after = [(), (1,), (1, 0)], [], [0.0] * STEPS
    for way in ways:
        go.append(float(tree.logits[tree.ways.index(way)].softmax(0)[:2].sum()))
    worth = float(tree.pays[tree.ways.index(ways[-1])].min())
    for step in range(STEPS - 1, -1, -1):
        place = tree.ways.index(ways[step])
        after[step] = worth
        worth = float((tree.logits[place].softmax(0)[2:] * tree.pays[place]).sum()) + go[step] * worth
    reached = 1.0
    for step in range(STEPS):
        reached *= go[step]
        assert float(found_TB[step, 0]) == pytest.approx(-reached * (after[step] - float(tree.critic[step])))


def test_worlds_that_suggest_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "which.npi"
    path.write_text(TASK)
    with pytest.raises(ValueError, match="suggests no calls; train with suggested: 0"):
        train_learner([path], out=tmp_path / "library", training=OnPolicyTraining(updates=1, stopping=1, suggested=0.5))
