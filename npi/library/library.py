"""A library: a folder with one core, the rows of all its programs, the program files, and a manifest with hashes.

Data files are named by their content and the manifest is replaced last in one step, so a library on disk is always
whole: the old one or the new one. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.registry import joined_world
from envs.spec import ProgramTable, WorldSpec
from envs.stepper import Stepper
from envs.steppers.routed import Joined, PartStepper, part_table, programs_of
from envs.support.atomic_files import WAIT, claimed
from envs.support.user_files import real_path
from envs.support.versions import versions
from npi.core.base import Core, tensors_digest
from npi.core.config import CoreConfig
from npi.core.recurrent import RecurrentCore
from npi.library.contents import Contents
from npi.library.kinds import kind_named, kind_of
from npi.library.manifest import (
    FORMAT,
    MEMBER,
    NAME,
    HostEntry,
    LibraryError,
    Manifest,
    checked,
    host_place,
    is_collection,
    read_manifest,
    sealed,
    sha256,
    whole,
)
from npi.library.members import Member, located, put_member, seal_of
from npi.library.program_files import Shelf, find_task, held_in, held_texts, named_tasks
from npi.library.tensor_files import check_tensors, shapes_of, tensors_bytes, tensors_in
from npi.program_memory import ProgramMemory, RowInfo

__all__ = ["Library", "LibraryError", "check_texts", "missing_rows", "row_name", "row_names", "sealed"]


@dataclass
class Library:
    """One core, many rows.

    Attributes:
        core, memory: the network and its rows.
        sets: the program files whose programs and tasks it holds, in the order in which they came.
        history: what was done to it, one JSON-able entry a training or learning.
        hosts: libraries of learners, for programs with a signal that its own programs call.
        origin: the folder that it was read from or saved to last, and the seal of the manifest there
            (:func:`npi.library.members.seal_of`); of a collection's member, the collection's folder.
    """

    core: Core
    memory: ProgramMemory
    sets: MutableSequence[ProgramSet]
    history: list[dict[str, Any]] = field(default_factory=list)
    hosts: list[Library] = field(default_factory=list)
    origin: tuple[Path, str] | None = field(default=None, compare=False)

    @classmethod
    def create(
        cls,
        config: CoreConfig,
        tables: Sequence[ProgramTable],
        *,
        sets: Sequence[ProgramSet] = (),
        sources: Sequence[str] = (),
        seed: int = 0,
    ) -> Library:
        """An untrained library with a row for everything that the tables name, of program sets and of trace sets;
        ``sources`` are for each table the sha256 of what its programs come from."""
        check_texts(sets)
        generator = torch.Generator().manual_seed(seed)
        worlds: list[WorldSpec] = []
        infos: list[RowInfo] = []
        for table, source in zip(tables, sources or [""] * len(tables), strict=True):
            if all(w.digest != table.world.digest for w in worlds):
                worlds.append(table.world)
            world = [known.digest for known in worlds].index(table.world.digest)
            infos += missing_rows(infos, table, world, generation=0, source=source)
        core = RecurrentCore(config, worlds, generator=generator)
        return cls(core, core.memory(infos, generator=generator), list(sets))

    @property
    def place(self) -> str:
        """What errors about it begin with: the folder that it is from, if any."""
        return f"{self.origin[0]}: " if self.origin is not None else ""

    def world(self, spec: WorldSpec) -> int:
        """Index of a world; a :class:`LibraryError` where the core does not know it."""
        try:
            return self.core.world(spec)
        except KeyError:
            known = ", ".join(w.name for w in self.core.worlds)
            if self.core.lists_worlds:
                raise LibraryError(
                    f"{self.place}the library has no program over world {spec.name!r} as it is declared; learn one "
                    "(npi learn)"
                ) from None
            raise LibraryError(
                f"{self.place}the core has never seen world {spec.name!r} as it is declared; it knows {known}. A "
                "frozen core learns programs over its own worlds: `use` a file that declares one, or train a core on "
                "this one"
            ) from None

    def rows(self, table: ProgramTable) -> torch.Tensor:
        """int64 N: for each id of the table, its row; a :class:`LibraryError` names what is missing."""
        world = self.world(table.world)
        places = {info.name: place for place, info in enumerate(self.memory.infos)}
        names = row_names(table, world)
        missing = [n for n in names if n not in places]
        if missing:
            close = difflib.get_close_matches(missing[0], places, n=1)
            hint = f"; the closest it has is {close[0]}" if close else ""
            raise LibraryError(f"{self.place}the library has no row for {missing[0]}{hint}; learn it first (npi learn)")
        return torch.tensor([places[n] for n in names])

    def stepper(self, table: ProgramTable, *, memo: bool = True) -> Stepper:
        """The core as a stepper for the programs of a table; decisions of a discrete core are kept (``memo``).

        Programs that a host has are the host's.
        """
        found = self.runs(table, self._own(table), memo=memo)
        for host in self.hosts:
            if ids := host.hosted_ids(table):
                found = Joined(found, host.runs(table, ids), ids, table)
        return found

    def runs(self, table: ProgramTable, programs: Sequence[int], *, memo: bool = True) -> Stepper:
        """The core as a stepper for these programs of a table, by id; of joined worlds, in the part that it knows."""
        self.core.eval()
        stepper = kind_of(self.core).stepper
        world = joined_world(table.world)
        if world is None or self._known(table.world) is not None:
            return stepper(self, table, programs, memo=memo)
        found: Stepper | None = None
        for number, part in enumerate(world.parts):
            ids = [n for n in self._named(part.spec, table, programs_of(world, number, table)) if n in programs]
            if ids:
                own = part_table(world, number, table, ids)
                numbers = {n: own.primitives + place for place, n in enumerate(ids)}
                inner = stepper(self, own, list(numbers.values()), memo=memo)
                theirs = PartStepper(inner, world, number, numbers, len(table))
                found = theirs if found is None else Joined(found, theirs, ids, table)
        if found is None:
            return stepper(self, table, programs, memo=memo)  # which says what is missing
        return found

    def _own(self, table: ProgramTable) -> list[int]:
        """The programs of a table that no host has, by id."""
        theirs = {number for host in self.hosts for number in host.hosted_ids(table)}
        return [number for number in range(table.primitives, len(table)) if number not in theirs]

    def program_rows(self, table: ProgramTable, programs: Sequence[int] | None = None) -> dict[int, int]:
        """The row of each of these programs of a table (those that no host has by default), by id; a
        :class:`LibraryError` names what is missing."""
        world = self.world(table.world)
        rows = {info.name: place for place, info in enumerate(self.memory.infos) if info.world == world}
        names = {n: table.signatures[n].name for n in (self._own(table) if programs is None else programs)}
        missing = [name for name in names.values() if name not in rows]
        if missing:
            raise LibraryError(
                f"{self.place}the library has no row for {missing[0]} in this world; learn it first (npi learn)"
            )
        return {number: rows[name] for number, name in names.items()}

    def hosted_ids(self, table: ProgramTable) -> list[int]:
        """The programs of a table that this library of a learner has, by id; of joined worlds also those of a part."""
        world = joined_world(table.world)
        found = {*self._named(table.world, table, range(table.primitives, len(table)))}
        if world is not None:
            for number, part in enumerate(world.parts):
                found.update(self._named(part.spec, table, programs_of(world, number, table)))
        return sorted(found)

    def _named(self, spec: WorldSpec, table: ProgramTable, programs: Iterable[int]) -> list[int]:
        """Those of the programs of a table that it has in a world, by id."""
        world = self._known(spec)
        names = {info.name for info in self.memory.infos if info.world == world}
        return [number for number in programs if table.signatures[number].name in names]

    def _known(self, spec: WorldSpec) -> int | None:
        """Index of a world; None where the core does not know it."""
        return next((i for i, known in enumerate(self.core.worlds) if known.digest == spec.digest), None)

    def to(self, device: torch.device | str) -> None:
        """Move rows and core to a device."""
        if self.core.follows_device:
            self.core.to(device)
        self.memory.to(device)

    def tasks(self) -> dict[str, tuple[ProgramSet, Task]]:
        """Every task, by name qualified with its file (``"addition.add"``)."""
        return named_tasks(self.sets)

    def task(self, name: str) -> tuple[ProgramSet, Task]:
        """A task by its qualified name, or by its bare name where one file only has it."""
        return find_task(self.sets, name)

    def near(self, generations: Collection[int]) -> Library:
        """The same core beside the rows of these generations alone, without program files."""
        return Library(self.core, self.memory.of(generations)[1], [])

    def file(self, digest: str) -> ProgramSet | None:
        """The program file of a digest, if it holds that."""
        return next((one.programs for one in held_in(self.sets) if one.digest == digest), None)

    def keep_files(self, sets: Iterable[ProgramSet]) -> None:
        """Take in the program files that it does not hold yet."""
        held = {one.digest for one in held_in(self.sets)}
        given = {programs.digest: programs for programs in sets}
        self.sets.extend(programs for digest, programs in given.items() if digest not in held)

    def texts_of(self, names: Collection[str]) -> list[ProgramSet]:
        """Program files that have the texts of these rows: those that they were learned from.

        Where one was learned from traces alone, any file whose programs are named like it.
        """
        held = held_in(self.sets)
        digests = {one.digest for one in held}
        sources = {info.name: info.source for info in self.memory.infos if info.name in names}
        stems = {name.partition(".")[0] for name, source in sources.items() if source not in digests}
        wanted = set(sources.values())
        return [one.programs for one in held if one.digest in wanted or stems & one.stems]

    def rows_digest(self, count: int | None = None) -> str:
        """sha256 of the first ``count`` rows (all by default)."""
        count = len(self.memory) if count is None else count
        return tensors_digest({k: v[:count] for k, v in self.memory.state_dict().items()})

    def member(self) -> Member:
        """What it is called beside others in a collection, and what its core answers for."""
        return Member.of(
            self.origin[0] if self.origin is not None else Path("the library in memory"),
            self.core.config.kind,
            self.core.digest(),
            rows=self.memory.infos,
            hosted=[info for host in self.hosts for info in host.memory.infos],
            files=[(held.file, held.tasks) for held in held_in(self.sets)],
        )

    def save(self, folder: Path | str) -> None:
        """Write the library to a folder, whole or not at all; what was there is replaced.

        In the folder of a collection, it takes the place of the member of its core.

        Raises:
            LibraryError: where it was read from this folder, and another process has saved there since; where the
                folder holds a collection that has no member of its core.
            FolderInUseError: where another process keeps on writing there.
        """
        folder = Path(folder)
        if MEMBER.fullmatch(folder.name) and is_collection(real_path(folder).parent):
            raise LibraryError(f"{folder} is a member of a collection; save to the collection's folder")
        with claimed(folder, wait=WAIT):
            if not self.current(folder):
                raise LibraryError(
                    f"another process has changed {folder} since this library was read from it; read it again, and "
                    "repeat what was done"
                )
            contents = self.contents()
            if is_collection(folder):
                put_member(folder, contents, self.member())
            else:
                contents.write(folder)
            self.origin = real_path(folder), contents.seal

    def current(self, folder: Path | str) -> bool:
        """Whether a save there loses nothing: no other has changed it since this library was read from it."""
        folder = real_path(folder)
        if self.origin is None or self.origin[0] != folder:
            return True
        return self.origin[1] == seal_of(folder, self.core.digest())

    def contents(self) -> Contents:
        """What its folder holds."""
        data: dict[str, bytes] = {}
        for part, tensors in (("core", self.core.state_dict()), ("rows", self.memory.state_dict())):
            data |= _stored(part, ".safetensors", tensors_bytes(tensors))
        held = held_in(self.sets)
        digests = {text: sha256(text.encode()) for one in held for _, text in one.sources}
        texts = {digest: text for text, digest in digests.items()}
        data |= _stored("texts", ".json", json.dumps(texts, indent=0).encode())
        mine: dict[str, list[str]] = {}
        for info in self.memory.infos:
            mine.setdefault(info.source, []).append(info.name)
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "versions": versions(),
            "config": self.core.config.to_json(),
            "core": self.core.digest(),
            "worlds": [w.to_json() for w in self.core.worlds],
            "rows": [info.to_json() for info in self.memory.infos],
            "programs": [one.to_json(digests, mine.get(one.digest, ())) for one in held],
            "history": self.history,
            "files": {name: sha256(content) for name, content in data.items()},
        }
        hosts = [_host_entry(host) for host in self.hosts]
        if hosts:
            manifest["hosts"] = hosts
        theirs = {entry["folder"]: host.contents() for entry, host in zip(hosts, self.hosts, strict=True)}
        return Contents(data, sealed(manifest), theirs)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        task: str | Sequence[str] = (),
        program: str | Sequence[str] = (),
        core: str | None = None,
        device: torch.device | str = "cpu",
    ) -> Library:
        """Read a library; every file is checked against the manifest's hash before it is used.

        It may be replaced meanwhile: then the new one is read. Of a collection one member is read: that which has a
        task, has a program, or has a core (see :func:`npi.library.members.located`, which raises
        :class:`LibraryError` where nothing says which).
        """
        folder = Path(folder)
        choice = partial(located, folder, task=task, program=program, core=core)
        return whole(folder, lambda: cls.of_member(choice(), folder, device=device))

    @classmethod
    def of_member(cls, member: Member, folder: Path, *, device: torch.device | str = "cpu") -> Library:
        """Read a member of a collection in a folder, or the library in it."""
        assert member.manifest is not None
        found = cls._read(member.place, member.manifest, device)
        found.origin = real_path(folder), member.manifest.sha256
        return found

    @classmethod
    def _read(cls, folder: Path, manifest: Manifest, device: torch.device | str) -> Library:
        data = {name: checked(folder, name, digest) for name, digest in manifest.files.items()}
        try:
            core, memory = _network(manifest, data, folder)
            held = held_texts(manifest, data, folder)
            hosts = [_open_host(folder, host, device) for host in manifest.hosts]
            found = cls(core, memory, Shelf(held), [dict(entry) for entry in manifest.history], hosts)
            found.to(device)
            return found
        except LibraryError:
            raise
        except (ValueError, LookupError, TypeError, RuntimeError) as error:
            raise LibraryError(f"{folder}: manifest and files do not fit each other ({error}); restore it") from error


def row_name(table: ProgramTable, callee: int, world: int) -> str:
    """The row of a callable: a program's qualified name, or ``world<index>.<name>`` for a primitive."""
    name = table.signatures[callee].name
    return f"world{world}.{name}" if callee < table.primitives else name


