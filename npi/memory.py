"""The program memory: one row of numbers a program (NPI section 3.1, M_key and M_prog).

A row is a key (how a program is found: the core's key output is compared with it by dot product, equation 3), an
embedding (how it runs), and what is known about it. Adding a row changes no other number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from envs.spec import Signature

OPEN = 2.0
"""The number of an open gate; that of a closed one is its negative."""


@dataclass(frozen=True)
class RowInfo:
    """What is known about a row.

    Attributes:
        name: qualified by file (``"addition.ADD"``), or ``"world<index>.<name>"`` for a primitive.
        world: index of its world in the library.
        generation: rows may call rows of their own and earlier generations only.
        signature: bare name, argument slots and doc string.
        primitive: carried out by the world; its embedding is not used.
        source: sha256 of the program file (or the table) that it was learned from.
    """

    name: str
    world: int
    generation: int
    signature: Signature
    primitive: bool
    source: str


class ProgramMemory(nn.Module):
    """Rows: keys_NK, embeddings_NP and gates_NF, with their infos. Rows are kept in order of generation.

    A gate decides whether the row's program sees a field of its world's observation, and the last one whether it uses
    its state (it does where the gate is positive). F is 1 + the largest number of fields of a world of the core, and 0
    for a core without gates.
    """

    keys_NK: nn.Parameter
    embeddings_NP: nn.Parameter
    gates_NF: nn.Parameter

    def __init__(
        self, infos: Sequence[RowInfo], *, row: int, key: int, fields: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.infos = tuple(infos)
        self.gates_NF = nn.Parameter(torch.full((len(infos), fields), OPEN))
        self.keys_NK = nn.Parameter(_draw(len(infos), key, 1 / math.sqrt(key), generator))
        self.embeddings_NP = nn.Parameter(_draw(len(infos), row, 1.0, generator))

    def __len__(self) -> int:
        return len(self.infos)

    @property
    def generations(self) -> int:
        """How many generations of rows there are."""
        return 1 + max((info.generation for info in self.infos), default=-1)

    def index(self, name: str) -> int:
        """Position of the row of a qualified name; ``KeyError`` where there is none."""
        for position, info in enumerate(self.infos):
            if info.name == name:
                return position
        raise KeyError(f"no row {name!r} in this program memory")

    @property
    def numbers(self) -> int:
        """How many numbers a row has."""
        return sum(parameter.shape[1] for parameter in self.parameters())

    def extended(self, infos: Sequence[RowInfo], numbers: Mapping[str, torch.Tensor]) -> ProgramMemory:
        """A memory with rows appended; the rows that were there keep their numbers to the bit.

        Args:
            numbers: for each parameter, by name, the values of the new rows.
        """
        memory = ProgramMemory(
            self.infos + tuple(infos),
            row=self.embeddings_NP.shape[1],
            key=self.keys_NK.shape[1],
            fields=self.gates_NF.shape[1],
            generator=torch.Generator(),
        ).to(self.keys_NK.device)
        with torch.no_grad():
            for name, parameter in memory.named_parameters():
                parameter.copy_(torch.cat([getattr(self, name), numbers[name].to(parameter.device)]))
        return memory

    def drawn(self, infos: Sequence[RowInfo], *, generator: torch.Generator) -> ProgramMemory:
        """A memory with rows of random numbers appended, as unlearned rows begin."""
        row, key, fields = self.embeddings_NP.shape[1], self.keys_NK.shape[1], self.gates_NF.shape[1]
        fresh = ProgramMemory(infos, row=row, key=key, fields=fields, generator=generator)
        return self.extended(infos, {name: p.detach() for name, p in fresh.named_parameters()})


def _draw(rows: int, width: int, scale: float, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(rows, width, generator=generator) * scale
