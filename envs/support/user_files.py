"""Files of users, read whole: regular files of a bounded size. A device or a pipe may have no end, or never answer."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MANIFEST_BYTES = 64 << 20
"""Of a JSON file."""

DATA_BYTES = 8 << 30
"""Of a file of tensors."""

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path | str, limit: int) -> bytes:
    """A file's content.

    Raises:
        ValueError: for what is no regular file, or has more than ``limit`` bytes.
        OSError: where there is none, or it cannot be read; it names the file.
    """
    check_regular(path)
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(number)
        _check_regular(path, found)  # another file may be there by now
        left, parts = limit + 1, []
        if found.st_size < left:
            while part := os.read(number, min(left, max(found.st_size + 1, 1 << 16))):
                parts.append(part)
                left -= len(part)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(number)
    if found.st_size > limit or left <= 0:
        raise ValueError(f"{path}: more than {_size(limit)}, the most that is read of such a file; give a smaller one")
    return b"".join(parts)


def has_content(path: Path | str, data: bytes) -> bool:
    """Whether there is a regular file of this content."""
    try:
        return read_file(path, len(data)) == data
    except (OSError, ValueError):
        return False


def real_path(path: Path | str) -> Path:
    """The absolute path without links. Links that lead back to themselves stay, for whoever opens the file to tell."""
    return Path(os.path.realpath(path))


def check_regular(path: Path | str) -> None:
    """Refuse what is no regular file before it is opened; raises as :func:`read_file`."""
    _check_regular(path, os.stat(path))


def _check_regular(path: Path | str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in KINDS if test(found.st_mode)), "no regular file")
        raise ValueError(f"{path}: {kind}; give a regular file (save what a pipe or a device gives as one)")


def _size(limit: int) -> str:
    return f"{limit >> 20:,} MiB" if limit >= 1 << 20 else f"{limit >> 10:,} KiB"
