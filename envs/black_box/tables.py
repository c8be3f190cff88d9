"""Tables of real results: errors of finitely many configurations on many data sets.

A user's file, ``.npz``: ``error``, data sets × configurations (not a number where there is no result); and for each
configuration the family of models and its hyper-parameters, as JSON ``[{"algorithm": "kSVM", "hyperparameters": {"C":
0.5, "kernel": "rbf"}}, …]`` in ``configurations.json`` beside it. Or trials of past studies
(:mod:`envs.black_box.studies`).

Errors of a data set are moved and scaled so that the best configuration of the family has 0 and the worst 1. A
configuration without a result counts as the worst; data sets on which all configurations do alike are left out. A
quarter of the data sets are kept for tests (80 of 318): those whose numbers come last in a hash, whatever the family.
An episode's number, modulo their count, is the data set.

Shape legend: ``B`` problems, ``N`` data sets, ``K`` configurations of the family, ``D`` coordinates of a configuration.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.black_box.studies import STORAGES, read_studies, tabulated
from envs.images.bindings import bound
from envs.settings import closest
from envs.support.array_files import read_arrays
from envs.support.counter_rng import mixed
from envs.support.lazy_torch import torch
from envs.support.typed_json import FormatError, read_json
from envs.support.user_files import MANIFEST_BYTES, read_file

SPLIT_SEED = 111
"""What the hash of a data set's number is of, beside the number."""

CONFIGURATIONS = "configurations.json"

TABLE_BYTES = 256 << 20
"""Of a table."""

MAX_CONFIGURATIONS = 1000
"""Of a family: each is a token."""

MAX_COORDINATES = 1000
"""Of a configuration."""

ABSENT = 0.5
"""The coordinate of a number that a configuration does not have."""


@dataclass(frozen=True)
class Configuration:
    """What a file says of one: the family of models, and values of hyper-parameters by name."""

    algorithm: str
    hyperparameters: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A file's content: error_NK, and for each of the K configurations its family and its hyper-parameters."""

    error: np.ndarray
    families: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        if self.error.ndim != 2 or self.error.dtype.kind not in "fiu":
            raise ValueError(
                f"errors are {self.error.dtype} {self.error.shape}; give numbers, data sets x configurations"
            )
        if not self.error.shape[1] == len(self.families) == len(self.settings):
            raise ValueError(f"errors of {self.error.shape[1]} configurations, and {len(self.settings)} are described")


class Rows(NamedTuple):
    """A family on one device: feature_KD, and the errors of the data sets of training and of tests, each N × K."""

    feature_KD: torch.Tensor
    train_NK: torch.Tensor
    test_NK: torch.Tensor


