"""A classifier of pictures from a few examples of each class, with scikit-learn's interface.

Nothing is trained when it is fitted: a trained core encodes the examples, and a class is the mean of its own. One
picture of a class is enough, and there can be any number of classes.

Shape legend: ``N`` pictures, ``V`` values of a picture, ``H`` × ``W`` pixels, ``S`` pixels of a side as the core sees
it, ``C`` classes, ``M`` pictures encoded together, ``D`` numbers of an encoded picture, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from envs.images.picture_files import (
    FILE_BYTES,
    Reading,
    ink_picture,
    read_picture,
    reading,
    settled,
    usual_evidence,
)
from envs.stepper import Ragged
from envs.support.user_files import read_file
from meta.few_shot.augmentation import SMALL_CHANGES, augmented
from meta.few_shot.core import FewShotCore
from npi.learners.core import LearnerProgramCore
from npi.library.library import Library

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    message = "FewShotClassifier needs scikit-learn 1.6 or newer: pip install 'npi-engine[classifier]'"
    raise ImportError(message) from error

SHIPPED = Path(__file__).parent / "shipped"
"""The library that comes with the engine (``benchmarks/learners/shipped_characters.py`` trained it)."""

MEAN, INFER = "mean", "infer"
"""The rows: the mean of those of the library, and one that is inferred from the examples."""

TOGETHER = 16
"""Pictures that are encoded together, always as many, so that a picture comes to the same whatever is beside it."""


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """Names pictures by the nearest class of a few examples.

    Pictures are an array N × H × W, or flat, N × (H · W) of squares, or a list of paths; of any range of values and any
    polarity: each becomes ink on paper as pictures of folders do (:mod:`envs.images.picture_files`).

    Args:
        core: a library of a core of ``few-shot``, or its folder; by default the one that comes with the engine.
        row: :data:`MEAN`, :data:`INFER`, or None for zeros.
        copies: slightly changed copies of each picture whose encodings are averaged with its own: more accurate, and as
            many times slower.
        random_state: of the changes; they are the same for all pictures.

    Attributes:
        classes_: the labels, sorted. prototypes_: float32, C × D. light_paper_: the evidence, from -1 to 1, that paper
        is lighter than ink; it decides where a picture does not show that itself.
    """

    def __init__(
        self,
        core: Library | Path | str | None = None,
        *,
        row: str | None = MEAN,
        copies: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.core = core
        self.row = row
        self.copies = copies
        self.random_state = random_state

    @torch.no_grad()
    def fit(self, X: Any, y: Any) -> Self:
        """Encode the examples.

        Raises:
            ValueError: for pictures that are no squares or have no ink, labels that are no classes, and settings or a
                core that it cannot have.
            OSError: for a path that cannot be read.
        """
        self._check_settings()
        library = self.core if isinstance(self.core, Library) else Library.open(self.core or SHIPPED)
        net, self.size_ = few_shot_core(library)
        readings, y = self._readings(X, y)
        check_classification_targets(y)
        self.classes_, class_N = np.unique(y, return_inverse=True)
        self.light_paper_ = usual_evidence(readings)
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        by_class = [[readings[n] for n in np.flatnonzero(class_N == c)] for c in range(len(self.classes_))]
        picture_NSS = as_ink(settled(by_class))
        self.net_, self.row_ = net, self._row(library, net, picture_NSS)
        map_ND = torch.cat([*self._maps(picture_NSS)])
        self.prototypes_ = torch.stack([part.mean(0) for part in map_ND.split([len(part) for part in by_class])])
        return self

    @torch.no_grad()
    def predict_proba(self, X: Any) -> np.ndarray:
        """float64, N × C: the softmax of negative distances to the classes."""
        check_is_fitted(self)
        readings, _ = self._readings(X)
        picture_NSS = as_ink(np.stack([ink_picture(one, self.light_paper_) for one in readings]))
        prototype_1CD = self.prototypes_[None]
        # of as many at a time as are encoded together, for the same reason
        distances = [
            self.net_.distances(map_MD[None], prototype_1CD)[0] for map_MD in self._maps(picture_NSS, full=True)
        ]
        share_NC = (-torch.cat(distances)[: len(picture_NSS)].double()).softmax(1)
        found: np.ndarray = share_NC.numpy()
        return found

    def predict(self, X: Any) -> np.ndarray:
        """The class of each picture."""
        share_NC = self.predict_proba(X)
        found: np.ndarray = self.classes_[share_NC.argmax(1)]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # on what are no pictures
        tags.non_deterministic = False
        return tags

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _readings(self, X: Any, *y: Any) -> tuple[list[Reading], Any]:
        """What pictures show, and the labels, checked; ``y`` is given in fitting alone."""
        if are_paths(X):
            labels = column_or_1d(y[0], warn=True) if y else None
            if labels is not None and len(labels) != len(X):
                raise ValueError(f"{len(X)} pictures have {len(labels)} labels; give one for each")
            return [read_picture(str(path), read_file(path, FILE_BYTES), self.size_) for path in X], labels
        if getattr(X, "ndim", 2) == 3:
            value_NHW = check_array(X, allow_nd=True)
            flat_NV = value_NHW.reshape(len(value_NHW), -1)
            if y:
                _, labels = validate_data(self, flat_NV, *y)
                return array_readings(value_NHW, self.size_), column_or_1d(labels, warn=True)
            return array_readings(value_NHW, self.size_), None
        if y:
            flat_NV, labels = validate_data(self, X, *y)
            return array_readings(self._laid_out(flat_NV), self.size_), column_or_1d(labels, warn=True)
        return array_readings(self._laid_out(validate_data(self, X, reset=False)), self.size_), None

    def _laid_out(self, value_NV: np.ndarray) -> np.ndarray:
        """Flat pictures as squares."""
        values = value_NV.shape[1]
        side = math.isqrt(values)
        if side * side != values:
            raise ValueError(
                f"flat pictures of {values} values are no squares (n_features = {values}); give an array N x H x W"
            )
        return value_NV.reshape(-1, side, side)

    # --- the core ----------------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        if self.row not in (MEAN, INFER, None):
            raise ValueError(f"row is {self.row!r}; give {MEAN!r}, {INFER!r} or None")
        if (
            not isinstance(self.copies, int | np.integer)
            or isinstance(self.copies, bool)
            or not 0 <= self.copies <= 1000
        ):
            raise ValueError(f"copies is {self.copies!r}; give a whole number from 0 to 1000")

    def _row(self, library: Library, net: FewShotCore, picture_NSS: torch.Tensor) -> torch.Tensor:
        """row_P."""
        if self.row is None:
            return torch.zeros(net.config.row)
        if self.row == INFER:
            return net.inferred(Ragged(picture_NSS[None], torch.tensor([len(picture_NSS)])))[0]
        own = [place for place, info in enumerate(library.memory.infos) if not info.primitive]
        return library.memory.embeddings_NP[own].detach().mean(0)

    def _maps(self, picture_NSS: torch.Tensor, *, full: bool = False) -> Iterator[torch.Tensor]:
        """map_MD of :data:`TOGETHER` pictures at a time; of the last ones fewer, or blanks behind them (``full``)."""
        for part_MSS in picture_NSS.split(TOGETHER):
            missing = TOGETHER - len(part_MSS)
            whole_MSS = torch.cat([part_MSS, part_MSS.new_zeros(missing, *part_MSS.shape[1:])])
            map_MD = self.net_.maps(whole_MSS, self.row_)
            for copy in range(self.copies):
                map_MD = map_MD + self.net_.maps(changed_alike(whole_MSS, self._seed + copy), self.row_)
            map_MD = map_MD / (1 + self.copies)
            yield map_MD if full else map_MD[: len(part_MSS)]


def are_paths(X: Any) -> bool:
    """Whether these are names of files and not values."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(f"{X}: give a list of paths, or arrays of pictures")
    first = X[0] if isinstance(X, Sequence | np.ndarray) and len(X) else None
    return isinstance(first, str | os.PathLike)


