"""What the commands share: where output goes, progress, interrupts, and options that several of them take.

Results go to stdout, everything else to stderr. Nothing heavy is imported here, so that ``npi --help`` is quick.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from npi.library.library import Library
    from npi.running.compiled_library import CompiledLibrary

DONE, NOT_REACHED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

WIDTH = 1000
"""Characters after which a table is broken where output goes to no terminal; lines are never broken there."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", help="Of everything random; the same seed gives the same result.")
]
LibraryOption = Annotated[
    Path, typer.Option("--library", metavar="DIR", help="Folder of a library (npi train makes one).")
]
TeacherOption = Annotated[
    Path | None,
    typer.Option("--teacher", metavar="FILE.npi", help="Run this file's program text instead of a trained core."),
]
HostOption = Annotated[
    list[Path] | None,
    typer.Option("--host", metavar="DIR", help="A learner's library, which runs programs with a signal; repeatable."),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="PAGE.html", help="Write a page to step through the run in a browser."),
]
AnimationOption = Annotated[
    Path | None,
    typer.Option(
        "--animation", metavar="FILE.gif", help="Write an animated picture of the run, in a world with pictures."
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto (CUDA where there is one), cpu, cuda, cuda:1 …")
]


class Screen:
    """Where one command prints: results on stdout, or one JSON document there; progress and notes on stderr."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @property
    def out(self) -> Console:
        """The console of stdout; colours and the width of the window only where it is a terminal."""
        return console(sys.stdout)

    @property
    def err(self) -> Console:
        """The console of stderr."""
        return console(sys.stderr)

    def say(self, what: RenderableType = "", *, style: str | None = None) -> None:
        """A part of the result for people; silent where the result is JSON."""
        if not self.json:
            self.out.print(what, style=style)

    def line(self, what: str | Text = "") -> None:
        """A line of the result as it is: never wrapped."""
        if not self.json:
            _line(sys.stdout, what)

    def columns(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of texts; in a terminal its cells are wrapped to fit, elsewhere it is as wide as it must be."""
        if self.json:
            return
        if not sys.stdout.isatty():
            for text in aligned(headers, rows):
                self.line(text)
            return
        table = grid(*headers)
        for row in rows:
            table.add_row(*row)
        self.say(table)

    def note(self, text: str) -> None:
        """A line on stderr."""
        _line(sys.stderr, text)

    def document(self, data: object) -> None:
        """The result for programs; silent where it is for people."""
        if self.json:
            sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def console(stream: Any) -> Console:
    """A console that prints what it is given: no markup, no guesses at what to colour."""
    from rich.console import Console

    width = None if stream.isatty() else int(os.environ.get("COLUMNS", WIDTH))
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def _line(stream: Any, what: str | Text) -> None:
    """Print a line; without rich, whose import takes longer than many a command, where no terminal is there to see."""
    if stream.isatty():
        console(stream).print(what, soft_wrap=True)
    else:
        stream.write(f"{what}\n")
        stream.flush()


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines, its columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headers, *rows)]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1) + 2)
    return [f" {lines[0]}".rstrip(), rule, *(f" {line}".rstrip() for line in lines[1:])]


def grid(*headers: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A table with a line under its headers; columns named in ``right`` are flush right."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE, title=title, title_justify="left", title_style="bold", header_style="bold", show_edge=False
    )
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", no_wrap=header in right)
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
        self._printed = -math.inf
        self._console = console(sys.stderr)
        self._live = self._console.is_terminal

    def __enter__(self) -> Meter:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
        )
        self._progress = Progress(*columns, console=self._console, transient=True, disable=self.quiet or not self._live)
        self._task = self._progress.add_task(self.title, total=None, note="")
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def update(self, done: int, total: int, note: str = "") -> None:
        """Where it stands."""
        self._progress.update(self._task, completed=done, total=total, note=note)
        if not self.quiet and not self._live and time.monotonic() - self._printed >= self.every:
            self._printed = time.monotonic()
            more = f"  {note}" if note else ""
            self._console.print(f"{self.title}: {done}/{total}, {duration(self.seconds)}{more}", soft_wrap=True)


