"""A collection in memory: libraries of different cores in one folder, and their union.

>>> from npi.library.collection import Collection, combined
>>> combined([Library.open("sorting"), Library.open("few_shot")]).save("tools")
>>> Library.open("tools", task="sort")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.support.atomic_files import WAIT, claimed
from envs.support.user_files import real_path
from npi.library import operations
from npi.library.library import Library, LibraryError
from npi.library.manifest import whole
from npi.library.members import Member, Preferred, holder, members, publish, seal_of, settled, shared_out

__all__ = ["Collection", "combined"]


@dataclass
class Collection:
    """Libraries of different cores, of which one answers for each name.

    Attributes:
        libraries: the members, in order. yields: for each, names of its programs and tasks that it leaves to another.
        origin: the folder that it was read from or saved to last, and the seal of the manifest there.
    """

    libraries: list[Library]
    yields: list[tuple[str, ...]]
    origin: tuple[Path, str] | None = field(default=None, compare=False)

    @classmethod
    def open(cls, folder: Path | str, *, device: torch.device | str = "cpu") -> Collection:
        """Read a collection, or a library as a collection of one; every file is checked before it is used.

        It may be replaced meanwhile: then the new one is read.
        """
        folder = Path(folder)

        def read() -> Collection:
            seal, there = seal_of(folder), members(folder)
            found = [Library.of_member(one, folder, device=device) for one in there]
            return cls(found, [one.yields for one in there], (real_path(folder), seal))

        return whole(folder, read)

    @property
    def members(self) -> list[Member]:
        """What each is called, and answers for."""
        return [replace(lib.member(), yields=names) for lib, names in zip(self.libraries, self.yields, strict=True)]

    def tasks(self) -> dict[str, tuple[ProgramSet, Task]]:
        """Every task that a member answers for, by name qualified with its file."""
        return {
            name: found
            for library, names in zip(self.libraries, self.yields, strict=True)
            for name, found in library.tasks().items()
            if name not in names
        }

    def task(self, name: str) -> tuple[ProgramSet, Task]:
        """A task by its qualified name, or by its bare name where one file only has it."""
        found, library = self._holder(task=name)
        return library.task(found)

    def library(self, *, task: str | None = None, program: str | None = None) -> Library:
        """The member that has a task, or a program; :class:`LibraryError` for a name that none has."""
        return self._holder(task=task, program=program)[1]

    def _holder(self, *, task: str | None = None, program: str | None = None) -> tuple[str, Library]:
        there = self.members
        if (task is None) == (program is None):
            raise ValueError("name a task, or a program, and not both")
        found, member = holder(there, task, "task") if task is not None else holder(there, str(program), "program")
        return found, self.libraries[there.index(member)]

    def apportioned(self, tasks: Sequence[str] = ()) -> list[tuple[Library, list[str]]]:
        """The members that have some tasks, each with the names of its own; all that they answer for by default."""
        return [(self.libraries[number], names) for number, names in shared_out(self.members, tasks)]

    def without(self, core: str) -> Collection:
        """The other members, by the sha256 of a core; names that were left to it alone are theirs again.

        Raises :class:`LibraryError` where none would be left.
        """
        kept = [one for one in self.members if one.core != core]
        if not kept:
            raise LibraryError("a collection has one member at least; remove its folder in place of the last one")
        libraries = [library for library in self.libraries if library.core.digest() != core]
        return Collection(libraries, [one.yields for one in settled(kept)], self.origin)

    def save(self, folder: Path | str) -> None:
        """Write the collection to a folder, whole or not at all; what was there is replaced.

        Raises:
            LibraryError: where two members answer for one name, or where it was read from this folder, and another
                process has saved there since.
            FolderInUseError: where another process keeps on writing there.
        """
        folder = Path(folder)
        there = settled(self.members)
        with claimed(folder, wait=WAIT):
            real = real_path(folder)
            if self.origin is not None and self.origin[0] == real and self.origin[1] != seal_of(folder):
                raise LibraryError(
                    f"another process has changed {folder} since this collection was read from it; read it again, and "
                    "repeat what was done"
                )
            seals = []
            for library in self.libraries:
                contents = library.contents()
                contents.write_member(folder)
                seals.append(contents.seal)
                library.origin = real, contents.seal
            self.origin = real, publish(folder, there, seals)


def combined(parts: Sequence[Library | Collection], *, prefer: Preferred | None = None) -> Collection:
    """Libraries and the members of collections side by side; those of one core become one
    (:func:`npi.library.operations.merge`).

    Args:
        prefer: whose rows are taken where libraries of one core have other ones of a name, and who answers for a name
            that libraries of different cores have: the ``"first"`` of them or the last (``"second"``).

    Raises :class:`LibraryError` for such names without ``prefer``.
    """
    groups: dict[str, list[tuple[Library, tuple[str, ...]]]] = {}
    for part in parts:
        every = zip(part.libraries, part.yields, strict=True) if isinstance(part, Collection) else [(part, ())]
        for library, yields in every:
            groups.setdefault(library.core.digest(), []).append((library, yields))
    libraries, there = [], []
    for group in groups.values():
        first, *others = (library for library, _ in group)
        library = operations.merge(first, *others, prefer=prefer).library if others else first
        left = set.intersection(*(set(yields) for _, yields in group))
        libraries.append(library)
        there.append(replace(library.member(), yields=tuple(n for n in group[0][1] if n in left)))
    found = [one.yields for one in settled(there, prefer)]
    origin = next((part.origin for part in parts[:1] if isinstance(part, Collection)), None)
    return Collection(libraries, found, origin)
