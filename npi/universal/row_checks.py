"""Whether rows that come from elsewhere are rows of this core: wired to what is there, and within its sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envs.spec import ProgramTable, WorldSpec
from npi.core.base import Core
from npi.library.manifest import LibraryError
from npi.library.row_file import EMBEDDINGS, RowPackage
from npi.program_memory import RowInfo
from npi.universal.core import universal
from npi.universal.functions import oversize
from npi.universal.rows import RowError, unpacked, wired


def check_rows(core: Core, package: RowPackage, needed: Iterable[tuple[RowInfo, WorldSpec]], place: str) -> None:
    """Raise :class:`LibraryError` unless every row of a pack fits the core, its world, and what it may call.

    Args:
        needed: the rows that the pack needs, with their worlds.
    """
    config = universal(core).config
    there = [(info, spec.digest) for info, spec in needed]
    there += [(info, package.worlds[info.world].digest) for info in package.infos]
    for number, info in enumerate(package.infos):
        try:
            table = _table(package.worlds[info.world], there)
            wiring = info.wiring or ()
            plan = wired(wiring, table.id(info.name), table)
            reason = oversize(plan, config)
            if reason is not None:
                raise RowError(f"{info.name} {reason}")
            unpacked(package.parameters[EMBEDDINGS][number], wiring, config)
        except RowError as error:
            raise LibraryError(f"{place}: {error}; it is no row of this core") from error


def _table(world: WorldSpec, there: Iterable[tuple[RowInfo, str]]) -> ProgramTable:
    """What a row of a world may call: the world's primitives, and those of these rows that are of its world."""
    signatures = {info.name: info.signature for info, digest in there if digest == world.digest}
    programs = tuple(replace(signature, name=name) for name, signature in signatures.items())
    return ProgramTable(world, programs, ((),) * len(programs))