def row_names(table: ProgramTable, world: int, *, primitives: bool = True) -> list[str]:
    """The rows of everything that a table names; without ``primitives`` of its programs alone."""
    return [row_name(table, callee, world) for callee in range(0 if primitives else table.primitives, len(table))]


def missing_rows(
    infos: Sequence[RowInfo],
    table: ProgramTable,
    world: int,
    *,
    generation: int,
    source: str,
    primitives: bool = True,
) -> list[RowInfo]:
    """Infos for everything in the table that has no row yet; without ``primitives`` for its programs alone.

    Raises :class:`LibraryError` where a row of that name has another signature or lives in another world.
    """
    known = {info.name: info for info in infos}
    fresh = []
    for callee, signature in enumerate(table.signatures):
        name = row_name(table, callee, world)
        old = known.get(name)
        if callee < table.primitives and not primitives:
            continue
        if old is None:
            fresh.append(RowInfo(name, world, generation, signature, callee < table.primitives, source))
        elif old.world != world or old.signature.slots != signature.slots:
            raise LibraryError(
                f"the library already has a program {name} with another world or other arguments; rename the file or "
                "the program"
            )
    return fresh


def check_texts(sets: Sequence[ProgramSet]) -> None:
    """Raise :class:`LibraryError` where two files give one program, by its qualified name, different texts."""
    known: dict[str, tuple[ProgramSet, Any]] = {}
    for programs in sets:
        for program in programs.programs:
            first, body = known.setdefault(program.name, (programs, program.tree.body))
            if body != program.tree.body:
                raise LibraryError(
                    f"{program.name} has another text in {programs.path} than in {first.path}; one row runs one "
                    "program: rename the file or the program, or give back the text that was learned"
                )


