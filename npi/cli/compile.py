"""``npi compile``: a library as tables, in one file that runs without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from npi.cli.console import Column, Screen, number, open_library
from npi.cli.options import CoreOption, JsonOption, LibraryOption, output
from npi.cli.words import duration


def compile_library(
    library: LibraryOption = Path("library"),
    core: CoreOption = None,
    out: Annotated[Path | None, output("--out", "LIBRARY.npic by default.", "FILE")] = None,
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
    opened = open_library(library, core=core)
    file = out or library.with_name(library.name + ".npic")
    began = time.perf_counter()
    compiled = CompiledLibrary.of(opened)
    compiled.save(file)
    rows = [
        {
            "file": Path(programs.path).name,
            "programs": len(programs.programs),
            "nodes": len(stepper.tables.base_N),
            "entries": len(stepper.tables.entry_M5),
        }
        for programs, stepper in zip(compiled.sets, compiled.steppers, strict=True)
    ]
    screen.table(rows, Column("programs", "file"), number("nodes"), number("entries"))
    size = file.stat().st_size
    screen.line(f"{file}: {compiled.entries:,} decisions, {size:,} bytes, {duration(time.perf_counter() - began)}")
    screen.line(f"next: npi eval --library {file}")
    screen.document({"file": file, "bytes": size, "core": compiled.about["core"], "sets": rows})
