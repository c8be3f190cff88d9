"""What the folder of a library holds, ready to be written: files named by their contents, the manifest last."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from envs.support.atomic_files import write_whole
from envs.support.sealed_json import seal_in
from envs.support.user_files import has_content
from npi.library.manifest import HOST, MEMBER, NAME, STORED


@dataclass(frozen=True)
class Contents:
    """The data files of a library by name, its sealed manifest, and the contents of its hosts by folder."""

    files: Mapping[str, bytes]
    manifest: bytes
    hosts: Mapping[str, Contents]

    @property
    def seal(self) -> str:
        """The sha256 that the manifest ends with."""
        return seal_in(self.manifest)

    @property
    def member_folder(self) -> str:
        """The name of its folder in a collection."""
        return member_folder(self.seal)

    @property
    def cores(self) -> dict[str, bytes]:
        """The files of its core and those of its hosts."""
        own = {name: data for name, data in self.files.items() if is_core(name)}
        return own | {name: data for host in self.hosts.values() for name, data in host.cores.items()}

    def write(self, folder: Path, *, beside: Collection[str] = ()) -> None:
        """Write them, whole or not at all: the folder holds what it held until the manifest is replaced.

        Args:
            beside: files that lie in the folder of the collection that this is a member of.
        """
        own = {name: data for name, data in self.files.items() if name not in beside}
        _write(folder, own)
        for name, host in self.hosts.items():
            host.write(folder / name, beside=beside)
        write_whole(folder / NAME, self.manifest)
        clear(folder, [*own, *self.hosts])

    def write_member(self, collection: Path) -> None:
        """Write them as a member's folder: cores lie beside it, one file for all members and hosts that have it."""
        _write(collection, self.cores)
        self.write(collection / self.member_folder, beside=self.cores)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files that are named by their contents."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        if not has_content(folder / name, data):
            write_whole(folder / name, data)


def is_core(name: str) -> bool:
    """Whether a file holds the numbers of a core."""
    return name.startswith("core-")


def member_folder(seal: str) -> str:
    """The name of a member's folder in a collection, by the seal of its manifest."""
    return f"member-{seal[:16]}"


def clear(folder: Path, keep: Collection[str]) -> None:
    """Remove what a save superseded, and what killed ones left: named as libraries name things, and not kept."""
    for path in folder.iterdir():
        if path.name in keep:
            continue
        if HOST.fullmatch(path.name) or MEMBER.fullmatch(path.name):
            shutil.rmtree(path)
        elif STORED.fullmatch(path.name):
            path.unlink()
