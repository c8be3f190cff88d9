"""Pads that several tests use, and a plain Python pad to compare them with."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envs.scratchpad.world import NOWHERE, PadConfig, PointerConfig, RowConfig

DIGITS = tuple("0123456789")

ADDITION = PadConfig(
    rows=tuple(RowConfig(name, DIGITS, blank=True) for name in ("IN1", "IN2", "CARRY", "OUT")),
    pointers=tuple(PointerConfig(name, name, start="right") for name in ("IN1", "IN2", "CARRY", "OUT")),
)
"""The pad of NPI section 4.2.1: four endless rows, one pointer each."""

SORTING = PadConfig(
    rows=(RowConfig("A", DIGITS, blank=False),),
    pointers=(
        PointerConfig("P1", "A"),
        PointerConfig("P2", "A", start="right"),
        PointerConfig("COUNT", "A", sees=False),
    ),
)
"""The pad of NPI section 4.2.2: one list, two pointers and a counter."""

MIXED = PadConfig(
    rows=(
        RowConfig("TEXT", ("a", "b", "c"), blank=True),
        RowConfig("BITS", ("0", "1"), blank=False),
        RowConfig("STACK", ("(", ")", "a"), blank=True),
    ),
    pointers=(
        PointerConfig("T", "TEXT", start="right"),
        PointerConfig("BITS", "BITS", start="right"),
        PointerConfig("N", "BITS", sees=False),
        PointerConfig("S1", "STACK"),
        PointerConfig("S2", "STACK", start="right"),
    ),
)
"""Both kinds of rows at once, with symbols that two rows share under different indices."""


WANDERING = PadConfig(
    rows=(
        RowConfig("TEXT", ("a", "b"), blank=True),
        RowConfig("BITS", ("0", "1"), blank=False),
        RowConfig("STACK", ("place",), blank=True, places=True),
        RowConfig("LINKS", ("place",), blank=True, places=True),
    ),
    pointers=(
        PointerConfig("T", "TEXT", start="right"),
        PointerConfig("BITS", "BITS"),
        PointerConfig("S", "STACK"),
        PointerConfig("L", "LINKS"),
        PointerConfig("M", "LINKS", start="right"),
    ),
    orders=(("T", "BITS"), ("M", "L"), ("S", "T")),
    jumps=("TO", "HALFWAY"),
)
"""Pointers that jump, places that are saved and followed, and comparisons across rows of both kinds."""

PADS = {"addition": ADDITION, "sorting": SORTING, "mixed": MIXED, "wandering": WANDERING}


def random_layout(config: PadConfig, chooser: random.Random) -> dict[str, list[int]]:
    """Up to five cells in each row, some of them blank; places are columns that some endless row has."""
    length = {row.name: chooser.randint(0 if row.blank else 1, 5) for row in config.rows}
    columns = max([length[row.name] for row in config.rows if row.blank], default=0)
    layout = {}
    for row in config.rows:
        cells = (NOWHERE, *range(columns)) if row.places else range(len(row.symbols) + row.blank)
        layout[row.name] = [chooser.choice(cells) for _ in range(length[row.name])]
    return layout


@dataclass
class PlainPad:
    """One instance of a pad as dictionaries of Python values, written from the description and not from the code."""

    config: PadConfig
    layout: Mapping[str, Sequence[int]]
    cells: dict[str, dict[int, int]] = field(init=False)
    at: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = {row.name: dict(enumerate(self.layout.get(row.name, []))) for row in self.config.rows}
        endless = [len(self.cells[row.name]) for row in self.config.rows if row.blank]
        self.at = {}
        for pointer in self.config.pointers:
            row = self.config.row_of(pointer)
            extent = max([1, *endless]) if row.blank else len(self.cells[row.name])
            self.at[pointer.name] = extent - 1 if pointer.start == "right" else 0

    def cell(self, name: str) -> int:
        """The symbol under a pointer."""
        row = self._row(name)
        return self.cells[row.name].get(self.at[name], self._empty(row))

    def symbol(self, name: str) -> str:
        """What is seen of the cell under a pointer."""
        row, found = self._row(name), self.cell(name)
        return "blank" if found == self._empty(row) else row.symbols[0 if row.places else found]

    def order(self, one: str, two: str) -> str:
        mine, other = self.at[one], self.at[two]
        return "before" if mine < other else "same" if mine == other else "after"

    def edge(self, which: str, name: str) -> bool:
        """Whether a pointer on a list stands on its first or last cell."""
        columns = self.cells[self._row(name).name]
        return self.at[name] == (min(columns) if which == "first" else max(columns))

    def act(self, name: str, action: str, operand: str = "-") -> bool:
        """Perform a call given by names; false where it is illegal."""
        row = self._row(name)
        if action in ("LEFT", "RIGHT"):
            if operand != "-":
                return False
            moved = self.at[name] + (1 if action == "RIGHT" else -1)
            if row.blank or moved in self.cells[row.name]:
                self.at[name] = moved
            return True
        if action == "WRITE":
            if operand not in row.values or (row.places and operand != "blank"):
                return False
            self.cells[row.name][self.at[name]] = self._empty(row) if row.places else row.values.index(operand)
            return True
        if action != "SWAP":
            return self.jump(name, action, operand)
        if operand not in self.at or self._row(operand) != row:
            return False
        mine, other = self.cell(name), self.cell(operand)
        self.cells[row.name][self.at[operand]] = mine
        self.cells[row.name][self.at[name]] = other
        return True

    def jump(self, name: str, action: str, operand: str) -> bool:
        """Perform TO, HALFWAY, SAVE or FOLLOW."""
        if operand not in self.at:
            return False
        row, other = self._row(name), self._row(operand)
        target = self.at[operand]
        if action == "SAVE":
            if row.places:
                self.cells[row.name][self.at[name]] = target
            return row.places
        if action == "HALFWAY":
            target = (self.at[name] + target) // 2
        if action == "FOLLOW":
            if not other.places:
                return False
            if self.cell(operand) == NOWHERE:
                return True
            target = self.cell(operand)
        self.at[name] = target if row.blank else min(max(target, 0), max(self.cells[row.name]))
        return True

    def observe(self) -> list[int]:
        """The declared observation."""
        seen = []
        for pointer in (pointer for pointer in self.config.pointers if pointer.sees):
            symbol = self.cell(pointer.name)
            seen.append(int(symbol == NOWHERE) if self._row(pointer.name).places else symbol)
        for pointer in self.config.pointers:
            if not self.config.row_of(pointer).blank:
                seen += [int(self.edge(which, pointer.name)) for which in ("first", "last")]
        return seen + [("before", "same", "after").index(self.order(*pair)) for pair in self.config.orders]

    def read(self) -> dict[str, list[int]]:
        """Rows without the blanks around them, then what is under each pointer and where it stands."""
        reading: dict[str, list[int]] = {}
        for row in self.config.rows:
            blank = self._empty(row)
            filled = [column for column, symbol in self.cells[row.name].items() if symbol != blank]
            columns = range(min(filled), max(filled) + 1) if filled else range(0)
            reading[row.name] = [self.cells[row.name].get(column, blank) for column in columns]
        for name in self.at:
            reading[f"under({name})"] = [self.cell(name)]
            reading[f"at({name})"] = [self.at[name]]
        return reading

    def _empty(self, row: RowConfig) -> int:
        return NOWHERE if row.places else len(row.symbols)

    def _row(self, pointer: str) -> RowConfig:
        return next(self.config.row_of(p) for p in self.config.pointers if p.name == pointer)
