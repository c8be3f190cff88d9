"""Opponents that learn nothing: which picture of a support set is nearest to each query.

Shape legend: ``W`` pictures of the support set, ``Q`` queries, ``S`` pixels of a side, ``P`` inked pixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit


def nearest_pixels(support_WSS: np.ndarray, query_QSS: np.ndarray) -> np.ndarray:
    """int64: the place of the support picture whose pixels have the greatest cosine with each query's; ties: the first.

    Args:
        support_WSS, query_QSS: ink, 0 for none, of one size.

    Raises:
        ValueError: for shapes that do not fit, no pictures, and pictures without ink.
    """
    _check(support_WSS, query_QSS)
    support_WV, query_QV = _unit(support_WSS), _unit(query_QSS)
    return (query_QV @ support_WV.T).argmax(1)


def nearest_hausdorff(support_WSS: np.ndarray, query_QSS: np.ndarray) -> np.ndarray:
    """int64: the place of the support picture with the least modified Hausdorff distance to each query.

    Points are inked pixels relative to their centre of mass; ties: the first.
    Raises ``ValueError`` as :func:`nearest_pixels` does.
    """
    _check(support_WSS, query_QSS)
    support = [inked(picture_SS) for picture_SS in support_WSS]
    query = [inked(picture_SS) for picture_SS in query_QSS]
    return np.array([np.argmin([modified_hausdorff(one, other) for other in support]) for one in query], np.int64)


@njit(cache=True, nogil=True)
def modified_hausdorff(first_P2: np.ndarray, second_P2: np.ndarray) -> float:
    """The larger of the two mean distances of points from the nearest one of the other set.

    Dubuisson and Jain 1994, "A modified Hausdorff distance for object matching". Lake et al. 2015 set it against their
    model, on ink relative to its centre of mass.

    Args:
        first_P2, second_P2: float64, the points of the two sets, at least one each.
    """
    nearest = np.full(len(second_P2), np.inf)
    total = 0.0
    for p in range(len(first_P2)):
        least = np.inf
        for q in range(len(second_P2)):
            x, y = first_P2[p, 0] - second_P2[q, 0], first_P2[p, 1] - second_P2[q, 1]
            square = x * x + y * y
            least = min(least, square)
            nearest[q] = min(nearest[q], square)
        total += np.sqrt(least)
    return max(total / len(first_P2), np.sqrt(nearest).mean())


def inked(picture_SS: np.ndarray) -> np.ndarray:
    """float64, P x 2: row and column of pixels with more than half of the strongest ink, from their centre of mass."""
    place_P2 = np.argwhere(picture_SS > picture_SS.max() / 2).astype(np.float64)
    return place_P2 - place_P2.mean(0)


def _unit(picture_NSS: np.ndarray) -> np.ndarray:
    value_NV = picture_NSS.reshape(len(picture_NSS), -1).astype(np.float64)
    return value_NV / np.linalg.norm(value_NV, axis=1, keepdims=True)


def _check(support_WSS: np.ndarray, query_QSS: np.ndarray) -> None:
    for name, picture_NSS in (("support", support_WSS), ("queries", query_QSS)):
        if picture_NSS.ndim != 3 or picture_NSS.shape[1:] != support_WSS.shape[1:] or not len(picture_NSS):
            wanted = "expected pictures x rows x columns, all of one size"
            raise ValueError(f"{name} have the shape {picture_NSS.shape}; {wanted}")
        blank = np.flatnonzero(picture_NSS.max((1, 2)) <= 0)
        if len(blank):
            raise ValueError(f"{name}: picture {blank[0]} has no ink; leave it out")
