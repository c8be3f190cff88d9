"""Collections: a folder with several libraries of different cores, and which of them answers for a name.

Each member is a library in a folder of its own, named by the seal of its manifest. The collection's manifest lists the
seals and is replaced last, so a collection on disk is always whole. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from envs.spec import check_distinct
from envs.support.atomic_files import write_whole
from envs.support.sealed_json import is_sealed, seal_in
from envs.support.typed_json import FormatError, is_version, read_json
from envs.support.user_files import MANIFEST_BYTES, read_file
from envs.support.versions import versions
from npi.library.contents import Contents, clear, is_core, member_folder
from npi.library.manifest import (
    COLLECTION,
    NAME,
    LibraryError,
    Manifest,
    holds_library,
    host_place,
    is_collection,
    read_manifest,
    sealed,
)
from npi.library.program_files import named, some
from npi.program_memory import RowInfo

FORMAT = 1
"""Version of a collection's manifest; another one is refused."""

SHA256 = re.compile(r"[0-9a-f]{64}")
DIGITS = 8
"""Of a core's sha256 in a label."""

Preferred = Literal["first", "second"]


@dataclass(frozen=True)
class MemberEntry:
    """A member as the collection's manifest lists it.

    Attributes:
        core: sha256 of its core. seal: the sha256 that its manifest ends with, by which its folder is named.
        yields: names of programs and tasks that it has and leaves to another member.
    """

    core: str
    seal: str
    yields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (SHA256.fullmatch(self.core) and SHA256.fullmatch(self.seal)):
            raise FormatError("members: expected the sha256 of a core and of a manifest")

    @property
    def folder(self) -> str:
        return member_folder(self.seal)


@dataclass(frozen=True)
class CollectionManifest:
    """What ``manifest.json`` of a collection says: its members in order, and the versions of what wrote it.

    Raises :class:`FormatError` for two members of one core, and for none at all.
    """

    kind: str
    format: int
    members: tuple[MemberEntry, ...]
    sha256: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.members:
            raise FormatError("members: expected one at least")
        check_distinct([entry.core for entry in self.members], "core")
        check_distinct([entry.folder for entry in self.members], "folder")


@dataclass(frozen=True)
class Member:
    """A library by what it is called and what it answers for.

    Attributes:
        place: its folder. kind, core: of its core, with its sha256.
        programs, tasks: qualified names of those that its own core runs; a host's programs are not among them.
        yields: those of the names that it leaves to another member.
        manifest: where it was read from a folder.
    """

    place: Path
    kind: str
    core: str
    programs: tuple[str, ...]
    tasks: tuple[str, ...]
    yields: tuple[str, ...] = ()
    manifest: Manifest | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        place: Path,
        kind: str,
        core: str,
        *,
        rows: Iterable[RowInfo],
        hosted: Iterable[RowInfo],
        files: Iterable[tuple[str, Sequence[str]]],
        **more: Any,
    ) -> Member:
        """Of its rows, those of its hosts, and its program files, each with the names of its tasks."""
        theirs = {row.name for row in hosted}
        programs = [row.name for row in rows if not row.primitive and row.name not in theirs]
        tasks = [f"{Path(file).stem}.{task}" for file, names in files for task in names]
        return cls(place, kind, core, tuple(programs), tuple(dict.fromkeys(tasks)), **more)

    @classmethod
    def read(cls, place: Path, yields: tuple[str, ...] = ()) -> Member:
        """Of the library in a folder; :class:`LibraryError` where it is none."""
        found = read_manifest(place)
        hosts = [read_manifest(host_place(place, host)) for host in found.hosts]
        return cls.of(
            place,
            found.config["kind"],
            found.core,
            rows=found.rows,
            hosted=[row for host in hosts for row in host.rows],
            files=[(entry.file, entry.tasks) for entry in found.programs],
            yields=yields,
            manifest=found,
        )

    @property
    def label(self) -> str:
        """``discrete-1f3a5c7e``: the kind of its core and the beginning of its sha256."""
        return f"{self.kind}-{self.core[:DIGITS]}"

    @property
    def names(self) -> tuple[str, ...]:
        """Of programs and tasks."""
        return tuple(dict.fromkeys((*self.programs, *self.tasks)))

    def answered(self, names: Iterable[str]) -> list[str]:
        """Those of some of its names that it leaves to no other."""
        return [name for name in names if name not in self.yields]


