"""Rules of the grammar → the syntax tree of ``syntax.py``; one method a rule, named after it."""

from __future__ import annotations

from typing import Any

from dsl.text import syntax as s
from dsl.text.lalr_loop import At, Word

Children = list[Any]


def unquote(token: str) -> str:
    """The symbol that a quoted string names: ``\\"`` and ``\\\\`` stand for a quote and a backslash."""
    return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def quote(symbol: str) -> str:
    """The inverse of :func:`unquote`."""
    return '"' + symbol.replace("\\", "\\\\").replace('"', '\\"') + '"'


def place(meta: At | None) -> dict[str, int]:
    """Where a rule begins; a rule without tokens (an empty file) begins at the top."""
    return {"line": 1, "column": 1} if meta is None else {"line": meta.line, "column": meta.column}


class TreeBuilder:
    """Builds the syntax tree bottom up; each method takes the place of a rule and what it is made of."""

    # expressions

    def name(self, meta: At | None, parts: Children) -> s.Name:
        return s.Name(str(parts[0]), **place(meta))

    def integer(self, meta: At | None, parts: Children) -> s.Number:
        return s.Number(int(parts[0]), **place(meta))

    def text(self, meta: At | None, parts: Children) -> s.Text:
        return s.Text(unquote(parts[0]), **place(meta))

    def blank(self, meta: At | None, parts: Children) -> s.Blank:
        return s.Blank(**place(meta))

    def apply(self, meta: At | None, parts: Children) -> s.Apply:
        return s.Apply(str(parts[0]), parts[1] or (), **place(meta))

    def list(self, meta: At | None, parts: Children) -> s.Items:
        return s.Items(parts[0] or (), **place(meta))

    def unary(self, meta: At | None, parts: Children) -> s.Unary:
        return s.Unary(str(parts[0]), parts[1], **place(meta))

    def binary(self, meta: At | None, parts: Children) -> s.Binary:
        return s.Binary(str(parts[1]), parts[0], parts[2], **place(meta))

    def choice(self, meta: At | None, parts: Children) -> s.Choice:
        return s.Choice(parts[0], parts[1], parts[2], **place(meta))

    def items(self, meta: At | None, parts: Children) -> tuple[s.Expression, ...]:
        return tuple(parts)

    # domains and worlds

    def bound(self, meta: At | None, parts: Children) -> int:
        return -int(parts[1]) if parts[0] else int(parts[1])

    def domain_name(self, meta: At | None, parts: Children) -> s.DomainName:
        return s.DomainName(str(parts[0]), **place(meta))

    def domain_range(self, meta: At | None, parts: Children) -> s.DomainRange:
        return s.DomainRange(parts[0], parts[0] if parts[1] is None else parts[1], **place(meta))

    def domain_text(self, meta: At | None, parts: Children) -> s.DomainText:
        return s.DomainText(unquote(parts[0]), **place(meta))

    def domain_blank(self, meta: At | None, parts: Children) -> s.DomainBlank:
        return s.DomainBlank(**place(meta))

    def domain(self, meta: At | None, parts: Children) -> s.Domain:
        return s.Domain(tuple(parts), **place(meta))

    def names(self, meta: At | None, parts: Children) -> tuple[str, ...]:
        return tuple(map(str, parts))

    def at(self, meta: At | None, parts: Children) -> str:
        return str(parts[0])

    def row(self, meta: At | None, parts: Children) -> s.Row:
        return s.Row(parts[0], parts[1], parts[2], **place(meta))

    def pointer(self, meta: At | None, parts: Children) -> s.Pointer:
        word, names, row, start = parts
        return s.Pointer(names, str(row), start, word.type == "COUNTER", **place(meta))

    def order(self, meta: At | None, parts: Children) -> s.Order:
        return s.Order(parts[0], **place(meta))

    def jump(self, meta: At | None, parts: Children) -> s.Jump:
        return s.Jump(parts[0], **place(meta))

    def setting(self, meta: At | None, parts: Children) -> s.Setting:
        return s.Setting(str(parts[0]), setting_value(parts[1]), **place(meta))

    def settings(self, meta: At | None, parts: Children) -> tuple[s.Setting, ...]:
        return tuple(part for part in parts if part is not None)

    def world(self, meta: At | None, parts: Children) -> s.World:
        name, kind, settings, *items = parts
        return s.World(str(name), str(kind), settings or (), tuple(items), **place(meta))

    # programs

    def param(self, meta: At | None, parts: Children) -> s.Param:
        return s.Param(str(parts[0]), parts[1], **place(meta))

    def params(self, meta: At | None, parts: Children) -> tuple[s.Param, ...]:
        return tuple(part for part in parts if part is not None)

    def core(self, meta: At | None, parts: Children) -> str:
        return unquote(parts[0])

    def signal(self, meta: At | None, parts: Children) -> s.Signal:
        aim, what, steps, core = parts
        return s.Signal(str(aim), str(what), None if steps is None else int(steps), core, **place(meta))

    def program(self, meta: At | None, parts: Children) -> s.Program:
        name, params, doc, body = parts
        return s.Program(str(name), params or (), "" if doc is None else unquote(doc), body, **place(meta))

    def block(self, meta: At | None, parts: Children) -> tuple[s.Statement, ...]:
        return tuple(parts)

    def dotted(self, meta: At | None, parts: Children) -> str:
        return ".".join(map(str, parts))

    def arguments(self, meta: At | None, parts: Children) -> tuple[s.Expression, ...]:
        return parts[0] or ()

    def call(self, meta: At | None, parts: Children) -> s.Call:
        return s.Call(parts[0], parts[1] or (), **place(meta))

    def elif_(self, meta: At | None, parts: Children) -> s.Arm:
        return s.Arm(parts[0], parts[1], **place(meta))

    def if_(self, meta: At | None, parts: Children) -> s.If:
        condition, body, *rest = parts
        otherwise = rest.pop() or ()
        return s.If((s.Arm(condition, body, **place(meta)), *rest), otherwise, **place(meta))

    def else_(self, meta: At | None, parts: Children) -> tuple[s.Statement, ...]:
        return parts[0]

    def while_(self, meta: At | None, parts: Children) -> s.While:
        return s.While(parts[0], parts[1], **place(meta))

    def for_(self, meta: At | None, parts: Children) -> s.For:
        return s.For(str(parts[0]), parts[1], parts[2], **place(meta))

    def pass_(self, meta: At | None, parts: Children) -> s.Pass:
        return s.Pass(**place(meta))

    def return_(self, meta: At | None, parts: Children) -> s.Return:
        return s.Return(**place(meta))

    # tasks and the file

    def number_kind(self, meta: At | None, parts: Children) -> s.NumberKind:
        return s.NumberKind(10 if parts[0] is None else int(parts[0]), **place(meta))

    def list_kind(self, meta: At | None, parts: Children) -> s.ListKind:
        return s.ListKind(parts[0], **place(meta))

    def graph_kind(self, meta: At | None, parts: Children) -> s.GraphKind:
        return s.GraphKind(parts[0] is not None, **place(meta))

    def input(self, meta: At | None, parts: Children) -> s.Input:
        return s.Input(str(parts[0]), parts[1], **place(meta))

    def inputs(self, meta: At | None, parts: Children) -> tuple[s.Input, ...]:
        return tuple(part for part in parts if part is not None)

    def layout(self, meta: At | None, parts: Children) -> s.Layout:
        return s.Layout(str(parts[0]), parts[1], **place(meta))

    def run(self, meta: At | None, parts: Children) -> s.Run:
        return s.Run(parts[0], parts[1] or (), **place(meta))

    def expect(self, meta: At | None, parts: Children) -> s.Expect:
        return s.Expect(parts[0], **place(meta))

    def size(self, meta: At | None, parts: Children) -> tuple[int, int]:
        return int(parts[0]), int(parts[0] if parts[1] is None else parts[1])

    def sizes(self, meta: At | None, parts: Children) -> s.Sizes:
        purpose, names, *ranges, unit = parts
        return s.Sizes(str(purpose), names, tuple(ranges), str(unit or ""), **place(meta))

    def alone(self, meta: At | None, parts: Children) -> s.Sizes:
        purpose, traces = parts
        return s.Sizes(str(purpose), (), (), "", int(traces or 0), **place(meta))

    def task(self, meta: At | None, parts: Children) -> s.Task:
        name, inputs, where, *items = parts
        return s.Task(str(name), inputs or (), where, tuple(items), **place(meta))

    def use(self, meta: At | None, parts: Children) -> s.Use:
        return s.Use(unquote(parts[0]), **place(meta))

    def start(self, meta: At | None, parts: Children) -> s.File:
        return s.File(tuple(parts), **place(meta))


def setting_value(token: Word) -> int | float | str:
    """A setting's value: a number where it is written as one, else its text."""
    if token.type == "INT":
        return int(token)
    if token.type == "FLOAT":
        return float(token)
    return unquote(token) if token.type == "STRING" else str(token)
