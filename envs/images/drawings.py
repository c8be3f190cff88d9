"""Pictures of classes in groups, whatever they were read from or made by.

Shape legend: ``N`` pictures, ``C`` classes, ``G`` groups, ``S`` pixels of a side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.settings import closest

UNKNOWN_DRAWER = -1
"""The drawer of a picture of which a source does not tell who drew it."""


@dataclass(frozen=True, eq=False)
class Drawings:
    """Pictures of classes, and the groups (alphabets) that classes belong to.

    Attributes:
        picture_NSS: uint8, ink 0 (none) .. 255 (full); the ink is always the bright part. Row 0 is the top.
        class_N: int64, the class of each picture; every class has a picture.
        drawer_N: int64, who drew each picture, numbered in each group anew; :data:`UNKNOWN_DRAWER` where that is not
            known.
        group_C: int64, the group of each class; every group has a class.
        class_names: C names, no two alike within a group.
        group_names: G names, no two alike.

    Raises:
        ValueError: where the arrays do not fit each other or a promise above is broken.
    """

    picture_NSS: np.ndarray
    class_N: np.ndarray
    drawer_N: np.ndarray
    group_C: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]

    def __post_init__(self) -> None:
        pictures, classes = len(self.picture_NSS), len(self.class_names)
        shape = self.picture_NSS.shape
        if self.picture_NSS.dtype != np.uint8 or len(shape) != 3 or shape[1] != shape[2] or not shape[1]:
            raise ValueError(f"pictures are {self.picture_NSS.dtype} {shape}; expected uint8, N x S x S")
        if not pictures:
            raise ValueError("there are no pictures; expected at least one")
        for name, array, length in (
            ("class_N", self.class_N, pictures),
            ("drawer_N", self.drawer_N, pictures),
            ("group_C", self.group_C, classes),
        ):
            if array.dtype != np.int64 or array.shape != (length,):
                raise ValueError(f"{name} is {array.dtype} {array.shape}; expected int64 ({length},)")
        _check_all_used("class", self.class_N, self.class_names)
        _check_all_used("group", self.group_C, self.group_names)
        if self.drawer_N.min() < UNKNOWN_DRAWER:
            raise ValueError(f"drawer {self.drawer_N.min()}; expected 0 and more, or {UNKNOWN_DRAWER} for unknown")
        _check_distinct("groups", self.group_names)
        _check_distinct("classes", [self.full_name(number) for number in range(classes)])

    def __len__(self) -> int:
        """Pictures."""
        return len(self.picture_NSS)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.picture_NSS.shape[1]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.group_names)

    def full_name(self, number: int) -> str:
        """``GROUP/CLASS`` of a class."""
        return f"{self.group_names[self.group_C[number]]}/{self.class_names[number]}"

    def group_number(self, name: str) -> int:
        """The number of a group.

        Raises:
            ValueError: where no group has the name; it names the closest one.
        """
        if name not in self.group_names:
            raise ValueError(f"there is no group {name!r}{closest(name, self.group_names)}")
        return self.group_names.index(name)

    def of_class(self, number: int) -> np.ndarray:
        """The places of a class's pictures, in order, int64."""
        return self._order_N[self._first_C[number] : self._first_C[number + 1]]

    def of_group(self, number: int) -> np.ndarray:
        """The numbers of a group's classes, in order, int64."""
        return np.flatnonzero(self.group_C == number)

    @property
    def pictures_C(self) -> np.ndarray:
        """How many pictures each class has, int64."""
        return np.diff(self._first_C)

    def select(self, *, groups: Iterable[str] | None = None, classes: Iterable[int] | None = None) -> Drawings:
        """The pictures of some groups, by name, or of some classes, by number; of both where both are given.

        Groups, classes and pictures keep their order and are numbered anew; groups of which nothing is left are gone.

        Raises:
            ValueError: for a name or number that is not there, and where nothing is left.
        """
        kept_C = np.ones(self.classes, bool)
        if groups is not None:
            kept_C &= np.isin(self.group_C, [self.group_number(name) for name in groups])
        if classes is not None:
            numbers = np.asarray([*classes], np.int64)
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self.classes:
                raise ValueError(f"classes {numbers.min()} to {numbers.max()}; there are 0 to {self.classes - 1}")
            kept_C &= np.isin(np.arange(self.classes), numbers)
        if not kept_C.any():
            raise ValueError("nothing is left: no class is in what is selected; name at least one group or class")
        return self._kept(kept_C, kept_C[self.class_N])

    def without(self, groups: Iterable[str]) -> Drawings:
        """All but some groups; raises ``ValueError`` as :meth:`select` does."""
        left_out = {self.group_number(name) for name in groups}
        return self.select(groups=[name for number, name in enumerate(self.group_names) if number not in left_out])

    def fingerprint(self) -> str:
        """sha256 of the content, in hexadecimal digits: the same for the same pictures, numbers and names alone."""
        found = hashlib.sha256(f"drawings {len(self)} {self.size} {self.classes} {self.groups}\n".encode())
        for array in (self.class_N, self.drawer_N, self.group_C):
            found.update(np.ascontiguousarray(array, "<i8").data)
        found.update(np.ascontiguousarray(self.picture_NSS).data)
        for name in (*self.group_names, *self.class_names):
            found.update(f"{len(name)} {name}\n".encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    def _kept(self, kept_C: np.ndarray, kept_N: np.ndarray) -> Drawings:
        classes, groups = np.flatnonzero(kept_C), np.unique(self.group_C[kept_C])
        return Drawings(
            self.picture_NSS[kept_N],
            np.searchsorted(classes, self.class_N[kept_N]),
            self.drawer_N[kept_N],
            np.searchsorted(groups, self.group_C[kept_C]),
            tuple(self.class_names[number] for number in classes),
            tuple(self.group_names[number] for number in groups),
        )

    @cached_property
    def _order_N(self) -> np.ndarray:
        return np.argsort(self.class_N, kind="stable")

    @cached_property
    def _first_C(self) -> np.ndarray:
        """Where each class begins in the order; one more entry tells the end."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.class_N, minlength=self.classes))])


def _check_all_used(kind: str, number_M: np.ndarray, names: Sequence[str]) -> None:
    """Every number is below the count of names, and every name has a number."""
    if len(number_M) and not 0 <= number_M.min() <= number_M.max() < len(names):
        raise ValueError(f"{kind} {number_M.min()} to {number_M.max()}; expected 0 to {len(names) - 1}")
    used = np.bincount(number_M, minlength=len(names)) > 0
    if not used.all():
        raise ValueError(f"{kind} {names[int(np.argmin(used))]} is empty; leave it out")


def _check_distinct(kind: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two {kind} have the name {twice}; names have to differ")
