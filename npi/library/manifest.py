"""The manifest of a library's folder: sealed by hash, checked before it is used. Nothing here needs torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from envs.support.atomic_files import unfinished
from envs.support.sealed_json import is_sealed, sealed, sha256
from envs.support.user_files import DATA_BYTES, MANIFEST_BYTES, read_file

__all__ = ["LibraryError", "checked", "read_manifest", "seal_of", "sealed", "sha256", "vacant", "whole"]

T = TypeVar("T")

FORMAT = 2
"""Version of the folder's format; another one is refused."""

NAME = "manifest.json"

HOST = re.compile(r"host-[0-9a-f]{16}")
STORED = re.compile(r"(core|rows)-[0-9a-f]{16}\.safetensors|texts-[0-9a-f]{16}\.json")
"""Names beside the manifest: folders of hosts, and files, by their contents."""


class LibraryError(ValueError):
    """A library that cannot be used as asked; the message says why and what to do."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a library; :class:`LibraryError` where there is none, or it is damaged or of another format."""
    path = folder / NAME
    if not path.is_file():
        raise LibraryError(f"{folder} is not a library: there is no manifest.json in it (make one with npi train)")
    data = read_file(path, MANIFEST_BYTES)
    try:
        text = data.decode()
        manifest = json.loads(text)
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{path} is damaged ({error}); restore it from a copy") from error
    if version != FORMAT:
        raise LibraryError(f"{folder} has format {version}, this engine reads {FORMAT}; use the engine it is from")
    if not is_sealed(text):
        raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")
    return manifest


def seal_of(folder: Path) -> str:
    """The sha256 that the manifest of a library ends with; ``""`` where there is no manifest."""
    return str(read_manifest(folder)["sha256"]) if (folder / NAME).exists() else ""


def checked(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of a file that the manifest names; :class:`LibraryError` unless they have the hash that it says."""
    path = folder / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise LibraryError(f"{folder}: the manifest names a file outside the library: {name}")
    if not path.is_file():
        raise LibraryError(f"{folder}: {name} is missing; restore it from a copy, or train again")
    data = read_file(path, DATA_BYTES)
    if sha256(data) != digest:
        raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")
    return data


def whole(folder: Path, read: Callable[[dict[str, Any]], T]) -> T:
    """What is read from a library's folder by its manifest, all of one save.

    Where another process saves meanwhile, it is read again.
    """
    while True:
        before = _version(folder)
        try:
            return read(read_manifest(folder))
        except (ValueError, OSError):
            if _version(folder) == before:
                raise


def _version(folder: Path) -> tuple[int, int] | None:
    """What tells one manifest of a folder from the next."""
    try:
        found = (folder / NAME).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def vacant(folder: Path) -> bool:
    """Whether a library may begin there: no folder, an empty one, or what a process left that was killed in its first
    save."""
    if not folder.is_dir():
        return not folder.exists()
    return all(unfinished(p) or STORED.fullmatch(p.name) or HOST.fullmatch(p.name) for p in folder.iterdir())
