"""What every core is to the engine: a network with a shape, worlds, and a digest of its parameters."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import nn

from envs.spec import WorldSpec
from npi.program_memory import ProgramMemory, RowInfo


@dataclass(frozen=True)
class Share:
    """Which of ``whole`` frames that are unrolled together a rank computes (index_B); noise is drawn for the whole."""

    index_B: torch.Tensor
    whole: int


class Core(nn.Module, ABC):
    """One network for many programs; what differs between programs are rows of a :class:`ProgramMemory`.

    What the engine does with a core depends on its kind: :class:`npi.library.kinds.CoreKind`. ``config`` holds kind and
    sizes, ``worlds`` are those that it knows, in order.
    """

    rows_of_primitives: ClassVar[bool] = False
    """Whether what the worlds do themselves has rows, as programs have."""

    calls_rows: ClassVar[bool] = True
    """Whether programs of this core may call other rows."""

    follows_device: ClassVar[bool] = True
    """Whether the network moves to a library's device; otherwise it stays on the CPU."""

    def __init__(self, config: Any, worlds: Sequence[WorldSpec]) -> None:
        super().__init__()
        self.config = config
        self.worlds = tuple(worlds)

    @property
    @abstractmethod
    def lists_worlds(self) -> bool:
        """Whether worlds are listed beside the parameters, so that rows of worlds that it never saw can be added."""

    @property
    @abstractmethod
    def row_sizes(self) -> tuple[int, int, int]:
        """Parameters of a row: P of the embedding, K of the key, F gates."""

    @abstractmethod
    def check_world(self, spec: WorldSpec) -> None:
        """Raise ``ValueError`` for a world that the core cannot act in."""

    def memory(self, infos: Sequence[RowInfo] = (), *, generator: torch.Generator | None = None) -> ProgramMemory:
        """Random rows beside this core, as unlearned rows begin."""
        row, key, fields = self.row_sizes
        return ProgramMemory(infos, row=row, key=key, fields=fields, generator=generator or torch.Generator())

    def world(self, spec: WorldSpec) -> int:
        """The index of a world; ``KeyError`` where the core does not know it."""
        digests = [known.digest for known in self.worlds]
        if spec.digest not in digests:
            raise KeyError(spec.name)
        return digests.index(spec.digest)

    def learns_in(self, spec: WorldSpec) -> int:
        """The index of a world, listed from now on if it was not; see :meth:`check_world`."""
        try:
            return self.world(spec)
        except KeyError:
            self.check_world(spec)
            self.worlds = (*self.worlds, spec)
            return len(self.worlds) - 1

    def listing(self, worlds: Sequence[WorldSpec]) -> Self:
        """The same core, sharing its parameters, with these worlds listed beside it."""
        found = copy.copy(self)
        found.worlds = tuple(worlds)
        return found

    def digest(self) -> str:
        """sha256 of every parameter, by name, shape and bytes; rows are not part of it."""
        return tensors_digest(self.state_dict())


def tensors_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """sha256 over names, dtypes, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
