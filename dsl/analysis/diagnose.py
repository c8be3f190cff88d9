"""Everything that can be said about a program text at once, for editors and the command line."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dsl.analysis.learnability import Outlook, look
from dsl.check.modules import Files, Loaded, load_modules
from dsl.check.programs import Checked, check
from dsl.errors.error import LanguageError, Remark
from dsl.program import ProgramSet
from dsl.text.syntax import File


@dataclass(frozen=True)
class Diagnosis:
    """What a program text is worth.

    Attributes:
        errors: every mistake of the text and of the files that it uses, used files first, then by place.
        warnings: what is suspicious but not wrong.
        program_set: None where there are errors.
        tree: the text's own parts, as far as they can be read.
        outlook: what can be said of the programs before they run; None where there are errors.
    """

    errors: tuple[LanguageError, ...]
    warnings: tuple[Remark, ...]
    program_set: ProgramSet | None
    tree: File
    outlook: Outlook | None


def diagnose(
    text: str,
    *,
    path: str = "<text>",
    folder: Path | str | None = None,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Diagnosis:
    """Read and check a text, as :func:`dsl.loads` does; raises nothing about the text."""
    loaded, checked = read(text, path, Files.of(folder, texts))
    tree = loaded.modules[-1].tree
    if checked.program_set is None:
        return Diagnosis(checked.errors, checked.warnings, None, tree, None)
    outlook = look(checked.program_set, tree)
    warnings = sorted((*checked.warnings, *outlook.remarks), key=lambda remark: (remark.line, remark.column))
    return Diagnosis((), tuple(warnings), checked.program_set, tree, outlook)


def read(text: str, path: str, files: Files | None) -> tuple[Loaded, Checked]:
    """A text and the files that it uses, read and checked."""
    with without_garbage_collection():
        loaded = load_modules(text, path, files)
        return loaded, check(loaded, path)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Without the search for circular garbage, which costs a quarter of the time where many objects without circles are
    made: trees, problems that are drawn and judged."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