def array_readings(value_NHW: np.ndarray, size: int) -> list[Reading]:
    """What pictures in an array show; ``ValueError`` for one whose values are all alike."""
    found = []
    for number, value_HW in enumerate(value_NHW):
        low, high = float(value_HW.min()), float(value_HW.max())
        if low == high:
            raise ValueError(f"picture {number} has no ink, all of its values are {low:g}; leave it out")
        share_HW = value_HW.astype(np.float64) / 2 - low / 2  # halves, since the largest numbers have a difference, too
        found.append(reading(np.rint(share_HW * (255 / (high / 2 - low / 2))).astype(np.uint8), size))
    return found


def as_ink(picture_NSS: np.ndarray) -> torch.Tensor:
    """float32, ink from 0 to 1."""
    return torch.from_numpy(picture_NSS).float() / 255


def changed_alike(picture_NSS: torch.Tensor, seed: int) -> torch.Tensor:
    """Pictures that are changed by chance, all in the same way."""
    generator = torch.Generator()
    parts = [augmented(one, SMALL_CHANGES, generator=generator.manual_seed(seed)) for one in picture_NSS.split(1)]
    return torch.cat(parts)


def few_shot_core(library: Library) -> tuple[FewShotCore, int]:
    """The network of a library, and the pixels of a side that it was trained on.

    Raises ``ValueError`` for a library whose core does not name pictures by a support set.
    """
    core = library.core
    if not isinstance(core, LearnerProgramCore) or not isinstance(core.net, FewShotCore):
        raise ValueError(
            f"{library.place}its core names no pictures by a few examples; train one on programs with core 'few-shot'"
        )
    return core.net, max(spec.config["pixels"] for spec in core.worlds)
