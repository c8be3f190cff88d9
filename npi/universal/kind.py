"""Universal cores as a kind of core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.library.kinds import CoreKind
from npi.library.library import Library
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore, universal
from npi.universal.learn_rows import learn_universal
from npi.universal.network import InterpreterConfig
from npi.universal.prove_rows import prove_rows
from npi.universal.row_checks import check_rows
from npi.universal.rows import row_outputs
from npi.universal.stepper import UniversalStepper


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> UniversalCore:
    return UniversalCore(InterpreterConfig.from_json(config), worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> UniversalStepper:
    return UniversalStepper(universal(library.core), library.memory, library.program_rows(table, programs), table)


def _compile(library: Library, programs: ProgramSet) -> TableStepper:
    stepper = UniversalStepper(
        universal(library.core), library.memory, library.program_rows(programs.table), programs.table
    )
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
