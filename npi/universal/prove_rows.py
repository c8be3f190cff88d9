"""Proofs of a universal library's rows against the program texts that they were learned from, with their margins."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch

from dsl.program import Program, ProgramSet
from envs.spec import ProgramTable
from npi.library.kinds import ProgramProof
from npi.library.library import Library
from npi.program_memory import ProgramMemory
from npi.proof.certificate import TOLERANCE
from npi.universal.core import UniversalCore, universal
from npi.universal.functions import deciding, leads
from npi.universal.plan import Plan
from npi.universal.proof import Proof, prove
from npi.universal.rows import configurations, tabulate, unpacked, wired


@dataclass(frozen=True)
class RowProof:
    """What is known of one row.

    Attributes:
        proof: against the program text.
        close: configurations of its states in which what is decided leads by no more than the tolerance, so that
            another device may decide otherwise.
        margin: by how much what is decided leads at least (logits); infinite where no state decides.
        fields: names of the observation fields that the row reads.
    """

    proof: Proof
    close: int
    margin: float
    fields: tuple[str, ...]


def prove_rows(library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
    """Proofs of rows against the texts of a file; they list no configurations and do not depend on the world."""
    core, rows, proofs = universal(library.core), library.program_rows(programs.table), []
    for program in programs.programs:
        if (names is None or program.name in names) and program.signal is None:  # what a host runs has no text
            try:
                found = prove_row(core, library.memory, rows[program.id], program, programs.table)
            except ValueError as error:
                proofs.append(ProgramProof.unproved(program.name, str(error)))
                continue
            proof = found.proof
            proofs.append(
                ProgramProof(
                    program.name,
                    proof.decisions,
                    proof.wrong or found.close,
                    found.margin,
                    found.fields,
                    where=proof.where,
                    close=proof.wrong == 0 and found.close > 0,
                )
            )
    return proofs


def prove_row(core: UniversalCore, memory: ProgramMemory, row: int, program: Program, table: ProgramTable) -> RowProof:
    """Compare a row with its program's text.

    Raises ``ValueError`` for a program without a text, a row that does not fit, and one that reads too much at once.
    """
    wiring = memory.infos[row].wiring or ()
    plan = wired(wiring, program.id, table)
    tables = tabulate(core.net, plan, memory.embeddings_NP[row], wiring, table)
    read = {read.index for reads, _, _ in tables for read in reads if read.kind == "field"}
    fields = tuple(field.name for index, field in enumerate(table.world.fields) if index in read)
    lead_M = _leads(core, memory, row, plan, table)
    close = int((lead_M <= TOLERANCE).sum())
    return RowProof(prove(program, tables), close, float(lead_M.min()) if len(lead_M) else math.inf, fields)


def _leads(core: UniversalCore, memory: ProgramMemory, row: int, plan: Plan, table: ProgramTable) -> torch.Tensor:
    """lead_M: of what is decided in each configuration of each state that decides."""
    wiring = memory.infos[row].wiring or ()
    code_DC, gain_DG = unpacked(memory.embeddings_NP[row], wiring, core.config)
    found = [torch.zeros(0)]
    for place, state in enumerate(filter(deciding, plan.states)):
        seen_MR = configurations(core.net, state, plan, table)
        computes = [outcome.computes for outcome in state.outcomes]
        found.append(leads(core.net, seen_MR, code_DC[place, None], gain_DG[place, None], computes))
    return torch.cat(found)
