"""Drawings as another hand would have made them: random affine maps, smooth displacements, thicker or paler strokes.

Everything is drawn from an explicit generator, and the whole batch is changed at once.

Shape legend: ``N`` pictures, ``S`` side of a picture in pixels, ``G`` side of the grid of displacements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from npi.core.config import Settings, at_least, setting, share, within

NOT_NEGATIVE = at_least(0)


@dataclass(frozen=True)
class Augmentation(Settings):
    """How far pictures are changed; all is drawn uniformly within these bounds, but displacements normally.

    Attributes:
        rotation: largest angle, in degrees. shear: largest shear. scale: largest logarithm of a side's scale.
        shift: largest shift, in halves of the picture's side.
        displacement: standard deviation of the displacements on a grid, in halves of the side. grid: G.
        stroke: how much of a dilation by a pixel, at most, is mixed in: 1 is all of it.
    """

    what = "augmentation"

    rotation: float = setting(15.0, NOT_NEGATIVE)
    shear: float = setting(0.25, NOT_NEGATIVE)
    scale: float = setting(0.25, NOT_NEGATIVE)
    shift: float = setting(0.12, NOT_NEGATIVE)
    displacement: float = setting(0.08, NOT_NEGATIVE)
    grid: int = setting(5, within(2, 64))
    stroke: float = setting(0.3, share())


SMALL_CHANGES = Augmentation(rotation=8.0, shear=0.12, scale=0.12, shift=0.06, displacement=0.04, stroke=0.2)
"""How copies of a picture are changed whose encodings are averaged with its own."""


def augmented(picture_NSS: torch.Tensor, augmentation: Augmentation, *, generator: torch.Generator) -> torch.Tensor:
    """float N × S × S: pictures (ink is bright, 0 to 1), each changed at random; what comes in at an edge is empty."""
    count, side = len(picture_NSS), picture_NSS.shape[1]
    origin_NSS2 = _affine(count, side, augmentation, generator)
    if augmentation.displacement:
        origin_NSS2 = origin_NSS2 + _elastic(count, side, augmentation, generator)
    changed_N1SS = F.grid_sample(picture_NSS[:, None], origin_NSS2, mode="bilinear", align_corners=True)
    if augmentation.stroke:
        share_N111 = augmentation.stroke * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)
        changed_N1SS = changed_N1SS.lerp(F.max_pool2d(changed_N1SS, 3, stride=1, padding=1), share_N111)
    return changed_N1SS[:, 0]


def _affine(count: int, side: int, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """N × S × S × 2: where each pixel comes from, in halves of the side."""
    turn, shear, scale, shift = augmentation.rotation, augmentation.shear, augmentation.scale, augmentation.shift
    bound_6 = torch.tensor([math.radians(turn), shear, scale, scale, shift, shift], device=generator.device)
    share_N6 = torch.rand(count, 6, generator=generator, device=generator.device) * 2 - 1
    turn_N, shear_N, wide_N, high_N, x_N, y_N = (share_N6 * bound_6).T
    cosine_N, sine_N, wide_N, high_N = turn_N.cos(), turn_N.sin(), wide_N.exp(), high_N.exp()
    across = [wide_N * (cosine_N + shear_N * sine_N), wide_N * (shear_N * cosine_N - sine_N), x_N]
    down = [high_N * sine_N, high_N * cosine_N, y_N]
    matrix_N23 = torch.stack([*across, *down], 1).view(count, 2, 3)
    return F.affine_grid(matrix_N23, [count, 1, side, side], align_corners=True)


def _elastic(count: int, side: int, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """N × S × S × 2: displacements, drawn on a grid and bicubic between its points."""
    G = augmentation.grid
    node_N2GG = augmentation.displacement * torch.randn(count, 2, G, G, generator=generator, device=generator.device)
    between_SG = interpolation(G, side).to(node_N2GG)
    return (between_SG @ node_N2GG @ between_SG.mT).permute(0, 2, 3, 1)


def interpolation(nodes: int, side: int) -> torch.Tensor:
    """side × nodes: bicubic interpolation along one axis, the outermost nodes at its ends."""
    line_1N1N = torch.eye(nodes)[None, :, None]
    found_N1S = F.interpolate(line_1N1N, (1, side), mode="bicubic", align_corners=True)[0]
    return found_N1S[:, 0].T
