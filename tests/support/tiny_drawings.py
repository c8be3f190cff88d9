"""Small data sets of pictures that tell their class by themselves."""

from __future__ import annotations

import numpy as np

from envs.images.drawings import Drawings


def tiny_drawings(groups: dict[str, int], *, drawers: int = 4, size: int = 8) -> Drawings:
    """``groups``: how many classes each has. The first two pixels of a picture are its class + 1 and its drawer + 1."""
    classes = [group for group, count in enumerate(groups.values()) for _ in range(count)]
    pictures = np.zeros((len(classes) * drawers, size, size), np.uint8)
    class_N, drawer_N = np.repeat(np.arange(len(classes)), drawers), np.tile(np.arange(drawers), len(classes))
    pictures[:, 0, 0], pictures[:, 0, 1] = class_N + 1, drawer_N + 1
    names = tuple(f"c{number}" for number in range(len(classes)))
    return Drawings(pictures, class_N, drawer_N, np.array(classes), names, tuple(groups))