class Table:
    """The problems of one family: a finite set of points of the unit cube and a value at each (see the head).

    Args:
        data: the name that the file is bound to. family: of models; none: all of them.
        dimensions, configurations: D and K as a program file declares them; 0: those of the data, which are then read
            at once.
        held: results by name, in place of those that are bound.
    """

    def __init__(
        self,
        data: str,
        family: str,
        dimensions: int = 0,
        configurations: int = 0,
        held: Mapping[str, Results] | None = None,
    ) -> None:
        self.data, self.family, self._held = data, family, held or {}
        self.dimensions, self.configurations = dimensions, configurations
        self._rows: dict[torch.device, Rows] = {}
        if not dimensions or not configurations:
            self.rows(torch.device("cpu"))

    def rows(self, device: torch.device) -> Rows:
        """What is in the file, on a device; ``ValueError`` where it does not hold what was declared."""
        if device not in self._rows:
            found = self._held[self.data] if self.data in self._held else bound_results(self.data)
            try:
                rows = _rows(found, self.family)
            except ValueError as error:
                raise ValueError(f"the data {self.data}: {error}") from error
            self._rows[device] = Rows(*(part.to(device) for part in self._declared(rows)))
        return self._rows[device]

    def draw(self, episode_B: torch.Tensor, test_B: torch.Tensor | None = None) -> torch.Tensor:
        """given_BK: the values of all configurations; ``test_B``, 0 or 1: whether of a data set kept for tests."""
        _, train_NK, test_NK = self.rows(episode_B.device)
        given_BK = train_NK[episode_B % len(train_NK)]
        if test_B is None:
            return given_BK
        return torch.where(test_B[:, None] == 1, test_NK[episode_B % len(test_NK)], given_BK)

    def value(self, point_BD: torch.Tensor, given_BK: torch.Tensor) -> torch.Tensor:
        """That of the nearest configuration; without a gradient."""
        nobody_BK = torch.zeros_like(given_BK, dtype=torch.bool)
        return given_BK.gather(1, self.nearest(point_BD, nobody_BK)[:, None])[:, 0]

    def least(self, given_BK: torch.Tensor) -> torch.Tensor:
        return given_BK.amin(1)

    def nearest(self, point_BD: torch.Tensor, without_BK: torch.Tensor) -> torch.Tensor:
        """int64 B: the configuration closest to each point, leaving some out unless that leaves none."""
        feature_KD = self.rows(point_BD.device).feature_KD
        far_BK = (point_BD[:, None].detach() - feature_KD).square().sum(2)
        return torch.where(without_BK & ~without_BK.all(1, keepdim=True), torch.inf, far_BK).argmin(1)

    def _declared(self, found: Rows) -> Rows:
        counts = found.feature_KD.shape
        for name, count in zip(("configurations", "dimensions"), counts, strict=True):
            if getattr(self, name) not in (0, count):
                of = f"the data {self.data}" + (f", family {self.family}," if self.family else "")
                raise ValueError(
                    f"{of} have {count} {name}, and {getattr(self, name)} are declared; correct the program"
                )
            setattr(self, name, count)
        return found


def bound_results(name: str) -> Results:
    """The results of the file that a name is bound to.

    Raises ``ValueError`` for a name that nothing is bound to, and for a file of another form.
    """
    paths = bound()
    if name not in paths:
        hint = closest(name, sorted(paths)) if paths else ""
        raise ValueError(
            f"the data {name} are bound to no file{hint}; say where it lies: --data {name}=FILE.npz (docs/learning.md)"
        )
    return open_results(paths[name])


