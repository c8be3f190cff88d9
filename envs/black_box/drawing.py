"""Queries as text: values in their order, and where the points lie in one or two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

QUERY, BEST, LAST = ".", "*", "o"
"""Marks: of a query, of the best one, and of the last one where it is not the best."""

HEIGHT = 12
"""Lines of a plot."""

LABEL = 9
"""Characters to the left of a plot."""

MAX_SIDE = 40
"""Columns of a plot in the unit square."""


class Mark(NamedTuple):
    """Something at a place; later ones hide earlier ones."""

    x: float
    y: float
    sign: str


def drawing(points: Sequence[Sequence[float]], values: Sequence[float], width: int = 100) -> str:
    """The queries so far: one plot of values by query, and of up to two dimensions one of the points."""
    if not values:
        return "no query yet"
    best = min(range(len(values)), key=values.__getitem__)
    order = [*(i for i in range(len(values)) if i != best), best]
    signs = {len(values) - 1: LAST, best: BEST}

    def marks(xs: Sequence[float], ys: Sequence[float]) -> list[Mark]:
        return [Mark(xs[i], ys[i], signs.get(i, QUERY)) for i in order]

    room, up = max(10, width - LABEL - 2), (min(values), max(values))
    lines = [f"query {len(values)}: {values[-1]:.4g}; best {values[best]:.4g} at query {best + 1}"]
    numbers = list(range(1, len(values) + 1))
    lines += _plot(marks(numbers, values), (1, len(values)), up, min(room, len(values)))
    sides = list(zip(*points, strict=True))
    if len(sides) == 1:
        lines += ["values by point, 0 to 1", *_plot(marks(sides[0], values), (0, 1), up, room)]
    if len(sides) == 2:
        square = _plot(marks(*sides), (0, 1), (0, 1), min(room, MAX_SIDE))
        lines += ["points, the second coordinate upwards", *square]
    return "\n".join(lines)


def _plot(marks: Sequence[Mark], across: tuple[float, float], up: tuple[float, float], columns: int) -> list[str]:
    """Lines of a frame with marks in it; the largest and the least number on its left."""
    rows = [[" "] * columns for _ in range(HEIGHT)]
    for mark in marks:
        row, column = HEIGHT - 1 - _cell(mark.y, up, HEIGHT), _cell(mark.x, across, columns)
        rows[row][column] = mark.sign
    labels = [f"{up[1]:{LABEL}.3g}", *[" " * LABEL] * (HEIGHT - 2), f"{up[0]:{LABEL}.3g}"]
    return [f"{label} |{''.join(row)}" for label, row in zip(labels, rows, strict=True)]


def _cell(value: float, bounds: tuple[float, float], cells: int) -> int:
    """Which of so many cells a value lies in."""
    low, high = bounds
    return 0 if high <= low else round((value - low) / (high - low) * (cells - 1))
