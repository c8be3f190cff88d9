"""A library taken apart into packs, and put together again: what adding, removing and merging work on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch

from envs.spec import WorldSpec
from npi.library.library import Library, row_names
from npi.library.program_files import Held, Shelf, held_in
from npi.library.row_file import PARTS, Pack, pack_digest, row_versions
from npi.program_memory import ProgramMemory, RowInfo

FIRST = 0
"""The generation of the rows that were trained with the core; they are no goods."""


class Stock:
    """The packs of a library by generation, to be changed; :meth:`library` puts them together.

    Attributes:
        infos: the rows of each generation. sees: the generations whose rows they may call, beside their own.
        place: for each row, by name, its generation. versions: of all rows, by name.
        held: the program files, by digest. history, hosts: of the library.
    """

    def __init__(self, library: Library) -> None:
        self.core = library.core
        self.worlds = list(library.core.worlds)
        self.infos: dict[int, tuple[RowInfo, ...]] = {}
        self.numbers: dict[int, dict[str, torch.Tensor]] = {}
        self.sees: dict[int, tuple[int, ...]] = {}
        parts = {name: part.detach() for name, part in library.memory.named_parameters()}
        self.none = {name: part[:0] for name, part in parts.items()}
        first = 0
        for generation, rows in groupby(library.memory.infos, lambda info: info.generation):
            infos = tuple(rows)
            sees = infos[0].sees
            self.sees[generation] = tuple(self.infos) if sees is None else sees
            self.infos[generation] = infos
            self.numbers[generation] = {name: part[first : first + len(infos)] for name, part in parts.items()}
            first += len(infos)
        self.place = {info.name: info.generation for info in library.memory.infos}
        names = [info.name for info in library.memory.infos]
        self.versions = dict(zip(names, row_versions(parts), strict=True))
        self.held = {held.digest: held for held in held_in(library.sets)}
        self.history = list(library.history)
        self.hosts = list(library.hosts)
        self._digests: dict[int, str] = {}
        self._free = FIRST + 1

    def digest(self, generation: int) -> str:
        """Of the pack of a generation."""
        if generation not in self._digests:
            infos = self.infos.get(generation, ())
            self._digests[generation] = pack_digest(infos, self.versions, self.declared(infos))
        return self._digests[generation]

    @property
    def lists_worlds(self) -> bool:
        """Whether worlds are listed beside the core."""
        return self.core.lists_worlds

    def declared(self, infos: Sequence[RowInfo]) -> dict[int, WorldSpec]:
        """What :attr:`npi.library.row_file.Pack.worlds` says of these rows."""
        return {info.world: self.worlds[info.world] for info in infos if self.lists_worlds}

    def packs(self) -> dict[str, str]:
        """For each row, by name, the digest of its pack."""
        return {name: self.digest(generation) for name, generation in self.place.items()}

    def names(self, generations: Collection[int]) -> list[str]:
        """Of all rows of some generations."""
        return [info.name for generation in sorted(generations) for info in self.infos[generation]]

    def texts(self, generation: int) -> list[Held]:
        """The program files that its rows were learned from, as far as there are any."""
        sources = dict.fromkeys(info.source for info in self.infos[generation])
        return [self.held[source] for source in sources if source in self.held]

    def calls(self, generation: int) -> dict[str, tuple[str, ...]]:
        """What its rows call by their texts, by name."""
        own = {info.name for info in self.infos[generation]}
        return {n: called for held in self.texts(generation) for n, called in held.calls.items() if n in own}

    def needs(self, generation: int) -> set[str]:
        """Names of the rows that must be there for it to run: what its program files name beside its own rows.

        Without program files, everything that it may call.
        """
        found: set[str] = set()
        if not self.core.calls_rows:
            return found
        worlds = {info.source: info.world for info in self.infos[generation]}
        for source, world in worlds.items():
            if source not in self.held:
                seen = [info for g in self.sees[generation] for info in self.infos[g]]
                found |= {info.name for info in seen if info.world == world}
            else:
                programs = self.held[source].programs
                found |= set(row_names(programs.table, world, primitives=self.core.rows_of_primitives))
                if not self.core.rows_of_primitives:
                    found -= {program.name for program in programs.signals}
        return found - {info.name for info in self.infos[generation]}

    def needed(self, generation: int) -> list[int]:
        """The generations, beside the first, that have a row that it needs."""
        sees = [g for g in self.sees[generation] if g != FIRST]
        if not sees:
            return []
        needs = self.needs(generation)
        return [g for g in sees if any(info.name in needs for info in self.infos[g])]

    def users(self, generations: Collection[int]) -> list[int]:
        """The other generations that need one of these, those that need them in turn too."""
        found = set(generations)
        for generation in sorted(self.infos):
            sees_one = generation not in found and not found.isdisjoint(self.sees[generation])
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

    def pack(self, generation: int, *, first: bool = True) -> Pack:
        """The rows of a generation as goods.

        Args:
            first: list what it needs of the first generation too, for which its program files are parsed.
        """
        infos, needed = self.infos[generation], self.needed(generation)
        named = self.needs(generation) if first else set(self.names(needed))
        entries = [self._learned[info.name] for info in infos if info.name in self._learned]
        return Pack(
            infos,
            self.numbers[generation],
            tuple(self.digest(g) for g in needed),
            {name: self.versions[name] for name in sorted(named) if name in self.versions},
            tuple(self.texts(generation)),
            entries[0] if entries else None,
            self.declared(infos),
        )

    def put(self, pack: Pack) -> int:
        """Add a pack; its generation here.

        Generations of two libraries may bear the same numbers, so a pack gets a number of its own: the first that is
        free above those of the packs that it sees. It sees what it saw where it was learned and nothing else: the
        first generation, which is the same, and the packs of ``pack.sees``, which are here to the bit. No other row
        sees it: each says by number what it sees, and no list here has a free number in it. So for every two rows
        that come from one library, one may call the other at most if it could there; rows from different libraries
        may not call each other at all.

        Worlds that travel with a pack are listed where they are new; a row's world is told by where it is in the list.
        """
        digests = {self.digest(self.place[name]): self.place[name] for name in pack.needs or ()}
        first = (FIRST,) if FIRST in self.infos else ()  # a universal core comes without rows
        sees = (*first, *sorted(digests[digest] for digest in pack.sees))
        generation = max(self._free, max(sees, default=FIRST) + 1)
        while generation in self.infos:
            generation += 1
        if sees == first:
            self._free = generation + 1
        places = {index: self._listed(spec) for index, spec in pack.worlds.items()}
        infos = tuple(
            replace(info, generation=generation, sees=sees, world=places.get(info.world, info.world))
            for info in pack.infos
        )
        self.infos[generation], self.sees[generation] = infos, sees
        self.numbers[generation] = dict(pack.numbers)
        self.place |= dict.fromkeys(pack.names, generation)
        self.versions |= pack.versions
        self.held |= {held.digest: held for held in pack.texts if held.digest not in self.held}
        self.history.append({"added": list(pack.names), "pack": pack.digest, "entry": pack.entry})
        return generation

    def _listed(self, spec: WorldSpec) -> int:
        """The index of a world, listed from now on if it was not."""
        for index, known in enumerate(self.worlds):
            if known.digest == spec.digest:
                return index
        self.worlds.append(spec)
        return len(self.worlds) - 1

    def drop(self, generations: Collection[int]) -> list[str]:
        """Remove packs and the program files that only they needed; names of their rows.

        Their numbers are free from now on, so they are struck from every list of what a row sees.
        """
        gone = set(generations)
        sources = {info.source for infos in self.infos.values() for info in infos}
        names = self.names(gone)
        for generation in gone:
            del self.infos[generation], self.numbers[generation], self.sees[generation]
            self._digests.pop(generation, None)
        self.sees = {g: tuple(s for s in sees if s not in gone) if gone & set(sees) else sees
                     for g, sees in self.sees.items()}  # fmt: skip
        for name in names:
            del self.place[name], self.versions[name]
        left = {info.source for infos in self.infos.values() for info in infos}
        rowless = [held for held in self.held.values() if held.digest not in sources]  # tasks alone
        useless = {held.digest for held in rowless if {p.name for p in held.programs.programs} & set(names)}
        self.held = {d: held for d, held in self.held.items() if d not in (sources - left) | useless}
        self._free = FIRST + 1
        self.history.append({"removed": names})
        return names

    def library(self) -> Library:
        """All packs in order of their generations, as a library.

        A universal core's worlds are those of its rows, in the order in which the rows come.
        """
        infos: list[RowInfo] = []
        for generation in sorted(self.infos):
            sees = None if generation == FIRST else self.sees[generation]
            infos += [info if info.sees == sees else replace(info, sees=sees) for info in self.infos[generation]]
        core = self.core
        if core.lists_worlds:
            place = {world: place for place, world in enumerate(dict.fromkeys(info.world for info in infos))}
            core = core.listing([self.worlds[world] for world in place])
            infos = [replace(info, world=place[info.world]) for info in infos]
        device = next(core.parameters()).device
        parts = [self.none, *(self.numbers[generation] for generation in sorted(self.numbers))]
        numbers = {name: torch.cat([part[name].to(device) for part in parts]) for name in PARTS}
        return Library(core, ProgramMemory.holding(infos, numbers), Shelf(self.held.values()), self.history, self.hosts)
