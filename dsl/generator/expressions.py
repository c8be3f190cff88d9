"""Expressions of drawn programs: conditions on what is observed, and values to write or to pass on.

Every phrase is right by its type: cells are compared with what they can hold, arithmetic stays with numbers, and what
is written is a symbol of the row for every observation, so that the checker accepts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from dsl.generator.termination import Act, Ranking
from dsl.generator.vocabulary import Cursor
from dsl.generator.weighted_choice import Chooser, pick, pick_two, weighted
from dsl.lowering import decision_tables
from dsl.names.worlds import number_of
from dsl.text import syntax as s
from envs.scratchpad.config import ORDER
from envs.spec import BLANK

Condition = Callable[["Names", Chooser], s.Expression]


@dataclass(frozen=True)
class Names:
    """What expressions can speak of.

    Attributes:
        cursors: pointers, and names that stand for them.
        given: symbol parameters. directions: direction parameters.
        orders: pairs of pointers of which the world shows which is before the other.
    """

    cursors: tuple[Cursor, ...]
    given: tuple[Cursor, ...] = ()
    directions: tuple[str, ...] = ()
    orders: tuple[tuple[Cursor, Cursor], ...] = ()

    @cached_property
    def cells(self) -> tuple[Cursor, ...]:
        """Those whose symbols are seen."""
        return tuple(c for c in self.cursors if c.symbols)

    @cached_property
    def held(self) -> tuple[Cursor, ...]:
        """What holds a symbol: cells that are seen, then parameters."""
        return (*self.cells, *self.given)

    @cached_property
    def fillable(self) -> tuple[Cursor, ...]:
        return tuple(c for c in self.cursors if c.fillable)

    @cached_property
    def listed(self) -> tuple[Cursor, ...]:
        return tuple(c for c in self.cursors if c.listed)

    @cached_property
    def numbers(self) -> tuple[Cursor, ...]:
        """What counts as a number, and as more than one."""
        return tuple(n for n in self.held if len(n.numbers) > 1)

    @cached_property
    def alike(self) -> tuple[tuple[Cursor, Cursor], ...]:
        """Pairs that can hold the same symbol, cells first."""
        pairs = ((a, b) for i, a in enumerate(self.cells) for b in self.held[i + 1 :])
        return tuple((a, b) for a, b in pairs if set(a.values) & set(b.values))

    @cached_property
    def combinations(self) -> int:
        """What one decision reads at most: combinations of all that is seen and given."""
        seen = {(pointer, len(c.values) or 1, c.listed) for c in self.cursors for pointer in c.pointers}
        passed = [len(c.pointers) for c in self.cursors] + [len(each.values) for each in self.given]
        shown = prod(size * (4 if listed else 1) for _, size, listed in seen)
        return shown * prod(passed) * 2 ** len(self.directions) * len(ORDER) ** len(self.orders)

    @cached_property
    def kinds(self) -> tuple[tuple[int, Condition], ...]:
        """The kinds of conditions that there are, with their weights."""
        every: list[tuple[int, object, Condition]] = [
            (4, self.fillable, _filled),
            (4, self.held, _is_symbol),
            (3, self.alike, _are_equal),
            (2, self.numbers, _compare_number),
            (3, self.numbers[1:], _compare_numbers),
            (1, self.numbers, _sum),
            (5, self.listed, _edge),
            (3, self.orders, _order),
            (3, self.directions, _direction),
        ]
        return tuple((weight, kind) for weight, needed, kind in every if needed)


def literal(symbol: str) -> s.Expression:
    """A symbol as a text writes it."""
    if symbol == BLANK:
        return s.Blank()
    number = number_of(symbol)
    return s.Text(symbol) if number is None or number < 0 else s.Number(number)


def integer(value: int) -> s.Expression:
    return s.Number(value) if value >= 0 else s.Unary("-", s.Number(-value))


def name(of: Cursor) -> s.Name:
    return s.Name(of.name)


def atoms(node: s.Expression) -> int:
    """Questions in a condition: what ``and`` and ``or`` join counts one each, and so does what a choice asks."""
    if isinstance(node, s.Unary) and node.operator == "not":
        return atoms(node.operand)
    if isinstance(node, s.Binary) and node.operator in ("and", "or"):
        return atoms(node.left) + atoms(node.right)
    return 1 + choices(node)


def choices(node: s.Expression) -> int:
    """Questions of the choices in an expression."""
    if isinstance(node, s.Choice):
        return atoms(node.condition) + choices(node.value) + choices(node.other)
    return sum(map(choices, s.parts(node)))


def condition(names: Names, questions: int, chooser: Chooser) -> s.Expression:
    """A condition of so many questions; there must be something to ask."""
    if questions == 1:
        return weighted(chooser, names.kinds)(names, chooser)
    left = 1 + chooser.below(questions - 1)
    both = s.Binary(
        pick(chooser, ("and", "or")), condition(names, left, chooser), condition(names, questions - left, chooser)
    )
    return s.Unary("not", both) if chooser.index((7, 1)) else both


def negated(node: s.Expression, chooser: Chooser) -> s.Expression:
    """The condition, or as often its negation."""
    return s.Unary("not", node) if chooser.below(2) else node


def _filled(names: Names, chooser: Chooser) -> s.Expression:
    return negated(name(pick(chooser, names.fillable)), chooser)


def _is_symbol(names: Names, chooser: Chooser) -> s.Expression:
    asked = pick(chooser, names.held)
    return s.Binary(pick(chooser, ("==", "!=")), name(asked), literal(pick(chooser, asked.values)))


def _are_equal(names: Names, chooser: Chooser) -> s.Expression:
    one, two = pick(chooser, names.alike)
    return s.Binary(pick(chooser, ("==", "!=")), name(one), name(two))


def _compare_number(names: Names, chooser: Chooser) -> s.Expression:
    asked = pick(chooser, names.numbers)
    operator = pick(chooser, ("<", ">"))
    bounds = asked.numbers[1:] if operator == "<" else asked.numbers[:-1]
    return s.Binary(operator, name(asked), integer(pick(chooser, bounds)))


def _compare_numbers(names: Names, chooser: Chooser) -> s.Expression:
    one, two = pick_two(chooser, names.numbers)
    return s.Binary(pick(chooser, ("<", "<=")), name(one), name(two))


def _sum(names: Names, chooser: Chooser) -> s.Expression:
    one, two = pick(chooser, names.numbers), pick(chooser, names.numbers)
    if one is two:
        return s.Binary("==", s.Binary("mod", name(one), s.Number(2)), s.Number(chooser.below(2)))
    least, most = one.numbers[0] + two.numbers[0], one.numbers[-1] + two.numbers[-1]
    total = s.Binary("+", name(one), name(two))
    three = pick(chooser, names.numbers)
    if three is not one and three is not two and chooser.below(2):
        if chooser.below(2):
            return s.Binary("<", name(three), total)
        least, most = least + three.numbers[0], most + three.numbers[-1]
        total = s.Binary("+", total, name(three))
    return s.Binary(">=", total, integer(least + 1 + chooser.below(most - least)))


def _edge(names: Names, chooser: Chooser) -> s.Expression:
    asked = s.Apply(pick(chooser, ("first", "last")), (name(pick(chooser, names.listed)),))
    return negated(asked, chooser)


def _order(names: Names, chooser: Chooser) -> s.Expression:
    one, two = pick(chooser, names.orders)
    return negated(s.Apply(pick(chooser, ORDER), (name(one), name(two))), chooser)


def _direction(names: Names, chooser: Chooser) -> s.Expression:
    return s.Binary("==", s.Name(pick(chooser, names.directions)), s.Name("LEFT"))


# --- values ----------------------------------------------------------------------------------------------------------


def value(names: Names, allowed: Sequence[str], room: int, chooser: Chooser, *, but: str = "") -> s.Expression:
    """An expression that is one of the allowed symbols whatever is seen.

    Args:
        room: at most this many questions (``x if C else y``).
        but: a name whose cell is not copied, since it is the one that is written.
    """
    fits = [n for n in names.held if n.name != but and set(n.values) <= set(allowed)]
    base = modulus(allowed)
    kinds: list[tuple[int, Callable[[], s.Expression]]] = [(4, lambda: literal(pick(chooser, allowed)))]
    if fits:
        kinds.append((4, lambda: name(pick(chooser, fits))))
    if base > 1 and names.numbers:
        kinds.append((3, lambda: arithmetic(names.numbers, base, chooser)))
    if room > 0 and len(allowed) > 1 and names.kinds:
        kinds.append((1, lambda: _choice(names, [quoted(symbol) for symbol in allowed], chooser)))
        if len(fits) > 1:
            kinds.append((1, lambda: _choice(names, [name(fit) for fit in fits], chooser)))
    return weighted(chooser, kinds)()


def modulus(allowed: Sequence[str]) -> int:
    """The largest m so that 0 … m-1 are all allowed."""
    found = 0
    while str(found) in allowed:
        found += 1
    return found


def arithmetic(numbers: Sequence[Cursor], base: int, chooser: Chooser) -> s.Expression:
    """A calculation with a result from 0 to ``base`` - 1."""
    one, two, by = pick(chooser, numbers), pick(chooser, numbers), s.Number(base)
    form = chooser.below(7)
    if form == 0 and one.numbers[0] >= 0 and one.numbers[-1] < base:
        return s.Binary("-", s.Number(base - 1), name(one))
    if form == 1:
        return s.Binary("mod", s.Binary(pick(chooser, ("+", "-")), name(one), s.Number(1)), by)
    total = s.Binary(pick(chooser, ("+", "+", "-", "*")), name(one), name(two))
    if form == 2 and one.numbers[0] + two.numbers[0] >= 0 and one.numbers[-1] + two.numbers[-1] < base * base:
        return s.Binary("div", s.Binary("+", name(one), name(two)), by)
    if form > 4:
        total = s.Binary(pick(chooser, ("+", "+", "-")), total, name(pick(chooser, numbers)))
    return s.Binary("mod", total, by)


def _choice(names: Names, values: Sequence[s.Expression], chooser: Chooser) -> s.Expression:
    one, two = pick_two(chooser, values)
    return s.Choice(one, condition(names, 1, chooser), two)


def quoted(symbol: str) -> s.Expression:
    """A symbol that is not taken for a number, so that it can stand beside any other."""
    return s.Blank() if symbol == BLANK else s.Text(symbol)


# --- conditions of loops that end, each with what a round has to do (dsl/generator/termination.py) -------------------


@dataclass(frozen=True)
class Guard:
    """A condition under which something gets less.

    Attributes:
        condition: one question.
        rankings: what a round may not do.
        progress: the step that a round has to make.
        call: how it is written.
        first: whether it has to stand at the beginning of the round.
        others: conditions that could stand in place of this one.
    """

    condition: s.Expression
    rankings: tuple[Ranking, ...]
    progress: Act
    call: s.Call
    first: bool = False
    others: tuple[s.Expression, ...] = ()

    def varied(self, chooser: Chooser) -> Guard:
        """The same guard, now and then with another condition."""
        if not self.others or chooser.index((3, 1)) == 0:
            return self
        return replace(self, condition=pick(chooser, self.others))


def act(cursor: str, action: str, *operand: s.Expression) -> s.Call:
    return s.Call("ACT", (s.Name(cursor), s.Name(action), *operand))


def guards(names: Names) -> tuple[tuple[int, Guard], ...]:
    """The guards that there are, with weights.

    Counting is left out where a decision may be cut into several tables: the checker then does not see that the number
    which is written is one of the row.
    """
    found: list[tuple[int, Guard]] = []
    whole = names.combinations <= decision_tables.MAX_MERGED_ENTRIES
    for cursor in names.cursors:
        if cursor.listed:
            found += [(3, edge_guard(cursor, direction)) for direction in ("LEFT", "RIGHT")]
        if cursor.fillable:
            found += [(3, walk_guard(cursor, direction)) for direction in ("LEFT", "RIGHT")]
        if whole and counts(cursor):
            found += [(1, count_guard(cursor, sign)) for sign in "-+"]
    for one, two in names.orders:
        for mover, other in ((one, two), (two, one)):
            if not mover.listed or mover.row == other.row:
                found += [(3, order_guard(mover, other, direction)) for direction in ("LEFT", "RIGHT")]
    return tuple(found)


def edge_guard(cursor: Cursor, direction: str) -> Guard:
    """To the end of a list."""
    asked = s.Apply("first" if direction == "LEFT" else "last", (name(cursor),))
    ranking = Ranking(cursor.name, cursor.pointers, direction)
    return Guard(s.Unary("not", asked), (ranking,), (cursor.name, direction), act(cursor.name, direction))


def walk_guard(cursor: Cursor, direction: str) -> Guard:
    """Along the cells of an endless row that are not blank."""
    ranking = Ranking(cursor.name, cursor.pointers, direction, cursor.rows, own=True)
    symbols = [symbol for symbol in cursor.symbols if symbol != BLANK]
    others = tuple(s.Binary("==", name(cursor), literal(symbol)) for symbol in symbols)
    call = act(cursor.name, direction)
    return Guard(name(cursor), (ranking,), (cursor.name, direction), call, others=others)


def order_guard(mover: Cursor, other: Cursor, direction: str) -> Guard:
    """Up to another pointer."""
    asked = s.Apply("before" if direction == "RIGHT" else "after", (name(mover), name(other)))
    towards = "LEFT" if direction == "RIGHT" else "RIGHT"
    rankings = Ranking(mover.name, mover.pointers, direction), Ranking(other.name, other.pointers, towards)
    return Guard(asked, rankings, (mover.name, direction), act(mover.name, direction))


def counts(cursor: Cursor) -> bool:
    """Whether the symbols of its cell are 0, 1, 2 and so on, and so fit to count with."""
    symbols = [symbol for symbol in cursor.symbols if symbol != BLANK]
    return len(symbols) > 1 and set(symbols) == set(map(str, range(len(symbols))))


def count_guard(cursor: Cursor, sign: str) -> Guard:
    """Down to 0, or up to a number, in one cell."""
    if sign == "-":
        asked, *others = [s.Binary(">", name(cursor), s.Number(0))]
    else:
        asked, *others = [s.Binary("<", name(cursor), s.Number(most)) for most in reversed(cursor.numbers[1:])]
    ranking = Ranking(cursor.name, cursor.pointers, "", cursor.rows)
    call = act(cursor.name, "WRITE", s.Binary(sign, name(cursor), s.Number(1)))
    return Guard(asked, (ranking,), (cursor.name, "WRITE"), call, first=True, others=tuple(others))


def joined(parts: Sequence[Guard]) -> s.Expression:
    """``… or …`` of what the guards ask."""
    found = parts[0].condition
    for part in parts[1:]:
        found = s.Binary("or", found, part.condition)
    return found
