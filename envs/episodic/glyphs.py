"""Small coloured pictures, each a function of a number: a ground, a lobed shape, a smaller one on it, and a stroke.

Nothing is stored or downloaded: the parts of a picture are drawn as in :mod:`envs.support.counter_rng`, and an edge
covers a share of each pixel that it crosses.

Shape legend: ``U`` pictures, ``Y`` and ``X`` pixels of a side, ``C`` = 3 colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch

GLYPH = 35
"""What is drawn, as a part of the numbers that are mixed."""

LOBES = (0, 2, 3, 4, 5, 6)
"""How many times the edge of a shape goes out and in."""

APART = 0.25
"""Of the circle of hues, how far a smaller shape and a stroke are at least from what lies below them."""

TOGETHER = 512
"""Pictures that are rendered at once."""


def glyphs(number_U: torch.Tensor, pixels: int) -> torch.Tensor:
    """uint8 U×Y×X×C, on the CPU; no pixel of any is wholly black."""
    parts = [_rendered(part, pixels) for part in number_U.cpu().split(TOGETHER)]
    return torch.cat(parts) if parts else torch.zeros(0, pixels, pixels, 3, dtype=torch.uint8)


def _rendered(number_U: torch.Tensor, pixels: int) -> torch.Tensor:
    places = iter(range(10**6))
    chances: Iterator[torch.Tensor] = (uniform(number_U, GLYPH, place) for place in places)

    def between(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * next(chances)

    hue_U = between(0, 1)
    picture = _colour(between(0, 1), 0.6, between(0.15, 0.4))[:, None, None].expand(-1, pixels, pixels, -1)
    along = (torch.arange(pixels, dtype=torch.float64) + 0.5) * 2 / pixels - 1
    y_YX, x_YX = torch.meshgrid(along, along, indexing="ij")
    x_UYX, y_UYX = (axis_YX - between(-0.12, 0.12)[:, None, None] for axis_YX in (x_YX, y_YX))
    for size, shift in ((between(0.55, 0.85), 0.0), (between(0.2, 0.45), between(-0.25, 0.25))):
        lobes_U = torch.tensor(LOBES)[below(len(LOBES), number_U, GLYPH, next(places))]
        depth_U, turn_U = between(0.1, 0.35), between(0, 1)
        across_UYX, down_UYX = x_UYX - _wide(shift), y_UYX + _wide(shift)
        wave_UYX = (_wide(lobes_U) * torch.atan2(down_UYX, across_UYX) + _wide(2 * math.pi * turn_U)).cos()
        outside = torch.hypot(across_UYX, down_UYX) - _wide(size) * (1 + _wide(depth_U) * wave_UYX)
        picture = _over(picture, _colour(hue_U, 0.85, between(0.6, 1)), outside, pixels)
        hue_U = hue_U + between(APART, 1 - APART)
    angle_U, off_U, half_U = between(0, math.pi), between(-0.4, 0.4), between(0.05, 0.1)
    across = x_UYX * _wide(angle_U.sin()) + y_UYX * _wide(angle_U.cos()) - _wide(off_U)
    picture = _over(picture, _colour(hue_U, 0.5, between(0.7, 1)), across.abs() - _wide(half_U), pixels)
    return (picture * 255).round().to(torch.uint8)


def _over(picture: torch.Tensor, colour_UC: torch.Tensor, outside_UYX: torch.Tensor, pixels: int) -> torch.Tensor:
    """A part laid over a picture, by the share of each pixel that it covers; negative numbers are inside of it."""
    cover_UYX1 = (0.5 - outside_UYX * pixels / 2).clamp(0, 1)[..., None]
    return picture + cover_UYX1 * (colour_UC[:, None, None] - picture)


def _colour(hue_U: torch.Tensor, saturation: float, value_U: torch.Tensor) -> torch.Tensor:
    """Red, green and blue of a hue (a share of the circle), UC."""
    phase_UC = hue_U[:, None] * 6 + torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64)
    bent_UC = torch.minimum(phase_UC % 6, 4 - phase_UC % 6).clamp(0, 1)
    return value_U[:, None] * (1 - saturation * bent_UC)


def _wide(value: torch.Tensor | float) -> torch.Tensor:
    return torch.as_tensor(value)[..., None, None]
