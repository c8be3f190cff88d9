"""Another row for a program with a learning signal: another voice, alphabet or question, without any training.

What calls the program goes on to call it by its name; the row of another program of the same core decides in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from envs.spec import WorldSpec
from npi.core.base import Core
from npi.library.kinds import is_learners
from npi.library.library import Library, LibraryError
from npi.library.manifest import is_collection, whole
from npi.library.members import members
from npi.library.program_files import named, some
from npi.program_memory import ProgramMemory, RowInfo

PARTS = ("embeddings_NP", "gates_NF")
"""What a row that stands in brings; a row's key, by which others find it, stays that of the program."""


@dataclass(frozen=True)
class _Row:
    info: RowInfo
    spec: WorldSpec
    parameters: Mapping[str, torch.Tensor]


def standing_in(library: Library, rows: Mapping[str, str], *, beside: Sequence[Library] = ()) -> Library:
    """The library with other rows for some of the programs with a signal that it or its hosts run; it stays as it is.

    Args:
        rows: the name of a row for each of the programs by name, both qualified, or bare where one file only has it.
        beside: libraries whose rows stand in, too, where they have the core in question.

    Raises :class:`LibraryError` for a program that has a body or is not there, for a row of another core, and for one
    of other arguments or of a world that is observed or acted in otherwise.
    """
    cores = [library, *library.hosts]
    runs = {info.name: core for core in reversed(cores) if _learners(core) for info in _programs(core)}
    changed: dict[int, list[tuple[RowInfo, _Row]]] = {}
    for word, other in rows.items():
        bodies = [info.name for info in _programs(library)] if not _learners(library) else []
        name = named(word, dict.fromkeys([*runs, *bodies]), otherwise=f"other rows can stand in for {some(runs)}")
        if name not in runs:
            raise LibraryError(
                f"{name} has a body, and its row runs that text alone; another row can stand in for a program with a "
                f"learning signal: {some(runs)}"
            )
        core = runs[name]
        there = _rows_of(core, [one for one in (*cores, *beside) if one is not core])
        found = there[named(other, there, otherwise=f"its core has {some(there)}")]
        info = core.memory.infos[core.memory.index(name)]
        _check(core.core, info, found)
        changed.setdefault(id(core), []).append((info, found))
    own, *hosts = (_with(core, changed[id(core)]) if id(core) in changed else core for core in cores)
    return replace(own, hosts=hosts, origin=None)


def _learners(library: Library) -> bool:
    return is_learners(library.core.config.kind)


def _programs(library: Library) -> list[RowInfo]:
    return [info for info in library.memory.infos if not info.primitive]


def _rows_of(core: Library, others: Iterable[Library]) -> dict[str, _Row]:
    """The rows of programs that a core has here and in other libraries, by name; its own go before others'."""
    found: dict[str, _Row] = {}
    digest = core.core.digest()
    for library in [core, *(one for one in others if one.core.digest() == digest)]:
        parts = dict(library.memory.named_parameters())
        for row, info in enumerate(library.memory.infos):
            if not info.primitive:
                numbers = {name: parts[name][row].detach() for name in PARTS}
                found.setdefault(info.name, _Row(info, library.core.worlds[info.world], numbers))
    return found


def _check(core: Core, info: RowInfo, row: _Row) -> None:
    """Raise :class:`LibraryError` unless a row fits where the program runs.

    A core that acts in worlds which it was not trained in reads its rows alike in all of them.
    """
    spec = core.worlds[info.world]
    if info.signature.slots != row.info.signature.slots:
        taken, given = (", ".join(slot.name for slot in one.signature.slots) or "none" for one in (row.info, info))
        raise LibraryError(
            f"{row.info.name} cannot stand in for {info.name}: it takes other arguments ({taken}, and is given {given})"
        )
    if core.lists_worlds:
        return
    parts = {
        "fields": (spec.fields, row.spec.fields),
        "channels": (spec.channels, row.spec.channels),
        "symbols": (spec.tokens, row.spec.tokens),
        "primitives": (spec.primitives, row.spec.primitives),
    }
    if other := [part for part, (ours, theirs) in parts.items() if ours != theirs]:
        raise LibraryError(
            f"{row.info.name} cannot stand in for {info.name}: it was learned in world {row.spec.name} "
            f"({row.spec.kind}), which has other {' and '.join(other)} than world {spec.name} ({spec.kind})"
        )


def _with(library: Library, changed: Sequence[tuple[RowInfo, _Row]]) -> Library:
    """The library with other numbers in some rows."""
    memory = ProgramMemory.holding(library.memory.infos, dict(library.memory.named_parameters()))
    with torch.no_grad():
        for info, row in changed:
            place = memory.index(info.name)
            for name, part in row.parameters.items():
                getattr(memory, name)[place] = part.to(getattr(memory, name).device)
    return replace(library, memory=memory, origin=None)


def neighbours(folder: Path | str, library: Library) -> list[Library]:
    """The members of the collection in a folder that have the core of one of a library's hosts."""
    folder, cores = Path(folder), {host.core.digest() for host in library.hosts}
    if not (cores and is_collection(folder)):
        return []
    return whole(folder, lambda: [Library.of_member(one, folder) for one in members(folder) if one.core in cores])
