"""What pointers of a scratch pad can do: the table that worlds, the language, proofs and tools read.

The calls are ``ACT(P, action)`` or ``ACT(P, action, operand)``. Pads have the first four actions (NPI sections 4.1 and
4.2), others where they declare them. On a list, a pointer that would leave it stops at its end. A pointer that is named
need not stand on the row of the acting one, if the table does not say so: columns of all rows begin where the input
begins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

SYMBOL, POINTER = "symbol", "pointer"
"""Operands: a symbol of the acting pointer's row, or another pointer."""

STEP, COLUMN, PLACE = "step", "column", "place"
"""Where a pointer goes: some cells on, to the named pointer's column, to the column that is written under that one and
nowhere if there is none."""

EXCHANGE = "exchange"
"""What is written: :data:`SYMBOL`, the operand; :data:`COLUMN`, that of the named pointer; or the cells under both
pointers are exchanged."""


@dataclass(frozen=True)
class PadAction:
    """One action of a pointer: its token, and what it does for people.

    Attributes:
        operand: what it takes besides the pointer; empty for nothing.
        moves: where the pointer goes; empty if it stays. step: by how many cells, for :data:`STEP`.
        halves: whether it goes only half the way, rounded down.
        writes: what is written under the pointer; empty for nothing.
        declared: whether only pads have it that declare it as a jump.
    """

    name: str
    doc: str
    operand: str = ""
    moves: str = ""
    step: int = 0
    halves: bool = False
    writes: str = ""
    declared: bool = False

    @property
    def of_places(self) -> bool:
        """Whether only pads with a row of places have it."""
        return not self.declared and (self.moves == PLACE or self.writes == COLUMN)

    def takes(self, *, same_row: bool, on_places: bool, names_places: bool) -> bool:
        """Whether it can name a pointer.

        Args:
            same_row: whether both pointers stand on one row.
            on_places, names_places: whether the acting and the named one stand on rows of places.
        """
        return (
            (same_row or self.writes != EXCHANGE)
            and (on_places or self.writes != COLUMN)
            and (names_places or self.moves != PLACE)
        )


TABLE = (
    PadAction("LEFT", "`ACT(P, LEFT)` moves the pointer one cell to the left.", moves=STEP, step=-1),
    PadAction("RIGHT", "`ACT(P, RIGHT)` moves the pointer one cell to the right.", moves=STEP, step=1),
    PadAction("WRITE",
              "`ACT(P, WRITE, value)` writes a symbol, or the number that an expression gives, under the pointer.",
              SYMBOL, writes=SYMBOL),
    PadAction("SWAP", "`ACT(P, SWAP, Q)` exchanges what is under two pointers of one row.", POINTER, writes=EXCHANGE),
    PadAction("TO", "`ACT(P, TO, Q)` moves P to the column of Q, in worlds with `jump TO`.",
              POINTER, COLUMN, declared=True),
    PadAction("HALFWAY", "`ACT(P, HALFWAY, Q)` moves P half the way to Q, rounded down, in worlds with `jump HALFWAY`.",
              POINTER, COLUMN, halves=True, declared=True),
    PadAction("SAVE", "`ACT(P, SAVE, Q)` writes the column of Q under P, which is on a row of places.",
              POINTER, writes=COLUMN),
    PadAction("FOLLOW", "`ACT(P, FOLLOW, Q)` moves P to the column that is written under Q; P stays where none is.",
              POINTER, PLACE),
)  # fmt: skip
"""In the order of their tokens."""

BY_NAME: Mapping[str, PadAction] = {action.name: action for action in TABLE}

STEPS = tuple(action.name for action in TABLE if action.moves == STEP)
JUMPS = tuple(action.name for action in TABLE if action.declared)
PLACING = tuple(action.name for action in TABLE if action.of_places)
ACTIONS = tuple(action.name for action in TABLE if not action.declared and not action.of_places)
"""Actions of every pad."""


def actions_of(jumps: Collection[str], *, places: bool) -> tuple[PadAction, ...]:
    """The actions of a pad that declares these jumps, and has rows of places or not."""
    return tuple(a for a in TABLE if a.name in ACTIONS or a.name in jumps or (places and a.of_places))


class Act(NamedTuple):
    """A legal call: numbers of the acting pointer and of the one that it names (its own where it names none), and what
    an action that takes a symbol writes."""

    action: PadAction
    pointer: int
    other: int
    cell: int = 0
