"""Objectives: each trains a small learner in seconds, alone and with two processes; and what is their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from npi.learners import inner
from npi.learners.interface import choice
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.rollout import GeneratorDraw
from npi.training.loop import Descent, fit
from npi.training.ranks import ALONE
from tests.support.learner_jobs import UPDATES, numbers, objective, training_learners
from tests.support.ranks import in_ranks

GOALS: Mapping[str, tuple[float, float]] = {
    "small-classifier": (0.6, 0.85),  # half are right by chance
    "small-imitator": (-0.7, -0.1),  # minus the distance from the goal
    "small-reacher": (-0.7, -0.25),
    "small-aimer": (-0.3, -0.05),
    "small-seeker": (-0.3, -0.05),  # minus the value at the last place
}
"""The score that an untrained core does not reach, and the one that a trained one passes."""


def score(one: LearnerObjective) -> float:
    """On problems that no training draws; more is better."""
    sign = -1 if one.problems.tasks[0].signal[0] == "minimise" else 1
    return sign * float(one.row_scores(10**6, 256).mean())


@pytest.mark.parametrize("kind", GOALS)
def test_a_small_learner_is_trained_in_seconds(kind: str) -> None:
    one, (before, after) = objective(kind), GOALS[kind]
    assert score(one) < before
    fit(one, schedule_of(one.training))
    assert score(one) > after
    assert one.curve[-1]["update"] == one.training.updates


def test_several_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """Losses, parameters and checks of every objective; the runs are stopped and resumed half way."""
    alone = training_learners(ALONE, tmp_path)
    first, second = in_ranks(2, training_learners, tmp_path)
    for kind, found in alone.items():
        assert len(found["losses"]) == UPDATES
        assert first[kind]["losses"] == pytest.approx(found["losses"], rel=1e-3, abs=1e-5), kind
        assert first[kind]["numbers"] == second[kind]["numbers"]
        assert first[kind]["numbers"] == pytest.approx(found["numbers"], rel=1e-2, abs=2e-3), kind
        assert [check["update"] for check in first[kind]["curve"]] == [2, 4, 6]


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_a_share_of_a_batch_has_its_numbers_in_the_whole() -> None:
    index_B = torch.tensor([1, 4])
    draws = [GeneratorDraw(torch.Generator().manual_seed(0), 5, part) for part in (torch.arange(5), index_B)]
    for name in ("uniform", "normal", "exponential"):
        whole, share = (getattr(draw, name)(3) for draw in draws)
        assert whole.shape == (5, 3)
        assert torch.equal(whole[index_B], share)


def test_choices_follow_their_weights() -> None:
    weight_BA = torch.tensor([[0.1, 0.6, 0.3]]).expand(20_000, 3)
    chosen_B = choice(weight_BA, GeneratorDraw(torch.Generator().manual_seed(0), 20_000, torch.arange(20_000)))
    torch.testing.assert_close(torch.bincount(chosen_B) / 20_000, weight_BA[0], atol=0.02, rtol=0)
    assert choice(weight_BA, None).tolist() == [1] * 20_000


# --- replay ----------------------------------------------------------------------------------------------------------


def test_critic_and_actor_are_moved_apart() -> None:
    """By a critic's loss alone the actor and the rows stay, and by the actor's the critic."""
    one = objective("small-reacher")
    groups = {name: group.parameters for name, group in one.groups().items()}
    assert list(groups) == ["rows", "actor", "critic"]

    def moved(chosen: int) -> set[str]:
        before = {name: [p.detach().clone() for p in parts] for name, parts in groups.items()}
        losses = list(next(iter(one.losses(0, ALONE))))
        Descent(one.groups(), schedule_of(one.training)).step([losses[chosen]])
        pairs = {name: zip(parts, before[name], strict=True) for name, parts in groups.items()}
        return {name for name, several in pairs.items() if any(not torch.equal(a, b) for a, b in several)}

    assert moved(0) == {"critic"}
    assert moved(1) == {"actor", "rows"}


def test_the_memory_keeps_the_last_rollouts_in_shards() -> None:
    one = objective("small-reacher", shards=3, batch=4, optimizer_steps=1)
    descent = Descent(one.groups(), schedule_of(one.training))
    for update in range(5):
        descent.update(one, update)
    state, constant = one.state_dict().tensors, one.state_dict().constant
    assert constant == ("memory.0.2", "memory.0.3", "memory.0.4")  # by the numbers of their updates
    assert [len(state[f"{name}.score.closeness"]) for name in constant] == [8, 8, 8]  # four problems of two steps
    assert not any(name.startswith("memory.0.1") for name in state)
    fresh = objective("small-reacher", shards=3, batch=4, optimizer_steps=1)
    fresh.load_state_dict(one.state_dict())
    assert all(torch.equal(state[name], part) for name, part in fresh.state_dict().tensors.items())


# --- gradient-free rows ----------------------------------------------------------------------------------------------


def test_the_gradient_of_a_search_is_the_finite_difference() -> None:
    """Uphill on closeness: along the estimate the score rises, and nothing but the rows has a gradient."""
    one = objective("small-aimer", directions=64, deviation=0.05)
    assert list(one.groups()) == ["rows"]
    before = score(one)
    (loss,) = next(iter(one.losses(0, ALONE)))
    (gradient_NP,) = torch.autograd.grad(loss.value, one.rows_NP)
    with torch.no_grad():
        one.rows_NP -= 0.2 * gradient_NP / gradient_NP.norm()
    assert score(one) > before + 0.02
    assert float(loss.value.detach()) == pytest.approx(-before, abs=0.2)


# --- within an episode -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second_order", [True, False])
def test_adapt_is_gradient_descent_that_can_be_learned_from(second_order: bool) -> None:
    """On (row - goal)²: a step of rate r leaves 1 - 2 r of the distance; by the first order the row's slope is 1."""
    row_BP, goal_BP = torch.tensor([[0.0, 4.0], [1.0, 1.0]], requires_grad=True), torch.ones(2, 2)
    rate = torch.tensor(0.25, requires_grad=True)
    found = inner.adapt(lambda row: (row - goal_BP).square().sum(1), row_BP, 2, rate, second_order=second_order)
    torch.testing.assert_close(found, goal_BP + 0.25 * (row_BP - goal_BP))
    by_row, by_rate = torch.autograd.grad(found.sum(), [row_BP, rate])
    assert by_row.unique().tolist() == [0.25 if second_order else 1.0]
    exact = (2 * (1 - 2 * rate) * -2 * (row_BP - goal_BP)).sum()  # of (1 - 2 r)²
    assert by_rate.item() == pytest.approx(exact.item()) or not second_order


def test_numbers_are_those_that_are_moved() -> None:
    one: Any = objective("tiny")
    assert len(numbers(one)) == one.rows_NP.numel() + sum(p.numel() for p in one.core.parameters())
