"""Moves of a batch by more than one cell, and columns that are written (:mod:`envs.scratchpad.actions` says which).

Shape legend: ``B`` instances, ``R`` rows, ``P`` pointers, ``W`` columns of storage, ``C`` combinations of (pointer,
action, operand).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from envs.scratchpad.actions import COLUMN, PLACE, Act
from envs.scratchpad.config import NOWHERE
from envs.support.lazy_torch import torch

MOVER, OTHER, JUMPS, FOLLOWS, SAVES, SHIFT = range(6)
"""Columns of the table of jumps: which pointer acts, which one it names, whether it moves, whether to what is written
under the other, whether it writes, and 1 where only half the way is gone."""


def jump_table(acts: Iterable[Act]) -> np.ndarray:
    """int64 A6: what each act does beyond stepping; those that do nothing more name pointer 0 twice."""
    rows = [
        (p, q, bool(action.moves), action.moves == PLACE, action.writes == COLUMN, action.halves)
        if action.moves in (COLUMN, PLACE) or action.writes == COLUMN
        else (0,) * 6
        for action, p, q, _ in acts
    ]
    return np.array(rows, np.int64)


class Jump(NamedTuple):
    """What one act of a batch does: where ``saves_B1``, ``place_B1`` is to be written under the pointer that acts, and
    the pointers ``mover_B1`` are to go ``by_B1`` columns."""

    saves_B1: torch.Tensor
    place_B1: torch.Tensor
    mover_B1: torch.Tensor
    by_B1: torch.Tensor


def jump(chosen_B6: torch.Tensor, cells: torch.Tensor, at_BP: torch.Tensor, width: int, origin: int) -> Jump:
    """Work out the jumps of chosen combinations; changes nothing. Places count from column 0 of the input."""
    address_B2 = at_BP.gather(1, chosen_B6[:, : OTHER + 1])
    column_B2 = address_B2 % width
    target_B1, written_B1 = column_B2[:, 1:], cells.take(address_B2[:, 1:]).long()
    follows_B1 = chosen_B6[:, FOLLOWS : FOLLOWS + 1].bool()
    goes_B1 = chosen_B6[:, JUMPS : JUMPS + 1] * ~(follows_B1 & (written_B1 == NOWHERE))
    way_B1 = torch.where(follows_B1, written_B1 + origin, target_B1) - column_B2[:, :1]
    return Jump(
        saves_B1=chosen_B6[:, SAVES : SAVES + 1].bool(),
        place_B1=target_B1 - origin,
        mover_B1=chosen_B6[:, MOVER : MOVER + 1],
        by_B1=(way_B1 >> chosen_B6[:, SHIFT : SHIFT + 1]) * goes_B1,
    )


def reach(cells_BRW: torch.Tensor, at_BP: torch.Tensor, origin: int, places: list[int]) -> tuple[int, int]:
    """The outermost columns of storage at which a pointer stands or that a cell holds: no jump leads beyond them."""
    column_BP = at_BP % cells_BRW.shape[2]
    edges = [column_BP.min(), column_BP.max()]
    for r in places:
        written_BW = cells_BRW[:, r].long()
        some_BW = written_BW != NOWHERE
        edges.append(torch.where(some_BW, written_BW + origin, edges[0]).min())
        edges.append(torch.where(some_BW, written_BW + origin, edges[1]).max())
    found = torch.stack(edges).tolist()
    return min(found), max(found)
