"""The pictures of the data sets that worlds name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from envs.images.bindings import GENERATED, bound
from envs.images.drawings import Drawings
from envs.images.sources import open_source
from envs.images.strokes import strokes
from envs.settings import closest

_HELD: dict[str, Drawings] = {}
"""Drawings of this process by the names that they are bound to."""


def hold(name: str, found: Drawings) -> None:
    """Bind a name to drawings that this process has made itself."""
    _HELD[name] = found


def drawings(name: str, pixels: int, alphabets: int = 30) -> Drawings:
    """The pictures of a data set, of so many pixels a side; of the generated one, so many alphabets.

    Raises ``ValueError`` for a name that nothing is bound to, and for files that hold no pictures of classes.
    """
    if name in _HELD:
        return _HELD[name]
    if name == GENERATED:
        return _generated(pixels, alphabets)
    paths = bound()
    if name not in paths:
        hint = closest(name, sorted(paths)) if paths else ""
        raise ValueError(
            f"the data {name} are bound to no folder{hint}; say where they lie: --data {name}=FOLDER (docs/images.md)"
        )
    return _opened(paths[name], pixels)


@lru_cache(maxsize=2)
def _generated(pixels: int, alphabets: int) -> Drawings:
    return strokes(pixels, alphabets=alphabets)


@lru_cache(maxsize=2)
def _opened(path: str, pixels: int) -> Drawings:
    return open_source(Path(path), pixels)
