"""What the commands share: where output goes, progress, and options that several of them take.

Results go to stdout, everything else to stderr. Nothing heavy is imported here, so that ``npi --help`` is quick.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from npi.cli.interrupts import interrupted_status
from npi.cli.streams import put, visible, visible_json
from npi.cli.words import duration, percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from npi.library.library import Library
    from npi.running.compiled_library import CompiledLibrary

DONE, NOT_REACHED, BAD_INPUT = 0, 1, 2
"""Exit codes."""

WIDTH = 1000
"""Characters after which a table is broken where output goes to no terminal; lines are never broken there."""


class Screen:
    """Where one command prints: results on stdout, or one JSON document there; progress and notes on stderr."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @property
    def out(self) -> Console:
        """The console of stdout; colours and the width of the window only where it is a terminal."""
        return console(sys.stdout)

    def line(self, what: str | Text = "") -> None:
        """A line of the result for people as it is: never wrapped; silent where the result is JSON."""
        if not self.json:
            _line(sys.stdout, what)

    def lines(self, lines: Iterable[str | Text], indent: str = "") -> None:
        """Several lines."""
        for text in lines:
            self.line(f"{indent}{text}" if indent else text)

    def table(
        self,
        rows: Iterable[object],
        *columns: Column,
        title: str | None = None,
        failed: Callable[[Any], bool] = lambda row: False,
    ) -> None:
        """A table of objects or mappings, a row each; rows that ``failed`` are bold red in a terminal.

        In a terminal cells are wrapped to fit; elsewhere the table is as wide as it must be.
        """
        if self.json:
            return
        rows = list(rows)
        cells = table_cells(rows, columns)
        if sys.stdout.isatty():
            self.out.print(grid(columns, cells, title, ["bold red" if failed(row) else None for row in rows]))
        else:
            self.lines([*([title] if title else []), *aligned(columns, cells)])

    def note(self, text: str) -> None:
        """A line on stderr."""
        _line(sys.stderr, text)

    def document(self, data: object, *, exact: bool = False) -> None:
        """The result for programs (see :func:`plain`; unchanged if ``exact``); silent where it is for people."""
        if self.json:
            text = json.dumps(data if exact else plain(data), indent=1, ensure_ascii=False)
            put(sys.stdout, f"{visible_json(text)}\n")


def plain(value: Any) -> Any:
    """A result as JSON has it: dataclasses and mappings as objects, by the names of their fields.

    Paths are texts, enumerations their names, numbers that are not finite null; ``seconds`` are rounded.
    """
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        found = {name: plain(one) for name, one in value.items()}
        return found | {"seconds": round(found["seconds"], 4)} if isinstance(found.get("seconds"), float) else found
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def picked(found: object, names: str) -> dict[str, Any]:
    """Some attributes by name; ``names`` has blanks between them."""
    return {name: getattr(found, name) for name in names.split()}


def console(stream: Any) -> Console:
    """A console that prints what it is given: no markup, no guesses at what to colour."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    width = None if stream.isatty() else int(columns) if columns.isdecimal() else WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def _line(stream: Any, what: str | Text) -> None:
    """Print a line; without rich, whose import takes longer than many a command, where no terminal is there to see."""
    text = visible(str(what))
    if stream.isatty():
        console(stream).print(what if text == str(what) else text, soft_wrap=True)
    else:
        put(stream, f"{text}\n")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: its title.
        value: what a row has there: an attribute or a key by name, or a function of the row; the heading by default.
        right: flush right. once: blank where the first column has what it has in the row above.
    """

    heading: str
    value: str | Callable[[Any], object] | None = None
    right: bool = False
    once: bool = False

    def cell(self, row: Any) -> str:
        """The text of a row in this column; whole numbers with thousands separated."""
        if callable(self.value):
            found = self.value(row)
        else:
            name = self.value or self.heading
            found = row[name] if isinstance(row, Mapping) else getattr(row, name)
        return f"{found:,}" if isinstance(found, int) else visible(str(found))


def number(heading: str, value: str | Callable[[Any], object] | None = None, *, once: bool = False) -> Column:
    """A column of numbers, flush right."""
    return Column(heading, value, right=True, once=once)


def table_cells(rows: Sequence[object], columns: Sequence[Column]) -> list[list[str]]:
    """The texts of a table."""
    full = [[column.cell(row) for column in columns] for row in rows]
    again = [above is not None and above[:1] == row[:1] for above, row in zip([None, *full], full, strict=False)]
    return [
        ["" if blank and column.once else cell for column, cell in zip(columns, row, strict=True)]
        for blank, row in zip(again, full, strict=True)
    ]


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines, its columns as wide as their widest cell."""
    headings = [column.heading for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *rows, strict=True)]
    lines = [
        "   ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        for row in (headings, *rows)
    ]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1) + 2)
    return [f" {lines[0]}".rstrip(), rule, *(f" {line}".rstrip() for line in lines[1:])]


def grid(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    title: str | None = None,
    styles: Sequence[str | None] | None = None,
) -> Table:
    """The same for a terminal, with a style a row."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE, title=title, title_justify="left", title_style="bold", header_style="bold", show_edge=False
    )
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", no_wrap=column.right)
    for row, style in zip(rows, styles or [None] * len(rows), strict=True):
        table.add_row(*row, style=style)
    return table