def _stored(part: str, suffix: str, data: bytes) -> dict[str, bytes]:
    """A file by the name that its content gives it."""
    return {f"{part}-{sha256(data)[:16]}{suffix}": data}


def _host_entry(host: Library) -> dict[str, str]:
    """A learner's library inside of another one, as the manifest lists it."""
    core, rows = host.core.digest(), host.rows_digest()
    return {"folder": f"host-{sha256(f'{core} {rows}'.encode())[:16]}", "core": core, "rows": rows}


def _open_host(folder: Path, entry: HostEntry, device: torch.device | str) -> Library:
    place = host_place(folder, entry)
    if read_manifest(place).hosts:
        raise LibraryError(f"{place}: a learner's library holds no others; restore it from a copy")
    host = Library.open(place, device=device)
    if (host.core.digest(), host.rows_digest()) != (entry.core, entry.rows):
        raise LibraryError(f"{place} is not the library that {NAME} names; restore it from a copy")
    return host


def _network(manifest: Manifest, data: Mapping[str, bytes], folder: Path) -> tuple[Core, ProgramMemory]:
    config, parts, rows = manifest.config, _tensors(data, folder, "core"), _tensors(data, folder, "rows")
    core = kind_named(config["kind"]).build(config, manifest.worlds, generator=torch.Generator())
    check_tensors(parts, shapes_of(core.state_dict()))
    core.load_state_dict(parts)
    if core.digest() != manifest.core:
        raise LibraryError(f"{folder}: the core is not the one that the manifest names; restore it from a copy")
    sizes = zip(("embeddings_NP", "keys_NK", "gates_NF"), core.row_sizes, strict=True)
    check_tensors(rows, {name: (torch.float32, (len(manifest.rows), size)) for name, size in sizes})
    return core, ProgramMemory.holding(manifest.rows, rows)


def _tensors(data: Mapping[str, bytes], folder: Path, part: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, content in data.items():
        if name.startswith(f"{part}-"):
            found |= tensors_in(content, folder / name)
    return found
