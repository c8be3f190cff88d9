"""New rows by the program files that they are written in, so that a file is one package, however it came to be learned.

``max.npi`` uses ``bubblesort.npi``. Whoever learns the one in an empty library learns the other with it; whoever learns
both in turn has the same two packages, number for number, and the libraries of both people are merged without a clash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl.program import ProgramSet
from npi.program_memory import RowInfo
from npi.training.dataset import Material
from traces.generation.generate import load_sources


def by_file(
    known: Sequence[RowInfo], fresh: Sequence[RowInfo], materials: Sequence[Material]
) -> list[tuple[RowInfo, Material]]:
    """New rows, each with the material of its own file; a generation for each file, used files first.

    Args:
        known: rows that are there. fresh: those that materials bring, in generations that are not taken.
    """
    owner = _owners(materials)
    left, place = {info.name: info for info in fresh}, {info.name: info.generation for info in known}
    generation = max((info.generation for info in fresh), default=0)
    found: list[tuple[RowInfo, Material]] = []
    for material in owner:
        named = [signature.name for signature in material.table.programs]
        own = [left.pop(name) for name in named if name in left]
        sees = tuple(sorted({place[name] for name in named if name in place}))
        found += [(replace(i, source=material.source, generation=generation, sees=sees), material) for i in own]
        place |= dict.fromkeys([info.name for info in own], generation)
        generation += bool(own)
    assert not left, "every new row is named by a material"
    return found


def _owners(materials: Sequence[Material]) -> list[Material]:
    """The materials, and before each one those of the files that it uses."""
    found: dict[str, Material] = {}
    for number, material in enumerate(materials):
        for programs in _used(material.programs) if material.programs is not None else []:
            part = replace(material, programs=programs, table=programs.table, source=programs.digest)
            found.setdefault(programs.digest, part)
        traced = f"traces {number}"  # they may say that they come from the same text, or from none
        found.setdefault(traced if material.programs is None else material.source, material)
    return list(found.values())


def _used(programs: ProgramSet) -> list[ProgramSet]:
    """The files that a file uses, each with what it uses in turn, in the order in which they depend on each other."""
    return [load_sources(programs.sources[:count]) for count in range(1, len(programs.sources))]
