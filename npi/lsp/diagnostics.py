"""What is wrong with a file, as places in its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dsl.analysis.diagnose import diagnose
from dsl.errors.error import LanguageError, Remark
from npi.lsp.names import FILE, Span
from npi.lsp.project import Project, used_path

WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|\w+|[^\w\s]|$')


@dataclass(frozen=True)
class Mistake:
    """Something wrong, or suspicious, at a place of a file.

    Attributes:
        other: the file and place where it lies, when that is a file which this one uses.
    """

    span: Span
    message: str
    fix: str
    code: str
    warning: bool
    other: tuple[Path, Span] | None = None


def mistakes_of(project: Project, path: Path) -> list[Mistake]:
    """Everything that is wrong with a file and those that it uses, errors first."""
    text = project.text(path) or ""
    found = diagnose(text, path=str(path), folder=path.parent, texts=project.unsaved(path))
    everything: list[LanguageError | Remark] = [*found.errors, *found.warnings]
    return [place(project, path, item) for item in everything]


def place(project: Project, path: Path, item: LanguageError | Remark) -> Mistake:
    """A mistake with its place: one in a used file is told where that file is used."""
    warning = isinstance(item, Remark)
    span = word_span(item.source.line(item.line), item.line - 1, item.column - 1)
    file = Path(item.file)
    if file == path:
        return Mistake(span, item.message, item.fix, item.code, warning)
    message = f"in {file.name}, line {item.line}: {item.message}"
    return Mistake(use_span(project, path, file), message, item.fix, item.code, warning, (file.resolve(), span))


def word_span(line: str, number: int, column: int) -> Span:
    """The word that begins at a column; a single place at the end of the line."""
    found = WORD.match(line, min(column, len(line)))
    return Span(number, column, found.end() if found is not None else column)


def use_span(project: Project, path: Path, file: Path) -> Span:
    """Where a file is used, itself or through others."""
    for used in project.names(path).used:
        if used.role == FILE and file.resolve() in project.modules(used_path(path, used.name)):
            return used.span
    return Span(0, 0, 0)
