"""Edits that do what the fix of a mistake says, where it says plainly what to write."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from dsl.errors.error import LanguageError, Remark
from dsl.errors.wording import strip_comment
from npi.lsp.names import Span

WORDS = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_][\w.]*|\S')
"""What a fix puts something in place of."""

CLOSE = 0.5
"""How much a word must be like what was meant."""


class Edit(NamedTuple):
    """A text in place of another one, in a line."""

    span: Span
    text: str


def quick_fix(mistake: LanguageError | Remark) -> Edit | None:
    """The edit; None where a person has to decide."""
    number, column = mistake.line - 1, mistake.column - 1
    line, fix = mistake.source.line(mistake.line), mistake.fix
    if meant := re.fullmatch(r"(?:did you mean|write which:) (.+?)\??", fix):
        return _in_place(line, number, column, meant[1])
    if fix == "put a : at its end":
        end = len(strip_comment(line).rstrip())
        return Edit(Span(number, end, end), ":")
    if fix == "use == to compare" and line[column : column + 1] == "=":
        return Edit(Span(number, column, column + 1), "==")
    if fix.startswith("paths are written with /: "):
        quoted = re.compile(r'"[^"]*"').match(line, column)
        return Edit(Span(number, *quoted.span()), fix.partition(": ")[2]) if quoted else None
    indented = re.match(r"\s*", line)
    assert indented is not None
    if spaces := re.fullmatch(r"indent it by (\d+) spaces", fix):
        return Edit(Span(number, 0, indented.end()), " " * int(spaces[1]))
    if fix == "write elif" and (two := re.match(r"\s*(else\s+if)\b", line)):
        return Edit(Span(number, *two.span(1)), "elif")
    return None


def _in_place(line: str, number: int, column: int, meant: str) -> Edit | None:
    """In place of the word behind the mistake's beginning that is most like it: a whole declaration can begin there."""

    def likeness(word: re.Match[str]) -> float:
        return difflib.SequenceMatcher(None, word[0].casefold(), meant.casefold()).ratio()

    words = [word for word in WORDS.finditer(line, min(column, len(line))) if word[0] != meant]
    best = max(words, key=likeness, default=None)
    return Edit(Span(number, *best.span()), meant) if best is not None and likeness(best) >= CLOSE else None