def read_collection(folder: Path) -> CollectionManifest:
    """The manifest of a collection; :class:`LibraryError` where it is damaged or of another format."""
    path = folder / NAME
    data = read_file(path, MANIFEST_BYTES)

    def check(manifest: Any) -> None:
        version = manifest.get("format") if isinstance(manifest, dict) else None
        if version is not None and not is_version(version, FORMAT):
            raise LibraryError(
                f"{folder} is a collection of format {version!r}, this engine reads {FORMAT}; use the engine it is from"
            )
        if not is_sealed(data.decode()):
            raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")

    try:
        found: CollectionManifest = read_json(CollectionManifest, data, check)
    except FormatError as error:
        raise LibraryError(f"{path} is damaged ({error}); restore it from a copy") from error
    return found


def members(folder: Path | str) -> tuple[Member, ...]:
    """The members of a collection in order; of a library, itself alone.

    Raises :class:`LibraryError` where one is missing, or is not the one that the collection names, or where two answer
    for one name.
    """
    folder = Path(folder)
    if not is_collection(folder):
        return (Member.read(folder),)
    found = []
    for entry in read_collection(folder).members:
        place = folder / entry.folder
        if not (place / NAME).is_file():
            raise LibraryError(f"{place}, a member of the collection, is missing; restore it from a copy")
        member = Member.read(place, entry.yields)
        assert member.manifest is not None
        if (member.core, member.manifest.sha256) != (entry.core, entry.seal):
            raise LibraryError(f"{place} is not the library that {folder / NAME} names; restore it from a copy")
        found.append(member)
    if [one.yields for one in _settled(found)] != [one.yields for one in found]:
        raise LibraryError(f"{folder / NAME} is damaged: of each name one member answers; restore it from a copy")
    return tuple(found)


def libraries_below(folder: Path) -> list[Path]:
    """The folders of libraries and collections in a folder and below it, in order; of a library, itself alone.

    Hosts and members, which lie inside of libraries, and the states of trainings are not among them.
    """
    if holds_library(folder):
        return [folder]
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    kept = [path for path in inside if path.suffix != ".training"]
    return [found for path in sorted(kept) for found in libraries_below(path)]


def located(
    folder: Path | str,
    *,
    task: str | Sequence[str] = (),
    program: str | Sequence[str] = (),
    core: str | None = None,
) -> Member:
    """The library in a folder, or the member of a collection that has a task, has a program, or has a core.

    Args:
        task, program: a qualified name, or a bare one where one file only has it, or several of one member; of a
            library they are not looked at.
        core: the beginning of a label (:attr:`Member.label`) or of a sha256; it goes before names.

    Raises :class:`LibraryError` where there is none, or where several are and nothing says which.
    """
    there, folder = members(folder), Path(folder)
    if core is not None:
        return core_named(folder, there, core)
    if not is_collection(folder):
        return there[0]
    found = {word: holder(there, word, "task")[1] for word in _words(task)}
    found |= {word: holder(there, word, "program")[1] for word in _words(program)}
    if not found:
        raise LibraryError(
            f"{folder} is a collection of libraries with different cores ({labels(there)}), and this takes one of "
            "them: name it (--core, where there is that option), or take it out (npi library extract "
            f"{folder} CORE --out DIR)"
        )
    first, *others = found
    for word in others:
        if found[word] is not found[first]:
            raise LibraryError(
                f"{first} and {word} are of different members of {folder}, {found[first].label} and "
                f"{found[word].label}; name those of one"
            )
    return found[first]


def core_named(folder: Path | str, there: Sequence[Member], word: str) -> Member:
    """The one whose label, or the sha256 of whose core, begins so."""
    fitting = [one for one in there if word and (one.label.startswith(word) or one.core.startswith(word))]
    if len(fitting) != 1:
        what = "several cores that begin" if fitting else "no core that begins"
        raise LibraryError(f"{folder} has {what} with {word!r}; it has {labels(fitting or there)}")
    return fitting[0]


def in_collection(folder: Path | str, core: str) -> str | None:
    """The sha256 of a core, to choose the member of a collection by; None for a library, which is its own."""
    return core if is_collection(Path(folder)) else None


