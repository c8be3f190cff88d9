"""Past studies of the same hyper-parameters as a table: what was tried on each problem, and guesses of the rest.

A file ``.csv`` has a line for each trial: its ``study``, its ``value``, of which less is better, and a column for each
hyper-parameter; an empty cell says that a trial had none. A file ``.db`` or ``.sqlite3`` is a storage of Optuna. Of the
configurations of all studies those that were best in each are taken in turn; what a study did not try is guessed by
kernel regression on what it did (a surrogate benchmark, Eggensperger et al. 2015).

Shape legend: ``N`` studies, ``K`` configurations, ``D`` coordinates of one, ``J`` trials of a study.
"""

from __future__ import annotations

import csv
import math
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.support.user_files import check_regular, read_file, real_path

STUDY, VALUE = "study", "value"
"""The columns that are no hyper-parameters."""

STORAGES = (".db", ".sqlite3")

TEXT_BYTES = 64 << 20

MAX_TRIALS, MAX_STUDIES = 500_000, 1000
"""Of a file."""

PATIENCE, LONGEST = 5.0, 60.0
"""Seconds that are waited for another process that writes to a storage, and that reading one may take."""

LARGEST = 1e100
"""Of values: those beyond stand for failures, and could not be averaged."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

MOST = 200
"""Configurations that are taken."""

OUTLYING = 3.0
"""A study's values count as at most its upper quartile and so many times the range of its middle half."""

LENGTHS, NOISES = (0.2, 0.5, 1.0, 2.0), (1e-4, 1e-2, 1e-1)
"""What kernel regression is tried with: length scales in sides of the cube, and variances of noise."""

Settings = tuple[tuple[str, Any], ...]
"""A configuration: names and values of hyper-parameters, in order of the names."""


class Trial(NamedTuple):
    """One evaluation in a study; less is better."""

    study: str
    settings: Settings
    value: float


def read_studies(path: Path | str) -> list[Trial]:
    """The trials of a file.

    Raises:
        ValueError: for a file of another form; it names the line, and for more than :data:`MAX_TRIALS`.
        ImportError: for a storage where Optuna is missing.
    """
    return _stored(path) if Path(path).suffix.lower() in STORAGES else _lines(path)


def _lines(path: Path | str) -> list[Trial]:
    """Those of a .csv."""
    try:
        lines = csv.DictReader(StringIO(read_file(path, TEXT_BYTES).decode("utf-8-sig"), newline=""), strict=True)
        names = [] if lines.fieldnames is None else list(lines.fieldnames)
        if not {STUDY, VALUE} < set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"{path}: its columns are {', '.join(names)[:200] or 'none'}; it needs {STUDY}, {VALUE}, and one for "
                "each hyper-parameter"
            )
        found = [_trial(path, lines.line_num, line) for line in islice(lines, MAX_TRIALS + 1)]
        if len(found) > MAX_TRIALS:
            raise ValueError(f"{path}: more than {MAX_TRIALS:,} trials; keep the best of each study")
        return found
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: no table of trials ({error}); give comma-separated values in UTF-8") from error


def _trial(path: Path | str, number: int, line: Mapping[str | None, Any]) -> Trial:
    if None in line or None in line.values():
        raise ValueError(f"{path}, line {number}: it has not as many cells as there are columns")
    value = _number(line[VALUE])
    if not isinstance(value, float | int):
        raise ValueError(f"{path}, line {number}: the value {line[VALUE][:60]!r} is no number; leave failed trials out")
    _check_value(f"{path}, line {number}", value)
    told = sorted((str(name), _number(cell)) for name, cell in line.items() if name not in (STUDY, VALUE) and cell)
    return Trial(line[STUDY], tuple(told), float(value))


def _number(cell: str) -> Any:
    """A cell as an integer or a finite number, where it is one."""
    if not NUMBER.fullmatch(cell.strip()) or not math.isfinite(float(cell)):
        return cell
    return int(cell) if cell.strip(" +-").isdigit() else float(cell)


def _check_value(where: str, value: float) -> None:
    if not abs(value) <= LARGEST:
        raise ValueError(f"{where}: the value {value:g} is beyond {LARGEST:g}; leave failed trials out")


