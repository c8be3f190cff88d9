"""Choices of a table: beliefs beside NumPy, batches beside one by one, and rows that are learned from other tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import loads
from envs.black_box.world import BlackBox
from envs.images.bindings import VARIABLE
from meta.black_box.ask_tell import Searcher
from meta.black_box.choices import LENGTH, Choices, Prior, believed, suggested_choices
from meta.black_box.experience import Experience
from meta.black_box.history import History
from meta.black_box.learner import LEARNER, BlackBoxTraining
from meta.black_box.network import BlackBoxConfig
from meta.black_box.program_files import text
from meta.black_box.proposals import Suggestions
from npi.learners.interface import TaskInput
from npi.learners.objectives.base import schedule_of
from npi.learners.objectives.search import Search
from npi.learners.rollout import play
from npi.learners.tasks import Problems, training_tasks
from npi.training.loop import fit

K, D, M = 9, 2, 4
POINTS = [(a / 2, b / 2) for a in range(3) for b in range(3)]


def told(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, Experience.width(M), generator=torch.Generator().manual_seed(seed))


def choices() -> Choices:
    return Choices.of(torch.tensor(POINTS), M)


def history(tried: list[list[int]], values: list[list[float]], room: int = 6) -> History:
    found = History.fresh(len(tried), D, room)
    for step in range(max(map(len, tried))):
        live = torch.tensor([[step < len(one)] for one in tried])
        index = [one[min(step, len(one) - 1)] for one in tried]
        value = torch.tensor([[one[min(step, len(one) - 1)]] for one in values])
        found = found.told(torch.tensor([POINTS[k] for k in index]), value, live)
    return found


def by_numpy(told_X: np.ndarray, tried: list[int], values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of all choices, in double precision and without a factor."""
    points = np.array(POINTS)
    far = np.sqrt(5) * np.linalg.norm(points[:, None] - points, axis=2) / LENGTH
    kernel = (1 + far + far**2 / 3) * np.exp(-far)
    left, columns = kernel.copy(), []
    for _ in range(M):
        k = min(k for k in range(K) if left[k, k] >= left.diagonal().max() - 1e-6)
        columns.append(left[:, k] / np.sqrt(left[k, k]))
        left = left - np.outer(columns[-1], columns[-1])
    factor = np.array(columns).T
    pull, vary, (level, variance, noise, _, _) = told_X[:M], told_X[M : 2 * M], told_X[2 * M :]
    mean = 0.4 + 0.1 * level + factor @ (0.15 * pull)
    cov = np.exp(variance - 3) * (factor @ np.diag(np.exp(vary)) @ factor.T + left)
    inverse = np.linalg.inv(cov[np.ix_(tried, tried)] + np.exp(noise - 6) * np.eye(len(tried)))
    cross = cov[tried]
    found = mean + cross.T @ inverse @ (np.array(values) - mean[tried])
    return found, np.sqrt(cov.diagonal() - np.einsum("nk,nm,mk->k", cross, inverse, cross))


@given(st.integers(0, 1000), st.lists(st.integers(0, K - 1), min_size=1, max_size=6, unique=True))
@settings(max_examples=30, deadline=None)
def test_beliefs_are_those_of_linear_algebra(seed: int, tried: list[int]) -> None:
    told_1X, values = told(1, seed), np.random.default_rng(seed).random(len(tried)).tolist()
    prior = Prior.of(choices(), Experience.of(told_1X))
    belief = believed(choices(), prior, torch.tensor([tried]), torch.tensor([values]), torch.ones(1, len(tried)).bool())
    mean, deviation = by_numpy(told_1X[0].double().numpy(), tried, values)
    np.testing.assert_allclose(belief.mean_BC[0], mean, atol=2e-3)
    np.testing.assert_allclose(belief.deviation_BC[0], deviation, atol=2e-2)


def test_problems_with_other_numbers_of_results_are_each_as_alone() -> None:
    tried, values = [[3], [0, 8, 4], [1, 2]], [[0.2], [0.9, 0.1, 0.5], [0.3, 0.4]]
    together = suggested_choices(choices(), Experience.of(told(3)), history(tried, values))
    for place in range(3):
        row = Experience.of(told(3)[place : place + 1])
        alone = suggested_choices(choices(), row, history(tried[place : place + 1], values[place : place + 1]))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[place : place + 1], other, atol=1e-4, rtol=1e-4)


