"""Libraries of many rows, and the size of a row as a file: ``python -m benchmarks.speed.libraries``.

The rows are not learned: they have random numbers, each with a program text of its own, and are added as learned ones
are. What opening, listing and adding cost depends on their number and on their texts alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, plain_arguments, write
from benchmarks.speed.parts import best
from dsl import ProgramSet, load
from dsl.program import sources_digest
from envs.spec import Signature
from npi.core.config import CoreConfig
from npi.jobs.train import new_library
from npi.library import operations
from npi.library.assembly import FIRST, Assembly
from npi.library.library import Library
from npi.library.program_files import Held
from npi.library.row_file import PARTS, RowFile, RowPackage
from npi.program_memory import RowInfo
from npi.recurrent import learn
from npi.training.dataset import Dataset
from npi.training.learn_rows import LearnConfig

COUNT = 5000

TEXT = """use "bubblesort.npi"

program TWICE "Sort, and sort again: number {n}":
    BUBBLESORT
    RESET
    BUBBLESORT

task twice(items: list of 0..9):
    A = items
    run TWICE
    expect A == sorted(items)
    train items of 2..{n}
"""


def base() -> tuple[Library, ProgramSet]:
    """An untrained core with the rows of bubble sort."""
    programs = load(ROOT / "programs" / "bubblesort.npi")
    return new_library(CoreConfig(), [Dataset.from_programs(programs, traces=1, seed=0)], seed=0), programs


def made_up(library: Library, programs: ProgramSet, count: int) -> RowFile:
    """Packs of one row each, with random numbers, each of a file of its own."""
    generator = torch.Generator().manual_seed(0)
    widths = {name: part.shape[1] for name, part in library.memory.named_parameters()}
    packages, worlds = [], {0: library.core.worlds[0]}
    for n in range(count):
        name = f"twice{n:04}.TWICE"
        sources = (*programs.sources, (f"twice{n:04}.npi", TEXT.format(n=2 + n)))
        calls = {name: ("bubblesort.BUBBLESORT", "bubblesort.RESET")}
        held = Held(sources, sources_digest(sources), "", ("twice",), calls)
        signature = Signature(name, (), f"Sort, and sort again: number {n}")
        info = RowInfo(name, 0, 1, signature, primitive=False, source=held.digest)
        parameters = {part: torch.randn(1, widths[part], generator=generator) for part in PARTS}
        entry = {"learned": [name], "updates": 100, "seed": 0}
        packages.append(RowPackage((info,), parameters, worlds, (), {}, (held,), entry))
    return RowFile(library.core.digest(), Assembly(library).digest(FIRST), tuple(packages), "0")


def once(work: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def process(*words: object) -> float:
    """Seconds of a whole process of the command line."""
    line = [sys.executable, "-m", "npi.cli.main", *map(str, words)]
    return best(lambda: subprocess.run(line, cwd=ROOT, check=True, capture_output=True), seconds=3)


def sizes(library: Library, folder: Path) -> list[list[str]]:
    """The row file of maximum, which are two rows."""
    dataset = Dataset.from_programs(load(ROOT / "programs" / "max.npi"), traces=1, seed=0)
    learn(library, [dataset], LearnConfig(starts=1, updates=1, problems=1), keep_unsolved=True)
    found = operations.pack(library, ["MAX"])
    size = found.save(folder / "max.npirow")
    numbers = 4 * sum(part.numel() for one in found.packages for part in one.parameters.values())
    texts = sum(len(text) for one in found.packages for held in one.texts for _, text in held.sources)
    return [
        ["row file of max.npi (2 rows, its text and that of bubblesort.npi)", f"{size:,}", "bytes"],
        ["of which numbers", f"{numbers:,}", "bytes"],
        ["its texts before they are folded", f"{texts:,}", "bytes"],
    ]


def figures(folder: Path, count: int = COUNT) -> list[list[str]]:
    library, programs = base()
    file = made_up(library, programs, count)
    place = folder / "library"
    found, added = once(lambda: operations.add(library, [file]).library)
    _, saved = once(lambda: found.save(place))
    extra = made_up(library, programs, count + 1).packages[-1:]
    one = RowFile(file.core, file.first, extra, "0")
    rows = [
        (f"{count:,} rows added at once", added),
        ("written", saved),
        ("opened", best(lambda: Library.open(place))),
        ("one task of it found, its text parsed, a stepper made", best(lambda: _stepper(place))),
        ("one row more added, in memory", best(lambda: operations.add(Library.open(place), [one]))),
        ("import torch, whole process", _import("torch")),
        ("import npi.library.library, whole process", _import("npi.library.library")),
        ("npi library list, whole process", process("library", "list", place)),
        ("npi library info, whole process", process("library", "info", place, f"twice{count - 1:04}.TWICE")),
    ]
    size = sum(path.stat().st_size for path in place.iterdir())
    return [
        *([what, f"{seconds:.2f}", "s"] for what, seconds in rows),
        ["the folder, a row", f"{size / count:,.0f}", "bytes"],
        *sizes(base()[0], folder),
    ]


def _stepper(place: Path) -> Any:
    library = Library.open(place)
    return library.stepper(library.task("twice0007.twice")[0].table)


def _import(module: str) -> float:
    line = [sys.executable, "-c", f"import {module}"]
    return best(lambda: subprocess.run(line, cwd=ROOT, check=True), seconds=3)


def main() -> None:
    plain_arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write("libraries", {"figures": [["", "", ""], *figures(Path(folder))]})


if __name__ == "__main__":
    main()
