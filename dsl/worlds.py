"""A world's declaration → a world object, and the names that program texts can use in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import ascii_lowercase
from typing import Any

from dsl import syntax as s
from dsl.errors import LanguageError, Source, suggest
from envs import registry
from envs.padconfig import MOST_SYMBOLS
from envs.spec import BLANK, WorldSpec
from envs.world import World

PAD = "scratchpad"

DIRECTIONS = ("LEFT", "RIGHT")

SYMBOL_SETS: Mapping[str, tuple[str, ...]] = {
    "digit": (*map(str, range(10)), BLANK),
    "bit": ("0", "1", BLANK),
    "letter": (*ascii_lowercase, BLANK),
}
"""Named domains of symbols, their blank last."""


def number_of(symbol: str) -> int | None:
    """The number that a symbol stands for; None for a symbol that is none, such as ``"("`` or ``"01"``."""
    digits = symbol[1:] if symbol[:1] == "-" else symbol
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return int(symbol) if str(int(symbol)) == symbol else None


@dataclass(frozen=True)
class RowFace:
    """A row as texts see it: its symbols, and whether a cell may be blank (index ``len(symbols)``)."""

    name: str
    symbols: tuple[str, ...]
    blank: bool

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.symbols, BLANK) if self.blank else self.symbols

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """Symbol → its index in a layout."""
        return {symbol: index for index, symbol in enumerate(self.values)}

    def describe(self) -> str:
        return describe_symbols(self.values)


@dataclass(frozen=True)
class Face:
    """The names of one world.

    Attributes:
        spec: the world's declaration.
        rows: a pad's rows by name; empty for other worlds.
        pointers: a pad's pointers → the row each stands on.
        counters: pointers whose cell is not observed.
    """

    spec: WorldSpec
    rows: Mapping[str, RowFace]
    pointers: Mapping[str, str]
    counters: frozenset[str]

    @cached_property
    def tokens(self) -> Mapping[str, int]:
        return {name: index for index, name in enumerate(self.spec.tokens)}

    @cached_property
    def fields(self) -> Mapping[str, int]:
        return {field.name: index for index, field in enumerate(self.spec.fields)}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that some row or observed field can hold, without the edges' yes and no."""
        found = [value for row in self.rows.values() for value in row.values]
        if self.spec.kind != PAD:
            found = [value for field in self.spec.fields for value in field.values]
        return tuple(dict.fromkeys(found))


def make_face(world: World[Any]) -> Face:
    """The names of a world, read from its declaration."""
    spec = world.spec
    if spec.kind != PAD:
        return Face(spec, {}, {}, frozenset())
    rows = {row["name"]: RowFace(row["name"], tuple(row["symbols"]), row["blank"]) for row in spec.config["rows"]}
    pointers = {pointer["name"]: pointer["row"] for pointer in spec.config["pointers"]}
    return Face(spec, rows, pointers, frozenset(p["name"] for p in spec.config["pointers"] if not p["sees"]))


def build_world(world: s.World, source: Source) -> World[Any]:
    """The world that a declaration describes; raises :class:`LanguageError` for one that contradicts itself."""
    if world.kind not in registry.KINDS:
        message = f"there is no kind of world named {world.kind}"
        raise LanguageError(source, world.line, world.column, message, suggest(world.kind, registry.KINDS))
    config = pad_config(world, source) if world.kind == PAD else {item.name: item.value for item in world.settings}
    if world.kind != PAD and world.items:
        first = world.items[0]
        message = f"a {world.kind} has no rows or pointers"
        raise LanguageError(source, first.line, first.column, message, "remove it, or make the world a scratchpad")
    try:
        return registry.make(world.kind, world.name, config)
    except ValueError as error:
        message = f"world {world.name} cannot be made: {error}"
        raise LanguageError(source, world.line, world.column, message, "change the declaration") from error


def pad_config(world: s.World, source: Source) -> dict[str, Any]:
    """The scratch pad's settings: rows, and pointers (a row without one gets one of its own name)."""
    if world.settings:
        setting = world.settings[0]
        message = f"a scratchpad has no setting {setting.name}"
        raise LanguageError(source, setting.line, setting.column, message, "declare its rows, one a line")
    rows: dict[str, RowFace] = {}
    for item in world.items:
        if isinstance(item, s.Row):
            for name in item.names:
                check_new(name, rows, item, source, "row")
                rows[name] = make_row(name, item, source)
    if not rows:
        message = f"the scratchpad {world.name} has no rows"
        raise LanguageError(source, world.line, world.column, message, "put a : at the end and declare rows below it")
    listed = [{"name": row.name, "symbols": list(row.symbols), "blank": row.blank} for row in rows.values()]
    return {"rows": listed, "pointers": pad_pointers(world, rows, source)}


