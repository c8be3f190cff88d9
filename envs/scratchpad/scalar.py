"""One scratch pad in plain Python, for small inputs: there an operation on tensors costs more than the work itself.

It does what :class:`envs.scratchpad.world.Scratchpad` does for a batch of one, and the tests hold the two against each
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envs.scratchpad.actions import COLUMN, EXCHANGE, STEP, SYMBOL, Act
from envs.scratchpad.config import COMPARED, FIRST, LAST, NOWHERE, PLACED, PadConfig, acts_of
from envs.world import Layout


@dataclass(frozen=True)
class Plan:
    """What all pads of one declaration share.

    Attributes:
        acts: see :func:`~envs.scratchpad.config.acts_of`.
        rows: the row of each pointer. empty: what an untouched cell of that row holds.
        listed: whether a pointer stands on a list. beside: all pointers on its row.
        shown: of each pointer, the fields that show something of it (number, and an entry of ``config.shows``).
    """

    config: PadConfig
    acts: Mapping[tuple[int, ...], Act]
    rows: tuple[str, ...]
    empty: tuple[int, ...]
    listed: tuple[bool, ...]
    beside: tuple[tuple[int, ...], ...]
    shown: tuple[tuple[tuple[int, int, int, int], ...], ...]


def plan_of(config: PadConfig) -> Plan:
    rows = [config.row_of(pointer) for pointer in config.pointers]
    return Plan(
        config,
        acts_of(config),
        rows=tuple(row.name for row in rows),
        empty=tuple(row.empty for row in rows),
        listed=tuple(not row.blank for row in rows),
        beside=tuple(tuple(q for q, other in enumerate(rows) if other.name == row.name) for row in rows),
        shown=tuple(
            tuple((field, *shows) for field, shows in enumerate(config.shows) if p in shows[1:])
            for p in range(len(rows))
        ),
    )


class SinglePad:
    """One pad: cells by column, a row a dictionary; and the column of each pointer.

    Args:
        layout: as a world's ``reset`` takes it, and right.

    Attributes:
        seen: the observation: the symbol under each pointer that sees, first and last of those on a list, comparisons.
    """

    def __init__(self, plan: Plan, layout: Layout) -> None:
        self.plan = plan
        self.rows = {row.name: dict(enumerate(layout.get(row.name, ()))) for row in plan.config.rows}
        self.cells = [self.rows[name] for name in plan.rows]
        extent = max([1, *(len(self.rows[row.name]) for row in plan.config.rows if row.blank)])
        self.last = [len(self.rows[name]) - 1 for name in plan.rows]
        self.at = []
        for p, pointer in enumerate(plan.config.pointers):
            right = self.last[p] if plan.listed[p] else extent - 1
            self.at.append(right if pointer.start == "right" else 0)
        self._seen = [0] * len(plan.config.shows)
        for p in range(len(self.at)):
            self._look(p)
        self.seen = tuple(self._seen)

    def act(self, act: Act) -> None:
        """Carry out a legal call."""
        action, p, q, cell = act
        at, cells = self.at, self.cells
        if action.moves:
            if action.moves == STEP:
                target = at[p] + action.step
            elif action.moves == COLUMN:
                target = at[q]
            else:
                target = cells[q].get(at[q], NOWHERE)
            if target != NOWHERE:
                column = at[p] + (target - at[p] >> action.halves)
                at[p] = min(max(column, 0), self.last[p]) if self.plan.listed[p] else column
                self._look(p)
        else:
            if action.writes == EXCHANGE:
                empty = self.plan.empty[p]
                mine, other = cells[p].get(at[p], empty), cells[q].get(at[q], empty)
                cells[p][at[p]], cells[q][at[q]] = other, mine
            else:
                cells[p][at[p]] = cell if action.writes == SYMBOL else at[q]
            for beside in self.plan.beside[p]:
                self._look(beside)
        self.seen = tuple(self._seen)

    def _look(self, p: int) -> None:
        """Bring what is seen of a pointer up to date."""
        at, cells = self.at, self.cells
        for field, kind, one, two in self.plan.shown[p]:
            if kind == COMPARED:
                value = 1 + (at[one] > at[two]) - (at[one] < at[two])
            elif kind == FIRST:
                value = int(at[one] == 0)
            elif kind == LAST:
                value = int(at[one] == self.last[one])
            else:
                value = cells[one].get(at[one], self.plan.empty[one])
                if kind == PLACED:
                    value = int(value == NOWHERE)
            self._seen[field] = value

    def read(self) -> dict[str, list[int]]:
        """Each row from its first to its last symbol (lists whole), then ``under(P)`` and ``at(P)`` of each pointer."""
        found: dict[str, list[int]] = {}
        for row in self.plan.config.rows:
            cells = self.rows[row.name]
            filled = [column for column, index in cells.items() if index != row.empty] if row.blank else list(cells)
            columns = range(min(filled), max(filled) + 1) if filled else ()
            found[row.name] = [cells.get(column, row.empty) for column in columns]
        for p, pointer in enumerate(self.plan.config.pointers):
            found[f"under({pointer.name})"] = [self.cells[p].get(self.at[p], self.plan.empty[p])]
            found[f"at({pointer.name})"] = [self.at[p]]
        return found