def test_nothing_that_was_tried_or_waits_is_suggested() -> None:
    row, found = Experience.of(told(1)), set[tuple[float, ...]]()
    waits = [torch.tensor([POINTS[5]]), torch.tensor([POINTS[7]])]
    values: list[float] = []
    tried: list[int] = []
    for step in range(K - 2):
        known = history([tried], [values], room=K) if tried else History.fresh(1, D, K)
        suggestion: Suggestions = suggested_choices(choices(), row, known, waits)
        found |= {tuple(one[0].tolist()) for one in (suggestion.improving_BD, suggestion.least_BD)}
        assert not found & {POINTS[5], POINTS[7]}
        point = tuple(suggestion.improving_BD[0].tolist())
        assert point not in {POINTS[k] for k in tried}
        tried, values = [*tried, POINTS.index(point)], [*values, 1 / (2 + step)]
    assert len(found) == K - 2


def test_the_first_choice_is_that_of_the_least_mean() -> None:
    row = Experience.of(told(5))
    mean_BK = Prior.of(choices(), row).mean_BK
    found = suggested_choices(choices(), row, History.fresh(5, D, 4))
    assert found.improving_BD.tolist() == [list(POINTS[k]) for k in mean_BK.argmin(1).tolist()]


# --- learning --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighty tables of a 5 × 5 grid whose minimum lies near one corner, or rarely near its opposite."""
    generator = np.random.default_rng(0)
    grid = np.array([(a / 4, b / 4) for a in range(5) for b in range(5)])
    centre = np.where(generator.random((80, 1)) < 0.2, 0.2, 0.85) + 0.1 * generator.standard_normal((80, 2))
    error = np.linalg.norm(grid - centre[:, None], axis=2)
    described: list[dict[str, Any]] = [
        {"algorithm": "net", "hyperparameters": {"rate": a, "width": b}} for a in range(5) for b in range(5)
    ]
    np.savez(tmp_path / "errors.npz", error=error)
    (tmp_path / "configurations.json").write_text(json.dumps(described))
    monkeypatch.setenv(VARIABLE, json.dumps({"tuning": str(tmp_path / "errors.npz")}))


@pytest.mark.usefixtures("tables")
def test_a_row_that_other_tables_teach_finds_good_choices_sooner() -> None:
    """On tables kept for tests; red where the row reaches no choice, or evolution goes nowhere."""
    programs = loads(text("nets", steps=4, function="table", data="tuning"))
    (task,) = training_tasks(programs)
    net = LEARNER.core(BlackBoxConfig(row=16, components=4, units=8), (), generator=torch.Generator().manual_seed(0))
    training = BlackBoxTraining(updates=40, batch=32, directions=8, check_every=40)
    objective = LEARNER.objective(net, torch.zeros(1, 16), Problems((task,), (0,)), training)
    assert isinstance(objective, Search)
    fit(objective, schedule_of(training))
    world = task.world
    assert isinstance(world, BlackBox)

    def mean_best(row_1P: torch.Tensor) -> float:
        state = world.begin(torch.arange(20), torch.ones(20, dtype=torch.int64))
        given = TaskInput(world.spec, 0, row_1P.expand(20, -1), torch.zeros(20, 3, dtype=torch.int64))
        return float(LEARNER.judge(world, play(net, world, state, given, 4))["mean value"].mean())

    random_MP = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))
    before, after = mean_best(torch.zeros(1, 16)), mean_best(objective.rows_NP.detach())
    assert after < 0.6 * before, (before, after)
    assert after < 0.6 * np.median([mean_best(row_P[None]) for row_P in random_MP])


@pytest.mark.usefixtures("tables")
def test_tables_and_functions_are_not_trained_together() -> None:
    files = [text("nets", steps=4, function="table", data="tuning"), text("hills", steps=4)]
    tasks = [task for number, one in enumerate(files) for task in training_tasks(loads(one, path=f"{number}.npi"))]
    net = LEARNER.core(BlackBoxConfig(units=8), (), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="tables have no gradient"):
        LEARNER.objective(net, torch.zeros(2, 32), Problems(tuple(tasks), (0, 1)), BlackBoxTraining())


def test_a_searcher_over_choices_asks_for_each_once() -> None:
    net = LEARNER.core(BlackBoxConfig(units=8), (), generator=torch.Generator().manual_seed(0))
    search, asked = Searcher(net, torch.zeros(32), D, choices=POINTS), list[tuple[float, ...]]()
    for _ in range(K):
        asked.append(search.ask())
        search.tell(asked[-1], sum(asked[-1]))
    assert sorted(asked) == POINTS
    with pytest.raises(ValueError, match="all 9 choices were asked for"):
        search.ask()
    with pytest.raises(ValueError, match="without a seed"):
        Searcher(net, torch.zeros(32), D, choices=POINTS, seed=1)
    with pytest.raises(ValueError, match="has 2 numbers"):
        Searcher(net, torch.zeros(32), D, choices=[(0.5,)])
