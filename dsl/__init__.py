"""The program language: text in, a checked program set and its teacher out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from dsl.analysis.diagnose import Diagnosis, diagnose, read
from dsl.check.modules import Files, read_text
from dsl.errors.error import LanguageError, Remark, joined
from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem, Task
from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from dsl.analysis.equivalence import behaviours
    from dsl.formatting.printer import format_tree
    from dsl.teacher import Teacher, compile_teacher, shown_by

__all__ = [
    "Diagnosis",
    "LanguageError",
    "Problem",
    "Program",
    "ProgramSet",
    "Remark",
    "Task",
    "Teacher",
    "behaviours",
    "compile_teacher",
    "diagnose",
    "format_tree",
    "load",
    "loads",
    "shown_by",
]


__getattr__, __dir__ = lazy(__name__)


def load(path: Path | str) -> ProgramSet:
    """The checked program set of a file and the files that it uses.

    Raises:
        LanguageError: for mistakes in a text; it tells all of them (``error.errors``).
        ValueError: for a file that cannot be read. (``LanguageError`` is one as well.)
    """
    path = Path(path)
    return loads(read_text(path), path=str(path), folder=path.parent)


def loads(
    text: str,
    *,
    path: str = "<text>",
    folder: Path | str | None = None,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> ProgramSet:
    """The checked program set of a text; see :func:`load`.

    Args:
        text: a program text.
        path: the name that errors give it; its stem qualifies the programs (``text.ADD`` by default).
        folder: where ``use`` looks for files; without one and without texts, ``use`` is an error.
        texts: files held in memory, by their names relative to the folder, in place of those in it.
    """
    _, checked = read(text, path, Files.of(folder, texts))
    if checked.program_set is None:
        raise joined(checked.errors)
    return checked.program_set
