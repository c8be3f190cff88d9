"""Strokes of the pen as ink on a sheet.

Shape legend: ``B`` sheets, ``K`` strokes, ``M`` points of a stroke, ``S`` pixels of a side.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def ink(point_BKM2: np.ndarray, points_BK: np.ndarray, radius: float, side: int) -> np.ndarray:
    """uint8 sheets, B x S x S: 255 where a pixel's middle is nearer than ``radius`` to a line between points, else 0.

    Args:
        point_BKM2: float32, x and y of the points in pixels from the sheet's upper left corner.
        points_BK: how many points of each stroke there are; 1 is a dot, 0 is no stroke.
        radius: half the width of the pen, in pixels.
        side: of a sheet, in pixels. What is beyond it is cut off.
    """
    count, strokes = points_BK.shape
    sheet_BSS = np.zeros((count, side, side), np.uint8)
    for b in range(count):
        for k in range(strokes):
            for m in range(points_BK[b, k]):
                end = min(m + 1, points_BK[b, k] - 1)
                if end == m and m > 0:
                    continue
                x, y = point_BKM2[b, k, m, 0], point_BKM2[b, k, m, 1]
                dx, dy = point_BKM2[b, k, end, 0] - x, point_BKM2[b, k, end, 1] - y
                _capsule(sheet_BSS[b], x - 0.5, y - 0.5, dx, dy, radius)
    return sheet_BSS


@njit(cache=True, nogil=True)
def _capsule(sheet_SS: np.ndarray, x: float, y: float, dx: float, dy: float, radius: float) -> None:
    """Ink around a line from x, y, where a pixel's middle has whole coordinates."""
    side = len(sheet_SS)
    square = dx * dx + dy * dy
    left, right = max(0, int(np.ceil(min(x, x + dx) - radius))), min(side - 1, int(np.floor(max(x, x + dx) + radius)))
    top, bottom = max(0, int(np.ceil(min(y, y + dy) - radius))), min(side - 1, int(np.floor(max(y, y + dy) + radius)))
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            px, py = column - x, row - y
            along = 0.0
            if square > 0:
                along = min(1.0, max(0.0, (px * dx + py * dy) / square))
            px -= along * dx
            py -= along * dy
            if px * px + py * py <= radius * radius:
                sheet_SS[row, column] = 255