class Meter:
    """Progress on stderr: a bar in a terminal, elsewhere a line now and then.

    Args:
        title: what is being done.
        every: seconds between lines, where stderr is no terminal.
        quiet: show nothing; another process does.
    """

    def __init__(self, title: str, *, every: float = 10.0, quiet: bool = False) -> None:
        self.title, self.every, self.quiet = title, every, quiet
        self.began = time.monotonic()
        self._ended: float | None = None
        self._first: tuple[int, float] | None = None
        self._printed = -math.inf
        self._console = console(sys.stderr)
        self._live = self._console.is_terminal

    def __enter__(self) -> Meter:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.table import Column as Place

        # The note takes what the others leave, and is cut there: it would shrink them to nothing.
        columns = (
            TextColumn("{task.description}", style="bold", table_column=Place(no_wrap=True)),
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=Place(no_wrap=True)),
            TimeElapsedColumn(table_column=Place(no_wrap=True)),
            TextColumn(
                "{task.fields[note]}", style="dim", table_column=Place(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
        )
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=self.quiet or not self._live, expand=True
        )
        self._task = self._progress.add_task(self.title, total=None, note="")
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning, until the end."""
        return (self._ended or time.monotonic()) - self.began

    def left(self, done: int, total: int) -> list[str]:
        """``at most 12 s left``, at the pace since the first call; nothing before there is a pace."""
        if self._first is None:
            self._first = done, self.seconds
        first, at = self._first
        if done <= first:
            return []
        return [f"at most {duration((self.seconds - at) / (done - first) * (total - done))} left"]

    def update(self, done: int, total: int, note: str = "") -> None:
        """Where it stands."""
        note = visible(note)
        self._progress.update(self._task, completed=done, total=total, note=note)
        if not self.quiet and not self._live and time.monotonic() - self._printed >= self.every:
            self._printed = time.monotonic()
            more = f"  {note}" if note else ""
            self._console.print(f"{self.title}: {done}/{total}, {duration(self.seconds)}{more}", soft_wrap=True)


def open_library(folder: Path, device: str = "cpu", **which: Any) -> Library:
    """The library in a folder, or of a collection the member that ``which`` tells (:meth:`Library.open`).

    Raises a ``ValueError`` that says how to come by one where there is none.
    """
    from npi.library.library import Library

    check_library(folder)
    return Library.open(folder, device=device, **which)


def check_library(folder: Path) -> None:
    """Raise a ``ValueError`` that says how to come by a library where there is no folder."""
    if not folder.exists():
        raise ValueError(
            f"there is no folder {folder}: make a library with npi train or npi demo, or name one with --library"
        )
    if folder.is_file():
        raise ValueError(f"{folder} is a file; this takes the folder of a library (a compiled one can run and eval)")


def open_to_run(place: Path, device: str = "cpu", **which: Any) -> Library | CompiledLibrary:
    """The library in a folder, or the tables of one in a file."""
    from npi.running.compiled_library import CompiledLibrary

    return CompiledLibrary.open(place) if place.is_file() else open_library(place, device, **which)


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` as they are given to an option that is repeated; ``ValueError`` for others."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value) or name in found:
            raise ValueError(f"{option} {word}: write NAME=VALUE, and each name once")
        found[name] = value
    return found


def standing_in(source: Library | CompiledLibrary, place: Path, rows: Sequence[str]) -> Library | CompiledLibrary:
    """What runs, with the rows of ``--use-row`` in it; from a collection also rows of members of the same core."""
    if not rows:
        return source
    from npi.library import stand_ins
    from npi.library.library import Library

    if not isinstance(source, Library):
        raise ValueError(f"--use-row: {place} is a file of tables, which have no rows; name the library's folder")
    return stand_ins.standing_in(source, pairs(rows, "--use-row"), beside=stand_ins.neighbours(place, source))


def shipped_or(library: Path) -> Path:
    """The folder of a core that comes with the engine, where it is named and there is no folder of that name."""
    from npi.library.examples import shipped

    return library if library.exists() else shipped().get(str(library), library)


def check_folder(out: Path, *, collection: bool = False) -> None:
    """Refuse to write a library among other files: a folder that is there is a library, or empty.

    ``collection``: or is a collection, all of which is replaced.
    """
    from npi.library.manifest import holds_library, is_collection, vacant

    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    if is_collection(out):
        if not collection:
            raise ValueError(f"--out {out} is a collection of several libraries; name another folder")
    elif not vacant(out) and not holds_library(out):
        raise ValueError(f"--out {out} holds other files and is no library; name a new or an empty folder")


def finish(reached: bool = True, *, interrupted: bool = False) -> None:
    """End the command with the exit status of what it came to."""
    if interrupted or not reached:
        raise typer.Exit(interrupted_status() if interrupted else NOT_REACHED)


SCORED = (
    number("solved", lambda score: f"{score.right:,} of {score.count:,}"),
    number("accuracy", lambda score: percent(score.right, score.count)),
    number("steps each", lambda score: f"{score.steps:,.0f}"),
    number("time", lambda score: duration(score.seconds)),
)
"""Columns of scores: problems solved of how many, and what one took."""
