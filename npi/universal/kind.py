"""Universal cores as a kind of core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.library.kinds import ProgramProof
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.row_file import Pack
from npi.program_memory import ProgramMemory, RowInfo
from npi.training.dataset import Material
from npi.training.learn_rows import Learned
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore, universal
from npi.universal.learn_rows import learn_universal
from npi.universal.network import InterpreterConfig
from npi.universal.prove_rows import prove_rows
from npi.universal.row_checks import check_rows
from npi.universal.rows import row_outputs
from npi.universal.stepper import UniversalStepper


@final
class Universal:
    """Cores that run a program by the tables of its row (implements :class:`npi.library.kinds.CoreKind`)."""

    audited = False

    def build(
        self, config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> UniversalCore:
        return UniversalCore(InterpreterConfig.from_json(config), worlds, generator=generator)

    def stepper(
        self, library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool
    ) -> UniversalStepper:
        return UniversalStepper(universal(library.core), library.memory, library.program_rows(table), table)

    def fingerprint(
        self, core: Core, memory: ProgramMemory, rows: Sequence[int], *, seed: int
    ) -> dict[str, torch.Tensor]:
        return row_outputs(universal(core), memory, rows, seed=seed)

    def compile(self, library: Library, programs: ProgramSet) -> TableStepper:
        stepper = self.stepper(library, programs.table, (), memo=False)
        stepper.to("cpu")
        return TableStepper(programs.table, stepper.tables)

    def prove(self, library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
        return prove_rows(library, programs, names)

    def check_certifiable(self, core: Core) -> None:
        raise LibraryError(  # the whole proof takes less than reading a list of configurations would
            "rows of a universal core are proved anew in moments wherever the library is, so no certificate is written "
            "of them: leave out --out, and run npi certify again where proof is wanted"
        )

    def check_rows(self, core: Core, rows: Pack, needed: Sequence[tuple[RowInfo, WorldSpec]], *, place: str) -> None:
        check_rows(universal(core).config, rows, needed, place)

    def learning(self, *, seed: int, starts: int | None, updates: int | None, certify: bool) -> SearchConfig:
        """``certify`` makes no difference: rows are always compared with their texts."""
        usual = SearchConfig(seed=seed)
        return replace(usual, starts=starts or usual.starts, updates=updates or usual.updates)

    def learn(
        self,
        library: Library,
        materials: Sequence[Material],
        config: SearchConfig,
        *,
        report: Callable[[int, float, dict[str, int]], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        keep_unsolved: bool = False,
        from_traces: bool = False,
    ) -> Learned:
        return learn_universal(
            library, materials, config, report=report, stop=stop, keep_unsolved=keep_unsolved, from_traces=from_traces
        )

    def row_text(self, core: Core) -> str:
        c, count = universal(core).config, len(core.worlds)
        worlds = f"; its programs run in {count:,} world{'' if count == 1 else 's'}" if count else ""
        return (
            f"{c.code + c.features} learned for each state that decides{worlds}\n"
            f"a program may have {c.states} such states; each sees {c.inputs} inputs and chooses among {c.outcomes} "
            "calls"
        )


KIND = Universal()
