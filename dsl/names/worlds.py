"""A world's declaration → a world object, and the names that program texts can use in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from string import ascii_lowercase
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from dsl.errors.error import LanguageError, Source, suggest
from dsl.text import syntax as s
from envs import registry
from envs.product import Product
from envs.scratchpad.actions import JUMPS, STEPS, actions_of
from envs.scratchpad.config import MAX_SYMBOLS, PLACE, check_count
from envs.spec import BLANK, NONE, SpecError, WorldSpec
from envs.world import World

PAD = "scratchpad"

DIRECTIONS = STEPS

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
    """A row as texts see it: its symbols, and whether a cell may be blank (index ``len(symbols)``).

    A row of ``places`` holds columns: a text sees of them whether one is there.
    """

    name: str
    symbols: tuple[str, ...]
    blank: bool
    places: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.symbols, BLANK) if self.blank else self.symbols

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """Symbol → its index in a layout."""
        return {symbol: index for index, symbol in enumerate(self.values)}

    @cached_property
    def index_of_number(self) -> Mapping[Any, int]:
        """The same for symbols that are numbers."""
        numbers = ((number_of(symbol), index) for symbol, index in self.index_of.items())
        return {number: index for number, index in numbers if number is not None}

    @cached_property
    def cells(self) -> tuple[int | str, ...]:
        """What each index that a cell can show means in a task: a number, or the symbol itself."""
        numbers = map(number_of, self.values)
        return tuple(v if n is None else n for n, v in zip(numbers, self.values, strict=True))

    def describe(self) -> str:
        return "places or blank" if self.places else describe_symbols(self.values)


@dataclass(frozen=True)
class Face:
    """The names of one world, or of one part of joined worlds.

    Attributes:
        spec: the declaration of the whole world, whose ids all texts share.
        rows: a pad's rows by name; in other worlds each field, as a row of one cell, and each hidden part.
        pointers: a pad's pointers → the row each stands on.
        counters: pointers whose cell is not observed.
        fields, tokens, primitives: by name, the index in ``spec``.
        cells: fields that a text reads by their names; a pad's are read by its pointers.
    """

    spec: WorldSpec
    rows: Mapping[str, RowFace]
    pointers: Mapping[str, str]
    counters: frozenset[str]
    fields: Mapping[str, int]
    tokens: Mapping[str, int]
    primitives: Mapping[str, int]
    cells: frozenset[str]

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that some row or observed field can hold, without the edges' yes and no."""
        found = [value for row in self.rows.values() for value in row.values]
        return tuple(dict.fromkeys(found))

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Interned symbols: tokens first, then values of fields that are no tokens."""
        seen, hidden = ([v for part in parts for v in part.values] for parts in (self.spec.fields, self.spec.hidden))
        return {name: index for index, name in enumerate(dict.fromkeys([*self.spec.tokens, *seen, BLANK, *hidden]))}

    @cached_property
    def words(self) -> Mapping[str, int]:
        """Tokens that a text can name as a word and that are neither pointers nor symbols: ``LEFT``, ``WRITE``."""
        taken = {NONE, BLANK, *self.pointers, *self.symbols}
        return {name: token for name, token in self.tokens.items() if name not in taken}

    @cached_property
    def field_ids(self) -> tuple[npt.NDArray[np.int64], ...]:
        """For each field, the interned symbol of each of its values."""
        return tuple(np.array([self.ids[v] for v in field.values], dtype=np.int64) for field in self.spec.fields)

    @cached_property
    def symbol_numbers(self) -> npt.NDArray[np.int64]:
        """The number of each interned symbol; 0 for those that are none."""
        return np.array([number_of(name) or 0 for name in self.ids], dtype=np.int64)

    @cached_property
    def counts(self) -> npt.NDArray[np.bool_]:
        """Which interned symbols are numbers, or a blank, which counts as 0."""
        return np.array([name == BLANK or number_of(name) is not None for name in self.ids], dtype=np.bool_)


def make_face(world: World[Any]) -> Face:
    """The names of a world, read from its declaration."""
    spec = world.spec
    fields, tokens, primitives = (
        {name: index for index, name in enumerate(names)}
        for names in ([f.name for f in spec.fields], spec.tokens, [p.name for p in spec.primitives])
    )
    if isinstance(world, Product):
        parts = [part_face(world, number) for number in range(len(world.parts))]
        whole = world.whole_name
        rows = {whole(n, name): row for n, part in enumerate(parts) for name, row in part.rows.items()}
        pointers = {name: row for part in parts for name, row in part.pointers.items()}
        counters = frozenset(name for part in parts for name in part.counters)
        cells = frozenset(whole(n, name) for n, part in enumerate(parts) for name in part.cells)
        return Face(spec, rows, pointers, counters, fields, tokens, primitives, cells)
    if spec.kind != PAD:
        rows = {part.name: RowFace(part.name, part.values, False) for part in (*spec.fields, *spec.hidden)}
        return Face(spec, rows, {}, frozenset(), fields, tokens, primitives, frozenset(fields))
    rows = {
        row["name"]: RowFace(row["name"], tuple(row["symbols"]), row["blank"], row.get("places", False))
        for row in spec.config["rows"]
    }
    pointers = {pointer["name"]: pointer["row"] for pointer in spec.config["pointers"]}
    counters = frozenset(p["name"] for p in spec.config["pointers"] if not p["sees"])
    return Face(spec, rows, pointers, counters, fields, tokens, primitives, frozenset())


def part_face(world: Product, number: int) -> Face:
    """The names that texts of one part of joined worlds have, as they are there; indices are those of the whole."""
    own, spec = make_face(world.parts[number]), world.spec
    calls, fields = world.first_call[number], world.first_field[number]
    return replace(
        own,
        spec=spec,
        fields={name: fields + index for name, index in own.fields.items()},
        tokens={name: spec.tokens.index(name) for name in own.tokens},
        primitives={name: calls + index for name, index in own.primitives.items()},
    )


def build_world(world: s.World, source: Source) -> World[Any]:
    """The world that a declaration describes; raises :class:`LanguageError` for one that contradicts itself."""
    if world.kind not in registry.world_kinds():
        message = f"there is no kind of world named {world.kind}"
        raise source.error(world, message, suggest(world.kind, registry.world_kinds()), "NPI042")
    config = pad_config(world, source) if world.kind == PAD else {item.name: item.value for item in world.settings}
    if world.kind != PAD and world.items:
        first = world.items[0]
        message = f"a {world.kind} has no rows or pointers"
        raise source.error(first, message, "remove it, or make the world a scratchpad", "NPI044")
    try:
        return registry.make(world.kind, world.name, config)
    except ValueError as error:
        words = set(re.findall(r"\w+", str(error)))
        place = next((item for item in world.items if words & set(item.names)), world)
        message = f"world {world.name} cannot be made: {error}"
        raise source.error(place, message, "change the declaration", "NPI044") from error


def join_worlds(tree: s.World, declared: Mapping[str, World[Any]], source: Source) -> Product:
    """The product of worlds that a declaration names; raises :class:`LanguageError` for worlds that do not join.

    Args:
        declared: the worlds of the file and of those that it uses, by name.
    """

    def refused(message: str, fix: str) -> LanguageError:
        return source.error(tree, message, fix, "NPI058")

    for name in tree.joins:
        if name not in declared:
            fix = suggest(name, declared, otherwise="declare it here, or use a file that does")
            raise refused(f"there is no world {name} to join", fix)
    parts = [{"name": n, "kind": declared[n].spec.kind, "config": declared[n].spec.config} for n in tree.joins]
    try:
        world = registry.make(tree.kind, tree.name, {"parts": parts})
    except ValueError as error:
        raise refused(f"world {tree.name} cannot be made: {error}", "change what it joins") from error
    assert isinstance(world, Product), "joined worlds are a product"
    names = [{*(f := make_face(part)).rows, *f.pointers} for part in world.parts]
    for one, two in combinations(range(len(names)), 2):
        shared = sorted(names[one] & names[two])
        if shared and PAD in (world.parts[one].spec.kind, world.parts[two].spec.kind):
            message = f"{tree.joins[one]} and {tree.joins[two]} both have {shared[0]}, and one of them is a scratchpad"
            raise refused(message, f"rename {shared[0]} in the scratchpad")
    return world


def pad_config(world: s.World, source: Source) -> dict[str, Any]:
    """The scratch pad's settings: rows, and pointers (a row without one gets one of its own name)."""
    if world.settings:
        setting = world.settings[0]
        message = f"a scratchpad has no setting {setting.name}"
        raise source.error(setting, message, "declare its rows, one a line", "NPI045")
    counts = [(len(item.names), getattr(item, "word", "")) for item in world.items]
    try:
        check_count(sum(n * (n - 1) // 2 if word == "order" else n for n, word in counts))
    except SpecError as error:
        message = f"world {world.name} cannot be made: {error}"
        raise source.error(world, message, "put what belongs together on one row", "NPI044") from None
    rows: dict[str, RowFace] = {}
    for item in world.items:
        if isinstance(item, s.Row):
            for name in item.names:
                check_new(name, rows, item, source, "row")
                rows[name] = make_row(name, item, source)
    if not rows:
        message = f"the scratchpad {world.name} has no rows"
        raise source.error(world, message, "put a : at the end and declare rows below it", "NPI046")
    listed: list[dict[str, Any]] = []
    for row in rows.values():
        places = {"places": True} if row.places else {}
        listed.append({"name": row.name, "symbols": list(row.symbols), "blank": row.blank, **places})
    pointers = pad_pointers(world, rows, source)
    return {"rows": listed, "pointers": pointers, **pad_extras(world, [p["name"] for p in pointers], source)}


def pad_extras(world: s.World, pointers: Sequence[str], source: Source) -> dict[str, Any]:
    """Orders of pointers and jumps, where the world declares some."""
    known = {"order": pointers, "jump": JUMPS}
    orders: list[list[str]] = []
    for item in (item for item in world.items if isinstance(item, s.Listing)):
        for name in item.names:
            if name not in known[item.word]:
                message = f"there is no {'pointer' if item.word == 'order' else 'jump'} {name} in world {world.name}"
                raise source.error(item, message, suggest(name, known[item.word]), "NPI048")
        if item.word == "order" and len(item.names) < 2:
            message = f"the order of {item.names[0]} alone"
            raise source.error(item, message, "name two pointers: order P, Q", "NPI048")
        orders += map(list, combinations(item.names, 2)) if item.word == "order" else ()
    return {key: value for key, value in (("orders", orders), ("jumps", jumps_of(world))) if value}


def jumps_of(world: s.World) -> list[str]:
    return [name for item in world.items if isinstance(item, s.Listing) and item.word == "jump" for name in item.names]


def make_row(name: str, item: s.Row, source: Source) -> RowFace:
    if [part.text for part in item.domain.parts if isinstance(part, s.Name)] == [PLACE]:
        if len(item.domain.parts) > 1:
            message = f"row {name} holds places and something else"
            raise source.error(item, message, f"write: row {name} of place", "NPI047")
        return RowFace(name, (PLACE,), True, places=True)
    values = domain_symbols(item.domain, source)
    symbols = tuple(value for value in values if value != BLANK)
    if not symbols:
        message = f"row {name} can hold nothing but blanks"
        raise source.error(item, message, "add symbols, for example: of digit", "NPI047")
    return RowFace(name, symbols, BLANK in values)


def pad_pointers(world: s.World, rows: Mapping[str, RowFace], source: Source) -> list[dict[str, Any]]:
    """Declared pointers in the order of the text, each row's own pointer at its row's place."""
    places = any(row.places for row in rows.values())
    actions = [action.name for action in actions_of(jumps_of(world), places=places)]
    declared = [item for item in world.items if isinstance(item, s.Pointer)]
    taken = {item.row for item in declared}
    pointers: dict[str, dict[str, Any]] = {}
    for item in (item for item in world.items if isinstance(item, s.Row | s.Pointer)):
        if isinstance(item, s.Pointer) and item.row not in rows:
            message = f"there is no row {item.row} in world {world.name}"
            raise source.error(item, message, suggest(item.row, rows), "NPI048")
        if isinstance(item, s.Row) and item.start and taken & set(item.names):
            message = "this row has pointers of its own, and a start"
            raise source.error(item, message, "write the start behind each pointer", "NPI049")
        counter = isinstance(item, s.Pointer) and item.counter
        default = "right" if isinstance(item, s.Row) else "left"
        start = item.start or default
        if start not in ("left", "right"):
            message = f"a pointer cannot start at {start}"
            raise source.error(item, message, suggest(start, ("left", "right")), "NPI050")
        for name in item.names:
            if isinstance(item, s.Row) and name in taken:
                continue
            row = name if isinstance(item, s.Row) else item.row
            check_new(name, pointers, item, source, "pointer")
            check_pointer(name, rows[row], counter, actions, item, source)
            pointers[name] = {"name": name, "row": row, "start": start, "sees": not counter}
    return list(pointers.values())


def check_pointer(name: str, row: RowFace, counter: bool, actions: Sequence[str], item: s.Node, source: Source) -> None:
    if counter and row.blank:
        message = f"counter {name} on row {row.name}, which has blanks, so no ends for it to show"
        fix = "make it a pointer, or give the row a domain without blank"
        raise source.error(item, message, fix, "NPI051")
    if name in row.values or name in actions:
        message = f"{name} is the name of a symbol or an action, and of a pointer"
        raise source.error(item, message, "rename the pointer", "NPI052")


def check_new(name: str, known: Mapping[str, Any], item: s.Node, source: Source, what: str) -> None:
    """Refuse a name that is declared twice."""
    if name in known:
        raise source.error(item, f"{what} {name} is declared twice", "rename one of them", "NPI053")


def domain_symbols(
    domain: s.Domain, source: Source, rows: Mapping[str, RowFace] = MappingProxyType({})
) -> tuple[str, ...]:
    """The symbols of a domain as in the text, its blank (if any) last; a row's name stands for its symbols."""
    found: list[str] = []
    known = {**SYMBOL_SETS, **{name: row.values for name, row in rows.items()}}
    for part in domain.parts:
        if isinstance(part, s.Name):
            if part.text not in known:
                message = f"there is no domain named {part.text}"
                fix = suggest(part.text, known, otherwise='use digit, bit, letter, 0..9, or quote a symbol: "x"')
                raise source.error(part, message, fix, "NPI054")
            found += known[part.text]
        elif isinstance(part, s.DomainRange):
            if part.last < part.first:
                message = f"the range {part.first}..{part.last} is empty"
                raise source.error(part, message, f"write {part.last}..{part.first}", "NPI055")
            if part.last - part.first >= MAX_SYMBOLS:
                message = f"the range {part.first}..{part.last} has more than {MAX_SYMBOLS} symbols"
                raise source.error(part, message, "keep large numbers as rows of digits", "NPI056")
            found += map(str, range(part.first, part.last + 1))
        else:
            found.append(BLANK if isinstance(part, s.Blank) else part.value)
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
