"""Steps by themselves as examples: each place of a text has a code, and a step sees what the text reads at its place.

Codes count the places in the order of the text: what follows is mostly the next number, so that a body of 2,000 calls
is learned by learning to count. Among random codes it is not learned.

Shape legend: ``E`` examples, ``D`` drawn ones, ``S`` steps of frames, ``I`` inputs (fields, then slots).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from envs.spec import SLOTS, WorldSpec
from npi.core import gates
from npi.training.input_gates import with_pictures
from npi.training.places import Reads
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import Hashes, row_hash


@dataclass(frozen=True)
class Examples:
    """Different steps of one world, int64 on one device; what a step does not read is 0.

    Attributes:
        row_E: of the memory. code_E: of the place; after_E: of the next one, 0 after a return.
        seen_EI: the weights of the inputs, 0 or 1 (float). count_E: how many steps of all frames are like it.
    """

    row_E: torch.Tensor
    obs_EF: torch.Tensor
    arguments_E3: torch.Tensor
    call_E4: torch.Tensor
    code_E: torch.Tensor
    after_E: torch.Tensor
    seen_EI: torch.Tensor
    count_E: torch.Tensor

    def __len__(self) -> int:
        return len(self.row_E)

    def take(self, index_D: torch.Tensor) -> Examples:
        return Examples(*(getattr(self, field.name)[index_D] for field in fields(self)))

    def to(self, device: torch.device) -> Examples:
        return Examples(*(getattr(self, field.name).to(device) for field in fields(self)))


class Codes(Mapping[int, Mapping[int, int]]):
    """Row → place → code, 0 at the entry; and what is seen in each code.

    Args:
        bits: of a code.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._code: dict[int, dict[int, int]] = {}
        self._seen: dict[int, torch.Tensor] = {}

    def __getitem__(self, row: int) -> Mapping[int, int]:
        return self._code[row]

    def __iter__(self) -> Iterator[int]:
        return iter(self._code)

    def __len__(self) -> int:
        return len(self._code)

    def give(self, row: int, reads: Reads, spec: WorldSpec, name: str) -> torch.Tensor:
        """Number the places of a row; bool seen_SI in each code: the state, fields and slots.

        Raises ``ValueError`` for more places than there are codes.
        """
        places = [place for place in reads if place]
        if len(places) > 2**self.bits:
            raise TooManyPlaces(name, len(places), self.bits)
        self._code[row] = {place: code for code, place in enumerate([0, *places])}
        seen_SI = torch.zeros(2**self.bits + 1, gates.inputs(spec), dtype=torch.bool)
        for place, code in self._code[row].items():
            seen_SI[code] = torch.tensor([True, *opened(spec, reads[place])])
        self._seen[row] = seen_SI[:, 1:]
        return seen_SI

    def code(self, row_S: torch.Tensor, place_S: torch.Tensor) -> torch.Tensor:
        """code_S of places of rows."""
        return _looked_up({row: self._code[row] for row in row_S.unique().tolist()}, row_S, place_S)

    def place(self, row_S: torch.Tensor, code_S: torch.Tensor) -> torch.Tensor:
        """place_S of codes of rows: the inverse of :meth:`code`."""
        back = {row: {c: p for p, c in self._code[row].items()} for row in row_S.unique().tolist()}
        return _looked_up(back, row_S, code_S)

    def seen(self, row_S: torch.Tensor, code_S: torch.Tensor) -> torch.Tensor:
        """seen_SI of codes of rows of one world, 0 or 1 (int64): fields, then slots."""
        rows = row_S.unique().tolist()
        table_RSI = torch.zeros(1 + max(rows), *self._seen[rows[0]].shape, dtype=torch.int64)
        for row in rows:
            table_RSI[row] = self._seen[row]
        return table_RSI[row_S, code_S]

    def examples(self, parts: Sequence[PlacedSteps]) -> tuple[Examples, Hashes]:
        """The different steps of one world, and a hash of each."""
        row_S = torch.cat([part.program_S for part in parts])
        place_S, next_S = (torch.cat([getattr(part, name) for part in parts]) for name in ("place_S", "after_S"))
        code_S, after_S = self.code(row_S, place_S), self.code(row_S, next_S).clamp(min=0)
        seen_SI = self.seen(row_S, code_S)
        columns = [
            row_S,
            torch.cat([part.obs_SF for part in parts]).to(torch.int64) * seen_SI[:, :-SLOTS],
            torch.cat([part.arguments_S3 for part in parts]) * seen_SI[:, -SLOTS:],
            torch.cat([part.call_S4.to(torch.int64) for part in parts]),
            code_S,
            after_S,
        ]
        keys = row_hash([c.numpy() for column in columns for c in column.reshape(len(column), -1).T], 21)
        _, first, which_S = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        kept = torch.from_numpy(first[order])
        count_S = torch.cat([part.count_S for part in parts]).numpy()
        count_E = torch.from_numpy(np.bincount(which_S, weights=count_S)[order].astype(np.int64))
        row_E, obs_EF, arguments_E3, call_E4, code_E, after_E = (column[kept] for column in columns)
        found = Examples(row_E, obs_EF, arguments_E3, call_E4, code_E, after_E, seen_SI[kept].float(), count_E)
        return found, keys[kept.numpy()]


def _looked_up(numbers: Mapping[int, Mapping[int, int]], row_S: torch.Tensor, key_S: torch.Tensor) -> torch.Tensor:
    """What each row has for a key."""
    table_RK = torch.full((1 + max(numbers), 1 + max(map(max, numbers.values()))), -1)
    for row, known in numbers.items():
        table_RK[row, list(known)] = torch.tensor([*known.values()])
    return table_RK[row_S, key_S]


def bits_for(places: int) -> int:
    """Bits that tell so many places apart."""
    return max(1, (places - 1).bit_length())


class TooManyPlaces(ValueError):
    """A program of more places than the core's state has codes."""

    def __init__(self, name: str, places: int, bits: int) -> None:
        need = bits_for(places)
        super().__init__(
            f"{name} has {places} places between its calls, and {bits} bits of state tell {2**bits} apart: split it "
            f"into programs that call each other, or train a core with {need} bits (--bits {need})"
        )


def opened(spec: WorldSpec, reads: Collection[int]) -> list[bool]:
    """Which fields and slots a place sees: what is read there, and the whole of a picture that stands for it."""
    fields = len(spec.fields)
    seen = {*with_pictures(spec, [i for i in reads if i < fields]), *(i for i in reads if i >= fields)}
    return [i in seen for i in range(fields + SLOTS)]
