"""How a scratch pad is declared: rows of cells, and pointers that stand on them.

There are two kinds of rows. A row whose cells may be blank is endless in both directions. A row without a blank is a
list of fixed length, at whose ends pointers stop. An endless row may hold places in place of symbols: a place is a
column, which a program can save and follow but not read, so that what it observes stays finite at any size. Stacks,
queues, tables of failure links and graphs are rows of places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from envs.scratchpad.actions import ACTIONS, BY_NAME, JUMPS, PLACING, SYMBOL, Act, actions_of
from envs.settings import closest
from envs.spec import BLANK, NONE, Field, Signature, Slot, SpecError, WorldSpec, check_distinct

KIND = "scratchpad"

Side = Literal["left", "right"]

PLACE = "place"
"""What a pointer on a row of places shows where a column is written."""

NOWHERE = -(2**31)
"""In layouts, readings and cells of a row of places: no column."""

ORDER = ("before", "same", "after")
"""How the columns of two pointers lie to each other."""

UNDER, PLACED, FIRST, LAST, COMPARED = range(5)
"""What a field of an observation shows: the symbol under a pointer, whether a place is written there, whether a pointer
on a list stands at its first or last cell, which of two pointers comes first."""

MAX_SYMBOLS = 2**15 - 1
"""A cell is a 16-bit integer."""


@dataclass(frozen=True)
class RowConfig:
    """A row of cells.

    Attributes:
        symbols: what a cell can hold, the index of a symbol being its position; a blank is not among them.
        blank: whether cells may be empty. An empty cell has the index ``len(symbols)``.
        places: whether cells hold columns; then the only symbol is ``"place"``, an empty cell holds ``NOWHERE``, and
            what is observed is whether one is there.

    Raises :class:`SpecError` for a row without symbols, or a symbol that is declared twice or has a reserved name.
    """

    name: str
    symbols: tuple[str, ...]
    blank: bool
    places: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise SpecError("a row has no name; give it one")
        if self.places and not (self.symbols == (PLACE,) and self.blank):
            raise SpecError(f"row {self.name} holds places, so its symbols are ({PLACE!r},) and it has a blank")
        if not 1 <= len(self.symbols) <= MAX_SYMBOLS:
            raise SpecError(f"row {self.name}: {len(self.symbols)} symbols; declare 1 to {MAX_SYMBOLS}")
        check_distinct(self.symbols, f"row {self.name}: symbol")
        for symbol in self.symbols:
            if symbol in (BLANK, NONE, "", *ACTIONS):
                taken = ", ".join(repr(name) for name in (BLANK, NONE, *ACTIONS))
                raise SpecError(f"row {self.name}: symbol {symbol!r} is not to be had, {taken} mean something else")

    @property
    def values(self) -> tuple[str, ...]:
        """The name of each index that a cell can show; ``"blank"`` comes last where the row has one."""
        return (*self.symbols, BLANK) if self.blank else self.symbols

    @property
    def empty(self) -> int:
        """What an untouched cell holds: blank, or 0 beyond the ends of a list."""
        return NOWHERE if self.places else len(self.symbols) if self.blank else 0


@dataclass(frozen=True)
class PointerConfig:
    """A pointer, the place on a row at which the program reads and writes.

    Attributes:
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


MAX_PARTS = 1000
"""Of rows, pointers and orders of a pad: its tables grow with their square."""


