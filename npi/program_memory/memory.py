"""The program memory: one row of numbers a program (NPI section 3.1, M_key and M_prog).

A row is a key (how a program is found: the core's key output is compared with it by dot product, equation 3), an
embedding (how it runs), and what is known about it. Adding a row changes no other number.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import torch
from torch import nn

from npi.program_memory.row_info import RowInfo

GATES = 24
"""Gates in one number of a row."""

OPEN = 2.0**GATES - 1
"""The number whose gates are all open."""


class ProgramMemory(nn.Module):
    """Rows: keys_NK, embeddings_NP and gates_NF, with their infos. Rows are kept in order of generation.

    Gates say which inputs the row's program sees in each of the S codes of its state, as masks of W words
    (:mod:`npi.core.gates`): F = S × W, and 0 for a core without gates.
    """

    keys_NK: nn.Parameter
    embeddings_NP: nn.Parameter
    gates_NF: nn.Parameter

    def __init__(
        self, infos: Sequence[RowInfo], *, row: int, key: int, fields: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.infos = tuple(infos)
        count = len(infos)
        self.gates_NF = nn.Parameter(torch.full((count, fields), OPEN))
        self.keys_NK = nn.Parameter(torch.randn(count, key, generator=generator) * (1 / math.sqrt(max(1, key))))
        self.embeddings_NP = nn.Parameter(torch.randn(count, row, generator=generator))

    @classmethod
    def holding(cls, infos: Sequence[RowInfo], numbers: Mapping[str, torch.Tensor]) -> ProgramMemory:
        """A memory of these rows with these numbers, by the name of each parameter."""
        row, key, fields = (numbers[name].shape[1] for name in ("embeddings_NP", "keys_NK", "gates_NF"))
        memory = cls((), row=row, key=key, fields=fields, generator=torch.Generator())
        memory.infos = tuple(infos)
        for name, _ in list(memory.named_parameters()):
            setattr(memory, name, nn.Parameter(numbers[name].detach().clone()))
        return memory

    def __len__(self) -> int:
        return len(self.infos)

    @property
    def chunks(self) -> list[int]:
        """How many rows each generation has, of those that have any."""
        return [len(list(group)) for _, group in groupby(info.generation for info in self.infos)]

    @property
    def generations(self) -> int:
        return 1 + max((info.generation for info in self.infos), default=-1)

    def of(self, generations: Collection[int]) -> tuple[torch.Tensor, ProgramMemory]:
        """Positions of the rows of these generations, and a memory of them alone.

        A generation is kept whole or not at all: the core computes each by itself
        (:meth:`npi.core.recurrent.RecurrentCore.tables`), so what it computes for one is bit-identical, whichever
        others are there.
        """
        wanted = frozenset(generations)
        rows_M = torch.tensor([i for i, info in enumerate(self.infos) if info.generation in wanted], dtype=torch.int64)
        if len(rows_M) == len(self):
            return rows_M, self
        infos = [self.infos[row] for row in rows_M.tolist()]
        return rows_M, self.holding(infos, {name: part.detach()[rows_M] for name, part in self.named_parameters()})

    def index(self, name: str) -> int:
        """Position of the row of a qualified name; ``KeyError`` where there is none."""
        names = [info.name for info in self.infos]
        if name not in names:
            raise KeyError(f"no row {name!r} in this program memory")
        return names.index(name)

    @property
    def numbers(self) -> int:
        return sum(parameter.shape[1] for parameter in self.parameters())

    def extended(self, infos: Sequence[RowInfo], numbers: Mapping[str, torch.Tensor]) -> ProgramMemory:
        """A memory with rows appended; the parameters of the rows that were there stay bit-identical.

        Args:
            numbers: for each parameter, by name, the values of the new rows.
        """
        joined = {name: torch.cat([p.detach(), numbers[name].to(p.device)]) for name, p in self.named_parameters()}
        return self.holding(self.infos + tuple(infos), joined)

    def drawn(self, infos: Sequence[RowInfo], *, generator: torch.Generator) -> ProgramMemory:
        """A memory with rows of random numbers appended, as unlearned rows begin."""
        row, key, fields = self.embeddings_NP.shape[1], self.keys_NK.shape[1], self.gates_NF.shape[1]
        fresh = ProgramMemory(infos, row=row, key=key, fields=fields, generator=generator)
        return self.extended(infos, {name: p.detach() for name, p in fresh.named_parameters()})
