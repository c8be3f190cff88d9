"""How deep a text may be nested, so that everything that walks its tree ends: what lies deeper is refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from dsl.errors.error import LanguageError, Source
from dsl.text import syntax as s

LEVELS = 100
"""Of operators and functions in one expression; ``a + b + c`` has two."""

BLOCKS = 40
"""Of blocks inside blocks; each elif counts as one more, since it stands under the else of the one before."""

Item = s.Use | s.World | s.Program | s.Task


def too_deep(part: Item, source: Source) -> LanguageError | None:
    """The mistake of a part that is nested too deep."""
    if isinstance(part, s.Program) and not isinstance(part.body, s.Signal):
        return deep_block(part.body, source)
    if isinstance(part, s.Task):
        return next((error for node in task_expressions(part) if (error := deep_expression(node, source))), None)
    return None


def deep_block(body: tuple[s.Statement, ...], source: Source) -> LanguageError | None:
    waiting = [(item, 1) for item in reversed(body)]
    while waiting:
        item, depth = waiting.pop()
        if depth > BLOCKS:
            message = f"blocks are nested more than {BLOCKS} deep"
            fix = "move the inner ones into a program, and call it"
            return source.error(item, message, fix, "NPI024")
        inner: list[tuple[s.Statement, int]] = []
        expressions: tuple[s.Expression, ...] = ()
        if isinstance(item, s.Call):
            expressions = item.arguments
        elif isinstance(item, s.While):
            expressions = (item.condition,)
            inner = [(x, depth + 1) for x in item.body]
        elif isinstance(item, s.For):
            expressions = item.items
            inner = [(x, depth + 1) for x in item.body]
        elif isinstance(item, s.If):
            expressions = tuple(arm.condition for arm in item.arms)
            for number, arm in enumerate(item.arms):
                inner += [(x, depth + 1 + number) for x in arm.body]
            inner += [(x, depth + len(item.arms)) for x in item.otherwise]
        for node in expressions:
            error = deep_expression(node, source)
            if error is not None:
                return error
        waiting += reversed(inner)
    return None


def deep_expression(node: s.Expression, source: Source) -> LanguageError | None:
    waiting = [(node, 0)]
    while waiting:
        inner, depth = waiting.pop()
        if depth > LEVELS:
            message = f"an expression of more than {LEVELS} levels"
            fix = "work it out in parts: ask with if one after another, or lay parts of it on the pad"
            return source.error(node, message, fix, "NPI024")
        waiting += [(part, depth + 1) for part in s.parts(inner)]
    return None


def task_expressions(task: s.Task) -> Iterator[s.Expression]:
    if task.where is not None:
        yield task.where
    for item in task.items:
        if isinstance(item, s.Layout):
            yield item.value
        elif isinstance(item, s.Run):
            yield from item.arguments
        elif isinstance(item, s.Expect):
            yield item.condition
