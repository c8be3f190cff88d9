"""Searchers: the core by second ways, its losses beside plain Python, ask and tell, and training."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import loads
from envs import make
from envs.black_box.world import BlackBox
from envs.world import Episodes
from meta.black_box.ask_tell import Searcher
from meta.black_box.learner import EXPECTED, LEARNER, OBSERVED, SUM, BlackBoxTraining, observed_improvement
from meta.black_box.network import BlackBoxConfig, BlackBoxCore
from meta.black_box.program_files import text
from npi.learners.conformance import check_learner
from npi.learners.interface import TaskInput
from npi.learners.objectives.base import schedule_of
from npi.learners.rollout import play, rollout
from npi.learners.tasks import Problems, training_tasks
from npi.training.loop import fit
from npi.training.ranks import ALONE

SMALL = {"units": 8, "row": 5, "room": 24}
SHAPES = [{"posterior": 0}, {"posterior": 1}, {"posterior": 0, "attention": 2}, {"posterior": 1, "attention": 4}]


def world(dimensions: int = 2, **settings: Any) -> BlackBox:
    return make("black_box", "w", {"dimensions": dimensions, **settings})


def core(seed: int = 0, **config: Any) -> BlackBoxCore:
    return LEARNER.core(BlackBoxConfig(**{**SMALL, **config}), (), generator=torch.Generator().manual_seed(seed))


def task_of(place: BlackBox, row_BP: torch.Tensor) -> TaskInput:
    return TaskInput(place.spec, 0, row_BP, torch.zeros(len(row_BP), 3, dtype=torch.int64))


def searched(net: BlackBoxCore, place: BlackBox, count: int, steps: int) -> Episodes:
    state = place.begin(torch.arange(10**8, 10**8 + count))
    row_BP = torch.randn(count, 5, generator=torch.Generator().manual_seed(1))
    return play(net, place, state, task_of(place, row_BP), steps)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kit_of_learners_passes(shape: dict[str, int]) -> None:
    programs = loads(text("hills", dimensions=3, steps=8))
    check_learner(LEARNER, programs, config=BlackBoxConfig(**{**SMALL, **shape}))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shifted_and_scaled_functions_are_searched_alike(shape: dict[str, int]) -> None:
    plain, moved = world(3), world(3)
    value = moved.function.value
    moved.function.value = lambda point_BD, given_BG: 16 * value(point_BD, given_BG) - 8  # type: ignore[method-assign]
    one, other = (searched(core(**shape), place, 4, 9) for place in (plain, moved))
    for mine, theirs in zip(one.actions or (), other.actions or (), strict=True):
        assert mine.payload_BX is not None
        torch.testing.assert_close(mine.payload_BX, theirs.payload_BX, atol=2e-3, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_searches_begin_in_the_middle_of_any_cube(shape: dict[str, int]) -> None:
    """Coordinates share all parameters, and nothing tells them apart before the sequence of places does."""
    for size in (1, 5):
        place = world(size)
        first = searched(core(**shape), place, 2, 1).actions or ()
        assert first[0].payload_BX is not None
        assert (first[0].payload_BX.diff(dim=1).abs() < 1e-6).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_queries_lie_in_the_cube(shape: dict[str, int]) -> None:
    net = core(**shape)
    with torch.no_grad():
        for part in net.parameters():
            part.mul_(20)
    episodes = searched(net, world(3), 6, 12)
    for action in episodes.actions or ():
        assert action.payload_BX is not None
        assert ((action.payload_BX >= 0) & (action.payload_BX <= 1)).all()


def test_observed_improvement_beside_plain_python() -> None:
    value_TB = torch.tensor([[1.0], [0.5], [0.7], [-1.0], [-1.5]]).requires_grad_()
    seen = [world().observe(world().begin(torch.arange(1)))] * 6
    live_TB = torch.ones(5, 1, dtype=torch.bool)
    episodes = Episodes(seen, None, {"value": value_TB}, live_TB, ~live_TB)
    found_TB = observed_improvement(episodes)
    best, expected = math.inf, []
    for value in value_TB[:, 0].tolist():
        expected.append(value if best == math.inf else min(value - best, 0.0))
        best = min(best, value)
    torch.testing.assert_close(found_TB[:, 0], torch.tensor(expected))
    (slope_TB,) = torch.autograd.grad(found_TB.sum(), value_TB)
    assert slope_TB[:, 0].tolist() == [1, 1, 0, 1, 1]


@pytest.mark.parametrize("loss", [OBSERVED, EXPECTED, SUM])
def test_each_loss_has_a_gradient(loss: str) -> None:
    programs = loads(text("hills", dimensions=2, steps=12))
    training = BlackBoxTraining(updates=1, batch=4, loss=loss, first_horizon=12)
    net = core(posterior=0)
    objective = LEARNER.objective(net, torch.zeros(1, 5), Problems(tuple(training_tasks(programs)), (0,)), training)
    (losses,) = [list(one) for one in objective.losses(0, ALONE)]
    grads = torch.autograd.grad(losses[0].value, list(net.parameters()), allow_unused=True)
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    assert max(float(grad.abs().max()) for grad in grads if grad is not None) > 1e-4


# --- ask and tell ----------------------------------------------------------------------------------------------------


def searcher(dimensions: int = 2, seed: int | None = None, **config: Any) -> Searcher:
    return Searcher(core(**{"posterior": 1, "room": 64, **config}), torch.zeros(5), dimensions, seed=seed)


def run(search: Searcher, function: Callable[..., float], count: int) -> list[tuple[float, ...]]:
    points = []
    for _ in range(count):
        points.append(search.ask())
        search.tell(points[-1], function(*points[-1]))
    return points


def bowl(x: float, y: float) -> float:
    return (x - 0.3) ** 2 + (y - 0.8) ** 2


def test_a_searcher_asks_what_the_world_is_asked() -> None:
    """One function by hand beside the same in a world; red where either remembers otherwise."""
    place = world(2)
    state = place.begin(torch.arange(5, 6))
    search = searcher(posterior=1)
    episodes = play(search.net, place, state, task_of(place, torch.zeros(1, 5)), 12)
    own = place.begin(torch.arange(5, 6))
    points = run(search, lambda *point: float(place.function.value(torch.tensor([point]), own.given_BG)), 12)
    for action, point in zip(episodes.actions or (), points, strict=True):
        assert action.payload_BX is not None
        assert action.payload_BX[0].tolist() == pytest.approx(point, abs=2e-3)


def test_a_bowl_is_found_and_random_search_is_not_that_close() -> None:
    search = searcher()
    run(search, bowl, 30)
    assert search.best.value < 1e-3
    generator = torch.Generator().manual_seed(0)
    random = [min(bowl(*torch.rand(2, generator=generator).tolist()) for _ in range(30)) for _ in range(20)]
    assert search.best.value < min(random)


def test_a_seed_turns_the_cube() -> None:
    """Red where points are turned one way and told the other."""
    found = [run(searcher(3, seed=seed), lambda *p: bowl(*p[:2]) + (p[2] - 0.4) ** 2, 25) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    search = searcher(3, seed=5)
    run(search, lambda *p: bowl(*p[:2]) + (p[2] - 0.4) ** 2, 40)
    assert search.best.point == pytest.approx((0.3, 0.8, 0.4), abs=0.08)


def test_workers_ask_other_points_before_results_return() -> None:
    search = searcher()
    run(search, bowl, 6)
    points = [search.ask() for _ in range(4)]
    assert len(search.pending) == 4
    gaps = [math.dist(a, b) for i, a in enumerate(points) for b in points[:i]]
    assert min(gaps) > 1e-3
    for point in reversed(points):
        search.tell(point, bowl(*point))
    assert search.pending == []
    assert len(search.results) == 10


def test_points_that_nobody_asked_for_count() -> None:
    search = searcher()
    for x in (0.1, 0.5, 0.9):
        for y in (0.1, 0.5, 0.9):
            search.tell((x, y), bowl(x, y))
    asked = search.ask()
    assert math.dist(asked, (0.3, 0.8)) < 0.25


@pytest.mark.parametrize(
    ("point", "value", "message"),
    [((0.5,), 1.0, "has 2 numbers"), ((0.5, 1.5), 1.0, "from 0 to 1"), ((0.5, 0.5), math.nan, "is a number")],
)
def test_what_cannot_be_is_refused(point: tuple[float, ...], value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        searcher().tell(point, value)


def test_no_best_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no result was told yet"):
        _ = searcher().best


# --- training --------------------------------------------------------------------------------------------------------


def test_training_beats_the_untrained_core() -> None:
    """Without Gaussian processes; red where no gradient comes through the world."""
    programs = loads(text("hills", dimensions=2, steps=15))
    training = replace(
        LEARNER.training, updates=150, batch=48, dense=1.0, rate=1e-2, first_horizon=8, check_every=150, problems=256
    )
    net = core(posterior=0, units=16)
    problems = Problems(tuple(training_tasks(programs)), (0,))
    objective = LEARNER.objective(net, torch.zeros(1, 5), problems, training)
    before = float(objective.row_scores(10**6)[0])
    fit(objective, schedule_of(training))
    after = float(objective.row_scores(10**6)[0])
    assert after < before - 0.25, (before, after)


def test_rollout_in_segments_is_rollout_at_once() -> None:
    net, place = core(posterior=1), world(2)
    row_BP = torch.zeros(3, 5)
    whole = searched_values(net, place, row_BP, [10])
    parts = searched_values(net, place, row_BP, [4, 1, 5])
    torch.testing.assert_close(whole, parts, atol=5e-3, rtol=0)


@torch.no_grad()
def searched_values(net: BlackBoxCore, place: BlackBox, row_BP: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    state = place.begin(torch.arange(3))
    task = task_of(place, row_BP)
    hidden_BH, found, first = net.begin(task), list[torch.Tensor](), 0
    for steps in lengths:
        episodes, hidden_BH = rollout(net, place, state, task, hidden_BH, steps, first_step=first)
        found, first = [*found, episodes.scores["value"]], first + steps
    return torch.cat(found)
