"""Expressions of tasks, worked out in plain Python: what to lay out, and what the result must be.

Nothing here knows how a program runs: an expectation is computed apart from the body.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import gcd
from typing import Any

from dsl.names.worlds import RowFace
from dsl.tasks import graphs
from dsl.tasks.values import Value, digits_of, number_from_digits, symbol_value
from dsl.text import syntax as s
from envs.scratchpad.config import NOWHERE
from envs.spec import BLANK

Reading = Mapping[str, Sequence[int]]
"""What a world's ``read`` gives for one instance: part → indices of symbols, or a column."""


class NoValue(Exception):
    """An expression without a value, such as the number in an empty row; a result that has one is wrong."""


@dataclass(frozen=True)
class Facts:
    """What names in a task's expressions stand for.

    Attributes:
        inputs: name → value.
        rows: the world's rows, and ``pointers`` → the row of each.
        reading: what the world shows at the end; None before a run.
    """

    inputs: Mapping[str, Value]
    rows: Mapping[str, RowFace]
    pointers: Mapping[str, str]
    reading: Reading | None = None

    def part(self, name: str) -> Sequence[int]:
        if self.reading is None or name not in self.reading:
            raise NoValue(f"{name} is known only after a run")
        return self.reading[name]

    def row(self, name: str) -> tuple[Value, ...]:
        """A row's content as values, blanks inside it as ``"blank"``, places as columns."""
        row, part = self.rows[name], self.part(name)
        if row.places:
            return tuple(cell_value(row, index) for index in part)
        return tuple(map(row.cells.__getitem__, part))


def cell_value(row: RowFace, index: int) -> Value:
    """What a cell of the row holds: a symbol's value, or a column."""
    if row.places:
        return BLANK if index == NOWHERE else index
    return row.cells[index]


def evaluate(node: s.Expression, facts: Facts) -> Value:
    """The value of an expression; raises :class:`NoValue` where there is none."""
    return _VALUE[type(node)](node, facts)


def _name(node: s.Name, facts: Facts) -> Value:
    return facts.inputs[node.text] if node.text in facts.inputs else facts.row(node.text)


def _choice(node: s.Choice, facts: Facts) -> Value:
    return evaluate(node.value if evaluate(node.condition, facts) else node.other, facts)


def _unary(node: s.Unary, facts: Facts) -> Value:
    value = evaluate(node.operand, facts)
    return not value if node.operator == "not" else -whole(value)


def binary(node: s.Binary, facts: Facts) -> Value:
    left = evaluate(node.left, facts)
    if node.operator == "and":
        return bool(left) and bool(evaluate(node.right, facts))
    if node.operator == "or":
        return bool(left) or bool(evaluate(node.right, facts))
    right = evaluate(node.right, facts)
    if node.operator in COMPARISONS:
        try:
            return COMPARISONS[node.operator](left, right)
        except TypeError:
            raise NoValue(f"{left!r} and {right!r} have no order") from None
    one, two = whole(left), whole(right)
    if node.operator in ("div", "mod") and two == 0:
        raise NoValue(f"{one} {node.operator} 0")
    return ARITHMETIC[node.operator](one, two)


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "div": operator.floordiv,
    "mod": operator.mod,
}


