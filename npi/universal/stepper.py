"""Rows of a universal core as a stepper: every decision is made once by the core, and looked up after that."""

from __future__ import annotations

from collections.abc import Mapping

from envs.spec import ProgramTable
from envs.steppers.decision_tables import TableStepper
from npi.program_memory import ProgramMemory
from npi.universal.core import UniversalCore
from npi.universal.rows import decision_tables, tabulate, wired


class UniversalStepper(TableStepper):
    """Runs rows of a memory on their universal core, for the programs of one table.

    Args:
        core, memory: the network and its rows.
        rows: of each program of the table, by id.
        table: whose ids the machine uses.

    Raises :class:`~npi.universal.rows.RowError` for a row that does not fit.
    """

    def __init__(self, core: UniversalCore, memory: ProgramMemory, rows: Mapping[int, int], table: ProgramTable):
        parts = {}
        for program, row in rows.items():
            wiring = memory.infos[row].wiring or ()
            plan = wired(wiring, program, table)
            parts[program] = tabulate(core.net, plan, memory.embeddings_NP[row], wiring, table)
        self.parts = parts
        super().__init__(table, decision_tables(parts, table))
        self.to(memory.keys_NK.device)

    def to(self, device: object) -> None:
        """Move the tables to a device."""
        self.tables = self.tables.to(str(device))
