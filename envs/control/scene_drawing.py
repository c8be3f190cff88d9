"""Scenes of a plane, drawn as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Mark(NamedTuple):
    """Something at a place."""

    x: float
    y: float
    name: str


def drawing(marks: Sequence[Mark], bound: float, width: int = 100) -> str:
    """A frame around the square from -bound to bound, with the names of the marks; later ones lie on top."""
    columns = max(11, min(width - 2, 61))
    rows = columns // 2
    lines = [[" "] * columns for _ in range(rows)]
    for x, y, name in marks:
        column, row = (round((part / bound + 1) / 2 * (size - 1)) for part, size in ((x, columns), (-y, rows)))
        first = max(0, min(columns - len(name), column - len(name) // 2))
        lines[max(0, min(rows - 1, row))][first : first + len(name)] = name
    edge = "+" + "-" * columns + "+"
    return "\n".join([edge, *("|" + "".join(line) + "|" for line in lines), edge])
