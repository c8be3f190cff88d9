"""Files and folders that are written whole or not at all, and folders that one process at a time writes to.

What a process has not finished has a name of this module's, so that readers pass it over: ``.NAME.TOKEN.part``, locked
by the process that writes it, and :data:`LOCK` in a folder that is written to. A killed process leaves such names; the
next one that writes there clears those that nobody holds.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envs.support.user_files import real_path

LOCK = ".npi.lock"
"""The file in a folder that is locked while a process writes there, and gone afterwards."""

WAIT = 30.0
"""Seconds that a short write waits for another one to end."""

PATIENCE = 2.0
"""Seconds that a pipe without a reader is waited for."""

_PART = re.compile(r"\.(.+)\.[0-9a-f]+\.part")

_claimed: set[tuple[int, int, Path]] = set()
"""This process, threads of it, and the folders that they have claimed."""


class FolderInUseError(ValueError):
    """A folder that another process is writing to."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary name, flush to the disk, rename.

    A link stays and leads to the new file; devices and pipes are written to as they are, but for a pipe that nobody
    reads. An ``OSError`` names the file.
    """
    with named(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            with open(path, "wb", opener=_with_a_reader) as file:
                file.write(data)
            return
        real = real_path(path)
        if real.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        clear_unfinished(real.parent, real.name)
        while not _replaced(real, data):
            continue
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _with_a_reader(path: str, flags: int) -> int:
    """Open a device or a pipe; ``OSError`` where the pipe has no reader for a while, who would be waited for."""
    last = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > last:
                raise
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


@contextmanager
def named(path: Path) -> Iterator[None]:
    """An ``OSError`` inside names this file or folder."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _replaced(path: Path, data: bytes) -> bool:
    """Write the file; tells whether it did, and no other process took its temporary file for one that is left over."""
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            _locked(file.fileno(), wait=True)
            if not os.fstat(file.fileno()).st_nlink:
                return False
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, which gets its name at the end: it is there whole or not at all.

    Raises ``OSError`` where something else has the name by then.
    """
    clear_unfinished(folder.parent, folder.name)
    temporary = _temporary(folder)
    with named(folder):
        temporary.mkdir(parents=True)
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        _locked(descriptor)
        yield temporary
        with named(folder):
            temporary.rename(folder)
    finally:
        os.close(descriptor)
        shutil.rmtree(temporary, ignore_errors=True)


def remove_whole(folder: Path) -> None:
    """Remove a folder, if it is there, in one step: a process that is killed meanwhile leaves none of its name."""
    clear_unfinished(folder.parent, folder.name)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder.rename(_temporary(folder)), ignore_errors=True)


def unfinished(path: Path) -> bool:
    """Whether a file or folder has a name of what is not finished, or is a folder's lock."""
    return path.name == LOCK or _PART.fullmatch(path.name) is not None


def clear_unfinished(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left in a folder: of this name, or all."""
    for path in folder.iterdir() if folder.is_dir() else ():
        part = _PART.fullmatch(path.name)
        if part is not None and name in (None, part[1]):
            _clear(path)


def _clear(path: Path) -> None:
    """Remove it unless a process is writing it."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if not _locked(descriptor):
                return
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        finally:
            os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def _locked(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; false where another process has, or the system or disk has no locks."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(descriptor, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


@contextmanager
def claimed(folder: Path | str, *, wait: float = 0.5) -> Iterator[None]:
    """Inside, no other process writes to the folder, which is made where there is none, and goes if it stays empty.

    What killed processes left there is cleared first. A thread may claim a folder again that it has.

    Args:
        wait: seconds for another process to end.

    Raises:
        FolderInUseError: where it does not. OSError: where the folder cannot be written to.
    """
    named, folder = folder, real_path(folder)
    mine = os.getpid(), threading.get_ident(), folder
    if mine in _claimed:
        yield
        return
    from filelock import FileLock, Timeout  # takes long to import

    lock = FileLock(folder / LOCK, timeout=wait, poll_interval=0.02)
    while not lock.is_locked:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(named)) from None
        try:
            lock.acquire()
        except FileNotFoundError:  # another one that ends has just removed the folder
            continue
        except Timeout:
            raise FolderInUseError(
                f"another process is writing to {named}: wait until it has ended, or name another folder"
            ) from None
    _claimed.add(mine)
    try:
        clear_unfinished(folder)
        yield
    finally:
        _claimed.remove(mine)
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            folder.rmdir()
