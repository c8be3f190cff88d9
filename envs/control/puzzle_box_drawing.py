"""The puzzle box as text."""

from __future__ import annotations

from collections.abc import Sequence

from envs.control.puzzle_box_settings import STEPS

COLUMNS, LINES = 41, 17
"""Of the plane."""

HAND, GHOST = "@", "o"

MARKS = ("h", "p", "t", "l", "i", "e")
"""Of sites, by the first letters of their steps; capital where a step is done."""


def drawing(
    sites: Sequence[Sequence[float]],
    progress: Sequence[float],
    hand: Sequence[float],
    ghost: Sequence[float] | None,
    step: int,
) -> str:
    """The plane from above; the hand is ``@``, that of the demonstrator ``o``."""
    lines = [[" "] * COLUMNS for _ in range(LINES)]
    marks = [mark.upper() if done == 1 else mark for mark, done in zip(MARKS, progress, strict=True)]
    things = list(zip(marks, sites, strict=True))
    for mark, (x, y) in [*things, *([(GHOST, ghost)] if ghost is not None else []), (HAND, hand)]:
        lines[round((1 - y) / 2 * (LINES - 1))][round((1 + x) / 2 * (COLUMNS - 1))] = mark
    edge = "+" + "-" * COLUMNS + "+"
    done = [name for name, part in zip(STEPS, progress, strict=True) if part == 1]
    told = f"act {step}; done: {', '.join(done) or 'nothing'}"
    return "\n".join([edge, *("|" + "".join(line) + "|" for line in lines), edge, told])
