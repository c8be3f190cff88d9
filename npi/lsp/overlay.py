"""A folder with the files of a project as the editor holds them, for passes that read files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from npi.lsp.project import Project


@contextmanager
def mirrored(project: Project, path: Path) -> Iterator[Path]:
    """The folder in which a file's ``use`` looks.

    That is the file's own one where the files that it uses are as on the disk, else a copy of those, with what the
    editor holds and has not saved yet.
    """
    used = [other for other in project.modules(path)[1:] if other.is_relative_to(path.parent)]
    if not any(other in project.texts and project.texts[other] != on_disk(other) for other in used):
        yield path.parent
        return
    with TemporaryDirectory(prefix="npi-lsp-") as name:
        folder = Path(name)
        for other in used:
            copy = folder / other.relative_to(path.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((project.text(other) or "").encode())
        yield folder


def on_disk(path: Path) -> str | None:
    """A file's text on the disk; None where there is none."""
    return Project().text(path)
