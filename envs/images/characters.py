"""Characters as they are designed: strokes of the pen, made of sub-strokes, and where their points are.

Points and steps of the pen are complex numbers, x to the right and y down, in heights of a usual character. Shape
legend: ``P`` segments of a sub-stroke, ``M`` points of a stroke.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SEGMENTS = 8
"""Of a sub-stroke."""

MAX_SUBSTROKES = 4
"""Of a stroke."""

DOT = 0.03
"""The length of a dot."""


@dataclass(frozen=True, eq=False)
class Substroke:
    """A primitive curve: P steps of the pen, and whether it goes on in the direction in which the one before ended."""

    step_P: np.ndarray
    smooth: bool


Part = tuple[Substroke, ...]
"""The sub-strokes of a stroke."""


@dataclass(frozen=True)
class Stroke:
    """A stroke of a character.

    Attributes:
        part: its sub-strokes.
        parent: the earlier stroke that it is attached to; -1: none.
        at: the place along the parent, 0 (its start) to 1.
        own: the place along itself that is there.
        offset: without a parent, where its start is, seen from that of the first stroke.
    """

    part: Part
    parent: int = -1
    at: float = 0.0
    own: float = 0.0
    offset: complex = 0j


Character = tuple[Stroke, ...]


@lru_cache(maxsize=1024)
def path(part: Part) -> np.ndarray:
    """The points of a stroke that begins at 0, one more than its segments; not to be changed."""
    step_P = part[0].step_P
    for one in part[1:]:
        turn = np.exp(1j * (np.angle(step_P[-1]) - np.angle(one.step_P[0]))) if one.smooth else 1
        step_P = np.concatenate([step_P, one.step_P * turn])
    return np.concatenate([[0], np.cumsum(step_P)])


def point_at(path_M: np.ndarray, share: float) -> complex:
    """The point at a share of a path's segments."""
    at = share * (len(path_M) - 1)
    low = min(int(at), len(path_M) - 2)
    return path_M[low] + (at - low) * (path_M[low + 1] - path_M[low])


def placed(character: Character) -> list[np.ndarray]:
    """The points of each stroke of a character, as designed; the first stroke begins at 0."""
    found: list[np.ndarray] = []
    for stroke in character:
        path_M = path(stroke.part)
        start = stroke.offset
        if stroke.parent >= 0:
            start = point_at(found[stroke.parent], stroke.at) - point_at(path_M, stroke.own)
        found.append(path_M + start)
    return found


def extents(point_M: np.ndarray) -> tuple[float, float]:
    """Width and height of points."""
    return float(np.ptp(point_M.real)), float(np.ptp(point_M.imag))


def middle(point_M: np.ndarray) -> complex:
    """The middle of the points' bounding box."""
    x, y = point_M.real, point_M.imag
    return complex(x.min() + x.max(), y.min() + y.max()) / 2


def is_dot(part: Part) -> bool:
    """Whether a stroke is no more than a dot."""
    return max(extents(path(part))) < 1.5 * DOT
