"""Universal cores as a kind of core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.library.kinds import CoreKind
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.row_file import EMBEDDINGS, RowPackage
from npi.program_memory import RowInfo
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore, universal
from npi.universal.functions import oversize
from npi.universal.learn_rows import learn_universal
from npi.universal.network import InterpreterConfig
from npi.universal.proof import prove_rows
from npi.universal.rows import RowError, UniversalStepper, row_outputs, unpacked, wired


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> UniversalCore:
    return UniversalCore(InterpreterConfig.from_json(config), worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> UniversalStepper:
    return UniversalStepper(library, library.program_rows(table, programs), table)


def _compile(library: Library, programs: ProgramSet) -> TableStepper:
    stepper = UniversalStepper(library, library.program_rows(programs.table), programs.table)
    stepper.to("cpu")
    return TableStepper(programs.table, stepper.tables)


def _uncertified(core: Core) -> str:
    """The whole proof takes less than reading a list of configurations would."""
    return (
        "rows of a universal core are proved anew in moments wherever the library is, so no certificate is written of "
        "them: leave out --out, and run npi certify again where proof is wanted"
    )


def _row_text(core: Core) -> str:
    c, count = universal(core).config, len(core.worlds)
    worlds = f"; its programs run in {count:,} world{'' if count == 1 else 's'}" if count else ""
    return (
        f"{c.code + c.features} learned for each state that decides{worlds}\n"
        f"a program may have {c.states} such states; each sees {c.inputs} inputs and chooses among {c.outcomes} calls"
    )


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


KIND = CoreKind(
    build=_build,
    stepper=_stepper,
    fingerprint=row_outputs,
    compile=_compile,
    prove=prove_rows,
    uncertified=_uncertified,
    settings=SearchConfig,
    learn=learn_universal,
    row_text=_row_text,
    check_rows=check_rows,
)
