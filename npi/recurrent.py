"""Discrete and lstm cores as a kind of core. What does more than run them is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.stepper import Stepper
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.core.config import FORCED, LEARNED, CoreConfig
from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import RecurrentCore, recurrent
from npi.library.kinds import CoreKind, ProgramProof
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.program_memory import ProgramMemory
from npi.running.computed_core import ComputedCore
from npi.running.core_stepper import CoreStepper, MemoisedStepper
from npi.running.tabulated_core import TabulatedCore

if TYPE_CHECKING:
    from npi.training.dataset import Dataset
    from npi.training.learn_rows import LearnConfig, RowResult
    from npi.training.places import Finder

CONFIGURATIONS = 256
"""Random (row, arguments, hidden, observation) drawn for each world."""


@torch.no_grad()
def row_logits(of: Core, memory: ProgramMemory, chosen: Sequence[int], *, seed: int) -> dict[str, torch.Tensor]:
    """Every logit (end, keys of the chosen rows, arguments) of some rows in random configurations of each world."""
    core = recurrent(of)
    tables = core.tables(memory)
    found: dict[str, torch.Tensor] = {}
    for world, spec in enumerate(core.worlds):
        rows = [i for i in chosen if memory.infos[i].world == world and not memory.infos[i].primitive]
        if not rows:
            continue
        generator = torch.Generator().manual_seed(seed)
        row_B = torch.tensor(rows)[torch.randint(len(rows), (CONFIGURATIONS,), generator=generator)]
        columns = [torch.randint(f.size, (CONFIGURATIONS,), generator=generator) for f in spec.fields]
        obs_BF = torch.stack(columns, 1) if columns else torch.zeros(CONFIGURATIONS, 0, dtype=torch.int64)
        arguments = torch.randint(len(spec.tokens), (CONFIGURATIONS, 3), generator=generator)
        device = memory.keys_NK.device
        row_B, obs_BF, arguments = row_B.to(device), obs_BF.to(device), arguments.to(device)
        state = _hidden(core, generator).to(device)
        code_B = state[:, 0] if core.codes > 1 else torch.zeros_like(row_B)
        weight_BI = core.adapter(world).input_weights(tables.words_NSW[row_B, code_B])
        x_BX = core.adapter(world).encode(obs_BF, arguments, weight_BI)
        hidden, _ = core.trunk.step(x_BX, tables.cond_NC[row_B], state)
        found[f"{world}.end"] = core.end_logits(hidden)
        found[f"{world}.key"] = core.key_logits(hidden, tables)[:, list(chosen)]
        found[f"{world}.arguments"] = core.adapter(world).argument_logits(hidden)
    return found


def _hidden(core: RecurrentCore, generator: torch.Generator) -> torch.Tensor:
    trunk = core.trunk
    if isinstance(trunk, DiscreteTrunk):
        return torch.randint(2**trunk.bits + 1, (CONFIGURATIONS, 1), generator=generator)
    return torch.randn(CONFIGURATIONS, trunk.width, generator=generator)


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> RecurrentCore:
    return RecurrentCore(CoreConfig.from_json(config), worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> Stepper:
    """The heads' decisions; those of a discrete core on the CPU tabulated or memoised, where they fit, or computed in
    machine code."""
    stepper = CoreStepper.of(library, table)
    if not memo:
        return ComputedCore(stepper) if ComputedCore.fits(stepper) else stepper
    if stepper.core.config.kind != "discrete" or library.memory.keys_NK.device.type != "cpu":
        return stepper
    if TabulatedCore.fits(stepper):
        return TabulatedCore(stepper)
    codes = 2**stepper.core.config.bits + 1
    sizes = [len(table), *[len(table.world.tokens)] * 3, codes, *[f.size for f in table.world.fields]]
    return MemoisedStepper(stepper, table, codes=codes) if MemoisedStepper.fits(sizes) else stepper


def _compile(library: Library, programs: ProgramSet) -> TableStepper:
    from npi.running.compiled_library import compile_core

    core = CoreStepper.of(library, programs.table)
    if not TabulatedCore.fits(core):
        raise LibraryError(
            "this library cannot be compiled: only a universal core, or a discrete core on the CPU whose rows see few "
            "fields each and no pictures, is a table of a bearable size"
        )
    return compile_core(core)


def _prove(library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
    from npi.proof.prove import prove_decisions

    return prove_decisions(library, programs, names)


def _uncertified(core: Core) -> str:
    finite = core.config.kind == "discrete"
    return "" if finite else "a certificate lists the states of a core, and an lstm's have no finite number of values"


def _settings(**given: Any) -> LearnConfig:
    from npi.training.learn_rows import LearnConfig

    return LearnConfig(**given)


def learn(
    library: Library,
    datasets: Sequence[Dataset],
    config: LearnConfig | None = None,
    *,
    from_traces: bool = True,
    **given: Any,
) -> RowResult:
    """:func:`npi.training.learn_rows.learn`, with the proofs that ``config`` asks for; rows always come from traces."""
    from npi.proof.prove import Certifier
    from npi.training import learn_rows
    from npi.training.dataset import merged
    from npi.training.induction.inferred_places import finders_of
    from npi.training.learn_rows import LearnConfig

    finders: list[Finder] = []
    notes: tuple[str, ...] = ()
    config, datasets = config or LearnConfig(), merged(datasets)
    if library.core.config.kind != "discrete":
        config = replace(config, states=LEARNED)
    elif config.states == FORCED:
        try:
            finders, _ = finders_of(datasets)
        except ValueError as error:
            notes = (f"{error}; so the rows had to find their states by themselves, which takes longer",)
            config = replace(config, states=LEARNED)
    found = learn_rows.learn(library, datasets, config, certifier=Certifier, finders=finders, **given)
    return replace(found, notes=(*notes, *found.notes))


def _row_text(core: Core) -> str:
    row, key, _ = core.row_sizes
    return f"{row + key} in the row of each program"


KIND = CoreKind(
    build=_build,
    stepper=_stepper,
    fingerprint=row_logits,
    compile=_compile,
    prove=_prove,
    uncertified=_uncertified,
    settings=_settings,
    learn=learn,
    row_text=_row_text,
    audited=True,
)
