"""The folder of a reproduction, and what all of its stages share.

::

    stages/seed-0/train-multi.json    what a finished stage found, its settings, day and machine
    libraries/seed-0/multi/           the cores; traces/seed-0/ what they were trained on
    programs/                         the program files, copied when it began
    table.md, table.csv, curves.csv, results.json, *.png
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dsl import load
from npi.library.tensor_files import write_whole
from npi.reproduce.ledger import Ledger, Stopped
from npi.reproduce.recipe import FILES, LEARNED, Recipe


@dataclass(frozen=True)
class Work:
    """What all stages share.

    Attributes:
        folder: of the reproduction. recipe: its settings.
        digests: sha256 of each program file with those that it uses.
        device: to train on; tests and learning are on the CPU.
        stop: asked now and then; true ends a stage early.
    """

    folder: Path
    recipe: Recipe
    digests: Mapping[str, str]
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "stages")

    def file(self, name: str) -> Path:
        return self.folder / "programs" / f"{name}.npi"

    def library(self, seed: int, name: str) -> Path:
        return self.folder / "libraries" / f"seed-{seed}" / name

    def traces(self, seed: int, name: str) -> Path:
        return self.folder / "traces" / f"seed-{seed}" / name

    def heed(self) -> None:
        """Raise :class:`Stopped` where that was asked for."""
        if self.stop():
            raise Stopped


def begin(
    folder: Path, programs: Path, recipe: Recipe, *, device: str = "cpu", stop: Callable[[], bool] = lambda: False
) -> Work:
    """A folder to work in, with copies of the program files.

    Raises ``ValueError`` for a folder of other things, or program files that are not there.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "programs").is_dir():
        raise ValueError(f"--out {folder} holds other files and no reproduction; name a new or an empty folder")
    names = [*FILES, LEARNED]
    missing = [str(programs / f"{name}.npi") for name in names if not (programs / f"{name}.npi").is_file()]
    if missing:
        raise ValueError(
            f"there is no {missing[0]}: run this where the repository's programs/ folder is, or give it with --programs"
        )
    texts = {name: _pictured((programs / f"{name}.npi").read_text(encoding="utf-8"), recipe.pixels) for name in names}
    work = Work(folder, recipe, {}, device, stop)
    work.file(LEARNED).parent.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(work.file(name), text.encode())
    return Work(folder, recipe, {name: load(work.file(name)).digest for name in names}, device, stop)


def _pictured(text: str, pixels: int) -> str:
    """A program file with pictures of another size, where it has any and ``pixels`` is not 0."""
    if not pixels:
        return text
    bare = re.sub(r"^(world \w+ is cars\([^)]*?),?\s*pixels:\s*\d+", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"^(world \w+ is cars\([^)]*)\)", rf"\1, pixels: {pixels})", bare, flags=re.MULTILINE)
