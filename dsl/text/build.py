"""Rules of the grammar → the syntax tree of ``syntax.py``; one method a rule, named after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lark import Token

from dsl.text import syntax as s
from envs.product import KIND as PRODUCT

Children = list[Any]


class Group(NamedTuple):
    """An expression in brackets: what begins with it begins at the bracket."""

    inner: s.Expression
    line: int
    column: int


def unquote(token: str) -> str:
    """The symbol that a quoted string names: ``\\"`` and ``\\\\`` stand for a quote and a backslash."""
    return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def quote(symbol: str) -> str:
    """The inverse of :func:`unquote`."""
    return '"' + symbol.replace("\\", "\\\\").replace('"', '\\"') + '"'


def place(first: Token | s.Node | Group) -> dict[str, Any]:
    """Where the rule begins whose first child this is."""
    return {"line": first.line, "column": first.column}


def bare(expression: s.Expression | Group) -> s.Expression:
    return expression.inner if isinstance(expression, Group) else expression


def same(child: Any) -> Any:
    return child


def listed(child: Any) -> Any:
    """What a list in brackets holds; nothing where the brackets are missing."""
    return child or ()


def steps(child: Token | None) -> int | None:
    return None if child is None else int(child)


def base(child: Token | None) -> int:
    return 10 if child is None else int(child)


def doc(child: Token | None) -> str:
    return "" if child is None else unquote(child)


def setting_value(token: Token) -> int | float | str:
    """A setting's value: a number where it is written as one, else its text."""
    if token.type == "INT":
        return int(token)
    if token.type == "FLOAT":
        return float(token)
    return unquote(token) if token.type == "STRING" else str(token)


Method = Callable[["TreeBuilder", Children], Any]


def node(kind: type[s.Node], *fields: Callable[[Any], Any] | None) -> Method:
    """The method of a rule each of whose children becomes one field of a node, by its function, or none (``None``)."""

    def build(self: TreeBuilder, children: Children) -> s.Node:
        made = [field(child) for field, child in zip(fields, children, strict=True) if field is not None]
        return kind(*made, **place(children[0]))

    return build


def only(work: Callable[[Any], Any]) -> Method:
    """The method of a rule of one child."""
    return lambda self, children: work(children[0])


def every(work: Callable[[Any], Any]) -> Method:
    """The method of a rule that is a list: its children without the gaps."""
    return lambda self, children: tuple(work(child) for child in children if child is not None)


class TreeBuilder:
    """Builds the syntax tree bottom up, while Lark parses; each method takes what its rule is made of."""

    # expressions

    name = node(s.Name, str)

    def qualified(self, parts: Children) -> s.Name:
        return s.Name(".".join(parts), **place(parts[0]))

    integer = node(s.Number, int)
    text = node(s.Text, unquote)
    blank = node(s.Blank, None)
    apply = node(s.Apply, str, listed)
    list = node(s.Items, None, listed)

    def group(self, parts: Children) -> Group:
        bracket, inner = parts
        return Group(bare(inner), bracket.line, bracket.column)

    unary = node(s.Unary, str, bare)

    def binary(self, parts: Children) -> s.Binary:
        left, operator, right = parts
        return s.Binary(str(operator), bare(left), bare(right), **place(left))

    choice = node(s.Choice, bare, bare, bare)
    items = every(bare)

    # domains and worlds

    domain_name = name
    domain_text = text
    domain_blank = blank

    def domain_range(self, parts: Children) -> s.DomainRange:
        minus, low, high_minus, high = parts
        least = -int(low) if minus else int(low)
        most = least if high is None else -int(high) if high_minus else int(high)
        return s.DomainRange(least, most, **place(minus or low))

    def domain(self, parts: Children) -> s.Domain:
        return s.Domain(tuple(parts), **place(parts[0]))

    names = every(str)
    at = only(str)
    row = node(s.Row, None, same, same, same)

    def pointer(self, parts: Children) -> s.Pointer:
        word, names, row, start = parts
        return s.Pointer(names, str(row), start, word.type == "COUNTER", **place(word))

    order = jump = node(s.Listing, str, same)
    setting = node(s.Setting, str, setting_value)
    settings = every(same)

    def world(self, parts: Children) -> s.World:
        word, name, kind, settings, *items = parts
        return s.World(str(name), str(kind), settings or (), tuple(items), **place(word))

    def joined(self, parts: Children) -> s.World:
        word, name, joins = parts
        return s.World(str(name), PRODUCT, (), (), joins, **place(word))

    # programs

    param = node(s.Param, str, same)
    params = every(same)
    core = only(unquote)
    signal = node(s.Signal, str, str, steps, same)
    program = node(s.Program, None, str, listed, doc, same)
    block = every(same)

    def dotted(self, parts: Children) -> Token:
        return parts[0].update(value=".".join(parts))

    arguments = only(listed)
    call = node(s.Call, str, listed)
    elif_ = node(s.Arm, None, bare, same)

    def if_(self, parts: Children) -> s.If:
        word, condition, body, *rest = parts
        otherwise = rest.pop() or ()
        return s.If((s.Arm(bare(condition), body, **place(word)), *rest), otherwise, **place(word))

    else_ = only(same)
    while_ = node(s.While, None, bare, same)
    for_ = node(s.For, None, str, same, same)
    pass_ = node(s.Pass, None)
    return_ = node(s.Return, None)

    # tasks and the file

    number_kind = node(s.NumberKind, None, base)
    list_kind = node(s.ListKind, None, same)

    def graph_kind(self, parts: Children) -> s.GraphKind:
        acyclic, word = parts
        return s.GraphKind(acyclic is not None, **place(acyclic or word))

    input = node(s.Input, str, same)
    inputs = every(same)
    layout = node(s.Layout, str, bare)
    run = node(s.Run, None, str, listed)
    expect = node(s.Expect, None, bare)

    def size(self, parts: Children) -> tuple[int, int]:
        return int(parts[0]), int(parts[0] if parts[1] is None else parts[1])

    def sizes(self, parts: Children) -> s.Sizes:
        purpose, names, *ranges, unit = parts
        return s.Sizes(str(purpose), names, tuple(ranges), str(unit or ""), **place(purpose))

    def alone(self, parts: Children) -> s.Sizes:
        purpose, traces = parts
        return s.Sizes(str(purpose), (), (), "", int(traces or 0), **place(purpose))

    def task(self, parts: Children) -> s.Task:
        word, name, inputs, where, *items = parts
        return s.Task(str(name), inputs or (), None if where is None else bare(where), tuple(items), **place(word))

    use = node(s.Use, None, unquote)

    def start(self, parts: Children) -> s.File:
        return s.File(tuple(parts), **(place(parts[0]) if parts else {"line": 1, "column": 1}))
