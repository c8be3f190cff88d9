"""The sampler passes the tests that Optuna has for its own, finds what random search does not, and repeats by seed."""

import json
import math
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from dsl import loads
from envs.images.bindings import VARIABLE
from meta.black_box import NeuralSampler
from meta.black_box.ask_tell import SHIPPED
from meta.black_box.learner import BlackBoxTraining
from meta.black_box.optuna_sampler import Cube
from meta.black_box.program_files import text
from npi.learners.learn_rows import learn_rows
from npi.library.library import Library

optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestOptunasOwn(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: NeuralSampler(seed=0)


def objective(trial: Any) -> float:
    rate = trial.suggest_float("rate", 1e-5, 1, log=True)
    layers = trial.suggest_int("layers", 1, 8)
    kind = trial.suggest_categorical("kind", ["plain", "good", "bad"])
    cost = {"plain": 1.0, "good": 0.0, "bad": 2.0}[kind]
    return (math.log10(rate) + 3) ** 2 + (layers - 5) ** 2 / 4 + cost


def best(sampler: BaseSampler, trials: int = 30) -> float:
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study.best_value


def test_it_finds_what_random_search_does_not() -> None:
    ours = sorted(best(NeuralSampler(seed=seed)) for seed in range(5))
    drawn = sorted(best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(5))
    assert ours[2] < 0.3 * drawn[2]


def test_a_seed_repeats() -> None:
    found = []
    for seed in (3, 3, 4):
        study = optuna.create_study(sampler=NeuralSampler(seed=seed))
        study.optimize(objective, n_trials=12)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1] != found[2]


def test_maximising_is_minimising_of_the_other_sign() -> None:
    found = []
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        study = optuna.create_study(sampler=NeuralSampler(seed=0), direction=direction)
        study.optimize(lambda trial, sign=sign: sign * objective(trial), n_trials=12)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1]


def test_a_sampler_that_was_packed_goes_on() -> None:
    """Red where it forgets the trials of a study, or cannot be sent to another process."""
    study = optuna.create_study(sampler=NeuralSampler(seed=1))
    study.optimize(objective, n_trials=15)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    study.optimize(objective, n_trials=15)
    assert study.best_value < 1


def test_parallel_trials_and_branches() -> None:
    def branching(trial: Any) -> float:
        x = trial.suggest_float("x", -1, 1)
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return x**2 + abs(trial.suggest_float("only in a", 0, 1))
        return (x - 0.5) ** 2 + 0.1

    study = optuna.create_study(sampler=NeuralSampler(seed=0))
    study.optimize(branching, n_trials=24, n_jobs=4)
    assert len(study.trials) == 24
    assert study.best_value < 0.5


def test_failed_and_pruned_trials_are_passed_over() -> None:
    def failing(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 3 == 1:
            raise optuna.TrialPruned
        return float("inf") if trial.number % 3 == 2 else (x - 0.25) ** 2

    study = optuna.create_study(sampler=NeuralSampler(seed=0))
    study.optimize(failing, n_trials=20)
    assert study.best_value < 0.01


def test_a_space_of_too_many_axes_is_drawn_by_the_other_sampler() -> None:
    """Red where a searcher is asked for more dimensions than it has, which ends the study."""
    study = optuna.create_study(sampler=NeuralSampler(seed=0))
    study.optimize(lambda trial: float(trial.suggest_categorical("many", range(201))), n_trials=4)
    assert len(study.trials) == 4


SPACE = {
    "a": FloatDistribution(-2.0, 3.0),
    "b": FloatDistribution(1e-4, 10.0, log=True),
    "c": FloatDistribution(0.0, 1.0, step=0.25),
    "d": IntDistribution(-3, 9, step=3),
    "e": IntDistribution(1, 100, log=True),
    "f": CategoricalDistribution(["x", None, 2]),
}


@given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_what_a_point_stands_for_is_written_back(point: list[float]) -> None:
    """Red where a step, a scale or a choice is moved on the way."""
    cube = Cube(SPACE)
    params = cube.params(point)
    assert cube.dimensions == 8
    assert cube.holds(params)
    again = cube.params(cube.point(params))
    for name, kind in SPACE.items():
        assert again[name] == (pytest.approx(params[name]) if isinstance(kind, FloatDistribution) else params[name])


def test_every_value_of_a_step_has_as_much_of_the_axis() -> None:
    kinds: dict[str, BaseDistribution] = {"d": IntDistribution(-3, 9, step=3), "c": FloatDistribution(0, 1, step=0.5)}
    for name, kind in kinds.items():
        cube = Cube({name: kind})
        found = [cube.params([(n + 0.5) / 600])[name] for n in range(600)]
        counts = [found.count(value) for value in sorted(set(found))]
        assert max(counts) - min(counts) <= 2
        assert len(counts) == (5 if name == "d" else 3)


def test_past_studies_say_the_first_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a row that was learned from them; red where rows reach no choice, or trials are not told."""
    past = tmp_path / "past.csv"
    lines = ["study,value,rate,layers"]
    for number in range(12):
        centre = random.Random(number).gauss(-3, 0.2)
        for rate in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
            lines += [f"{number},{(math.log10(rate) - centre) ** 2 + (n - 6) ** 2},{rate},{n}" for n in (2, 4, 6)]
    past.write_text("\n".join(lines) + "\n")
    monkeypatch.setenv(VARIABLE, json.dumps({"past": str(past)}))
    library, programs = Library.open(SHIPPED), loads(text("warm", steps=4, function="table", data="past"))
    training = BlackBoxTraining(updates=12, batch=16, directions=6, check_every=12, problems=16, starts=1)
    (row,) = learn_rows(library, [programs], training).rows

    def tuned(trial: Any) -> float:
        return abs(math.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True)) + 3) + abs(
            trial.suggest_int("layers", 1, 8) - 6
        )

    study = optuna.create_study(sampler=NeuralSampler(seed=0, library=library, past=past, experience=row, warm=3))
    study.optimize(tuned, n_trials=5)
    first = [(trial.params["rate"], trial.params["layers"]) for trial in study.trials[:3]]
    assert len(set(first)) == 3
    assert all(layers in (2, 4, 6) for _, layers in first)
    assert (1e-3, 6) in first
    assert pickle.loads(pickle.dumps(study.sampler)).past == past
    with pytest.raises(ValueError, match="give past and experience"):
        NeuralSampler(past=past)
