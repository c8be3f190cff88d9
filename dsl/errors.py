"""Errors of the program language: where, what was seen, what was expected, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Source:
    """A program text with the name that errors give it."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """The line of that number (from 1), empty past the end."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines as the grammar counts them: only a line feed ends one."""
        return tuple(line.removesuffix("\r") for line in self.text.split("\n"))


class LanguageError(ValueError):
    """A program file that cannot be used.

    Attributes:
        file, line, column: the place, line and column from 1.
        source_line: the text of that line.
        message: what was seen and what was expected.
        mend: what to do.
    """

    def __init__(self, source: Source, line: int, column: int, message: str, mend: str) -> None:
        self.file = source.name
        self.line = line
        self.column = column
        self.source_line = source.line(line)
        self.message = message
        self.mend = mend
        super().__init__(self.text())

    def text(self) -> str:
        """``file:line:col: message``, the line, a caret, and the mend."""
        shown = self.source_line.expandtabs(1).rstrip()
        lines = [f"{self.file}:{self.line}:{self.column}: {self.message}"]
        if shown:
            lines += [f"  {shown}", "  " + " " * (self.column - 1) + "^"]
        return "\n".join([*lines, f"  mend: {self.mend}"])


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name closest to a mistyped one; None where none is close (0 to 1). Case does not count."""
    names = list(dict.fromkeys(known))
    folded = {known_name.casefold(): known_name for known_name in names}
    found = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def suggest(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A mend for an unknown name: ``did you mean …?``, else the names that exist."""
    names = list(dict.fromkeys(known))
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close}?"
    if otherwise:
        return otherwise
    return f"use one of {', '.join(names[:12])}" if names else "declare it first"
