"""The manifest of a library's folder: sealed by hash, checked before it is used. Nothing here needs torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from envs.spec import WorldSpec, check_distinct
from envs.support.atomic_files import unfinished
from envs.support.sealed_json import is_sealed, sealed, sha256
from envs.support.typed_json import FormatError, is_version, read_json
from envs.support.user_files import DATA_BYTES, MANIFEST_BYTES, read_file
from npi.library.wiring import check_wiring
from npi.program_memory import RowInfo

__all__ = ["LibraryError", "checked", "host_place", "read_manifest", "sealed", "sha256", "vacant", "whole"]

T = TypeVar("T")

FORMAT = 2
"""Version of the folder's format; another one is refused."""

NAME = "manifest.json"

COLLECTION = "npi collection"
"""The ``kind`` that the manifest of a collection begins with (:mod:`npi.library.members`); a library's has none."""

HEAD = f'{{\n "kind": "{COLLECTION}"'.encode()

HOST = re.compile(r"host-[0-9a-f]{16}")
MEMBER = re.compile(r"member-[0-9a-f]{16}")
STORED = re.compile(r"(core|rows)-[0-9a-f]{16}\.safetensors|texts-[0-9a-f]{16}\.json")
"""Names beside the manifest: folders of hosts and of a collection's members, and files, by their contents."""


class LibraryError(ValueError):
    """A library that cannot be used as asked; the message says why and what to do."""


@dataclass(frozen=True)
class HeldEntry:
    """A program file with those that it uses: name, sha256, (name, sha256 of the text) of each source, names of its
    tasks, and what its programs call by their text."""

    file: str
    digest: str
    sources: tuple[tuple[str, str], ...]
    tasks: tuple[str, ...]
    calls: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class HostEntry:
    """A learner's library inside of another one: its folder, sha256 of its core and of its rows."""

    folder: str
    core: str
    rows: str


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says: shape and sha256 of the core, its worlds, the rows in order, the program files, what
    was done, the sha256 of each file, and the versions of what wrote it.

    Raises :class:`FormatError` for rows that contradict each other.
    """

    format: int
    config: Mapping[str, Any]
    core: str
    worlds: tuple[WorldSpec, ...]
    rows: tuple[RowInfo, ...]
    programs: tuple[HeldEntry, ...]
    history: Sequence[Mapping[str, Any]]
    files: Mapping[str, str]
    sha256: str
    hosts: tuple[HostEntry, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_distinct([row.name for row in self.rows], "row")
        generations = [row.generation for row in self.rows]
        there = set(generations)
        if not isinstance(self.config.get("kind"), str):
            raise FormatError("config.kind: expected the name of a kind of core")
        if not all(type(self.config.get(size, 0)) is int for size in ("code", "features")):
            raise FormatError("config: expected whole numbers for code and features")
        if generations != sorted(generations) or not all(0 <= one < 2**31 for one in generations):
            raise FormatError("rows: they do not come in the order of their generations")
        for row in self.rows:
            if not 0 <= row.world < len(self.worlds):
                raise FormatError(f"row {row.name} is of world {row.world}, and there are {len(self.worlds)}")
            if not there.issuperset(row.sees or ()):
                raise FormatError(f"row {row.name} sees generations that are not there")
            if row.wiring is not None:
                check_wiring(row.wiring, [slot.name for slot in row.signature.slots])
        for entry in self.history:
            check_entry(entry)


def check_entry(entry: Mapping[str, Any] | None) -> None:
    """Raise :class:`FormatError` unless what a history says in lists are names."""
    for key in ("trained", "learned", "added", "removed", "from"):
        found = (entry or {}).get(key, [])
        if not isinstance(found, str | dict) and not (isinstance(found, list) and all(type(x) is str for x in found)):
            raise FormatError(f"history.{key}: expected a list of names")
    if entry and "entry" in entry:
        if not isinstance(entry["entry"], dict | None):
            raise FormatError("history.entry: expected an object")
        check_entry(entry["entry"])


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a library; :class:`LibraryError` where there is none, or it is damaged or of another format."""
    path = folder / NAME
    if not path.is_file():
        raise LibraryError(f"{folder} is not a library: there is no manifest.json in it (make one with npi train)")
    data = read_file(path, MANIFEST_BYTES)
    if data.startswith(HEAD):
        raise LibraryError(f"{folder} is a collection of several libraries, and this takes the folder of one")
    return parse_manifest(data, folder)


def parse_manifest(data: bytes, folder: Path) -> Manifest:
    """The manifest of a library from its bytes; the folder is for messages."""
    path = folder / NAME

    def check(manifest: Any) -> None:
        version = manifest.get("format") if isinstance(manifest, dict) else None
        if version is not None and not is_version(version, FORMAT):
            raise LibraryError(
                f"{folder} has format {version!r}, this engine reads {FORMAT}; use the engine it is from"
            )
        if version is not None and not is_sealed(data.decode()):
            raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")

    try:
        found: Manifest = read_json(Manifest, data, check)
    except FormatError as error:
        message = f"{path} is damaged: manifest and files do not fit each other ({error}); restore it from a copy"
        raise LibraryError(message) from error
    return found


def is_collection(folder: Path) -> bool:
    """Whether a folder's manifest begins as that of a collection."""
    path = folder / NAME
    return path.is_file() and read_file(path, MANIFEST_BYTES).startswith(HEAD)


def host_place(folder: Path, entry: HostEntry) -> Path:
    """The folder of a host; :class:`LibraryError` for one that lies outside of the library's."""
    if not HOST.fullmatch(entry.folder):
        raise LibraryError(f"{folder}: the manifest names a host outside the library: {entry.folder}")
    return folder / entry.folder


def checked(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of a file that the manifest names; :class:`LibraryError` unless they have the hash that it says."""
    if ".." in Path(name).parts or Path(name).is_absolute() or "\0" in name:
        raise LibraryError(f"{folder}: the manifest names a file outside the library: {name}")
    path = stored(folder, name)
    if not path.is_file():
        raise LibraryError(f"{folder}: {name} is missing; restore it from a copy, or train again")
    data = read_file(path, DATA_BYTES)
    if sha256(data) != digest:
        raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")
    return data


def stored(folder: Path, name: str) -> Path:
    """Where a file of a library lies: in its folder, or beside the folders of hosts and members that it is inside of.

    In a collection the files of cores lie beside the members, which share them.
    """
    place = folder
    while not (place / name).exists() and (HOST.fullmatch(place.name) or MEMBER.fullmatch(place.name)):
        place = place.parent
    return place / name if (place / name).exists() else folder / name


def holds_library(folder: Path) -> bool:
    """Whether there is a library or a collection in a folder; a damaged one is left to those who report it."""
    return is_collection(folder) or ((folder / NAME).is_file() and any(folder.glob("rows-*.safetensors")))


def whole(folder: Path, read: Callable[[], T]) -> T:
    """What is read from the folder of a library or a collection, all of one save.

    Where another process saves meanwhile, it is read again.
    """
    while True:
        before = _version(folder)
        try:
            return read()
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
    names = (STORED, HOST, MEMBER)
    return all(unfinished(p) or any(name.fullmatch(p.name) for name in names) for p in folder.iterdir())
