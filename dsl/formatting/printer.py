"""Syntax tree → text in the one canonical shape, so that ``parse(format_tree(tree)) == tree``. Comments are lost."""

from __future__ import annotations

from collections.abc import Sequence

from dsl.text import syntax as s
from dsl.text.build import quote

INDENT = "    "

CHOICE, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, ATOM = range(9)
"""How tightly an expression binds."""

LEVELS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "div": PRODUCT, "mod": PRODUCT}


def format_tree(tree: s.File) -> str:
    """The text of a file; a blank line stands between its parts."""
    return "\n".join("".join(f"{line}\n" for line in part(item)) for item in tree.items)


def part(item: s.Use | s.World | s.Program | s.Task) -> list[str]:
    if isinstance(item, s.Use):
        return [f"use {quote(item.path)}"]
    if isinstance(item, s.World):
        return world(item)
    return program(item) if isinstance(item, s.Program) else task(item)


def world(item: s.World) -> list[str]:
    if item.joins:
        return [f"world {item.name} joins {', '.join(item.joins)}"]
    settings = f"({', '.join(f'{x.name}: {setting(x.value)}' for x in item.settings)})" if item.settings else ""
    head = f"world {item.name} is {item.kind}{settings}"
    if not item.items:
        return [head]
    lines = [f"{head}:"]
    for part in item.items:
        names = ", ".join(part.names)
        if isinstance(part, s.Listing):
            lines.append(f"{INDENT}{part.word} {names}")
            continue
        at = f" at {part.start}" if part.start else ""
        if isinstance(part, s.Row):
            lines.append(f"{INDENT}row {names} of {domain(part.domain)}{at}")
        else:
            lines.append(f"{INDENT}{'counter' if part.counter else 'pointer'} {names} on {part.row}{at}")
    return lines


def setting(value: int | float | str) -> str:
    return quote(value) if isinstance(value, str) else f"{value:f}" if isinstance(value, float) else str(value)


def domain(item: s.Domain) -> str:
    words = (f"{x.first}..{x.last}" if isinstance(x, s.DomainRange) else expression(x) for x in item.parts)
    return " or ".join(words)


def program(item: s.Program) -> list[str]:
    params = f"({', '.join(f'{p.name}: {domain(p.domain)}' for p in item.params)})" if item.params else ""
    doc = f" {quote(item.doc)}" if item.doc else ""
    body = signal(item.body) if isinstance(item.body, s.Signal) else statements(item.body)
    return [f"program {item.name}{params}{doc}:", *indented(body)]


def signal(item: s.Signal) -> list[str]:
    steps = "" if item.steps is None else f" over {item.steps} steps"
    core = [] if item.core is None else [f"core {quote(item.core)}"]
    return [f"{item.aim} {item.what}{steps}", *core]


def indented(lines: Sequence[str]) -> list[str]:
    return [INDENT + line for line in lines]


def statements(items: Sequence[s.Statement]) -> list[str]:
    return [line for item in items for line in statement(item)]


def statement(item: s.Statement) -> list[str]:
    if isinstance(item, s.Call):
        return [f"{item.name}{arguments(item.arguments)}"]
    if isinstance(item, s.If):
        lines = []
        for word, arm in zip(["if", *["elif"] * len(item.arms)], item.arms, strict=False):
            lines += [f"{word} {expression(arm.condition)}:", *indented(statements(arm.body))]
        return [*lines, "else:", *indented(statements(item.otherwise))] if item.otherwise else lines
    if isinstance(item, s.While):
        return [f"while {expression(item.condition)}:", *indented(statements(item.body))]
    if isinstance(item, s.For):
        over = ", ".join(map(expression, item.items))
        return [f"for {item.variable} in {over}:", *indented(statements(item.body))]
    return ["pass" if isinstance(item, s.Pass) else "return"]


def arguments(items: Sequence[s.Expression]) -> str:
    return f"({', '.join(map(expression, items))})" if items else ""


def expression(node: s.Expression, tightness: int = CHOICE) -> str:
    """An expression, in brackets where it binds less tightly than its place needs."""
    text, level = bare(node)
    return text if level >= tightness else f"({text})"


def bare(node: s.Expression) -> tuple[str, int]:
    if isinstance(node, s.Name):
        return node.text, ATOM
    if isinstance(node, s.Number):
        return str(node.value), ATOM
    if isinstance(node, s.Text | s.Blank):
        return ("blank" if isinstance(node, s.Blank) else quote(node.value)), ATOM
    if isinstance(node, s.Apply):
        return f"{node.name}({', '.join(map(expression, node.arguments))})", ATOM
    if isinstance(node, s.Items):
        return f"[{', '.join(map(expression, node.items))}]", ATOM
    if isinstance(node, s.Choice):
        value, condition = expression(node.value, OR), expression(node.condition, OR)
        return f"{value} if {condition} else {expression(node.other)}", CHOICE
    if isinstance(node, s.Unary):
        if node.operator == "not":
            return f"not {expression(node.operand, NOT)}", NOT
        return f"-{expression(node.operand, SIGN)}", SIGN
    level = LEVELS.get(node.operator, COMPARE)
    left = expression(node.left, SUM if level == COMPARE else level)
    return f"{left} {node.operator} {expression(node.right, level + 1)}", level


def task(item: s.Task) -> list[str]:
    inputs = f"({', '.join(f'{x.name}: {kind(x.kind)}' for x in item.inputs)})" if item.inputs else ""
    where = f" where {expression(item.where)}" if item.where is not None else ""
    return [f"task {item.name}{inputs}{where}:", *indented([task_item(x) for x in item.items])]


def kind(item: s.NumberKind | s.ListKind | s.GraphKind | s.Domain) -> str:
    if isinstance(item, s.GraphKind):
        return "acyclic graph" if item.acyclic else "graph"
    if isinstance(item, s.NumberKind):
        return "number" if item.base == 10 else f"number base {item.base}"
    return f"list of {domain(item.domain)}" if isinstance(item, s.ListKind) else domain(item)


def task_item(item: s.TaskItem) -> str:
    if isinstance(item, s.Layout):
        return f"{item.row} = {expression(item.value)}"
    if isinstance(item, s.Run):
        return f"run {item.name}{arguments(item.arguments)}"
    if isinstance(item, s.Expect):
        return f"expect {expression(item.condition)}"
    ranges = ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in item.ranges)
    if not item.inputs:
        return f"{item.purpose} {item.traces} traces" if item.traces else item.purpose
    unit = f" {item.unit}" if item.unit else ""
    return f"{item.purpose} {', '.join(item.inputs)} of {ranges}{unit}"