@lru_cache(maxsize=2)
def open_results(path: str) -> Results:
    """A file of results; ``ValueError`` names it and says what is wrong with it, ``OSError`` where there is none."""
    if Path(path).suffix.lower() in (".csv", *STORAGES):
        try:
            error_NK, settings = tabulated(read_studies(path), features)
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error
        return Results(error_NK, ("",) * len(settings), tuple(settings))
    beside = Path(path).parent / CONFIGURATIONS
    try:
        arrays = read_arrays(path, TABLE_BYTES)
    except ValueError as error:
        raise ValueError(f"{error}; a table of results is such a file, or a .csv of trials") from error
    if "error" not in arrays:
        raise ValueError(
            f"{path}: no table of results, since it has {', '.join(sorted(arrays))[:200] or 'nothing'}; give a .npz "
            "file with the array error, or a .csv of trials"
        )
    described = _described(beside, Path(path).name)
    try:
        return Results(
            arrays["error"],
            tuple(one.algorithm for one in described),
            tuple(dict(one.hyperparameters) for one in described),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _described(path: Path, table: str) -> list[Configuration]:
    """What the file beside a table says of its configurations."""
    data = read_file(path, MANIFEST_BYTES)
    try:
        found: list[Configuration] = read_json(list[Configuration], data)
        for number, one in enumerate(found):
            for name, value in one.hyperparameters.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise FormatError(f"{number}.hyperparameters.{name}: {value} is no number")
    except FormatError as error:
        raise ValueError(f"{path}: {error}; it describes each configuration of {table}, in order, as "
                         '{"algorithm": NAME, "hyperparameters": {…}}') from error  # fmt: skip
    return found


def split(count: int) -> np.ndarray:
    """bool N: which data sets are kept for tests."""
    order = mixed(torch.arange(count), SPLIT_SEED).argsort().numpy()
    kept = np.zeros(count, dtype=bool)
    kept[order[count - (count + 2) // 4 :]] = True
    return kept


def _rows(results: Results, family: str) -> Rows:
    chosen = [k for k, name in enumerate(results.families) if family in ("", name)]
    if not chosen:
        raise ValueError(f"there is no family {family}{closest(family, sorted(set(results.families)))}")
    if not 2 <= len(chosen) <= MAX_CONFIGURATIONS:
        raise ValueError(f"the family {family} has {len(chosen)} configurations; it can have 2 to {MAX_CONFIGURATIONS}")
    error_NK, varies_N = normalised(results.error[:, chosen])
    test_N = split(len(error_NK))
    parts = error_NK[varies_N & ~test_N], error_NK[varies_N & test_N]
    if not all(map(len, parts)):
        raise ValueError(
            f"errors of {sum(map(len, parts))} data sets differ; give at least one each to train and to test"
        )
    feature_KD = features([{"": results.families[k], **results.settings[k]} for k in chosen])
    if not feature_KD.shape[1]:
        raise ValueError(f"the {len(chosen)} configurations have the same hyper-parameters; tell how they differ")
    return Rows(*(torch.tensor(part, dtype=torch.float32) for part in (feature_KD, *parts)))


def normalised(error_NK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors from 0, the best of a data set, to 1, the worst and those without a result; and which data sets have
    different ones (bool N)."""
    error_NK = np.asarray(error_NK, np.float64) / 2  # exact, and no difference of two overflows
    known_NK = np.isfinite(error_NK)
    low_N1 = np.where(known_NK, error_NK, np.inf).min(1, keepdims=True)
    high_N1 = np.where(known_NK, error_NK, -np.inf).max(1, keepdims=True)
    varies_N1 = high_N1 > low_N1
    low_N1, range_N1 = np.where(varies_N1, low_N1, 0), np.where(varies_N1, high_N1, 1) - np.where(varies_N1, low_N1, 0)
    return np.where(known_NK, (error_NK - low_N1) / range_N1, 1.0), varies_N1[:, 0]


def features(settings: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """feature_KD from 0 to 1. A hyper-parameter's numbers are placed evenly in their order, :data:`ABSENT` where there
    is none; other values are categories, one coordinate each, of two that are all there is a single one. What never
    varies is left out. ``ValueError`` for more than :data:`MAX_COORDINATES`."""
    columns = list[list[float]]()
    for name in sorted({name for each in settings for name in each}):
        columns += _columns([each.get(name, _NOTHING) for each in settings])
        if len(columns) > MAX_COORDINATES:
            raise ValueError(
                f"configurations have more than {MAX_COORDINATES:,} coordinates, one of them for each text that is a "
                f"value of {name}; leave hyper-parameters out whose texts say nothing"
            )
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(settings)).T


_NOTHING = object()


def _columns(values: Sequence[Any]) -> list[list[float]]:
    """The coordinates of one hyper-parameter, over configurations."""
    number = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    order = sorted({value for value, is_number in zip(values, number, strict=True) if is_number})
    place = {value: i / max(1, len(order) - 1) for i, value in enumerate(order)}
    names = [None if is_number or v is _NOTHING else json.dumps(v) for v, is_number in zip(values, number, strict=True)]
    known = sorted({name for name in names if name is not None})
    if len(known) == 2 and None not in names:
        known = known[1:]
    columns = [[float(name == each) for name in names] for each in known]
    if len(order) > 1:
        columns.append([place[v] if is_number else ABSENT for v, is_number in zip(values, number, strict=True)])
    return [column for column in columns if len(set(column)) > 1]
