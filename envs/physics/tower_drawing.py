"""A tower in its room as text: a side view in which each block is its number.

Shape legend: none; everything is of one tower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

COLUMN, LINE = 0.05, 0.1
"""Metres that a character stands for, across and up."""

FIST, BODY_SIDE = "o", 0.2
"""How a fist is shown, and the side of a block in m."""

TOP = 1.2
"""The height in m that is always shown."""


def drawing(poses: Sequence[Sequence[float]], fist: tuple[float, ...] | None, caption: str, *, width: int = 100) -> str:
    """Blocks by middle (x, y) and angle, and the fist; what is outside of ``width`` characters is left out."""
    columns = min(width - 2, 78) // 2 * 2
    top = max([TOP, *(pose[1] + BODY_SIDE for pose in poses), *([fist[1] + LINE] if fist else [])])
    lines = []
    for line in range(math.ceil(top / LINE) - 1, -1, -1):
        cells = [
            _seen(poses, fist, (column + 0.5 - columns / 2) * COLUMN, (line + 0.5) * LINE) for column in range(columns)
        ]
        lines.append("|" + "".join(cells) + "|")
    return "\n".join([*lines, "+" + "-" * columns + "+", caption])


def _seen(poses: Sequence[Sequence[float]], fist: tuple[float, ...] | None, x: float, y: float) -> str:
    """What covers a point."""
    if fist is not None and abs(x - fist[0]) <= COLUMN / 2 + 1e-9 and abs(y - fist[1]) <= LINE / 2 + 1e-9:
        return FIST
    for number, (middle_x, middle_y, angle) in enumerate(poses, 1):
        across, up = x - middle_x, y - middle_y
        turned = across * math.cos(angle) + up * math.sin(angle), up * math.cos(angle) - across * math.sin(angle)
        if max(map(abs, turned)) <= BODY_SIDE / 2:
            return str(number)
    return " "
