"""Lines whose indentation fits no block: each is a mistake, and is read at the depth that it was probably meant for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dsl.errors.error import LanguageError, Source, nearest
from dsl.errors.wording import SPACE, bracket_change, first_word, strip_comment

OPENERS = ("world", "program", "task", "if", "elif", "else", "while", "for")
"""Words that begin a line which opens a block."""

LONG_NUMBER = re.compile(r"[0-9]{1000,}")


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
            message, fix = f"a number of {len(long[0])} digits", "numbers in a text have less than 1000 digits"
            errors.append(LanguageError(source, number, long.start() + 1, message, fix, code="NPI009"))
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
        message, fix = "a tab in the indentation", "indent with spaces, four a level"
        return LanguageError(source, number, 1, message, fix, code="NPI001")
    if depth > depths[-1] and not opens:
        message = "this line is indented deeper than the one before, which opens no block"
        fix = f"indent it by {depths[-1]} spaces"
        return LanguageError(source, number, depth + 1, message, fix, code="NPI002")
    if depth < depths[-1] and depth not in depths:
        message = f"this line is indented by {depth} spaces, and no open block is"
        fix = f"indent it by {' or '.join(map(str, depths))} spaces"
        return LanguageError(source, number, depth + 1, message, fix, code="NPI003")
    return None


def fitting(depth: int, depths: Sequence[int], opens: bool) -> int:
    """The indentation that a misplaced line is read with."""
    if opens and depth > 0:
        return max(depth, depths[-1] + 1)
    return max((d for d in depths if d <= depth), default=0)
