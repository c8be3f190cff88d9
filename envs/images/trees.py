"""Files under a folder, or in a zip: their names, and the bytes of one. Nothing is unpacked to the disk."""

from __future__ import annotations

import io
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from envs.support.user_files import read_file, real_path
from envs.support.zip_files import read_part

MAX_FILES = 400_000
"""Files and folders under a folder, or in a zip."""

MAX_DEPTH = 8
"""Folders in folders."""

ZIP_BYTES = 1 << 30


class Tree(ABC):
    """Files by name.

    Attributes:
        path: the folder or zip, for messages.
        names: of its files, sorted, with ``/`` between folders; hidden ones are left out, as are those of ``__MACOSX``.
    """

    path: Path
    names: tuple[str, ...]

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file; raises ``ValueError`` where they are more than ``limit``."""

    def full(self, name: str) -> str:
        """What messages call a file."""
        return f"{self.path}/{name}"


class FolderTree(Tree):
    """The files under a folder. Links to folders, and links that lead out, are refused by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = real_path(path)
        self.names = tuple(sorted(_bounded(self._walk(path, ""), path)))

    def _walk(self, folder: Path, before: str) -> Iterator[str]:
        if before.count("/") > MAX_DEPTH:
            raise ValueError(f"{folder}: more than {MAX_DEPTH} folders in folders; expected group/class/picture")
        with os.scandir(folder) as entries:
            for entry in entries:
                name = before + entry.name
                if _hidden(name):
                    continue
                if entry.is_symlink():
                    self._check_link(Path(entry.path))
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path), f"{name}/")
                else:
                    yield name

    def _check_link(self, link: Path) -> None:
        to = real_path(link)
        if to.is_dir() or not to.is_relative_to(self._root):
            raise ValueError(
                f"{link}: a link to {to}; links to folders and out of {self.path} are not followed, copy it"
            )

    def read(self, name: str, limit: int) -> bytes:
        return read_file(self.path / name, limit)


class ZipTree(Tree):
    """The files in a zip, whose bytes are in memory."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        files = [info for info in archive.infolist() if not info.is_dir()]
        self._infos = {info.filename: info for info in files if not _hidden(info.filename)}
        self.names = tuple(sorted(_bounded(iter(self._infos), path)))
        for name in self.names:
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{self.full(name)}: a name that leads out of the zip; name the file within it")
        if len({info.filename for info in files}) < len(files):
            raise ValueError(f"{path}: two files of one name; expected each name once")

    def read(self, name: str, limit: int) -> bytes:
        info = self._infos[name]
        if info.file_size > limit:
            raise ValueError(f"{self.full(name)}: {info.file_size:,} bytes unpacked; {limit:,} are allowed")
        try:
            return read_part(self._archive, info)
        # A damaged or encrypted zip can fail in any way.
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ValueError(f"{self.full(name)}: it cannot be unpacked ({line})") from error


def open_tree(path: Path) -> Tree:
    """A folder or a zip as a tree.

    Raises:
        ValueError: for something else, a broken zip, links that lead out, and more than :data:`MAX_FILES` files.
        OSError: where it cannot be read.
    """
    return FolderTree(path) if path.is_dir() else ZipTree(path, open_zip(path))


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip whose bytes are read whole.

    Raises:
        ValueError: for a file that is none or has more than :data:`ZIP_BYTES`.
        OSError: where it cannot be read.
    """
    data = read_file(path, ZIP_BYTES)
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: neither a folder nor a zip that can be read ({line})") from error


def _hidden(name: str) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _bounded(names: Iterator[str], path: Path) -> Iterator[str]:
    for count, name in enumerate(names):
        if count >= MAX_FILES:
            raise ValueError(f"{path}: more than {MAX_FILES:,} files; give a smaller folder")
        yield name
