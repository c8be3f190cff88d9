"""Tables of results: what is read from a file, which data sets are for tests, and what a query does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from envs import make
from envs.black_box.tables import Results, features, normalised, open_results, split
from envs.black_box.world import BlackBox, BlackBoxState
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.images.bindings import VARIABLE
from envs.spec import SpecError
from envs.stepper import Action

SETTINGS: list[dict[str, Any]] = [
    {"C": c, "kernel": kernel, "depth": depth}
    for c in (0.25, 1, 64)
    for kernel in ("rbf", "poly")
    for depth in (3, None)
]
FAMILIES = ("svm",) * 12 + ("tree",) * 3
TREES = [{"depth": depth, "split": "gini"} for depth in (1, 2, 5)]


def results(count: int = 23) -> Results:
    error_NK = np.random.default_rng(0).random((count, 15)).round(3)
    error_NK[2, :12] = 0.5  # flat for one family
    error_NK[5, 3] = np.nan
    return Results(error_NK, FAMILIES, (*SETTINGS, *TREES))


def written(folder: Path, found: Results) -> Path:
    np.savez(folder / "errors.npz", error=found.error)
    described = [
        {"algorithm": a, "hyperparameters": s} for a, s in zip(found.families, found.settings, strict=True)
    ]  # fmt: skip
    (folder / "configurations.json").write_text(json.dumps(described))
    return folder / "errors.npz"


@pytest.fixture
def bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = written(tmp_path, results())
    monkeypatch.setenv(VARIABLE, json.dumps({"tuning": str(path)}))
    return path


CONFIG = {"function": "table", "data": "tuning", "family": "svm"}


def made(**config: Any) -> BlackBox:
    world: Any = make("black_box", "w", CONFIG | config)
    return world


def acted(world: BlackBox, state: BlackBoxState, token: int = 0, point: list[float] | None = None) -> None:
    call_B4 = torch.tensor([[int(token > 0), token, 0, 0]]).expand(state.batch, 4)
    payload = None if point is None else torch.tensor([point]).expand(state.batch, -1)
    world.act(state, Action(call_B4, payload), torch.ones(state.batch).bool())


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("config", [{}, {"repeats": "yes", "noise": 0.1, "scale": 2}, {"family": ""}])
def test_they_keep_their_promises(config: dict[str, Any]) -> None:
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": [4], "SPLIT": [1]}, {"EPISODE": [0, 1, 7], "SPLIT": [1]}]
    check_world(made(**config), layouts, generator=torch.Generator().manual_seed(2))


def test_the_split_of_318_data_sets_is_written_down() -> None:
    kept = split(318)
    assert kept.sum() == 80
    assert np.flatnonzero(kept)[:12].tolist() == [1, 7, 10, 17, 18, 19, 22, 26, 32, 33, 35, 38]
    assert split(4).sum() == 1


def test_errors_go_from_best_to_worst() -> None:
    error_NK = np.array([[0.2, 0.6, 0.4], [0.3, 0.3, 0.3], [0.5, np.nan, 0.1], [np.nan] * 3])
    found_NK, varies_N = normalised(error_NK)
    assert varies_N.tolist() == [True, False, True, False]
    assert found_NK[varies_N].tolist() == [pytest.approx([0, 1, 0.5]), pytest.approx([1, 1, 0])]


def test_hyper_parameters_become_coordinates() -> None:
    """By name: of numbers and nothing, of numbers alone, of two names, of three, and of one that never varies."""
    found = features([
        {"a": 2, "b": 10, "c": "x", "d": "p", "e": 1},
        {"a": None, "b": 0.1, "c": "y", "d": "q", "e": 1},
        {"a": 7, "b": 1000, "c": "y", "d": "r", "e": 1},
        {"b": 0.1, "c": "x", "d": "r", "e": 1},
    ])  # fmt: skip
    assert found.tolist() == [
        [0, 0, 0.5, 0, 1, 0, 0],
        [1, 0.5, 0, 1, 0, 1, 0],
        [0, 1, 1, 1, 0, 0, 1],
        [0, 0.5, 0, 0, 0, 0, 1],
    ]


@pytest.mark.usefixtures("bound")
def test_values_are_those_of_the_file() -> None:
    """Of each data set of either split, by the token of each configuration."""
    world, found = made(), results()
    kept, error_NK = split(23), found.error[:, :12]
    for test in (0, 1):
        numbers = [n for n in np.flatnonzero(kept == bool(test)) if n != 2]
        state = world.begin(torch.arange(len(numbers)), torch.full((len(numbers),), test))
        for token in range(1, 13):
            acted(world, state, token)
            for row, number in enumerate(numbers):
                low, high = np.nanmin(error_NK[number]), np.nanmax(error_NK[number])
                expected = np.nan_to_num((error_NK[number, token - 1] - low) / (high - low), nan=1.0)
                assert world.score(state)["value"][row].item() == pytest.approx(expected, abs=1e-6)
        least_B = world.least(state)
        assert least_B is not None
        assert least_B.tolist() == [0.0] * len(numbers)


@pytest.mark.usefixtures("bound")
def test_a_query_is_answered_by_the_nearest_configuration_that_was_not_tried() -> None:
    """By hand, in plain Python; with repeats it stays at one."""
    for repeats in ("no", "yes"):
        world = made(repeats=repeats)
        feature_KD = features(SETTINGS)
        state, point, left = world.begin(torch.tensor([3])), [0.41, 0.72, 0.23], list(range(12))
        assert world.config.dimensions == 3
        for _ in range(12):
            acted(world, state, point=point)
            near = min(left, key=lambda k: ((feature_KD[k] - point) ** 2).sum())
            assert state.point_BD[0].tolist() == pytest.approx(feature_KD[near].tolist())
            assert state.value_B[0] == state.given_BG[0, near]
            if repeats == "no":
                left.remove(near)
        assert state.tried_BK.sum() == (12 if repeats == "no" else 1)
        acted(world, state, point=point)  # all are tried: any can be tried again
        assert state.step_B.item() == 13


@pytest.mark.usefixtures("bound")
def test_what_is_declared_is_compared_with_the_data() -> None:
    world = made(dimensions=3, configurations=12)
    assert world.spec == made().spec
    wrong = made(dimensions=3, configurations=11)
    with pytest.raises(ValueError, match="data tuning, family svm, have 12 configurations, and 11 are declared"):
        wrong.begin(torch.tensor([0]))


def test_a_declared_table_needs_no_file_to_be_checked() -> None:
    world = made(dimensions=3, configurations=12)
    assert len(world.spec.tokens) == 13
    with pytest.raises(ValueError, match="the data tuning are bound to no file"):
        world.begin(torch.tensor([0]))


def test_results_can_be_given() -> None:
    world: Any = make("black_box", "w", CONFIG | {"family": "tree"}, data={"tuning": results()})
    assert world.config.dimensions == 1
    assert world.config.configurations == 3


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"data": ""}, "a black box of a table has no data; write data: NAME"),
        ({"function": "gp"}, "data, family and configurations of a black box are of a table"),
        ({"configurations": 2000}, "configurations of a black box is 2000"),
        ({"repeats": "never"}, "repeats of a black box is 'never'"),
    ],
)
def test_wrong_settings_are_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        made(**config)


@pytest.mark.usefixtures("bound")
def test_a_family_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="there is no family svn; did you mean 'svm'"):
        made(family="svn")


def test_files_of_another_form_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, results())
    (tmp_path / "configurations.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"configurations.json: .*describes each configuration of errors.npz"):
        open_results(str(path))
    (tmp_path / "configurations.json").write_text('[{"algorithm": "a", "hyperparameters": {}}]')
    with pytest.raises(ValueError, match="errors of 15 configurations, and 1 are described"):
        open_results(str(path))
    np.savez(path, wrong=np.zeros(3))
    with pytest.raises(ValueError, match=r"errors.npz: no table of results, since it has wrong; give .*error"):
        open_results(str(path))
    path.write_text("nothing")
    with pytest.raises(ValueError, match=r"errors.npz: .*a table of results is such a file"):
        open_results(str(path))
