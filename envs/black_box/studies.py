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
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.support.user_files import check_regular, read_file

STUDY, VALUE = "study", "value"
"""The columns that are no hyper-parameters."""

STORAGES = (".db", ".sqlite3")

TEXT_BYTES = 256 << 20

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
        ValueError: for a file of another form; it names the line.
        ImportError: for a storage where Optuna is missing.
    """
    return _stored(path) if Path(path).suffix in STORAGES else _lines(path)


def _lines(path: Path | str) -> list[Trial]:
    """Those of a .csv."""
    try:
        lines = csv.DictReader(StringIO(read_file(path, TEXT_BYTES).decode("utf-8-sig"), newline=""), strict=True)
        names = [] if lines.fieldnames is None else list(lines.fieldnames)
        if not {STUDY, VALUE} < set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"{path}: its columns are {', '.join(names) or 'none'}; it needs {STUDY}, {VALUE}, and one for each "
                "hyper-parameter"
            )
        return [_trial(path, lines.line_num, line) for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: no table of trials ({error}); give comma-separated values in UTF-8") from error


def _trial(path: Path | str, number: int, line: Mapping[str | None, Any]) -> Trial:
    if None in line or None in line.values():
        raise ValueError(f"{path}, line {number}: it has not as many cells as there are columns")
    value = _number(line[VALUE])
    if not isinstance(value, float | int):
        raise ValueError(f"{path}, line {number}: the value {line[VALUE]!r} is no number; leave failed trials out")
    told = sorted((str(name), _number(cell)) for name, cell in line.items() if name not in (STUDY, VALUE) and cell)
    return Trial(line[STUDY], tuple(told), float(value))


def _number(cell: str) -> Any:
    """A cell as an integer or a finite number, where it is one."""
    kinds: tuple[Callable[[str], Any], ...] = int, float
    for kind in kinds:
        try:
            found = kind(cell)
        except ValueError:
            continue
        if math.isfinite(found):
            return found
    return cell


def _stored(path: Path | str) -> list[Trial]:
    """The finished trials of all studies of a storage, those to be maximised with the other sign."""
    check_regular(path)
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            f"{path} is a storage of Optuna, which is missing: pip install 'npi-engine[optuna]'"
        ) from error
    storage, found = f"sqlite:///{path}", list[Trial]()
    for name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        if len(study.directions) > 1:
            raise ValueError(f"{path}: the study {name} has {len(study.directions)} objectives; keep those of one")
        sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
            if trial.value is not None and math.isfinite(trial.value):
                found.append(Trial(name, tuple(sorted(trial.params.items())), sign * trial.value))
    return found


def tabulated(
    trials: Sequence[Trial], features: Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """error_NK and the K configurations; the studies are in the order of their first trials.

    Args:
        features: the coordinates of configurations, K × D.

    Raises ``ValueError`` for fewer than two studies, and for one in which fewer than two configurations differ.
    """
    studies = list(dict.fromkeys(trial.study for trial in trials))
    if len(studies) < 2:
        raise ValueError(f"there are trials of {len(studies)} studies; give at least one to learn from and one to test")
    taken = _taken(trials, studies)
    place, settings = {one: k for k, one in enumerate(taken)}, [dict(one) for one in taken]
    feature_KD = features(settings)
    error_NK = np.empty((len(studies), len(taken)))
    for n, study in enumerate(studies):
        values = dict[int, list[float]]()
        for trial in trials:
            if trial.study == study and trial.settings in place:
                values.setdefault(place[trial.settings], []).append(trial.value)
        if len(values) < 2:
            raise ValueError(f"the study {study} has fewer than two configurations; leave it out")
        error_NK[n] = _guessed(feature_KD, np.array(list(values)), np.array([np.mean(v) for v in values.values()]))
    return error_NK, settings


def _taken(trials: Sequence[Trial], studies: Sequence[str]) -> list[Settings]:
    """The configurations: the best of each study, then the second of each, and so on."""
    ranked = {study: sorted((t for t in trials if t.study == study), key=lambda t: t.value) for study in studies}
    longest = max(map(len, ranked.values()))
    turns = [ranked[study][turn].settings for turn in range(longest) for study in studies if turn < len(ranked[study])]
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
