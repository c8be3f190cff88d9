"""Errors of the program language: where, what was seen, what was expected, how to fix it.

Every kind of mistake has a code that stays the same; ``docs/errors.md`` has a section for each. A new kind gets a new
code; the code of a kind that is gone is not used again. From ``NPI200`` on they are warnings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Protocol

import numpy as np

OTHER = "NPI000"
"""The code of a mistake whose kind has no section in ``docs/errors.md``."""

MOST_ERRORS = 50
"""Errors that one file is told of; behind the last one stands how many more there are."""


WINDOW = 2000
"""Characters of a long line that an error shows."""

LETTERS = 64
"""Classes into which letters fall where words are compared."""

MAX_COMPARED = 20
"""Words that a mistyped one is compared with letter by letter."""


class Placed(Protocol):
    """What begins at a line and a column of a text: a node of the syntax tree, a step, a branch."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


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

    def error(self, item: Placed, message: str, fix: str, code: str) -> LanguageError:
        """A mistake at the place of an item of the text."""
        return LanguageError(self, item.line, item.column, message, fix, code=code)


@dataclass(frozen=True, eq=False)
class Finding:
    """Something to say of a place in a text.

    Attributes:
        file, line, column: the place, line and column from 1.
        source_line: the text of that line.
        code: the kind of mistake, a section of ``docs/errors.md``.
        message: what was seen and what was expected.
        fix: what to do.
    """

    source: Source
    line: int
    column: int
    message: str
    fix: str
    code: str

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def source_line(self) -> str:
        return self.source.line(self.line)

    def text(self) -> str:
        """``file:line:col: CODE: message``, the line, a caret, and the fix."""
        begin = max(0, self.column - WINDOW // 2) if len(self.source_line) > WINDOW else 0
        shown = self.source_line[begin : begin + WINDOW].expandtabs(1).rstrip()
        lines = [f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"]
        if shown:
            lines += [f"  {shown}", "  " + " " * (self.column - 1 - begin) + "^"]
        return "\n".join([*lines, f"  fix: {self.fix}"])


class LanguageError(Finding, ValueError):
    """A program file that cannot be used.

    Attributes:
        errors: all mistakes that were found together, this one first; ``str()`` tells all of them.
    """

    def __init__(self, source: Source, line: int, column: int, message: str, fix: str, *, code: str = OTHER) -> None:
        message, fix = (text if len(text) <= 2 * WINDOW else f"{text[: 2 * WINDOW]} …" for text in (message, fix))
        Finding.__init__(self, source, line, column, message, fix, code)
        ValueError.__init__(self, self.text())
        self._all: tuple[LanguageError, ...] = ()

    @property
    def errors(self) -> tuple[LanguageError, ...]:
        return self._all or (self,)

    def at(self, source: Source, line: int) -> LanguageError:
        """The same mistake in another line, of another text."""
        return LanguageError(source, line, self.column, self.message, self.fix, code=self.code)

    def __str__(self) -> str:
        shown = [error.text() for error in self.errors[:MOST_ERRORS]]
        left = len(self.errors) - len(shown)
        return "\n".join([*shown, f"and {left} more"] if left else shown)


class Remark(Finding):
    """A warning: what is suspicious but not wrong."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"


def joined(errors: Sequence[LanguageError]) -> LanguageError:
    """One error that carries them all, with the attributes of the first."""
    flat = [one for error in errors for one in error.errors]
    first = flat[0]
    found = first.source.error(first, first.message, first.fix, first.code)
    found._all = tuple(flat)
    return found


class Gather:
    """Mistakes found so far. ``with gather: …`` keeps the mistake that ends the block and goes on after it.

    The same mistake at the same place is kept once: a body is looked at several times where it is unrolled.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int, str], LanguageError] = {}

    def __enter__(self) -> Gather:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if isinstance(error, LanguageError):
            self.add(error)
            return True
        return False

    def __len__(self) -> int:
        return len(self._found)

    def add(self, error: LanguageError) -> None:
        for one in error.errors:
            self._found.setdefault((one.file, one.line, one.column, one.code), one)

    @property
    def errors(self) -> tuple[LanguageError, ...]:
        return tuple(self._found.values())

    def close(self) -> None:
        """Raise what was found, if anything was."""
        if self._found:
            raise joined(self.errors)


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name closest to a mistyped one; None where none is close (0 to 1). Case does not count.

    Only names that share letters enough are compared, and of those the :data:`MAX_COMPARED` that share most: a long
    text may have thousands of names, and a mistake in each line.
    """
    folded, counts_NL = _letters(tuple(known))
    name = name.casefold()
    own_L = np.bincount([ord(letter) % LETTERS for letter in name], minlength=LETTERS)
    both_N = counts_NL.sum(1) + len(name)
    shared_N = (2 * np.minimum(counts_NL, own_L).sum(1) + (both_N == 0)) / np.maximum(1, both_N)
    likely = np.argsort(-shared_N, kind="stable")[:MAX_COMPARED]
    words = list(folded)
    found = difflib.get_close_matches(name, [words[n] for n in likely if shared_N[n] >= cutoff], n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


@lru_cache(maxsize=64)
def _letters(known: tuple[str, ...]) -> tuple[dict[str, str], np.ndarray]:
    """Names by themselves in lower case, and how often each has each of :data:`LETTERS` classes of letters."""
    folded = {name.casefold(): name for name in known}
    counts = [np.bincount([ord(letter) % LETTERS for letter in word], minlength=LETTERS) for word in folded]
    return folded, np.array(counts, np.int64).reshape(-1, LETTERS)


def nearest_few(name: str, known: Iterable[str]) -> list[str]:
    """The three known names that are most like a name that is like none."""
    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.0)


def suggest(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A fix for an unknown name: ``did you mean …?``, else the names that exist."""
    names = list(dict.fromkeys(known))
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close}?"
    if otherwise:
        return otherwise
    return f"use one of {', '.join(names[:12])}" if names else "declare it first"
