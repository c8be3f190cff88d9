"""Studies and tables that anybody may have made: numbers beyond reason, storages that compute, false descriptions."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from envs.black_box.studies import LARGEST, MAX_STUDIES, read_studies
from envs.black_box.tables import Table, normalised, open_results

GOOD = "study,value,rate,kind\na,0.5,0.1,tree\na,0.25,0.01,net\nb,2,0.1,tree\nb,1,1e-3,tree\n"


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        open_results(str(path))
    assert str(path.name) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0.5", "1e308", f"line 2: the value 1e+308 is beyond {LARGEST:g}"),
        ("0.5", "1" * 400, "is no number"),
        ("0.5", "1_0", "is no number"),
        ("study", "\0" * 4000, "its columns are"),
        ("tree", "t" * 200_000, "give comma-separated values"),
    ],
)
def test_cells_beyond_reason_are_refused_by_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "past.csv"
    path.write_text(GOOD.replace(old, new))
    message = refused(path)
    assert told in message
    assert len(message) < 500


def test_a_mark_and_line_ends_of_other_systems_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "past.CSV"
    path.write_text(GOOD)
    found = read_studies(path)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read_studies(path) == found
    path.write_text(GOOD.replace("0.01", "1" * 400))  # a number that no float holds is a text
    assert dict(read_studies(path)[1].settings)["rate"] == "1" * 400


def test_many_studies_and_many_texts_are_told_before_they_are_guessed(tmp_path: Path) -> None:
    path = tmp_path / "past.csv"
    path.write_text("study,value,x\n" + "".join(f"{n},{n},1\n" for n in range(MAX_STUDIES + 1)))
    assert "trials of 1,001 studies" in refused(path)
    texts = ["".join(f",x{row}-{column}" for column in range(9)) for row in range(200)]
    path.write_text(
        f"study,value{''.join(f',c{n}' for n in range(9))}\n"
        + "".join(f"{n % 2},{n}{t}\n" for n, t in enumerate(texts))
    )
    open_results.cache_clear()
    assert "more than 1,000 coordinates" in refused(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("", None),
        ("CREATE VIEW v AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "view"),
        ("UPDATE trial_params SET distribution_json = '[[[['", "JSONDecodeError"),
        ("UPDATE trial_values SET value = 1e300", "is beyond 1e+100"),
        ("DROP TABLE trial_heartbeats", "readonly"),
    ],
)
def test_a_storage_is_read_and_not_written_to(tmp_path: Path, change: str, told: str | None) -> None:
    """Its name may have any letters; tables that Optuna misses are not made in it."""
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path / "a?b%20{c}.db"
    made = tmp_path / "made.db"
    study = optuna.create_study(storage=f"sqlite:///{made}", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with sqlite3.connect(made) as database:
        database.executescript(change)
    made.rename(path)
    before = path.read_bytes()
    if told is None:
        assert len(read_studies(path)) == 2
    else:
        with pytest.raises(ValueError, match="cannot be read as a storage of Optuna") as caught:
            read_studies(path)
        assert told in str(caught.value)
    assert path.read_bytes() == before


def described(folder: Path, text: str) -> Path:
    np.savez(folder / "errors.npz", error=np.random.default_rng(0).random((8, 3)))
    (folder / "configurations.json").write_text(text)
    return folder / "errors.npz"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ('{"algorithm": "a", "hyperparameters": {"C": NaN}}', "2.hyperparameters.C: nan is no number"),
        ('{"algorithm": "a", "hyperparameters": {"C": 1e999}}', "2.hyperparameters.C: inf is no number"),
        ('{"algorithm": "a", "hyperparameters": {"C": 1, "C": 2}}', "the key 'C' is there twice"),
        ('{"algorithm": null, "hyperparameters": {}}', "algorithm"),
        ('{"algorithm": "a", "hyperparameters": ' + "[" * 100 + "]" * 100 + "}", "nested more than"),
    ],
)
def test_descriptions_that_lie_are_refused_by_place(tmp_path: Path, part: str, told: str) -> None:
    one = '{"algorithm": "a", "hyperparameters": {"C": 1}}'
    path = described(tmp_path, f"[{one}, {one}, {part}]")
    with pytest.raises(ValueError, match=r"configurations\.json: .*describes each configuration") as caught:
        open_results(str(path))
    assert told in str(caught.value)


def test_configurations_that_do_not_differ_are_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = {"algorithm": "a", "hyperparameters": {"C": 1}}
    monkeypatch.setenv("NPI_DATA", json.dumps({"past": str(described(tmp_path, json.dumps([same] * 3)))}))
    with pytest.raises(ValueError, match="the data past: the 3 configurations have the same hyper-parameters"):
        Table("past", "")


def test_errors_near_the_largest_numbers_stay_numbers() -> None:
    error_NK = np.array([[1.7e308, -1.7e308, 0.0], [1.0, 3.0, np.inf]])
    found_NK, varies_N = normalised(error_NK)
    np.testing.assert_array_equal(found_NK, [[1, 0, 0.5], [0, 1, 1]])
    assert varies_N.all()
