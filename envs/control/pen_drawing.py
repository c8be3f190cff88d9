"""A pen on a sheet as text: what was demonstrated, and beside it what is drawn, each stroke by its number.

Shape legend: ``T`` moments of a trail, of (x, y, whether the pen came there on the sheet).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, zip_longest

from envs.control.point_mass import WALL
from envs.control.scene_drawing import Mark, drawing

PEN_UP, PEN_DOWN = "o", "@"
INK = 0.04
"""Units of length from one mark of ink to the next."""


def pen_drawing(trail_T3: Sequence[Sequence[float]], shown_T3: Sequence[Sequence[float]], width: int) -> str:
    """What was shown to the left, if anything was, and the trail to the right, with the pen at its end."""
    pages = [("demonstrated", shown_T3, False)] if len(shown_T3) else []
    pages.append(("drawn", trail_T3, True))
    each = min((width - 2 * (len(pages) - 1)) // len(pages), 48)
    drawn = []
    for caption, line_T3, going in pages:
        marks = inked(line_T3)
        if going:
            x, y, down = line_T3[-1]
            marks.append(Mark(x, y, PEN_DOWN if down else PEN_UP))
        lines = drawing(marks, WALL, each).split("\n")
        drawn.append([caption.ljust(len(lines[0])), *lines])
    return "\n".join("  ".join(parts).rstrip() for parts in zip_longest(*drawn, fillvalue=""))


def inked(trail_T3: Sequence[Sequence[float]]) -> list[Mark]:
    """Marks along the strokes, by their numbers from 1."""
    marks, number, was_down = list[Mark](), 0, 0.0
    for (x, y, _), (to_x, to_y, down) in pairwise(trail_T3):
        number += bool(down and not was_down)
        was_down = down
        if down:
            count = max(1, math.ceil(math.hypot(to_x - x, to_y - y) / INK))
            marks += [
                Mark(x + (to_x - x) * i / count, y + (to_y - y) * i / count, str(number % 10)) for i in range(count + 1)
            ]
    return marks
