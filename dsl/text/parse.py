"""Text → syntax tree, with every mistake: what cannot be read is passed over, the rest is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from lark import Lark

from dsl.errors.error import LanguageError, Source, joined
from dsl.errors.wording import grammar, read
from dsl.text import syntax as s
from dsl.text.build import TreeBuilder
from dsl.text.recovery import LONG_NUMBER, Part, Rest, salvage, straighten

LEVELS = 100
"""Of operators and functions in one expression; ``a + b + c`` has two."""

BLOCKS = 40
"""Of blocks inside blocks; each elif counts as one more, since it stands under the else of the one before."""

Item = s.Use | s.World | s.Program | s.Task


@dataclass(frozen=True)
class Parsed:
    """What a text says, as far as it can be read.

    Attributes:
        tree: the parts of the file that are understood.
        errors: every mistake, in the order of the text.
        rest: what else was meant, so that its absence is not told as a mistake.
    """

    tree: s.File
    errors: tuple[LanguageError, ...]
    rest: Rest


@lru_cache(maxsize=1)
def parser() -> Lark:
    """The parser of our trees, built once a process."""
    return grammar(TreeBuilder())


def parse(text: str, *, path: str = "<text>") -> s.File:
    """The syntax tree of a program text, which errors name ``path``.

    Raises :class:`LanguageError` where the grammar does not accept it, with all mistakes, their places and fixes.
    """
    parsed = parse_all(Source(path, text))
    if parsed.errors:
        raise joined(parsed.errors)
    return parsed.tree


def parse_all(source: Source) -> Parsed:
    """The tree of a text and its mistakes; after one, reading resumes at the next line."""
    parts, errors = parts_of(source)
    items: list[Item] = []
    rests = [part.rest for part in parts]
    for part in parts:
        for item in () if part.tree is None else part.tree.items:
            if part.headless and isinstance(item, s.Program | s.Task):
                continue
            error = too_deep(item, source)
            if error is None:
                items.append(moved(item, part.numbers) if part.numbers else item)
                continue
            errors.append(error.at(source, part.numbers[error.line - 1]) if part.numbers else error)
            if isinstance(item, s.Program | s.Task):
                rests.append(Rest(frozenset((item.name,)), frozenset((item.name,))))
    errors.sort(key=lambda error: (error.line, error.column))
    return Parsed(s.File(tuple(items)), tuple(errors), Rest().union(*rests))


def parts_of(source: Source) -> tuple[list[Part], list[LanguageError]]:
    """The text as one part where the grammar accepts it, else the parts of it that can be read, and the mistakes."""
    lines: Sequence[str] = source.lines
    errors: list[LanguageError] = []
    if "\t" in source.text or source.text[:1] == " " or LONG_NUMBER.search(source.text):
        lines, errors = straighten(source)
    if not errors:
        try:
            return [Part(read(source, parser()), (), False, Rest())], []
        except LanguageError:
            lines, errors = straighten(source)
    mistakes = {error.line: error for error in errors}
    parts = list(salvage(source, lines, mistakes, parser()))
    return parts, list(mistakes.values())


def moved(tree: Any, numbers: Sequence[int]) -> Any:
    """A part of a tree with the line numbers of the file in place of those of the text that was parsed."""
    return s.mapped(tree, lambda node: replace(node, line=numbers[node.line - 1]))


def too_deep(part: Item, source: Source) -> LanguageError | None:
    """The mistake of a part that is nested deeper than everything that walks its tree can go."""
    waiting: list[tuple[s.Node, int]] = [(part, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > BLOCKS:
            message = f"blocks are nested more than {BLOCKS} deep"
            return source.error(node, message, "move the inner ones into a program, and call it", "NPI024")
        inner: list[tuple[s.Node, int]] = []
        for number, child in enumerate(s.parts(node)):
            if isinstance(child, s.Expression):
                error = deep_expression(child, source)
                if error is not None:
                    return error
                continue
            deeper = number if isinstance(child, s.Arm) else int(isinstance(child, s.Statement))
            if isinstance(node, s.If) and isinstance(child, s.Statement):
                deeper = len(node.arms)  # under the last of them
            inner.append((child, depth + deeper))
        waiting += reversed(inner)
    return None


def deep_expression(node: s.Expression, source: Source) -> LanguageError | None:
    waiting: list[tuple[s.Node, int]] = [(node, 0)]
    while waiting:
        inner, depth = waiting.pop()
        if depth > LEVELS:
            message = f"an expression of more than {LEVELS} levels"
            fix = "work it out in parts: ask with if one after another, or lay parts of it on the pad"
            return source.error(node, message, fix, "NPI024")
        waiting += [(part, depth + 1) for part in s.parts(inner)]
    return None
