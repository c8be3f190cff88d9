"""The cores of learners as a kind of core."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn, final

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from npi.core.base import Core
from npi.learners.core import HostedCore, hosted
from npi.learners.fingerprint import hosted_outputs
from npi.learners.interface import learner_of, steps_of
from npi.learners.stepper import HostedStepper, hosted_stepper
from npi.library.kinds import ProgramProof
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.row_file import Pack
from npi.program_memory import ProgramMemory, RowInfo
from npi.proof.prove import SIGNALLED


@final
class Hosted:
    """Cores of learners, for programs with a signal (implements :class:`npi.library.kinds.CoreKind`)."""

    audited = False

    def build(
        self, config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> HostedCore:
        return HostedCore(learner_of(config["kind"]).config.from_json(config), worlds, generator=generator)

    def stepper(self, library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> HostedStepper:
        names = {number: table.signatures[number].name for number in programs}
        texts = {program.name: program for held in library.texts_of(names.values()) for program in held.signals}
        rows = {number: library.memory.embeddings_NP[library.memory.index(name)] for number, name in names.items()}
        steps = {number: steps_of(texts[name]) for number, name in names.items()}
        return hosted_stepper(hosted(library.core), table, rows, steps, world=library.world(table.world))

    def fingerprint(
        self, core: Core, memory: ProgramMemory, rows: Sequence[int], *, seed: int
    ) -> dict[str, torch.Tensor]:
        return hosted_outputs(hosted(core), memory, rows, seed=seed)

    def compile(self, library: Library, programs: ProgramSet) -> NoReturn:
        raise LibraryError("this library cannot be compiled: a learner's core decides by numbers without end")

    def prove(self, library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
        return [ProgramProof.unproved(p.name, SIGNALLED) for p in programs.programs if names is None or p.name in names]

    def check_certifiable(self, core: Core) -> None:
        raise LibraryError("a certificate lists the states of a core, and a learner's have no finite number of values")

    def check_rows(self, core: Core, rows: Pack, needed: Sequence[tuple[RowInfo, WorldSpec]], *, place: str) -> None:
        """Any numbers are a row."""

    def learning(self, **given: Any) -> NoReturn:
        raise LibraryError(_BODIES)

    def learn(self, library: Library, materials: Sequence[Any], config: Any, **given: Any) -> NoReturn:
        raise LibraryError(_BODIES)

    def row_text(self, core: Core) -> str:
        return f"{core.row_sizes[0]} in the row of each program"


_BODIES = (
    "the library's core is a learner's, for programs with a signal, and these have bodies; name another --library, or "
    "a new folder for the universal core"
)

KIND = Hosted()
