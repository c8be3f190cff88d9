"""Pictures at another resolution, by area: a pixel is the mean of what it covers, so thin lines fade and do not break.

Shape legend: ``N`` pictures, ``M`` pixels of a side before, ``S`` after.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MAX_SIZE = 256
"""Pixels of a side that a working resolution has at most."""

CHUNK_VALUES = 1 << 23
"""Pixels before resizing that are in memory as float32 at a time."""


def check_size(size: int) -> int:
    """A working resolution; raises ``ValueError`` for one that is not 1 to :data:`MAX_SIZE` pixels."""
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"size is {size} pixels; expected 1 to {MAX_SIZE}")
    return size


def resized(picture_NMM: np.ndarray, size: int) -> np.ndarray:
    """uint8 pictures at another resolution, N x S x S: each pixel is the mean of the area that it covers.

    The drawing keeps its position: the picture's edges stay its edges.

    Raises:
        ValueError: for pictures that are not square, and for a size that is not 1 to :data:`MAX_SIZE`.
    """
    check_size(size)
    count, side, other = picture_NMM.shape
    if side != other:
        raise ValueError(f"pictures are {side} x {other}; expected squares")
    if side == size:
        return picture_NMM.copy()
    cover_SM = coverage(side, size)
    chunk = max(1, CHUNK_VALUES // side**2)
    found = np.empty((count, size, size), np.uint8)
    for at in range(0, count, chunk):
        rows_NMS = picture_NMM[at : at + chunk].astype(np.float32) @ cover_SM.T
        found[at : at + chunk] = np.rint(cover_SM @ rows_NMS).clip(0, 255)
    return found


@lru_cache(maxsize=64)
def coverage(side: int, size: int) -> np.ndarray:
    """The share of each of ``side`` pixels in each of ``size`` pixels of the same length in all; float32, S x M."""
    edge_S = np.arange(size + 1) * (side / size)
    low_S1, high_S1 = edge_S[:-1, None], edge_S[1:, None]
    pixel_M = np.arange(side)
    overlap_SM = np.minimum(high_S1, pixel_M + 1) - np.maximum(low_S1, pixel_M)
    return (overlap_SM.clip(0) * (size / side)).astype(np.float32)