def _stored(path: Path | str) -> list[Trial]:
    """The finished trials of all studies of a storage, those to be maximised with the other sign."""
    check_regular(path)
    try:
        from optuna.storages import RDBStorage
        from optuna.study import StudyDirection
        from optuna.trial import TrialState
    except ImportError as error:
        raise ImportError(
            f"{path} is a storage of Optuna, which is missing: pip install 'npi-engine[optuna]'"
        ) from error
    found = list[Trial]()
    try:
        storage = RDBStorage("sqlite://", engine_kwargs={"creator": lambda: _connected(path)})
        for study in storage.get_all_studies():
            if len(study.directions) > 1:
                raise ValueError(f"the study {study.study_name} has several objectives; keep those of one")
            sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
            for trial in storage.get_all_trials(study._study_id, deepcopy=False, states=(TrialState.COMPLETE,)):
                if trial.value is not None and math.isfinite(trial.value):
                    _check_value(f"the study {study.study_name}", trial.value)
                    settings = tuple(sorted(trial.params.items()))
                    found.append(Trial(study.study_name, settings, sign * trial.value))
    # What reads a broken or a strange database can fail in any way.
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(
            f"{path}: it cannot be read as a storage of Optuna ({line}); give one, or a .csv of trials"
        ) from error
    return found


def _connected(path: Path | str) -> sqlite3.Connection:
    """A database that is read and not written to, without anything in it that computes, and for a bounded time."""
    found = sqlite3.connect(f"{real_path(path).as_uri()}?mode=ro", uri=True, timeout=PATIENCE, check_same_thread=False)
    last = time.monotonic() + LONGEST
    found.set_progress_handler(lambda: time.monotonic() > last, 100_000)
    computed = found.execute("SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone()
    if computed is not None:
        found.close()
        raise ValueError(f"it has the view or trigger {computed[0]}, which Optuna does not make")
    return found


def tabulated(
    trials: Sequence[Trial], features: Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """error_NK and the K configurations; the studies are in the order of their first trials.

    Args:
        features: the coordinates of configurations, K × D.

    Raises ``ValueError`` for fewer than two studies, and for one in which fewer than two configurations differ.
    """
    studies = dict[str, list[Trial]]()
    for trial in trials:
        studies.setdefault(trial.study, []).append(trial)
    if not 2 <= len(studies) <= MAX_STUDIES:
        raise ValueError(
            f"there are trials of {len(studies):,} studies; give at least one to learn from and one to test, and at "
            f"most {MAX_STUDIES:,}"
        )
    taken = _taken(list(studies.values()))
    place, settings = {one: k for k, one in enumerate(taken)}, [dict(one) for one in taken]
    feature_KD = features(settings)
    error_NK = np.empty((len(studies), len(taken)))
    for n, (study, own) in enumerate(studies.items()):
        values = dict[int, list[float]]()
        for trial in own:
            if trial.settings in place:
                values.setdefault(place[trial.settings], []).append(trial.value)
        if len(values) < 2:
            raise ValueError(f"the study {study} has fewer than two configurations; leave it out")
        error_NK[n] = _guessed(feature_KD, np.array(list(values)), np.array([np.mean(v) for v in values.values()]))
    return error_NK, settings


def _taken(studies: Sequence[Sequence[Trial]]) -> list[Settings]:
    """The configurations: the best of each study, then the second of each, and so on."""
    ranked = [sorted(trials, key=lambda trial: trial.value) for trials in studies]
    turns = (trial.settings for turn in zip_longest(*ranked) for trial in turn if trial is not None)
    return list(dict.fromkeys(turns))[:MOST]


def _guessed(feature_KD: np.ndarray, index_J: np.ndarray, value_J: np.ndarray) -> np.ndarray:
    """The values of all configurations: those that are known, and what the likeliest kernel regression says."""
    low, high = np.quantile(value_J, (0.25, 0.75))
    value_J = np.minimum(value_J, high + OUTLYING * (high - low)) if high > low else value_J
    mean, deviation = value_J.mean(), value_J.std() or 1.0
    rest_J = (value_J - mean) / deviation
    far_KJ = np.linalg.norm(feature_KD[:, None] - feature_KD[index_J], axis=2)
    best: tuple[float, np.ndarray] | None = None
    for length in LENGTHS:
        scaled_KJ = math.sqrt(5) * far_KJ / length
        kernel_KJ = (1 + scaled_KJ + scaled_KJ**2 / 3) * np.exp(-scaled_KJ)
        for noise in NOISES:
            inner_JJ = kernel_KJ[index_J] + noise * np.eye(len(index_J))
            weight_J = np.linalg.solve(inner_JJ, rest_J)
            evidence = -float(rest_J @ weight_J) / 2 - float(np.linalg.slogdet(inner_JJ)[1]) / 2
            if best is None or evidence > best[0]:
                best = evidence, kernel_KJ @ weight_J
    assert best is not None
    found_K = mean + deviation * best[1]
    found_K[index_J] = value_J
    return np.asarray(found_K)
