"""The network: world adapters, a trunk, and the heads for end, program key and arguments (NPI section 3, eqs. 1–4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from envs.spec import WorldSpec
from npi.core import gates
from npi.core.base import Core
from npi.core.config import CoreConfig
from npi.core.discrete import DiscreteTrunk
from npi.core.encoder import WorldAdapter
from npi.core.initialisation import seeded_linear
from npi.core.lstm import LstmTrunk
from npi.program_memory import ProgramMemory


@dataclass(frozen=True)
class RowTables:
    """What the core computes from rows alone, once for all steps.

    Attributes:
        cond_NC: conditioning of the trunk.
        words_NSW: the gates of each row in each code of its state (:mod:`npi.core.gates`); a row that does not use its
            state has those of code 0 in all of them.
        keys: the keys, one tensor a generation: old rows' logits come from the same product whatever is added later.
    """

    cond_NC: torch.Tensor
    words_NSW: torch.Tensor
    keys: tuple[torch.Tensor, ...]


@final
class RecurrentCore(Core):
    """World adapters, a trunk that carries a state from step to step, and heads."""

    rows_of_primitives = True
    config: CoreConfig

    def __init__(self, config: CoreConfig, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> None:
        super().__init__(config, worlds)
        self.trunk: DiscreteTrunk | LstmTrunk
        if config.kind == "discrete":
            self.trunk = DiscreteTrunk(hidden=config.hidden, bits=config.bits, row=config.row, generator=generator)
        else:
            self.trunk = LstmTrunk(hidden=config.hidden, row=config.row, generator=generator)
        self.adapters = nn.ModuleList(
            WorldAdapter(spec, width=self.trunk.inputs, hidden=config.hidden, generator=generator) for spec in worlds
        )
        self.end = seeded_linear(config.hidden, 1, generator=generator)
        self.find = seeded_linear(config.hidden, config.key, generator=generator)

    def adapter(self, world: int) -> WorldAdapter:
        """The adapter of a world, by its index."""
        adapter = self.adapters[world]
        assert isinstance(adapter, WorldAdapter)
        return adapter

    @property
    def codes(self) -> int:
        """How many codes of the state the gates tell apart; 1 for an lstm, and for a core without gates."""
        return 2**self.config.bits + 1 if self.config.gates and self.config.kind == "discrete" else 1

    @property
    def words(self) -> int:
        """Words of a mask of gates; 0 for a core without."""
        return max((gates.words(world) for world in self.worlds), default=0) if self.config.gates else 0

    @property
    def lists_worlds(self) -> bool:
        return False

    @property
    def row_sizes(self) -> tuple[int, int, int]:
        """P, K, and where rows have gates a mask for each code, as wide as the widest world needs."""
        return self.config.row, self.config.key, self.codes * self.words

    def check_world(self, spec: WorldSpec) -> None:
        if all(known.digest != spec.digest for known in self.worlds):
            raise ValueError(f"the core has no adapter for world {spec.name!r} as it is declared")

    def tables(self, memory: ProgramMemory) -> RowTables:
        """Everything that depends on rows alone, each generation computed by itself (so it never changes later)."""
        cond_NC = torch.cat([self.trunk.condition(part) for part in apart(memory.embeddings_NP, memory.chunks)])
        words_NSW = memory.gates_NF.detach().view(len(memory), self.codes, self.words)
        if self.words and isinstance(self.trunk, DiscreteTrunk):
            remembers_N1 = gates.seen(words_NSW[:, 0], 1)
            cond_NC = torch.cat([cond_NC, remembers_N1.to(cond_NC.dtype)], 1)
            words_NSW = torch.where(remembers_N1[:, :, None] > 0, words_NSW, words_NSW[:, :1])
        return RowTables(cond_NC, words_NSW, apart(memory.keys_NK, memory.chunks))

    def end_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """logits_…: the frame returns where positive (f_end, NPI eq. 2)."""
        return self.end(hidden)[..., 0]

    def key_logits(self, hidden: torch.Tensor, tables: RowTables) -> torch.Tensor:
        """logits_…N: similarity of the key output to the key of each row (f_prog, NPI eqs. 2–3)."""
        key = self.find(hidden)
        return torch.cat([key @ keys.T for keys in tables.keys], -1)


def recurrent(core: Core) -> RecurrentCore:
    """The core; ``ValueError`` where it is of another kind."""
    if not isinstance(core, RecurrentCore):
        raise ValueError(f"this is for discrete and lstm cores, and the library's is {core.config.kind}")
    return core


def apart(rows_NX: torch.Tensor, sizes: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """The rows of each generation in memory of their own.

    A product's last bits may depend on where in memory its factors begin (so does that of MKL on some processors), and
    a view into all rows begins where the rows before it end: it would change when an older generation is removed.
    """
    return tuple(part_MX.clone(memory_format=torch.contiguous_format) for part_MX in rows_NX.split(sizes))


def may_call(memory: ProgramMemory, rows_M: torch.Tensor | None = None) -> torch.Tensor:
    """bool_MM: row p (first index) may call row q: one world, and q of p's generation or an earlier one that p sees.

    Args:
        rows_M: the rows asked about; all by default.
    """
    infos = memory.infos if rows_M is None else [memory.infos[row] for row in rows_M.tolist()]
    world = torch.tensor([info.world for info in infos])
    generation = torch.tensor([info.generation for info in infos])
    allowed = (world[:, None] == world) & (generation[:, None] >= generation)
    seen: dict[tuple[int, ...], torch.Tensor] = {}
    for p, info in enumerate(infos):
        if info.sees is not None:
            reach = (*info.sees, info.generation)
            if reach not in seen:
                seen[reach] = torch.isin(generation, torch.tensor(reach))
            allowed[p] &= seen[reach]
    return allowed
