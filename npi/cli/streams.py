"""The streams of a command as they come, closed, full or of a poor encoding, and what may be printed on them."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress
from typing import Any, TextIO

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
"""Control characters but for tab and line feed, and those that change the direction of what stands around them."""

WIDEST = 10_000
"""Characters of a line that a terminal is believed to have."""


def visible(text: str) -> str:
    """A text whose control characters are written as escapes (``\\x1b``): names and docs of files come from others."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_json(text: str) -> str:
    """The same for JSON, which stays JSON of the same data."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def put(stream: TextIO, text: str) -> None:
    """Write and flush; an ``OSError`` names the stream."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        name = "standard output" if stream is sys.stdout else "standard error"
        raise OSError(error.errno, error.strerror or str(error), name) from error


class Notes(io.TextIOWrapper):
    """Standard error of a command: where nobody listens any more, the command goes on."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def settle() -> None:
    """Make the streams of this process usable.

    A closed one is replaced by nothing, so that no file that is opened later is taken for it. What an encoding does
    not have is escaped. A width of the terminal that is none is forgotten.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    _escaping(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = Notes(sys.stderr.detach(), encoding=encoding, errors="backslashreplace", line_buffering=True)
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdecimal() and len(value) < 9 and 0 < int(value) <= WIDEST):
            del os.environ[name]


def _escaping(stream: Any) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def flushed() -> OSError | None:
    """Flush standard output; what went wrong, unless it is that nobody reads it. Python would tell it once more."""
    if sys.stdout.closed:  # by whom it was served, such as an editor
        return None
    try:
        put(sys.stdout, "")
    except OSError as error:
        with suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)
        return None if isinstance(error, BrokenPipeError) else error
    return None
