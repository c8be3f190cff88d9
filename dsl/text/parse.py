"""Text → syntax tree, with every mistake: what cannot be read is passed over, the rest is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dsl.errors.error import LanguageError, Source, joined, nearest
from dsl.errors.wording import SPACE, bracket_change, first_word, grammar, strip_comment
from dsl.text.build import TreeBuilder
from dsl.text.lalr_loop import Automaton, Stuck
from dsl.text.nesting import too_deep
from dsl.text.recovery import Effort, Part, Rest, recover, split
from dsl.text.syntax import File, Program, Task

OPENERS = ("world", "program", "task", "if", "elif", "else", "while", "for")
"""Words that begin a line which opens a block."""

LONG_NUMBER = re.compile(r"[0-9]{1000,}")


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
def automaton() -> Automaton:
    """The parser, built once a process."""
    return Automaton(grammar(), TreeBuilder())


def parse(text: str, *, path: str = "<text>") -> File:
    """The syntax tree of a program text.

    Args:
        text: the text of a program file.
        path: the name that errors give it.

    Raises:
        LanguageError: for text that the grammar does not accept, with all mistakes, their places and mends.
    """
    found = parse_all(Source(path, text))
    if found.errors:
        raise joined(found.errors)
    return found.tree


def parse_all(source: Source) -> Parsed:
    """The tree of a text and its mistakes; after one, reading goes on with the next line."""
    found = parse_parts(source)
    deep = {id(part): error for part in found.tree.items if (error := too_deep(part, source)) is not None}
    if not deep:
        return found
    items = tuple(part for part in found.tree.items if id(part) not in deep)
    names = frozenset(p.name for p in found.tree.items if id(p) in deep and isinstance(p, Program | Task))
    errors = sorted((*found.errors, *deep.values()), key=lambda error: (error.line, error.column))
    return Parsed(File(items), tuple(errors), found.rest.union(Rest(names, names)))


def parse_parts(source: Source) -> Parsed:
    """As :func:`parse_all`, however deep the parts are nested."""
    text = source.text if source.text.endswith("\n") else source.text + "\n"
    plain = "\t" not in text and text[0] != " " and not LONG_NUMBER.search(text)
    try:
        if plain:
            return Parsed(automaton().parse(text), (), Rest())
    except Stuck:
        pass
    lines, errors = straighten(source)
    if not plain and not errors:
        try:
            return Parsed(automaton().parse(text), (), Rest())
        except Stuck:
            pass
    return salvage(source, lines, errors)


def salvage(source: Source, lines: Sequence[str], errors: Sequence[LanguageError]) -> Parsed:
    """A text with mistakes, read part by part."""
    told = {error.line: error for error in errors}
    effort = Effort()
    parts: list[Part] = [recover(chunk, source, told, automaton(), effort) for chunk in split(lines)]
    rest = Rest().union(*(part.rest for part in parts))
    tree = File(tuple(item for part in parts for item in part.items))
    return Parsed(tree, tuple(told[line] for line in sorted(told)), rest)


def straighten(source: Source) -> tuple[list[str], list[LanguageError]]:
    """The lines with an indentation that fits, and the mistakes in it: tabs, and depths at which no block begins."""
    depths = [0]
    open_brackets = 0
    before = ""
    lines: list[str] = []
    errors: list[LanguageError] = []
    for number, line in enumerate(source.lines, start=1):
        code = strip_comment(line)
        long = LONG_NUMBER.search(code)
        if long:
            message, mend = f"a number of {len(long[0])} digits", "numbers in a text have less than 1000 digits"
            errors.append(LanguageError(source, number, long.start() + 1, message, mend, code="NPI009"))
            line = LONG_NUMBER.sub("0", line)
        if code.strip(SPACE) and open_brackets == 0:
            depth = len(code) - len(code.lstrip(" \t"))
            opens = before.rstrip().endswith(":") or (depth > depths[-1] and may_open(before))
            error = indentation_error(source, number, depths, opens)
            if error is not None:
                errors.append(error)
                depth = fitting(depth, depths, opens)
                line = " " * depth + line.lstrip(" \t")
            if depth > depths[-1]:
                depths.append(depth)
            del depths[depths.index(depth) + 1 :]
        if code.strip(SPACE):
            before = code
            open_brackets = max(0, open_brackets + bracket_change(code))
        lines.append(line)
    return lines, errors


def may_open(line: str) -> bool:
    """Whether a line without its colon is meant to open a block, mistyped or not."""
    word = first_word(line)
    return word in OPENERS or (word.islower() and "(" not in line and nearest(word, OPENERS, cutoff=0.75) is not None)


def indentation_error(source: Source, number: int, depths: Sequence[int], opens: bool) -> LanguageError | None:
    """What is wrong with a line's indentation.

    Args:
        depths: those of the open blocks. opens: whether the line before opens one more.
    """
    line = source.line(number)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    depth = len(indent)
    if "\t" in indent:
        message, mend = "a tab in the indentation", "indent with spaces, four a level"
        return LanguageError(source, number, 1, message, mend, code="NPI001")
    if depth > depths[-1] and not opens:
        message = "this line is indented deeper than the one before, which opens no block"
        mend = f"indent it by {depths[-1]} spaces"
        return LanguageError(source, number, depth + 1, message, mend, code="NPI002")
    if depth < depths[-1] and depth not in depths:
        message = f"this line is indented by {depth} spaces, and no open block is"
        mend = f"indent it by {' or '.join(map(str, depths))} spaces"
        return LanguageError(source, number, depth + 1, message, mend, code="NPI003")
    return None


def fitting(depth: int, depths: Sequence[int], opens: bool) -> int:
    """The indentation that a misplaced line is read with."""
    if opens and depth > 0:
        return max(depth, depths[-1] + 1)
    return max((d for d in depths if d <= depth), default=0)
