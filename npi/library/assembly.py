"""A library taken apart into row packages, and put together again: what adding, removing and merging work on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch

from envs.spec import WorldSpec
from npi.library.library import Library
from npi.library.program_files import Held, Shelf, held_in
from npi.library.row_file import PARTS, RowPackage
from npi.program_memory import ProgramMemory, RowInfo

FIRST = 0
"""The generation of the rows that were trained with the core; they never travel."""


class Assembly:
    """The packages of a library by generation, to be changed; :meth:`library` puts them together.

    Attributes:
        packages: of each generation, in order. place: for each row, by name, its generation.
        worlds: those that rows name by index. held: the program files, by digest.
        history, hosts, origin: of the library.
        empty: a package without rows.
    """

    def __init__(self, library: Library) -> None:
        self.core = library.core
        self.worlds = list(library.core.worlds)
        self.packages: dict[int, RowPackage] = {}
        parts = {name: part.detach() for name, part in library.memory.named_parameters()}
        self.empty = RowPackage((), {name: part[:0] for name, part in parts.items()}, {})
        begin = 0
        for generation, rows in groupby(library.memory.infos, lambda info: info.generation):
            infos = tuple(rows)
            if generation != FIRST and infos[0].sees is None:
                infos = tuple(replace(info, sees=tuple(self.packages)) for info in infos)
            own = {name: part[begin : begin + len(infos)] for name, part in parts.items()}
            self.packages[generation] = RowPackage(infos, own, {i.world: self.worlds[i.world] for i in infos})
            begin += len(infos)
        self.place = {info.name: info.generation for info in library.memory.infos}
        self.held = {held.digest: held for held in held_in(library.sets)}
        self.history = list(library.history)
        self.hosts = list(library.hosts)
        self.origin = library.origin
        self._free = FIRST + 1

    def digest(self, generation: int) -> str:
        return self.packages.get(generation, self.empty).digest

    def clashing(self, package: RowPackage) -> set[int]:
        """The generations that have rows of a package's names."""
        return {self.place[name] for name in package.names if name in self.place}

    def digests(self) -> dict[str, str]:
        """For each row, by name, the digest of its package."""
        return {name: self.digest(generation) for name, generation in self.place.items()}

    def version(self, name: str) -> str:
        return self.packages[self.place[name]].versions[name]

    def info(self, name: str) -> RowInfo:
        return next(info for info in self.packages[self.place[name]].infos if info.name == name)

    def sees(self, generation: int) -> tuple[int, ...]:
        """The generations whose rows those of one may call, beside their own."""
        return self.packages[generation].infos[0].sees or ()

    def programs(self) -> list[str]:
        """Names of all rows but those of primitives."""
        return [info.name for package in self.packages.values() for info in package.infos if not info.primitive]

    def names(self, generations: Collection[int]) -> list[str]:
        """Of all rows of some generations."""
        return [name for generation in sorted(generations) for name in self.packages[generation].names]

    def texts(self, generation: int) -> list[Held]:
        """The program files that its rows were learned from, as far as there are any."""
        sources = dict.fromkeys(info.source for info in self.packages[generation].infos)
        return [self.held[source] for source in sources if source in self.held]

    def calls(self, generation: int) -> dict[str, tuple[str, ...]]:
        """What its rows call by their texts, by name."""
        own = set(self.packages[generation].names)
        return {n: called for held in self.texts(generation) for n, called in held.calls.items() if n in own}

    def needs(self, generation: int) -> set[str]:
        """Names of the programs whose rows must be there for it to run: what its files name beside its own rows.

        Without program files, every one that it may call.
        """
        found: set[str] = set()
        if not self.core.calls_rows:
            return found
        package = self.packages[generation]
        for source, world in {info.source: info.world for info in package.infos}.items():
            if source not in self.held:
                seen = [info for g in self.sees(generation) for info in self.packages[g].infos]
                found |= {info.name for info in seen if info.world == world and not info.primitive}
            else:
                programs = self.held[source].programs
                found |= {signature.name for signature in programs.table.programs}
                if not self.core.rows_of_primitives:  # nor rows of what learners run
                    found -= {program.name for program in programs.signals}
        return found - set(package.names)

    def needed(self, generation: int) -> list[int]:
        """The generations, beside the first, that have a row that it needs."""
        sees = [g for g in self.sees(generation) if g != FIRST]
        needs = self.needs(generation) if sees else set()
        return [g for g in sees if not needs.isdisjoint(self.packages[g].names)]

    def users(self, generations: Collection[int]) -> list[int]:
        """The other generations that need one of these, those that need them in turn too."""
        found = set(generations)
        for generation in sorted(self.packages):
            sees_one = generation not in found and not found.isdisjoint(self.sees(generation))
            if sees_one and not found.isdisjoint(self.needed(generation)):
                found.add(generation)
        return sorted(found - set(generations))

    @cached_property
    def _learned(self) -> dict[str, Mapping[str, Any]]:
        """For each row that was learned or added, the newest entry of the history about how it was learned."""
        found: dict[str, Mapping[str, Any]] = {}
        for entry in self.history:
            if isinstance(entry.get("learned"), list):
                found |= dict.fromkeys(entry["learned"], entry)
            elif entry.get("added"):
                found |= dict.fromkeys(entry["added"], entry.get("entry") or {})
        return found

    def package(self, generation: int, *, first: bool = True) -> RowPackage:
        """The rows of a generation with all that must travel with them; with ``first`` also what it needs of the first
        generation, for which its program files are parsed."""
        found, needed = self.packages[generation], self.needed(generation)
        named = self.needs(generation) if first else set(self.names(needed))
        return replace(
            found,
            sees=tuple(self.digest(g) for g in needed),
            needs={name: self.version(name) for name in sorted(named) if name in self.place},
            texts=tuple(self.texts(generation)),
            entry=next((self._learned[name] for name in found.names if name in self._learned), None),
        )

    def put(self, package: RowPackage) -> None:
        """Add a package.

        Generations of two libraries may bear the same numbers, so a package gets one of its own: the first that is
        free above those of the packages that it sees. It sees what it saw where it was learned and nothing else: the
        first generation, which is the same, and the packages of ``package.sees``, which are here bit-identically. No
        other row sees it: each says by number what it sees, and no list here has a free number in it. So for every two
        rows that come from one library, one may call the other at most if it could there; rows from different
        libraries may not call each other at all.
        """
        digests = {self.digest(self.place[name]): self.place[name] for name in package.needs}
        first = (FIRST,) if FIRST in self.packages else ()  # a universal core comes without rows
        sees = (*first, *sorted(digests[digest] for digest in package.sees))
        generation = max(self._free, max(sees, default=FIRST) + 1)
        while generation in self.packages:
            generation += 1
        if sees == first:
            self._free = generation + 1
        places = {index: self._listed(spec) for index, spec in package.worlds.items()}
        infos = tuple(
            replace(info, generation=generation, sees=sees, world=places[info.world]) for info in package.infos
        )
        worlds = {places[index]: spec for index, spec in package.worlds.items()}
        self.packages[generation] = replace(package, infos=infos, worlds=worlds)
        self.place |= dict.fromkeys(package.names, generation)
        self.held |= {held.digest: held for held in package.texts if held.digest not in self.held}
        self.history.append({"added": list(package.names), "pack": package.digest, "entry": package.entry})

    def _listed(self, spec: WorldSpec) -> int:
        """The index of a world, listed from now on if it was not."""
        digests = [known.digest for known in self.worlds]
        if spec.digest in digests:
            return digests.index(spec.digest)
        self.worlds.append(spec)
        return len(digests)

    def drop(self, generations: Collection[int]) -> None:
        """Remove packages and the program files that only they needed.

        Their numbers are free from now on, so they are struck from every list of what a row sees.
        """
        gone, names = set(generations), self.names(generations)
        sources = {info.source for package in self.packages.values() for info in package.infos}
        self.packages = {generation: self._without(package, gone)
                         for generation, package in self.packages.items() if generation not in gone}  # fmt: skip
        for name in names:
            del self.place[name]
        left = {info.source for package in self.packages.values() for info in package.infos}
        rowless = [held for held in self.held.values() if held.digest not in sources]  # tasks alone
        useless = {held.digest for held in rowless if {p.name for p in held.programs.programs} & set(names)}
        self.held = {d: held for d, held in self.held.items() if d not in (sources - left) | useless}
        self._free = FIRST + 1
        self.history.append({"removed": names})

    @staticmethod
    def _without(package: RowPackage, gone: set[int]) -> RowPackage:
        """The package, whose rows no longer see some generations."""
        if gone.isdisjoint(package.infos[0].sees or ()):
            return package
        infos = [replace(info, sees=tuple(s for s in info.sees or () if s not in gone)) for info in package.infos]
        return replace(package, infos=tuple(infos))

    def library(self) -> Library:
        """All packages in order of their generations, as a library.

        A core that lists worlds gets those of its rows, in the order in which the rows come.
        """
        packages = [self.packages[generation] for generation in sorted(self.packages)]
        infos = [info for package in packages for info in package.infos]
        core = self.core
        if core.lists_worlds:
            place = {world: place for place, world in enumerate(dict.fromkeys(info.world for info in infos))}
            core = core.listing([self.worlds[world] for world in place])
            infos = [replace(info, world=place[info.world]) for info in infos]
        device = next(core.parameters()).device
        parts = [package.parameters for package in (self.empty, *packages)]
        joined = {name: torch.cat([part[name].to(device) for part in parts]) for name in PARTS}
        memory, held = ProgramMemory.holding(infos, joined), Shelf(self.held.values())
        return Library(core, memory, held, self.history, self.hosts, self.origin)
