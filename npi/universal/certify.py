"""Proofs of a universal library's rows against the program texts that they were learned from, with their margins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dsl.program import Program
from envs.spec import ProgramTable
from npi.memory import ProgramMemory
from npi.universal.core import UniversalCore
from npi.universal.functions import deciding, leads
from npi.universal.plan import Plan
from npi.universal.proof import Proof, prove
from npi.universal.rows import situations, tabulate, unpacked, wired


@dataclass(frozen=True)
class RowProof:
    """What is known of one row.

    Attributes:
        proof: against the program text.
        margin: by how much what is decided leads at least (logits); infinite where no state decides.
        fields: names of the observation fields that the row reads.
    """

    proof: Proof
    margin: float
    fields: tuple[str, ...]


def prove_row(core: UniversalCore, memory: ProgramMemory, row: int, program: Program, table: ProgramTable) -> RowProof:
    """Compare a row with its program's text.

    Raises ``ValueError`` for a program without a text, a row that does not fit, and one that reads too much at once.
    """
    wiring = memory.infos[row].wiring or ()
    plan = wired(wiring, program.id, table)
    tables = tabulate(core.net, plan, memory.embeddings_NP[row], wiring, table)
    read = {read.index for reads, _, _ in tables for read in reads if read.kind == "field"}
    fields = tuple(field.name for index, field in enumerate(table.world.fields) if index in read)
    return RowProof(prove(program, tables), margin(core, memory, row, plan, table), fields)


def margin(core: UniversalCore, memory: ProgramMemory, row: int, plan: Plan, table: ProgramTable) -> float:
    """The least lead of anything that a row decides."""
    wiring = memory.infos[row].wiring or ()
    code_DC, gain_DG = unpacked(memory.embeddings_NP[row], wiring, core.config)
    least = math.inf
    for place, state in enumerate(filter(deciding, plan.states)):
        seen_MR = situations(core.net, state, plan, table)
        computes = [outcome.computes for outcome in state.outcomes]
        least = min(least, float(leads(core.net, seen_MR, code_DC[place, None], gain_DG[place, None], computes).min()))
    return least
