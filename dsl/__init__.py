"""The program language: text in, a checked program set and its teacher out."""

from __future__ import annotations

from pathlib import Path

from dsl.diagnose import Diagnosis, diagnose, read
from dsl.errors import LanguageError, Remark, joined
from dsl.files import read_text
from dsl.program import Program, ProgramSet
from dsl.tasks import Problem, Task
from dsl.teacher import Teacher, compile_teacher

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
]


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
