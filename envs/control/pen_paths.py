"""What a pen is to draw: a path of so many moments, and how well a trail matches it.

Shape legend: ``B`` instances, ``N`` drawings, ``L`` moments of a path, ``T`` moments of a trail, ``K`` strokes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from envs.control.pen_strokes import MAX_STROKES, PenDrawings, Strokes
from envs.support.lazy_torch import torch

UP = -1
"""The number of the stroke of a moment in which the pen is up."""

FAR = 1e6
"""Beyond any distance."""


class Paths(NamedTuple):
    """Paths at an even pace, the longer side of each drawing 1 and its first point the origin.

    Attributes:
        place_NL2: float32. stroke_NL: int64, the stroke that is drawn on the way to this moment, from 0, or ``UP``.
        middle_N2: float32, the middle of each drawing's box.
    """

    place_NL2: torch.Tensor
    stroke_NL: torch.Tensor
    middle_N2: torch.Tensor

    def of(self, index_B: torch.Tensor) -> Paths:
        """Those named, on the device of ``index_B``."""
        return Paths(*(part[index_B.to(part.device)].to(index_B.device) for part in self))


@lru_cache(maxsize=4)
def paths(drawings: PenDrawings, steps: int) -> Paths:
    """Each drawing in so many steps."""
    made = [path(strokes, steps) for strokes in drawings.strokes]
    place_NL2 = np.stack([place_L2 for place_L2, _ in made]).astype(np.float32)
    middle_N2 = (place_NL2.max(1) + place_NL2.min(1)) / 2
    stroke_NL = np.stack([stroke_L for _, stroke_L in made])
    return Paths(torch.from_numpy(place_NL2), torch.from_numpy(stroke_NL), torch.from_numpy(middle_N2))


def path(strokes: Strokes, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """place_L2 and stroke_L of one drawing: strokes, and between them straight ways with the pen up."""
    points = np.concatenate(strokes)
    scaled = [(stroke - points[0]) / np.ptp(points, axis=0).max() for stroke in strokes]
    parts = [(scaled[0], 0)]
    for number, (before, after) in enumerate(pairwise(scaled), 1):
        parts += [(np.stack([before[-1], after[0]]), UP), (after, number)]
    length_P = np.array([np.linalg.norm(np.diff(part, axis=0), axis=1).sum() for part, _ in parts])
    place_L2, stroke_L = [np.zeros(2)], [UP]
    for (part, number), count in zip(parts, shared(length_P, steps).tolist(), strict=True):
        place_L2 += list(along(part, count))
        stroke_L += [number] * count
    return np.stack(place_L2), np.array(stroke_L, np.int64)


def shared(length_P: np.ndarray, steps: int) -> np.ndarray:
    """So many steps shared out by length, at least one for each part."""
    exact_P = 1 + (steps - len(length_P)) * length_P / length_P.sum()
    count_P = np.floor(exact_P).astype(np.int64)
    most = np.argsort(count_P - exact_P, kind="stable")[: steps - count_P.sum()]
    count_P[most] += 1
    return count_P


def along(part_M2: np.ndarray, count: int) -> np.ndarray:
    """So many points along a line, the last at its end, evenly by length."""
    length_M = np.concatenate([[0.0], np.linalg.norm(np.diff(part_M2, axis=0), axis=1).cumsum()])
    at_C = length_M[-1] * np.arange(1, count + 1) / count
    return np.stack([np.interp(at_C, length_M, part_M2[:, axis]) for axis in (0, 1)], 1)


# --- how well a trail matches -----------------------------------------------------------------------------------------


def warped_distance(trail_BT2: torch.Tensor, path_BL2: torch.Tensor) -> torch.Tensor:
    """float32 B: dynamic time warping (Sakoe and Chiba 1978): the least sum of distances of moments that are matched in
    order, each with at least one of the other line, divided by L."""
    away_BTL = torch.cdist(trail_BT2, path_BL2)
    B, T, L = away_BTL.shape
    # Anti-diagonals, each a function of the two before it; place t of diagonal d is the pair (t, d - t).
    before_BT = away_BTL.new_full((B, T + 1), FAR)
    last_BT = before_BT.clone()
    place_T = torch.arange(T, device=away_BTL.device)
    for d in range(T + L - 1):
        column_T = d - place_T
        inside_T = (column_T >= 0) & (column_T < L)
        here_BT = away_BTL[:, place_T, column_T.clamp(0, L - 1)]
        least_BT = torch.minimum(torch.minimum(last_BT[:, 1:], last_BT[:, :-1]), before_BT[:, :-1])
        least_BT = torch.zeros_like(least_BT) if d == 0 else least_BT
        now_BT = torch.where(inside_T, here_BT + least_BT, FAR)
        before_BT, last_BT = last_BT, torch.cat([last_BT.new_full((B, 1), FAR), now_BT], 1)
    return last_BT[:, -1] / L


def strokes_of(down_BT: torch.Tensor) -> torch.Tensor:
    """int64 B × T: the number of the stroke of each moment, from 0, or ``UP``: runs of moments with the pen down."""
    before_BT = torch.cat([torch.zeros_like(down_BT[:, :1]), down_BT[:, :-1]], 1)
    number_BT = (down_BT & ~before_BT).long().cumsum(1) - 1
    return torch.where(down_BT, number_BT, UP)


def strokes_in_order(
    trail_BT2: torch.Tensor, drawn_BT: torch.Tensor, path_BL2: torch.Tensor, stroke_BL: torch.Tensor
) -> torch.Tensor:
    """float32 B: the share of strokes that are drawn in their turn: the k-th one is more like the k-th of the path than
    like any other. Where more are drawn than there are, or fewer, those count as wrong.

    How unlike two strokes are: the mean distance of a moment of one from the other, both ways, and the distances of
    their beginnings and of their ends.
    """
    away_BTL = torch.cdist(trail_BT2, path_BL2)
    number_K = torch.arange(MAX_STROKES, device=drawn_BT.device)
    mine_BTK, theirs_BLK = drawn_BT[..., None] == number_K, stroke_BL[..., None] == number_K
    to_theirs_BTK = torch.stack([away_BTL.masked_fill(~theirs_BLK[:, None, :, k], FAR).amin(2) for k in number_K], 2)
    to_mine_BLK = torch.stack([away_BTL.masked_fill(~mine_BTK[:, :, None, k], FAR).amin(1) for k in number_K], 2)
    unlike_BJK = _mean_over(mine_BTK, to_theirs_BTK) + _mean_over(theirs_BLK, to_mine_BLK).mT
    for last in (False, True):
        ends = _end(mine_BTK, trail_BT2, last=last), _end(theirs_BLK, path_BL2, last=last)
        unlike_BJK = unlike_BJK + torch.cdist(*ends)
    there_BJ, there_BK = mine_BTK.any(1), theirs_BLK.any(1)
    unlike_BJK = unlike_BJK.masked_fill(~there_BK[:, None], torch.inf)
    right_BJ = (unlike_BJK.argmin(2) == number_K) & there_BJ & there_BK
    drawn_B = drawn_BT.amax(1) + 1
    return right_BJ.sum(1) / torch.maximum(drawn_B, there_BK.sum(1)).clamp(min=1)


def _mean_over(which_BTJ: torch.Tensor, value_BTK: torch.Tensor) -> torch.Tensor:
    """B × J × K: the mean over the moments of each stroke."""
    weight_BTJ = which_BTJ.float()
    return (weight_BTJ.mT @ value_BTK) / weight_BTJ.sum(1).clamp(min=1)[..., None]


def _end(which_BTK: torch.Tensor, place_BT2: torch.Tensor, *, last: bool) -> torch.Tensor:
    """B × K × 2: where each stroke begins, or ends; the first moment where there is none."""
    order_T1 = torch.arange(1, which_BTK.shape[1] + 1, device=place_BT2.device)[:, None]
    rank_BTK = which_BTK * (order_T1 if last else which_BTK.shape[1] + 1 - order_T1)
    index_BK = rank_BTK.argmax(1)
    return place_BT2.gather(1, index_BK[..., None].expand(-1, -1, 2))
