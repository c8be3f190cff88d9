"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary name, flush to the disk, rename.

    An ``OSError`` names the file itself. A process that is killed in between leaves one of :func:`unfinished`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unfinished(path: Path) -> bool:
    """Whether a file is what a killed process left of :func:`write_whole`."""
    return re.fullmatch(r"\..+\.\d+\.part", path.name) is not None
