"""What pointers of some scratch pads can do beyond stepping: jump to another pointer, save places and follow them.

The calls are ``ACT(P, TO, Q)``: P goes to the column of Q; ``ACT(P, HALFWAY, Q)``: P goes half the way to the column
of Q, rounded down; ``ACT(P, SAVE, Q)``: the column of Q is written under P; ``ACT(P, FOLLOW, Q)``: P goes to the column
that is written under Q, and stays where it is if there is none. On a list, a pointer that would leave it stops at its
end. Q need not stand on the row of P: columns of all rows begin where the input begins.

Shape legend: ``B`` instances, ``R`` rows, ``P`` pointers, ``W`` columns of storage, ``C`` combinations of (pointer,
action, operand).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from envs.padconfig import NOWHERE, PadConfig


@dataclass(frozen=True)
class JumpTables:
    """What every combination does beyond stepping, on one device; combinations that do not jump name pointer 0 twice.

    Attributes:
        mover_C1, other_C1: int64, the pointer that acts and the one that it names.
        jumps_C1, follows_C1, saves_C1: bool, whether it moves, whether to what the other's cell holds, or writes.
        shift_C1: int64, 1 where only half the way is gone, else 0.
    """

    mover_C1: torch.Tensor
    other_C1: torch.Tensor
    jumps_C1: torch.Tensor
    follows_C1: torch.Tensor
    saves_C1: torch.Tensor
    shift_C1: torch.Tensor

    def to(self, device: torch.device) -> JumpTables:
        return JumpTables(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def select(self, combination_B: torch.Tensor) -> JumpTables:
        """The entries of these combinations."""
        return JumpTables(**{name: tensor.index_select(0, combination_B) for name, tensor in vars(self).items()})


def jump_tables(config: PadConfig, legal: torch.Tensor) -> JumpTables:
    """Tabulate the actions, and mark the legal ones in ``legal`` (pointer token × action token × operand token)."""
    found = {name: torch.zeros(legal.shape, dtype=torch.bool) for name in ("jumps", "follows", "saves")}
    mover, other, shift = (torch.zeros(legal.shape, dtype=torch.int64) for _ in range(3))
    places = [config.row_of(pointer).places for pointer in config.pointers]
    first = config.first_pointer
    for name in config.actions:
        action = 1 + config.actions.index(name)
        for p in range(len(places)):
            for q in range(len(places)):
                at = (first + p, action, first + q)
                fits = {"TO": True, "HALFWAY": True, "SAVE": places[p], "FOLLOW": places[q]}.get(name, False)
                if fits:
                    legal[at], mover[at], other[at] = True, p, q
                    found["jumps"][at], found["follows"][at] = name != "SAVE", name == "FOLLOW"
                    found["saves"][at], shift[at] = name == "SAVE", int(name == "HALFWAY")
    tables = (mover, other, found["jumps"], found["follows"], found["saves"], shift)
    return JumpTables(*(tensor.reshape(-1, 1) for tensor in tables))


@dataclass(frozen=True)
class Jump:
    """What one act of a batch does: ``place_B1`` is to be written where ``saves_B1``, and ``by_B1`` columns to be gone
    by the pointers ``mover_B1``."""

    saves_B1: torch.Tensor
    place_B1: torch.Tensor
    mover_B1: torch.Tensor
    by_B1: torch.Tensor


def jump(
    chosen: JumpTables, cells: torch.Tensor, at_BP: torch.Tensor, width: int, origin: int, *, places: bool
) -> Jump:
    """Work out the jumps of chosen combinations; changes nothing. Columns count from column 0 of the input."""
    column_BP = at_BP % width - origin
    column_B1, place_B1 = column_BP.gather(1, chosen.mover_C1), column_BP.gather(1, chosen.other_C1)
    target_B1, moves_B1 = place_B1, chosen.jumps_C1
    if places:
        written_B1 = cells.take(at_BP.gather(1, chosen.other_C1)).long()
        target_B1 = torch.where(chosen.follows_C1, written_B1, place_B1)
        moves_B1 = moves_B1 & (target_B1 != NOWHERE)
    by_B1 = ((target_B1 - column_B1) >> chosen.shift_C1) * moves_B1
    return Jump(chosen.saves_C1, place_B1, chosen.mover_C1, by_B1)


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
