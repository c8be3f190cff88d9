"""A library compiled to tables: every decision that its core can make, made once, in one portable file.

The entries are the core's own decisions, not the program text's. The file holds, for each program file of the library,
its text (for its tasks) and the tables of its programs; nothing of the network is needed to run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.spec import RETURN, ProgramTable
from envs.stepper import Stepper
from envs.steppers.decision_tables import DecisionTables, Node, TableStepper, assemble, check_tables
from envs.support.typed_json import FormatError, is_version
from npi.library.kinds import kind_of
from npi.library.library import Library, LibraryError
from npi.library.program_files import find_task, named_tasks
from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.running.core_stepper import CoreStepper
from npi.running.tabulated_core import TabulatedCore
from traces.generation.generate import load_sources

FORMAT = 1


@dataclass(frozen=True)
class Head:
    """The JSON of a compiled library: (name, text) of the sources of each program file, sha256 of core and rows."""

    format: int
    programs: tuple[tuple[tuple[str, str], ...], ...]
    core: str
    rows: str


@dataclass(frozen=True)
class CompiledLibrary:
    """Program files, the tables of each in the same order, and digests of the core and rows that they are from."""

    sets: tuple[ProgramSet, ...]
    steppers: tuple[TableStepper, ...]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, library: Library) -> CompiledLibrary:
        """Compile a library.

        Raises :class:`LibraryError` for a core that is an ``lstm``, or that sees too much to be written out.
        """
        if library.hosts:
            raise LibraryError("this library cannot be compiled: a learner's core decides by numbers without end")
        steppers = tuple(kind_of(library.core).compile(library, programs) for programs in library.sets)
        about = {"core": library.core.digest(), "rows": library.rows_digest()}
        return cls(tuple(library.sets), steppers, about)

    def tasks(self) -> dict[str, tuple[ProgramSet, Task]]:
        """Every task, by name qualified with its file."""
        return named_tasks(self.sets)

    def task(self, name: str) -> tuple[ProgramSet, Task]:
        """A task by its qualified name, or by its bare name where one file only has it."""
        return find_task(self.sets, name)

    def stepper(self, table: ProgramTable) -> Stepper:
        """The tables of these programs; :class:`LibraryError` where they were not compiled."""
        for programs, stepper in zip(self.sets, self.steppers, strict=True):
            if programs.table == table:
                return stepper
        raise LibraryError("these programs are not among those that were compiled")

    @property
    def entries(self) -> int:
        return sum(len(stepper.tables.entry_M5) for stepper in self.steppers)

    def save(self, path: Path | str) -> None:
        """Write one file, whole or not at all."""
        tensors = {
            f"{number}.{name}": tensor
            for number, stepper in enumerate(self.steppers)
            for name, tensor in vars(stepper.tables).items()
        }
        sources = [[list(pair) for pair in programs.sources] for programs in self.sets]
        about = {"format": FORMAT, "programs": sources, **self.about}
        write_whole(Path(path), tensors_bytes(tensors, about))

    @classmethod
    def open(cls, path: Path | str) -> CompiledLibrary:
        """Read a file of :meth:`save`; raises ``ValueError`` for one that is damaged or of another format."""

        def check(about: Any) -> None:
            version = about.get("format") if isinstance(about, dict) else None
            if not is_version(version, FORMAT):
                raise LibraryError(f"{path} has format {version!r}, this engine reads {FORMAT}; compile it anew")

        try:
            tensors, head = read_tensors(Path(path), Head, check)
            sets = tuple(load_sources(sources) for sources in head.programs)
            names = {f"{number}.{field.name}" for number in range(len(sets)) for field in fields(DecisionTables)}
            if names != tensors.keys():
                raise FormatError(f"it has not the tables of its {len(sets)} program files")
            steppers = []
            for number, programs in enumerate(sets):
                own = DecisionTables(**{f.name: tensors[f"{number}.{f.name}"] for f in fields(DecisionTables)})
                check_tables(programs.table, own)
                steppers.append(TableStepper(programs.table, own))
        except LibraryError:
            raise
        except ValueError as error:  # of the format, or of a program text
            raise LibraryError(f"{path}: part of it is missing or wrong ({error}); compile it anew") from error
        return cls(sets, tuple(steppers), {"core": head.core, "rows": head.rows})


def compile_core(core: CoreStepper) -> TableStepper:
    """The core's decisions in all configurations that are reachable, its state codes renumbered from 0."""
    full = TabulatedCore(core)
    full.fill_all()
    tables, codes, table = full.tables, full.codes, core.table
    stride_NX = torch.cat([tables.stride_NF, tables.stride_N3], 1)
    programs: dict[int, list[Node]] = {}
    for number, program in enumerate(range(table.primitives, len(table))):
        reached = (tables.base_N[number * codes : (number + 1) * codes] >= 0).nonzero()[:, 0]
        new_code = torch.full((codes,), -1)
        new_code[reached] = torch.arange(len(reached))
        programs[program] = []
        for code in reached.tolist():
            node = number * codes + code
            base = int(tables.base_N[node])
            entries = tables.entry_M5[base : base + int(full.blocks[node])].clone()
            goes_on = entries[:, 0] != RETURN
            entries[:, 4] = torch.where(goes_on, new_code[entries[:, 4] * goes_on], 0)
            columns = stride_NX[node].nonzero()[:, 0].tolist()
            programs[program].append(Node(columns, stride_NX[node, columns].tolist(), entries))
    return TableStepper(table, assemble(table, programs))
