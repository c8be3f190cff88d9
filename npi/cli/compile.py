"""``npi compile``: a library as tables, in one file that runs without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from npi.cli.console import JsonOption, LibraryOption, Screen, duration, grid, open_library


def compile_library(
    library: LibraryOption = Path("library"),
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="LIBRARY.npic by default.")] = None,
    json: JsonOption = False,
) -> None:
    """Write every decision that a discrete or a universal core can make into one file of tables.

    The decisions are the core's own, so the file runs as the library does, only faster: millions of steps a second.
    Wherever a command takes --library, the file can stand in place of the folder.

    \b
    Example:
      npi compile
      npi compile --library library --out library.npic
    """
    from npi.running.compiled_library import CompiledLibrary

    screen = Screen(json=json)
    opened = open_library(library)
    file = out or library.with_name(library.name + ".npic")
    began = time.perf_counter()
    compiled = CompiledLibrary.of(opened)
    compiled.save(file)
    table = grid("programs", "nodes", "entries", right=("nodes", "entries"))
    rows = [
        {
            "file": Path(programs.path).name,
            "programs": len(programs.programs),
            "nodes": len(stepper.tables.base_N),
            "entries": len(stepper.tables.entry_M5),
        }
        for programs, stepper in zip(compiled.sets, compiled.steppers, strict=True)
    ]
    for row in rows:
        table.add_row(str(row["file"]), f"{row['nodes']:,}", f"{row['entries']:,}")
    screen.say(table)
    size = file.stat().st_size
    screen.line(f"{file}: {compiled.entries:,} decisions, {size:,} bytes, {duration(time.perf_counter() - began)}")
    screen.line(f"next: npi eval --library {file}")
    screen.document({"file": str(file), "bytes": size, "core": compiled.about["core"], "sets": rows})
