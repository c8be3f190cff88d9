"""Discrete and lstm cores as a kind of core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.core.config import CoreConfig
from npi.core.fingerprint import row_logits
from npi.core.recurrent import RecurrentCore, recurrent
from npi.library.kinds import ProgramProof
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.row_file import Pack
from npi.program_memory import ProgramMemory, RowInfo
from npi.proof.prove import Certifier, prove_decisions
from npi.running.compiled_library import compile_core
from npi.running.core_stepper import CoreStepper
from npi.running.memoised import MemoisedStepper
from npi.running.tabulated_core import TabulatedCore
from npi.training.dataset import Material
from npi.training.learn_rows import LearnConfig, Learned
from npi.training.learn_rows import learn as learn_rows
from traces.stepper import Stepper


@final
class Recurrent:
    """Cores that learn from traces by themselves (implements :class:`npi.library.kinds.CoreKind`)."""

    audited = True

    def build(
        self, config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> RecurrentCore:
        return RecurrentCore(CoreConfig.from_json(config), worlds, generator=generator)

    def stepper(self, library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> Stepper:
        """The heads' decisions; those of a discrete core on the CPU tabulated or memoised, where they fit."""
        stepper = CoreStepper.of(library, table)
        if not memo or stepper.core.config.kind != "discrete" or library.memory.keys_NK.device.type != "cpu":
            return stepper
        if TabulatedCore.fits(stepper):
            return TabulatedCore(stepper)
        codes = 2**stepper.core.config.bits + 1
        sizes = [len(table), *[len(table.world.tokens)] * 3, codes, *[f.size for f in table.world.fields]]
        return MemoisedStepper(stepper, table, codes=codes) if MemoisedStepper.fits(sizes) else stepper

    def fingerprint(
        self, core: Core, memory: ProgramMemory, rows: Sequence[int], *, seed: int
    ) -> dict[str, torch.Tensor]:
        return row_logits(recurrent(core), memory, rows, seed=seed)

    def compile(self, library: Library, programs: ProgramSet) -> TableStepper:
        core = CoreStepper.of(library, programs.table)
        if not TabulatedCore.fits(core):
            raise LibraryError(
                "this library cannot be compiled: only a universal core, or a discrete core on the CPU whose rows "
                "see few fields each and no pictures, is a table of a bearable size"
            )
        return compile_core(core)

    def prove(self, library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
        return prove_decisions(library, programs, names)

    def check_certifiable(self, core: Core) -> None:
        if core.config.kind != "discrete":
            raise LibraryError(
                "a certificate lists the states of a core, and an lstm's have no finite number of values"
            )

    def check_rows(self, core: Core, rows: Pack, needed: Sequence[tuple[RowInfo, WorldSpec]], *, place: str) -> None:
        """Any numbers are a row."""

    def learning(self, *, seed: int, starts: int | None, updates: int | None, certify: bool) -> LearnConfig:
        usual = LearnConfig(seed=seed, certify=certify)
        return replace(usual, starts=starts or usual.starts, updates=updates or usual.updates)

    def learn(
        self,
        library: Library,
        materials: Sequence[Material],
        config: LearnConfig | None = None,
        *,
        report: Callable[[int, float, dict[str, int]], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        keep_unsolved: bool = False,
        from_traces: bool = False,
    ) -> Learned:
        """Descend the rows; discrete cores on the CPU are proved where ``config`` asks for it."""
        return learn_rows(
            library, materials, config, report=report, stop=stop, keep_unsolved=keep_unsolved, certifier=Certifier
        )

    def row_text(self, core: Core) -> str:
        row, key, _ = core.row_sizes
        return f"{row + key} in the row of each program"


KIND = Recurrent()

learn = KIND.learn
"""Learn rows of a discrete or lstm library."""
