"""How a scratch pad is declared: rows of cells, and pointers that stand on them.

There are two kinds of rows. A row whose cells may be blank is endless in both directions. A row without a blank is a
list of fixed length, at whose ends pointers stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from envs.spec import BLANK, NONE, Field, Signature, Slot, SpecError, WorldSpec

Side = Literal["left", "right"]

ACTIONS = ("LEFT", "RIGHT", "WRITE", "SWAP")
"""What a pointer can do, in the order of their tokens."""

FIRST_POINTER = 1 + len(ACTIONS)
"""The token of the first pointer: none, the actions, then the pointers, then the symbols."""

MOST_SYMBOLS = 2**15 - 1
"""A cell is a 16-bit integer."""


@dataclass(frozen=True)
class RowConfig:
    """A row of cells.

    Attributes:
        name: as a layout and a reading call it.
        symbols: what a cell can hold, the index of a symbol being its position; a blank is not among them.
        blank: whether cells may be empty. An empty cell has the index ``len(symbols)``.

    Raises:
        SpecError: for a row without symbols, or a symbol that is declared twice or has a reserved name.
    """

    name: str
    symbols: tuple[str, ...]
    blank: bool

    def __post_init__(self) -> None:
        if not self.name:
            raise SpecError("a row has no name; give it one")
        if not 1 <= len(self.symbols) <= MOST_SYMBOLS:
            raise SpecError(f"row {self.name}: {len(self.symbols)} symbols; declare 1 to {MOST_SYMBOLS}")
        _distinct(self.symbols, f"row {self.name}: symbol")
        for symbol in self.symbols:
            if symbol in (BLANK, NONE, "", *ACTIONS):
                taken = ", ".join(repr(name) for name in (BLANK, NONE, *ACTIONS))
                raise SpecError(f"row {self.name}: symbol {symbol!r} is not to be had, {taken} mean something else")

    @property
    def values(self) -> tuple[str, ...]:
        """The name of each index that a cell can hold; ``"blank"`` comes last where the row has one."""
        return (*self.symbols, BLANK) if self.blank else self.symbols


@dataclass(frozen=True)
class PointerConfig:
    """A pointer, the place on a row at which the program reads and writes.

    Attributes:
        name: as observations and arguments call it.
        row: the name of its row.
        start: the end of the layout at which it stands after a reset.
        sees: whether the symbol under it is observed. A counter (``False``) shows only the edges of its list.
    """

    name: str
    row: str
    start: Side = "left"
    sees: bool = True

    def __post_init__(self) -> None:
        if not self.name:
            raise SpecError(f"a pointer on row {self.row} has no name; give it one")
        if self.start not in ("left", "right"):
            raise SpecError(f"pointer {self.name}: start is {self.start!r}; write 'left' or 'right'")


@dataclass(frozen=True)
class PadConfig:
    """The rows and pointers of a pad, in the order of their observations and tokens.

    Raises:
        SpecError: for names that clash, a pointer on a row that is not declared, or a pad without rows or pointers.
    """

    rows: tuple[RowConfig, ...]
    pointers: tuple[PointerConfig, ...]

    def __post_init__(self) -> None:
        if not self.rows or not self.pointers:
            raise SpecError("a pad needs at least one row and one pointer on it")
        names = [row.name for row in self.rows]
        _distinct(names, "row")
        _distinct([pointer.name for pointer in self.pointers], "pointer")
        taken = {NONE, *ACTIONS, *(value for row in self.rows for value in row.values)}
        for pointer in self.pointers:
            if pointer.row not in names:
                raise SpecError(f"pointer {pointer.name}: there is no row {pointer.row!r}{closest(pointer.row, names)}")
            if pointer.name in taken:
                raise SpecError(f"pointer {pointer.name} has the name of an action or a symbol; rename the pointer")
            if not pointer.sees and self.row_of(pointer).blank:
                raise SpecError(
                    f"counter {pointer.name} stands on row {pointer.row}, which is endless, and would show nothing; "
                    "declare a pointer, or a row without blank"
                )

    def row_of(self, pointer: PointerConfig) -> RowConfig:
        return next(row for row in self.rows if row.name == pointer.row)

    @property
    def seen(self) -> tuple[int, ...]:
        """Indices of the pointers whose symbol is observed."""
        return tuple(i for i, pointer in enumerate(self.pointers) if pointer.sees)

    @property
    def listed(self) -> tuple[int, ...]:
        """Indices of the pointers that stand on a list, whose edges are observed."""
        return tuple(i for i, pointer in enumerate(self.pointers) if not self.row_of(pointer).blank)

    def to_json(self) -> dict[str, Any]:
        rows = [{"name": row.name, "symbols": list(row.symbols), "blank": row.blank} for row in self.rows]
        return {"rows": rows, "pointers": [dict(vars(pointer)) for pointer in self.pointers]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PadConfig:
        """The inverse of :meth:`to_json`; raises :class:`SpecError` for a key that is missing or unknown."""
        _keys(data, ("rows", "pointers"), "pad")
        for row in data["rows"]:
            _keys(row, ("name", "symbols", "blank"), "row")
        for pointer in data["pointers"]:
            _keys(pointer, ("name", "row", "start", "sees"), "pointer")
        rows = tuple(RowConfig(row["name"], tuple(row["symbols"]), bool(row["blank"])) for row in data["rows"])
        return cls(rows, tuple(PointerConfig(**pointer) for pointer in data["pointers"]))


def pad_spec(name: str, kind: str, config: PadConfig) -> WorldSpec:
    """Declare the pad: its observation, its vocabulary and its one primitive, the ACT of NPI section 4.1."""
    listed = [config.pointers[i].name for i in config.listed]
    fields = [Field(p.name, config.row_of(p).values) for p in config.pointers if p.sees]
    fields += [Field(f"{edge}({p})", ("no", "yes")) for p in listed for edge in ("first", "last")]
    symbols = dict.fromkeys(symbol for row in config.rows for symbol in row.symbols)
    blank = (BLANK,) if any(row.blank for row in config.rows) else ()
    tokens = (NONE, *ACTIONS, *(p.name for p in config.pointers), *symbols, *blank)
    end = FIRST_POINTER + len(config.pointers)
    pointers = tuple(range(FIRST_POINTER, end))
    slots = (
        Slot("pointer", pointers),
        Slot("action", tuple(range(1, FIRST_POINTER))),
        Slot("operand", (0, *pointers, *range(end, len(tokens)))),
    )
    act = Signature("ACT", slots, "Move a pointer, write under it, or swap the cells under two pointers")
    return WorldSpec(name, kind, config.to_json(), tuple(fields), tokens, (act,))


def closest(name: str, names: Sequence[str]) -> str:
    """The end of an error message: the name that was probably meant, else all of them."""
    found = get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]!r}?" if found else f"; there are {', '.join(names)}"


def _distinct(names: Sequence[str], what: str) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise SpecError(f"{what} {doubles[0]!r} is declared twice; rename one")


def _keys(data: Mapping[str, Any], expected: tuple[str, ...], what: str) -> None:
    for key in data:
        if key not in expected:
            raise SpecError(f"{what} settings: unknown key {key!r}{closest(key, expected)}")
    for key in expected:
        if key not in data:
            raise SpecError(f"{what} settings: {key!r} is missing; give {', '.join(expected)}")
