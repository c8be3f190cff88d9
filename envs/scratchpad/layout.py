"""From layouts to arrays: what the rows of a batch of pads hold and where the pointers stand after a reset.

Shape legend: ``B`` instances, ``R`` rows, ``P`` pointers, ``W`` columns of storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from envs.scratchpad.config import NOWHERE, PadConfig, RowConfig
from envs.settings import closest
from envs.world import Layout

MIN_MARGIN = 32
"""Blank columns kept at either end of the storage of endless rows, at least."""


@dataclass(frozen=True)
class Laid:
    """A batch of layouts as arrays.

    Attributes:
        cells_BRW: the index of the symbol in its row's values, or a column; int32 where columns are held, else int16.
        length_BR: int64, cells of each list; 0 for endless rows.
        column_BP: int64, where each pointer starts, counted from column 0 of the input.
        margin: columns of storage on either side of the input; column 0 of the input is column ``margin``.
    """

    cells_BRW: np.ndarray
    length_BR: np.ndarray
    column_BP: np.ndarray
    margin: int


def lay(config: PadConfig, layouts: Sequence[Layout]) -> Laid:
    """Lay symbols into rows.

    Raises ``ValueError`` that names the instance, the row and the symbol: for a row that is not declared, a symbol
    outside the row, or a list without a cell.
    """
    _check_rows(config, layouts)
    contents = [_contents(layouts, row) for row in config.rows]
    shape = (len(layouts), len(config.rows))
    count_BR = np.stack([content.count_B for content in contents], 1)
    endless_R = np.array([row.blank for row in config.rows])
    # Endless rows of one instance share columns, so that "right" is one column for all of them.
    extent_B = np.maximum(count_BR[:, endless_R].max(axis=1, initial=1), 1)
    extent_BR = np.where(endless_R, extent_B[:, None], count_BR)
    widest = int(extent_BR.max(initial=1))
    _check_places(config, contents, widest)
    margin = max(MIN_MARGIN, widest // 8) if endless_R.any() else 0
    cells_BRW = np.empty((*shape, widest + 2 * margin), fill(config).dtype)
    cells_BRW[:] = fill(config)[:, None]
    for r, content in enumerate(contents):
        cells_BRW[content.instance_K, r, margin + content.column_K] = content.cell_K
    return Laid(cells_BRW, np.where(endless_R, 0, count_BR), _columns(config, extent_BR), margin)


@dataclass(frozen=True)
class _Contents:
    """One row of all instances: cells of each, and for the K cells together what is in them and where they lie."""

    count_B: np.ndarray
    cell_K: np.ndarray

    @property
    def instance_K(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.count_B)), self.count_B)

    @property
    def column_K(self) -> np.ndarray:
        return np.arange(len(self.cell_K)) - np.repeat(np.cumsum(self.count_B) - self.count_B, self.count_B)


def _contents(layouts: Sequence[Layout], row: RowConfig) -> _Contents:
    """The row's contents, checked all together; where anything is wrong, one by one for the message."""
    parts = [layout.get(row.name, ()) for layout in layouts]
    try:
        count_B = np.fromiter(map(len, parts), np.int64, len(parts))
        cells = np.array(list(chain.from_iterable(parts)))
    except (TypeError, ValueError):
        count_B, cells = np.zeros(0, np.int64), np.zeros(0, object)
    if not len(cells):
        cells = cells.astype(np.int64)
    good = len(count_B) == len(parts) and cells.ndim == 1 and cells.dtype.kind in "iu" and len(cells) == count_B.sum()
    good = good and (row.places or not len(cells) or (cells.min() >= 0 and cells.max() < len(row.values)))
    if good and (row.blank or count_B.all()):
        return _Contents(count_B, cells)
    found = [_content(layout, row, b) for b, layout in enumerate(layouts)]
    return _Contents(np.array([len(c) for c in found], np.int64), np.concatenate([np.zeros(0, np.int64), *found]))


def fill(config: PadConfig) -> np.ndarray:
    """R: what an untouched cell of each row holds, in the type of all cells."""
    places = any(row.places for row in config.rows)
    return np.array([row.empty for row in config.rows], np.int32 if places else np.int16)


def _columns(config: PadConfig, extent_BR: np.ndarray) -> np.ndarray:
    names = [row.name for row in config.rows]
    rows = [names.index(pointer.row) for pointer in config.pointers]
    right = np.array([pointer.start == "right" for pointer in config.pointers])
    return np.where(right, extent_BR[:, rows] - 1, 0)


def _check_rows(config: PadConfig, layouts: Sequence[Layout]) -> None:
    names = [row.name for row in config.rows]
    for b, layout in enumerate(layouts):
        if not isinstance(layout, Mapping):
            raise ValueError(f"instance {b}: a layout maps rows to symbols, this is a {type(layout).__name__}")
        for name in layout:
            if name not in names:
                raise ValueError(f"instance {b}: the pad has no row {name!r}{closest(str(name), names)}")


def _check_places(config: PadConfig, contents: Sequence[_Contents], widest: int) -> None:
    """Refuse a column that lies beyond everything that is laid."""
    for row, content in zip(config.rows, contents, strict=True):
        cell_K = content.cell_K
        wrong_K = (cell_K != NOWHERE) & ((cell_K < 0) | (cell_K >= widest))
        if row.places and wrong_K.any():
            first = int(wrong_K.argmax())
            raise ValueError(
                f"instance {content.instance_K[first]}: row {row.name}, column {content.column_K[first]}: there is no "
                f"place {cell_K[first]}; places are the columns 0 to {widest - 1}, or {NOWHERE} for none"
            )


def _content(layout: Layout, row: RowConfig, b: int) -> np.ndarray:
    try:
        content = np.asarray(layout.get(row.name, ()))
    except ValueError:
        raise ValueError(f"instance {b}: row {row.name} takes a list of symbol indices, not lists of lists") from None
    if content.ndim == 1 and len(content) == 0:
        if not row.blank:
            raise ValueError(f"instance {b}: list {row.name} is empty; lay at least one symbol into it")
        return np.empty(0, np.int64)
    if content.ndim != 1 or content.dtype.kind not in "iu":
        raise ValueError(f"instance {b}: row {row.name} takes a list of symbol indices, not {str(content)[:60]}")
    if row.places:
        return content
    top = len(row.values) - 1
    if content.min() < 0 or content.max() > top:
        column = int(np.argmax((content < 0) | (content > top)))
        raise ValueError(
            f"instance {b}: row {row.name}, column {column}: {content[column]} is not the index of a symbol; "
            f"the row has 0 to {top} ({row.values[0]!r} to {row.values[-1]!r})"
        )
    return content