def make_row(name: str, item: s.Row, source: Source) -> RowFace:
    values = domain_symbols(item.domain, source)
    symbols = tuple(value for value in values if value != BLANK)
    if not symbols:
        message = f"row {name} can hold nothing but blanks"
        raise LanguageError(source, item.line, item.column, message, "add symbols, for example: of digit")
    return RowFace(name, symbols, BLANK in values)


def pad_pointers(world: s.World, rows: Mapping[str, RowFace], source: Source) -> list[dict[str, Any]]:
    """Declared pointers in the order of the text, each row's own pointer at its row's place."""
    declared = [item for item in world.items if isinstance(item, s.Pointer)]
    taken = {item.row for item in declared}
    pointers: dict[str, dict[str, Any]] = {}
    for item in world.items:
        if isinstance(item, s.Pointer) and item.row not in rows:
            message = f"there is no row {item.row} in world {world.name}"
            raise LanguageError(source, item.line, item.column, message, suggest(item.row, rows))
        if isinstance(item, s.Row) and item.start and taken & set(item.names):
            message = "this row has pointers of its own, and a start"
            raise LanguageError(source, item.line, item.column, message, "write the start behind each pointer")
        counter = isinstance(item, s.Pointer) and item.counter
        default = "right" if isinstance(item, s.Row) else "left"
        start = item.start or default
        if start not in ("left", "right"):
            message = f"a pointer cannot start at {start}"
            raise LanguageError(source, item.line, item.column, message, suggest(start, ("left", "right")))
        for name in item.names:
            if isinstance(item, s.Row) and name in taken:
                continue
            row = name if isinstance(item, s.Row) else item.row
            check_new(name, pointers, item, source, "pointer")
            check_pointer(name, rows[row], counter, item, source)
            pointers[name] = {"name": name, "row": row, "start": start, "sees": not counter}
    return list(pointers.values())


def check_pointer(name: str, row: RowFace, counter: bool, item: s.Node, source: Source) -> None:
    if counter and row.blank:
        message = f"counter {name} on row {row.name}, which has blanks, so no ends for it to show"
        mend = "make it a pointer, or give the row a domain without blank"
        raise LanguageError(source, item.line, item.column, message, mend)
    if name in row.values or name in ("LEFT", "RIGHT", "WRITE", "SWAP"):
        message = f"{name} is the name of a symbol or an action, and of a pointer"
        raise LanguageError(source, item.line, item.column, message, "rename the pointer")


def check_new(name: str, known: Mapping[str, Any], item: s.Node, source: Source, what: str) -> None:
    """Refuse a name that is declared twice."""
    if name in known:
        raise LanguageError(source, item.line, item.column, f"{what} {name} is declared twice", "rename one of them")


def domain_symbols(domain: s.Domain, source: Source) -> tuple[str, ...]:
    """The symbols of a domain in the order of the text, its blank (if any) last."""
    found: list[str] = []
    for part in domain.parts:
        if isinstance(part, s.DomainName):
            if part.name not in SYMBOL_SETS:
                message = f"there is no domain named {part.name}"
                mend = suggest(part.name, SYMBOL_SETS, otherwise='use digit, bit, letter, 0..9, or quote a symbol: "x"')
                raise LanguageError(source, part.line, part.column, message, mend)
            found += SYMBOL_SETS[part.name]
        elif isinstance(part, s.DomainRange):
            if part.last < part.first:
                message = f"the range {part.first}..{part.last} is empty"
                raise LanguageError(source, part.line, part.column, message, f"write {part.last}..{part.first}")
            if part.last - part.first >= MOST_SYMBOLS:
                message = f"the range {part.first}..{part.last} has more than {MOST_SYMBOLS} symbols"
                raise LanguageError(source, part.line, part.column, message, "keep large numbers as rows of digits")
            found += map(str, range(part.first, part.last + 1))
        else:
            found.append(BLANK if isinstance(part, s.DomainBlank) else part.value)
    unique = dict.fromkeys(symbol for symbol in found if symbol != BLANK)
    return (*unique, BLANK) if BLANK in found else tuple(unique)


def describe_symbols(values: tuple[str, ...]) -> str:
    """``0..9 or blank``, ``( or )``: a domain in words."""
    symbols = [value for value in values if value != BLANK]
    numbers = [number_of(symbol) for symbol in symbols]
    if len(symbols) > 2 and None not in numbers and numbers == list(range(numbers[0] or 0, (numbers[-1] or 0) + 1)):
        symbols = [f"{symbols[0]}..{symbols[-1]}"]
    elif len(symbols) > 8:
        symbols = [*symbols[:3], "…", symbols[-1]]
    return " or ".join([*symbols, BLANK] if BLANK in values else symbols)
