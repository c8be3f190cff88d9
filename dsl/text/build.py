"""Rules of the grammar → the syntax tree of ``syntax.py``; one method a rule, named after it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lark import Token

from dsl.text import syntax as s

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


class TreeBuilder:
    """Builds the syntax tree bottom up, while Lark parses; each method takes what its rule is made of."""

    # expressions

    def name(self, parts: Children) -> s.Name:
        return s.Name(str(parts[0]), **place(parts[0]))

    def integer(self, parts: Children) -> s.Number:
        return s.Number(int(parts[0]), **place(parts[0]))

    def text(self, parts: Children) -> s.Text:
        return s.Text(unquote(parts[0]), **place(parts[0]))

    def blank(self, parts: Children) -> s.Blank:
        return s.Blank(**place(parts[0]))

    def apply(self, parts: Children) -> s.Apply:
        return s.Apply(str(parts[0]), parts[1] or (), **place(parts[0]))

    def list(self, parts: Children) -> s.Items:
        return s.Items(parts[1] or (), **place(parts[0]))

    def group(self, parts: Children) -> Group:
        bracket, inner = parts
        return Group(bare(inner), bracket.line, bracket.column)

    def unary(self, parts: Children) -> s.Unary:
        return s.Unary(str(parts[0]), bare(parts[1]), **place(parts[0]))

    def binary(self, parts: Children) -> s.Binary:
        left, operator, right = parts
        return s.Binary(str(operator), bare(left), bare(right), **place(left))

    def choice(self, parts: Children) -> s.Choice:
        value, condition, other = parts
        return s.Choice(bare(value), bare(condition), bare(other), **place(value))

    def items(self, parts: Children) -> tuple[s.Expression, ...]:
        return tuple(map(bare, parts))

    # domains and worlds

    def domain_name(self, parts: Children) -> s.DomainName:
        return s.DomainName(str(parts[0]), **place(parts[0]))

    def domain_range(self, parts: Children) -> s.DomainRange:
        minus, low, high_minus, high = parts
        least = -int(low) if minus else int(low)
        most = least if high is None else -int(high) if high_minus else int(high)
        return s.DomainRange(least, most, **place(minus or low))

    def domain_text(self, parts: Children) -> s.DomainText:
        return s.DomainText(unquote(parts[0]), **place(parts[0]))

    def domain_blank(self, parts: Children) -> s.DomainBlank:
        return s.DomainBlank(**place(parts[0]))

    def domain(self, parts: Children) -> s.Domain:
        return s.Domain(tuple(parts), **place(parts[0]))

    def names(self, parts: Children) -> tuple[str, ...]:
        return tuple(map(str, parts))

    def at(self, parts: Children) -> str:
        return str(parts[0])

    def row(self, parts: Children) -> s.Row:
        word, names, domain, start = parts
        return s.Row(names, domain, start, **place(word))

    def pointer(self, parts: Children) -> s.Pointer:
        word, names, row, start = parts
        return s.Pointer(names, str(row), start, word.type == "COUNTER", **place(word))

    def order(self, parts: Children) -> s.Order:
        return s.Order(parts[1], **place(parts[0]))

    def jump(self, parts: Children) -> s.Jump:
        return s.Jump(parts[1], **place(parts[0]))

    def setting(self, parts: Children) -> s.Setting:
        return s.Setting(str(parts[0]), setting_value(parts[1]), **place(parts[0]))

    def settings(self, parts: Children) -> tuple[s.Setting, ...]:
        return tuple(part for part in parts if part is not None)

    def world(self, parts: Children) -> s.World:
        word, name, kind, settings, *items = parts
        return s.World(str(name), str(kind), settings or (), tuple(items), **place(word))

    # programs

    def param(self, parts: Children) -> s.Param:
        return s.Param(str(parts[0]), parts[1], **place(parts[0]))

    def params(self, parts: Children) -> tuple[s.Param, ...]:
        return tuple(part for part in parts if part is not None)

    def core(self, parts: Children) -> str:
        return unquote(parts[0])

    def signal(self, parts: Children) -> s.Signal:
        aim, what, steps, core = parts
        return s.Signal(str(aim), str(what), None if steps is None else int(steps), core, **place(aim))

    def program(self, parts: Children) -> s.Program:
        word, name, params, doc, body = parts
        return s.Program(str(name), params or (), "" if doc is None else unquote(doc), body, **place(word))

    def block(self, parts: Children) -> tuple[s.Statement, ...]:
        return tuple(parts)

    def dotted(self, parts: Children) -> Token:
        return parts[0].update(value=".".join(parts))

    def arguments(self, parts: Children) -> tuple[s.Expression, ...]:
        return parts[0] or ()

    def call(self, parts: Children) -> s.Call:
        return s.Call(str(parts[0]), parts[1] or (), **place(parts[0]))

    def elif_(self, parts: Children) -> s.Arm:
        return s.Arm(bare(parts[1]), parts[2], **place(parts[0]))

    def if_(self, parts: Children) -> s.If:
        word, condition, body, *rest = parts
        otherwise = rest.pop() or ()
        return s.If((s.Arm(bare(condition), body, **place(word)), *rest), otherwise, **place(word))

    def else_(self, parts: Children) -> tuple[s.Statement, ...]:
        return parts[0]

    def while_(self, parts: Children) -> s.While:
        return s.While(bare(parts[1]), parts[2], **place(parts[0]))

    def for_(self, parts: Children) -> s.For:
        word, name, items, body = parts
        return s.For(str(name), items, body, **place(word))

    def pass_(self, parts: Children) -> s.Pass:
        return s.Pass(**place(parts[0]))

    def return_(self, parts: Children) -> s.Return:
        return s.Return(**place(parts[0]))

    # tasks and the file

    def number_kind(self, parts: Children) -> s.NumberKind:
        return s.NumberKind(10 if parts[1] is None else int(parts[1]), **place(parts[0]))

    def list_kind(self, parts: Children) -> s.ListKind:
        return s.ListKind(parts[1], **place(parts[0]))

    def graph_kind(self, parts: Children) -> s.GraphKind:
        acyclic, word = parts
        return s.GraphKind(acyclic is not None, **place(acyclic or word))

    def input(self, parts: Children) -> s.Input:
        return s.Input(str(parts[0]), parts[1], **place(parts[0]))

    def inputs(self, parts: Children) -> tuple[s.Input, ...]:
        return tuple(part for part in parts if part is not None)

    def layout(self, parts: Children) -> s.Layout:
        return s.Layout(str(parts[0]), bare(parts[1]), **place(parts[0]))

    def run(self, parts: Children) -> s.Run:
        word, program, arguments = parts
        return s.Run(str(program), arguments or (), **place(word))

    def expect(self, parts: Children) -> s.Expect:
        return s.Expect(bare(parts[1]), **place(parts[0]))

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

    def use(self, parts: Children) -> s.Use:
        return s.Use(unquote(parts[1]), **place(parts[0]))

    def start(self, parts: Children) -> s.File:
        return s.File(tuple(parts), **(place(parts[0]) if parts else {"line": 1, "column": 1}))


def setting_value(token: Token) -> int | float | str:
    """A setting's value: a number where it is written as one, else its text."""
    if token.type == "INT":
        return int(token)
    if token.type == "FLOAT":
        return float(token)
    return unquote(token) if token.type == "STRING" else str(token)