@dataclass(frozen=True)
class PadConfig:
    """The rows and pointers of a pad, in the order of their observations and tokens.

    Attributes:
        orders: pairs of pointers of which is observed whose column lies before the other's.
        jumps: which of :data:`~envs.scratchpad.actions.JUMPS` pointers can do.

    Raises :class:`SpecError` for names that clash, a pointer on no row, or a pad without rows or pointers.
    """

    rows: tuple[RowConfig, ...]
    pointers: tuple[PointerConfig, ...]
    orders: tuple[tuple[str, str], ...] = ()
    jumps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows or not self.pointers:
            raise SpecError("a pad needs at least one row and one pointer on it")
        check_count(len(self.rows) + len(self.pointers) + len(self.orders))
        names = [row.name for row in self.rows]
        check_distinct(names, "row")
        check_distinct([pointer.name for pointer in self.pointers], "pointer")
        taken = {NONE, *self.actions, *(value for row in self.rows for value in row.values)}
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
        self._check_extras()

    def _check_extras(self) -> None:
        """What not every pad has: orders, jumps, and the actions that come with places."""
        names = [pointer.name for pointer in self.pointers]
        check_distinct([str(sorted(pair)) for pair in self.orders], "order")
        for pair in self.orders:
            for name in pair:
                if name not in names:
                    raise SpecError(f"order of {' and '.join(pair)}: no pointer {name!r}{closest(name, names)}")
            if len(set(pair)) != 2:
                raise SpecError(f"order of {' and '.join(pair)}: name two pointers")
        for name in self.jumps:
            if name not in JUMPS:
                raise SpecError(f"there is no jump {name!r}{closest(name, JUMPS)}")
        check_distinct(self.jumps, "jump")
        symbols = {symbol for row in self.rows for symbol in row.symbols}
        for name in (*JUMPS, *PLACING):
            if name in self.actions and name in symbols:
                raise SpecError(f"{name} is an action of this pad, and a symbol; rename the symbol")

    @property
    def actions(self) -> tuple[str, ...]:
        """What pointers of this pad can do, in the order of their tokens."""
        places = any(row.places for row in self.rows)
        return tuple(action.name for action in actions_of(self.jumps, places=places))

    @property
    def first_pointer(self) -> int:
        """The token of the first pointer: none, the actions, then the pointers, then the symbols."""
        return 1 + len(self.actions)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The vocabulary."""
        symbols = dict.fromkeys(symbol for row in self.rows if not row.places for symbol in row.symbols)
        blank = (BLANK,) if any(row.blank for row in self.rows) else ()
        return (NONE, *self.actions, *(pointer.name for pointer in self.pointers), *symbols, *blank)

    @property
    def wanders(self) -> bool:
        """Whether pointers can move by more than one cell."""
        return self.actions != ACTIONS

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

    @property
    def shows(self) -> tuple[tuple[int, int, int], ...]:
        """Of each field of the observation what it shows, and the one or two pointers of which."""
        names = [pointer.name for pointer in self.pointers]
        places = [self.row_of(pointer).places for pointer in self.pointers]
        return (
            *((PLACED if places[p] else UNDER, p, p) for p in self.seen),
            *((edge, p, p) for p in self.listed for edge in (FIRST, LAST)),
            *((COMPARED, names.index(one), names.index(two)) for one, two in self.orders),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; what a pad does not have is not mentioned."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # lists in place of tuples
        for row in data["rows"]:
            if not row["places"]:
                del row["places"]
        return {key: part for key, part in data.items() if part}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PadConfig:
        """The inverse of :meth:`to_json`; raises :class:`SpecError` for a key that is missing or unknown."""
        _keys(data, ("rows", "pointers"), "pad", optional=("orders", "jumps"))
        for row in data["rows"]:
            _keys(row, ("name", "symbols", "blank"), "row", optional=("places",))
        for pointer in data["pointers"]:
            _keys(pointer, ("name", "row", "start", "sees"), "pointer")
        return cls(
            rows=tuple(
                RowConfig(row["name"], tuple(row["symbols"]), bool(row["blank"]), bool(row.get("places", False)))
                for row in data["rows"]
            ),
            pointers=tuple(PointerConfig(**pointer) for pointer in data["pointers"]),
            orders=tuple((one, two) for one, two in data.get("orders", ())),
            jumps=tuple(data.get("jumps", ())),
        )


def pad_spec(name: str, kind: str, config: PadConfig) -> WorldSpec:
    """Declare the pad: its observation, its vocabulary and its one primitive, the ACT of NPI section 4.1."""
    listed = [config.pointers[i].name for i in config.listed]
    fields = [Field(p.name, config.row_of(p).values) for p in config.pointers if p.sees]
    fields += [Field(f"{edge}({p})", ("no", "yes")) for p in listed for edge in ("first", "last")]
    fields += [Field(f"order({one}, {two})", ORDER) for one, two in config.orders]
    tokens = config.tokens
    end = config.first_pointer + len(config.pointers)
    pointers = tuple(range(config.first_pointer, end))
    slots = (
        Slot("pointer", pointers),
        Slot("action", tuple(range(1, config.first_pointer))),
        Slot("operand", (0, *pointers, *range(end, len(tokens)))),
    )
    act = Signature("ACT", slots, "Move a pointer, write under it, or swap the cells under two pointers")
    return WorldSpec(name, kind, config.to_json(), tuple(fields), tokens, (act,))


def check_count(parts: int) -> None:
    """Raise :class:`SpecError` for a pad of more than :data:`MAX_PARTS` rows, pointers and orders."""
    if parts > MAX_PARTS:
        raise SpecError(f"{parts:,} rows, pointers and orders are more than {MAX_PARTS:,}; declare fewer")


def acts_of(config: PadConfig) -> dict[tuple[int, ...], Act]:
    """What each legal ``ACT`` does, by the tokens of its arguments; a call that is not here is refused."""
    found: dict[tuple[int, ...], Act] = {}
    first, rows = config.first_pointer, [config.row_of(pointer) for pointer in config.pointers]
    token = {name: number for number, name in enumerate(config.tokens)}
    for p, row in enumerate(rows):
        written = {BLANK: row.empty} if row.places else {value: i for i, value in enumerate(row.values)}
        for name in config.actions:
            action, head = BY_NAME[name], (first + p, token[name])
            if not action.operand:
                found[*head, 0] = Act(action, p, p)
            elif action.operand == SYMBOL:  # places are saved, not written
                found |= {(*head, token[value]): Act(action, p, p, index) for value, index in written.items()}
            else:
                for q, other in enumerate(rows):
                    if action.takes(same_row=row.name == other.name, on_places=row.places, names_places=other.places):
                        found[*head, first + q] = Act(action, p, q)
    return found


def _keys(data: Mapping[str, Any], expected: tuple[str, ...], what: str, *, optional: tuple[str, ...] = ()) -> None:
    for key in data:
        if key not in expected + optional:
            raise SpecError(f"{what} settings: unknown key {key!r}{closest(key, expected + optional)}")
    for key in expected:
        if key not in data:
            raise SpecError(f"{what} settings: {key!r} is missing; give {', '.join(expected)}")