@contextmanager
def stop_on_interrupt(*, quiet: bool = False) -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks to stop at the next good place, which the function tells; a second one stops at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        if not quiet:
            os.write(2, b"\nstopping after this update; Ctrl-C again stops at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def open_library(folder: Path, device: str = "cpu") -> Library:
    """The library in a folder; a ``ValueError`` that says how to come by one where there is none."""
    from npi.library.library import Library

    if not folder.exists():
        raise ValueError(
            f"there is no folder {folder}: make a library with npi train or npi demo, or name one with --library"
        )
    if folder.is_file():
        raise ValueError(f"{folder} is a file; this takes the folder of a library (a compiled one can run and eval)")
    return Library.open(folder, device=device)


def open_to_run(place: Path, device: str = "cpu") -> Library | CompiledLibrary:
    """The library in a folder, or compiled in a file."""
    from npi.running.compiled_library import CompiledLibrary

    return CompiledLibrary.open(place) if place.is_file() else open_library(place, device)


def finish(code: int) -> None:
    """End the command with an exit code."""
    if code != DONE:
        raise typer.Exit(code)


def parse_sizes(text: str) -> tuple[int, ...]:
    """``1..20``, ``1,5,10`` or both, ``1..5,10``; raises ``ValueError`` for anything else, and for sizes below 1."""
    return parse_numbers(text, "--sizes", least=1)


def parse_numbers(text: str, option: str, *, least: int) -> tuple[int, ...]:
    """Numbers and ranges as in :func:`parse_sizes`, from ``least``; the error names the option."""
    what = option.strip("-").removesuffix("s")
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        low, dots, high = part.partition("..")
        if not (low.isdecimal() and (high.isdecimal() if dots else True)):
            raise ValueError(f"{option} {text!r}: {part!r} is no {what}; write for example 5, or 1..20, or 1..5,10,20")
        first, last = int(low), int(high) if dots else int(low)
        if first < least or last < first:
            raise ValueError(f"{option} {text!r}: {part!r} is empty or begins below {least}; write for example 1..20")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def show_sizes(sizes: Sequence[int]) -> str:
    """The inverse of :func:`parse_sizes` for people: ``1..20``, ``1, 10, 100``."""
    parts: list[list[int]] = []
    for size in sizes:
        if parts and size == parts[-1][-1] + 1:
            parts[-1].append(size)
        else:
            parts.append([size])
    return ", ".join(f"{p[0]}..{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)


def duration(seconds: float) -> str:
    """``40 ms``, ``1.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """For each qualified name the bare one, where no other has it."""
    bare = {name: name.rpartition(".")[2] for name in names}
    several = {word for word in bare.values() if list(bare.values()).count(word) > 1}
    return {name: name if word in several else word for name, word in bare.items()}


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 trace``, ``1,200 traces``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def file_size(size: int) -> str:
    """``812 B``, ``3.1 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def percent(right: int, count: int) -> str:
    """``100 %`` only where all are right; otherwise with as many digits as it takes to see that it is less."""
    if right == count:
        return "100 %"
    return f"{min(99.99, 100 * right / count):.2f} %"


def elide(heights: Sequence[int], limit: int) -> tuple[int, int]:
    """How many blocks to print from the beginning and from the end, so that they take about ``limit`` lines.

    Args:
        heights: lines of each block. limit: 0 keeps all.
    """
    count = len(heights)
    if not limit or sum(heights) <= limit:
        return count, 0
    head = _fitting(heights, limit * 2 // 3)
    return head, min(count - head, _fitting(heights[::-1], limit - limit * 2 // 3))


def _fitting(heights: Sequence[int], lines: int) -> int:
    """How many blocks fit into the lines; one at least."""
    for count, height in enumerate(heights):
        lines -= height
        if lines < 0:
            return max(1, count)
    return len(heights)
