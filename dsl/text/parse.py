"""Text → syntax tree, with every mistake: what cannot be read is passed over, the rest is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lark import Lark

from dsl.errors.error import LanguageError, Source, joined
from dsl.errors.wording import grammar, read
from dsl.text.build import TreeBuilder
from dsl.text.indentation import LONG_NUMBER, straighten
from dsl.text.nesting import Item, too_deep
from dsl.text.recovery import Part, Rest, salvage
from dsl.text.syntax import File, Node, Program, Task


@dataclass(frozen=True)
class Parsed:
    """What a text says, as far as it can be read.

    Attributes:
        tree: the parts of the file that are understood.
        errors: every mistake, in the order of the text.
        rest: what else was meant, so that its absence is not told as a mistake.
    """

    tree: File
    errors: tuple[LanguageError, ...]
    rest: Rest


@lru_cache(maxsize=1)
def parser() -> Lark:
    """The parser of our trees, built once a process."""
    return grammar(TreeBuilder())


def parse(text: str, *, path: str = "<text>") -> File:
    """The syntax tree of a program text.

    Args:
        text: the text of a program file.
        path: the name that errors give it.

    Raises:
        LanguageError: for text that the grammar does not accept, with all mistakes, their places and fixes.
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
            if part.headless and isinstance(item, Program | Task):
                continue
            error = too_deep(item, source)
            if error is None:
                items.append(moved(item, part.numbers) if part.numbers else item)
                continue
            errors.append(error.at(source, part.numbers[error.line - 1]) if part.numbers else error)
            if isinstance(item, Program | Task):
                rests.append(Rest(frozenset((item.name,)), frozenset((item.name,))))
    errors.sort(key=lambda error: (error.line, error.column))
    return Parsed(File(tuple(items)), tuple(errors), Rest().union(*rests))


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


def moved(value: Any, numbers: Sequence[int]) -> Any:
    """A part of a tree with the line numbers of the file in place of those of the text that was parsed."""
    if isinstance(value, tuple):
        return tuple(moved(item, numbers) for item in value)
    if not isinstance(value, Node):
        return value
    changed = {name: moved(child, numbers) for name, child in vars(value).items()}
    return type(value)(**{**changed, "line": numbers[value.line - 1]})
