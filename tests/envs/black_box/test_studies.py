"""Past studies as tables: what is read, what is refused by its line, and guesses beside a plain kernel regression."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.black_box.studies import Trial, _guessed, read_studies, tabulated
from envs.black_box.tables import features, open_results

LINES = """study,value,rate,kind,depth
a,0.5,0.1,tree,3
a,0.25,0.01,net,
b,2,0.1,tree,3
b,1,1e-3,tree,2
b,3,0.1,tree,3
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "past.csv"
    path.write_text(text)
    return path


def test_lines_are_trials(tmp_path: Path) -> None:
    found = read_studies(written(tmp_path, LINES))
    assert found[0] == Trial("a", (("depth", 3), ("kind", "tree"), ("rate", 0.1)), 0.5)
    assert found[1] == Trial("a", (("kind", "net"), ("rate", 0.01)), 0.25)
    assert len(found) == 5


def test_the_best_of_each_study_come_first_and_repeats_are_averaged(tmp_path: Path) -> None:
    results = open_results(str(written(tmp_path, LINES)))
    assert [dict(one) for one in results.settings] == [
        {"kind": "net", "rate": 0.01}, {"depth": 2, "kind": "tree", "rate": 1e-3},
        {"depth": 3, "kind": "tree", "rate": 0.1},
    ]  # fmt: skip
    assert results.error[0, [0, 2]].tolist() == [0.25, 0.5]
    assert results.error[1, [1, 2]].tolist() == [1.0, 2.5]
    assert np.isfinite(results.error).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are none"),
        ("study,value\na,1\n", "one for each hyper-parameter"),
        ("study,value,x,x\na,1,2,3\n", "one for each hyper-parameter"),
        ("study,value,x\na,nan,2\n", "line 2: the value 'nan' is no number"),
        ("study,value,x\na,1\n", "line 2: it has not as many cells"),
        ("study,value,x\na,1,2,3\n", "line 2: it has not as many cells"),
        ("study,value,x\na,1,2\na,2,3\n", "trials of 1 studies"),
        ("study,value,x\na,1,2\na,2,3\nb,1,2\n", "the study b has fewer than two"),
        ('study,value,x\na,1,"2\n', "give comma-separated values"),
    ],
)
def test_other_files_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        open_results(str(written(tmp_path, text)))
    assert "past.csv" in str(caught.value)


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_guesses_interpolate(seed: int, count: int) -> None:
    """What is known stays, and a smooth function is guessed closer than by its mean."""
    generator = np.random.default_rng(seed)
    feature_KD = generator.random((30, 2))
    true_K = feature_KD @ generator.standard_normal(2)
    index_J = generator.permutation(30)[:count]
    found_K = _guessed(feature_KD, index_J, true_K[index_J])
    low, high = np.quantile(true_K[index_J], (0.25, 0.75))
    np.testing.assert_allclose(found_K[index_J], np.minimum(true_K[index_J], high + 3 * (high - low)))
    if count >= 8:
        rest = np.setdiff1d(np.arange(30), index_J)
        assert np.abs(found_K - true_K)[rest].mean() < np.abs(true_K[index_J].mean() - true_K)[rest].mean()


def test_a_storage_of_optuna_is_read(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path / "past.db"
    for name, direction in (("a", "minimize"), ("b", "maximize")):
        study = optuna.create_study(
            study_name=name, storage=f"sqlite:///{path}", direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=1),
        )  # fmt: skip
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 3), n_trials=3)
    found = read_studies(path)
    assert [trial.study for trial in found] == ["a"] * 3 + ["b"] * 3
    for trial in found:
        told = dict(trial.settings)
        assert trial.value == pytest.approx((told["x"] + told["n"]) * (1 if trial.study == "a" else -1))
    error_NK, settings = tabulated(found, features)
    assert error_NK.shape == (2, len(settings))
