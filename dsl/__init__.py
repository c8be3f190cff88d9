"""The program language: text in, a checked program set and its teacher out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dsl.analysis.diagnose import Diagnosis, diagnose, read
from dsl.check.modules import read_text
from dsl.errors.error import LanguageError, Remark, joined
from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem, Task
from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
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
    "compile_teacher",
    "diagnose",
    "load",
    "loads",
    "shown_by",
]


__getattr__, __dir__ = lazy(__name__, {"dsl.teacher": ["Teacher", "compile_teacher", "shown_by"]}, __all__)


def load(path: Path | str) -> ProgramSet:
    """The checked program set of a file and the files that it uses.

    Raises:
        LanguageError: for mistakes in a text; it tells all of them (``error.errors``).
        ValueError: for a file that cannot be read. (``LanguageError`` is one as well.)
    """
    path = Path(path)
    return loads(read_text(path), path=str(path), folder=path.parent)


def loads(text: str, *, path: str = "<text>", folder: Path | str | None = None) -> ProgramSet:
    """The checked program set of a text; see :func:`load`.

    Args:
        text: a program text.
        path: the name that errors give it; its stem qualifies the programs (``text.ADD`` by default).
        folder: where ``use`` looks for files; without one, ``use`` is an error.
    """
    _, checked = read(text, path, folder)
    if checked.program_set is None:
        raise joined(checked.errors)
    return checked.program_set