def whole(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NoValue(f"{value!r} is not a number")
    return value


def many(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, tuple):
        raise NoValue(f"{value!r} is not a list")
    return value


def apply(node: s.Apply, facts: Facts) -> Value:
    """A function on a row or pointer (by name), or on values."""
    first = node.arguments[0]
    if node.name in ("number", "under", "at"):
        assert isinstance(first, s.Name), "checked when the task was"
        if node.name == "at":
            return facts.part(f"at({first.text})")[0]
        if node.name == "under":
            return cell_value(facts.rows[facts.pointers[first.text]], facts.part(f"under({first.text})")[0])
        base = whole(evaluate(node.arguments[1], facts)) if len(node.arguments) > 1 else 10
        return row_number(facts.row(first.text), base)
    function = FUNCTIONS[node.name]
    values = [evaluate(argument, facts) for argument in node.arguments]
    return function.work(*(CONVERT[function.kind(i)](value) for i, value in enumerate(values)))


def row_number(row: tuple[Value, ...], base: int) -> int:
    """The number that a row writes; an empty row, a gap or a symbol that is no digit has none."""
    digits = [value for value in row if type(value) is int]
    if len(digits) < len(row):
        digits = [whole(value) for value in row]
    if not digits or base < 2 or min(digits) < 0 or max(digits) >= base:
        raise NoValue(f"{row!r} is not a number in base {base}")
    return number_from_digits(digits, base)


_VALUE: Mapping[type, Callable[[Any, Facts], Value]] = {
    s.Name: _name,
    s.Number: lambda node, facts: node.value,
    s.Text: lambda node, facts: symbol_value(node.value),
    s.Blank: lambda node, facts: BLANK,
    s.Items: lambda node, facts: tuple([evaluate(item, facts) for item in node.items]),
    s.Apply: apply,
    s.Choice: _choice,
    s.Unary: _unary,
    s.Binary: binary,
}
"""How each kind of expression is worked out."""


def _extreme(choose: Callable[[Any], Any]) -> Callable[..., Value]:
    def work(*values: Value) -> Value:
        items = many(values[0]) if len(values) == 1 else values
        if not items:
            raise NoValue("an empty list has no largest or smallest item")
        return _comparable(choose, items)

    return work


def _comparable(work: Callable[[Any], Any], items: tuple[Value, ...]) -> Any:
    try:
        return work(items)
    except TypeError:
        raise NoValue(f"{items!r} have no order") from None


def _digits(number: int, base: int = 10) -> Value:
    if number < 0 or base < 2:
        raise NoValue(f"{number} has no digits in base {base}")
    return tuple(digits_of(number, base))


def _or_blank(found: Sequence[int | None]) -> Value:
    """Columns or distances as a list; blank where there is none."""
    return tuple(BLANK if item is None else item for item in found)


def _distances(graph: graphs.Graph, start: int) -> Value:
    return _or_blank(graphs.distances(graph, _vertex(start, graph)))


def _tree_distances(parents: tuple[Value, ...], graph: graphs.Graph, start: int) -> Value:
    found = graphs.tree_distances(parents, graph, _vertex(start, graph))
    if found is None:
        raise NoValue("the parents are no tree of edges of the graph")
    return _or_blank(found)


def _vertex(vertex: int, graph: graphs.Graph) -> int:
    if not 0 <= vertex < len(graph):
        raise NoValue(f"{vertex} is no vertex")
    return vertex


def _occurrences(word: tuple[Value, ...], text: tuple[Value, ...]) -> Value:
    return tuple(i for i in range(len(text) - len(word) + 1) if text[i : i + len(word)] == word)


def _index(items: tuple[Value, ...], item: Value) -> int:
    if item not in items:
        raise NoValue(f"{item!r} is not in the list")
    return items.index(item)


def _balanced(text: tuple[Value, ...]) -> bool:
    """Whether brackets close in pairs: pairs are taken out until nothing is left, or no pair is."""
    left = "".join(map(str, text))
    while any(pair in left for pair in BRACKETS):
        for pair in BRACKETS:
            left = left.replace(pair, "")
    return left == ""


BRACKETS = ("()", "[]", "{}")

CONVERT: Mapping[str, Callable[[Value], Any]] = {
    "number": whole,
    "list": many,
    "graph": many,
    "any": lambda value: value,
}
"""A value as one of a kind; raises :class:`NoValue` for one that is of another."""


@dataclass(frozen=True)
class Function:
    """A function of the task language: how many arguments, what kind each is, what comes out, and its work.

    Kinds are "number", "list", "graph", "truth" and "any"; the last one in ``takes`` serves all further arguments.
    """

    least: int
    most: int
    takes: tuple[str, ...]
    gives: str
    work: Callable[..., Value]

    def kind(self, number: int) -> str:
        """Of the argument of that number."""
        return self.takes[min(number, len(self.takes) - 1)]


FUNCTIONS: Mapping[str, Function] = {
    "digits": Function(1, 2, ("number",), "list", _digits),
    "sorted": Function(1, 1, ("list",), "list", lambda items: tuple(_comparable(sorted, items))),
    "reversed": Function(1, 1, ("list",), "list", lambda items: items[::-1]),
    "max": Function(1, 99, ("any",), "any", _extreme(max)),
    "min": Function(1, 99, ("any",), "any", _extreme(min)),
    "sum": Function(1, 1, ("list",), "number", lambda items: sum(map(whole, items))),
    "len": Function(1, 1, ("list",), "number", len),
    "abs": Function(1, 1, ("number",), "number", abs),
    "count": Function(2, 2, ("list", "any"), "number", lambda items, item: items.count(item)),
    "take": Function(2, 2, ("list", "number"), "list", lambda items, count: items[: max(0, count)]),
    "join": Function(2, 99, ("list",), "list", lambda *parts: tuple(chain(*parts))),
    "replace": Function(
        3, 3, ("list", "any"), "list", lambda items, old, new: tuple(new if x == old else x for x in items)
    ),
    "places": Function(1, 1, ("list",), "list", lambda items: tuple(range(len(items)))),
    "index": Function(2, 2, ("list", "any"), "number", _index),
    "occurrences": Function(2, 2, ("list",), "list", _occurrences),
    "balanced": Function(1, 1, ("list",), "truth", _balanced),
    "edges": Function(1, 1, ("graph",), "list", lambda graph: _or_blank(graphs.edge_row(graph))),
    "starts": Function(1, 1, ("graph",), "list", graphs.edge_places),
    "is_topological": Function(2, 2, ("list", "graph"), "truth", graphs.is_topological),
    "distances": Function(2, 2, ("graph", "number"), "list", _distances),
    "tree_distances": Function(3, 3, ("list", "graph", "number"), "list", _tree_distances),
    "gcd": Function(2, 2, ("number",), "number", gcd),
}
"""Pure functions on values; ``number``, ``under`` and ``at`` read the world (see :func:`apply`)."""

ON_WORLD: Mapping[str, str] = {"number": "number", "under": "any", "at": "number"}
"""Functions that take a row or pointer by name, and the kind that comes out."""


def reads_world(node: s.Expression, rows: Mapping[str, RowFace], inputs: Mapping[str, Any]) -> bool:
    """Whether an expression looks at the result of a run."""
    if isinstance(node, s.Name):
        return node.text not in inputs and node.text in rows
    if isinstance(node, s.Apply) and node.name in ON_WORLD:
        return True
    return any(reads_world(part, rows, inputs) for part in s.parts(node))


def conjuncts(node: s.Expression) -> tuple[s.Expression, ...]:
    """The conditions that ``and`` joins; one where there is no ``and``."""
    if isinstance(node, s.Binary) and node.operator == "and":
        return (*conjuncts(node.left), *conjuncts(node.right))
    return (node,)