def _words(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def apportioned(
    folder: Path | str, tasks: Sequence[str] = (), core: str | None = None
) -> list[tuple[Member, list[str]]]:
    """The members of a collection that have some tasks, each with the names of its own; all that they answer for by
    default, or all of the one that ``core`` names. A library has whatever is asked for."""
    folder = Path(folder)
    if core is not None or not is_collection(folder):
        return [(located(folder, core=core), list(tasks))]
    there = members(folder)
    return [(there[number], names) for number, names in shared_out(there, tasks)]


def shared_out(there: Sequence[Member], tasks: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The members by position that have some tasks, each with the names of its own; all that they answer for by
    default."""
    if not tasks:
        return [(number, mine) for number, one in enumerate(there) if (mine := one.answered(one.tasks))]
    found: dict[int, list[str]] = {}
    for word in tasks:
        name, member = holder(there, word, "task")
        found.setdefault(there.index(member), []).append(name)
    return list(found.items())


def holder(there: Iterable[Member], word: str, what: Literal["task", "program"]) -> tuple[str, Member]:
    """The qualified name of a task or a program, and the member that answers for it."""
    every = {n: one for one in there for n in one.answered(one.tasks if what == "task" else one.programs)}
    if what == "task":
        name = named(word, every, what=what, show=repr, otherwise=f"it has {some(every)}")
    else:
        name = named(word, every, what=what)
    return name, every[name]


def labels(there: Iterable[Member]) -> str:
    """The members' labels in a row."""
    return some(one.label for one in there)


def _clashes(there: Sequence[Member]) -> dict[str, list[int]]:
    """For each name that several members answer for, these by position."""
    holders: dict[str, list[int]] = {}
    for number, one in enumerate(there):
        for name in one.answered(one.names):
            holders.setdefault(name, []).append(number)
    return {name: numbers for name, numbers in holders.items() if len(numbers) > 1}


def settled(there: Sequence[Member], prefer: Preferred | None = None) -> list[Member]:
    """The members, of which one only answers for each name.

    What a member leaves to none any longer is its own again. Where several answer for a name, ``prefer`` says whether
    the first or the last of them goes on; :class:`LibraryError` without.
    """
    clashes = _clashes(there)
    if clashes and prefer is None:
        name, (a, b, *_) = next(iter(clashes.items()))
        more = f" (and {some([n for n in clashes if n != name], 5)})" if len(clashes) > 1 else ""
        raise LibraryError(
            f"{name}{more} stands in two libraries of different cores, {_where(there[a])} and {_where(there[b])}, and "
            "a name runs one program: say whose it shall be (npi library merge --prefer first or second), or rename "
            "the program file, which qualifies its names, and learn it again"
        )
    return _settled(there, prefer or "first")


def _settled(there: Sequence[Member], prefer: Preferred = "first") -> list[Member]:
    """The same, with one of several chosen in any case."""
    numbers = [*range(len(there))][:: -1 if prefer == "first" else 1]  # the last one that is told answers
    answering = {name: number for number in numbers for name in there[number].names}
    answering |= {name: number for number in numbers for name in there[number].answered(there[number].names)}
    return [
        replace(one, yields=tuple(name for name in one.names if answering[name] != number))
        for number, one in enumerate(there)
    ]


def _where(member: Member) -> str:
    return f"{member.place} ({member.label})"


def seal_of(folder: Path, core: str | None = None) -> str:
    """The sha256 that the manifest in a folder ends with, of a collection's member where ``core`` names it by its whole
    sha256; ``""`` where there is none."""
    if not (folder / NAME).exists():
        return ""
    if not is_collection(folder):
        return read_manifest(folder).sha256
    found = read_collection(folder)
    if core is None:
        return found.sha256
    return next((entry.seal for entry in found.members if entry.core == core), "")


def put_member(folder: Path, contents: Contents, member: Member) -> None:
    """Write a library into a collection in place of its member of that core; the folder is claimed.

    Raises :class:`LibraryError` where it has none, and where another member answers for a name that is new.
    """
    there = members(folder)
    places = [number for number, one in enumerate(there) if one.core == member.core]
    if not places:
        raise LibraryError(
            f"{folder} is a collection without a member of core {member.label}; name another folder, or add the "
            "library as a member (npi library merge)"
        )
    old = there[places[0]]
    new = replace(member, place=folder, yields=old.yields)
    found = settled([new if one is old else one for one in there])
    contents.write_member(folder)
    seals = [contents.seal if one.manifest is None else one.manifest.sha256 for one in found]
    publish(folder, found, seals)


def publish(folder: Path, there: Sequence[Member], seals: Sequence[str]) -> str:
    """Make members whose folders are written a collection, and clear what it does not name; the new manifest's seal."""
    entries = [MemberEntry(one.core, seal, one.yields) for one, seal in zip(there, seals, strict=True)]
    listed = [asdict(entry) | {"yields": list(entry.yields)} for entry in entries]
    data = sealed({"kind": COLLECTION, "format": FORMAT, "versions": versions(), "members": listed})
    write_whole(folder / NAME, data)
    clear(folder, [name for entry in entries for name in (entry.folder, *_cores(folder / entry.folder))])
    return seal_in(data)


def _cores(place: Path) -> list[str]:
    """The files of cores that a member and its hosts name, which lie beside it."""
    found = read_manifest(place)
    hosts = [read_manifest(host_place(place, host)) for host in found.hosts]
    return [name for one in (found, *hosts) for name in one.files if is_core(name)]
