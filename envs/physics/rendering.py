"""Blocks beside each other: as grey pixels, as a camera far away sees them, and as text.

Shape legend: ``B`` instances, ``N`` blocks, ``Y`` × ``X`` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from envs.support.lazy_torch import torch

WIDTH = 0.75
"""Of a block, as a share of its column; blocks are as high as they are wide."""

LEVELS = 255
"""Grey levels above black."""

SHELVES = (128, 32, 8, 2)
"""Heights in cm from which a block stands on a higher line of a text."""


def drawing(heights: Sequence[float], caption: str) -> str:
    """Blocks above the floor by heights in cm, on lines that are four times as high as those below."""
    lines = []
    for shelf, above in zip((*SHELVES, 0), (float("inf"), *SHELVES), strict=True):
        cells = [f"[{n}]" if shelf <= height < above else "   " for n, height in enumerate(heights, 1)]
        lines.append(f"{shelf:>4} cm |  {'   '.join(cells)}")
    floor = f"{'':>8}+{'-' * (6 * len(heights))}"
    return "\n".join([*lines, floor, f"{'':>8} {''.join(f'{height:5.1f} ' for height in heights)}cm", caption])


def render(height_BN: torch.Tensor, pixels: int, view: float) -> torch.Tensor:
    """float32 BYX, 0 to 1 in steps of 1/255, the top row first: white blocks, each in a column of its own.

    A pixel's grey is the share of it that a block covers. A block above ``view``, a height in m, leaves the picture.
    """
    count = height_BN.shape[1]
    column = pixels / count
    side = WIDTH * column
    scale = (pixels - side) / view
    edge_Y = torch.arange(pixels, device=height_BN.device, dtype=height_BN.dtype)
    left_N1 = (torch.arange(count, device=height_BN.device, dtype=height_BN.dtype)[:, None] + 0.5) * column - side / 2
    across_NX = _covered(left_N1, side, edge_Y)
    up_BNY = _covered(scale * height_BN[..., None], side, edge_Y).flip(2)
    grey_BYX = up_BNY.mT @ across_NX
    return ((grey_BYX.clamp(0, 1) * LEVELS).round() / LEVELS).float()


def _covered(begin: torch.Tensor, length: float, edge: torch.Tensor) -> torch.Tensor:
    """What share of each cell, one unit long from its edge, an interval covers."""
    return (torch.minimum(begin + length, edge + 1) - torch.maximum(begin, edge)).clamp(0, 1)
