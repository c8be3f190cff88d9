"""The universal core: an interpreter and a proposer, for any world of symbols."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import nn

from envs.spec import WorldSpec
from npi.core.recurrent import Core
from npi.universal.network import Interpreter, InterpreterConfig, Proposer
from npi.universal.symbols import numbering


class UniversalCore(Core):
    """One network for programs over any world of symbols; a program is written into it as a row.

    It has no adapters: what a world shows is translated by name (:mod:`npi.universal.symbols`). So worlds are listed
    beside its numbers, and adding one changes none of them.

    Args:
        config: sizes.
        worlds: those that rows were learned in.
        generator: of the initial weights.
    """

    rows_of_primitives = False
    config: InterpreterConfig  # type: ignore[assignment]

    def __init__(
        self, config: InterpreterConfig, worlds: Sequence[WorldSpec] = (), *, generator: torch.Generator
    ) -> None:
        nn.Module.__init__(self)  # none of the parts of the other cores
        self.config = config
        self.worlds = tuple(worlds)
        self.net = Interpreter(config, generator=generator)
        self.proposer = Proposer(config, generator=generator)

    @property
    def lists_worlds(self) -> bool:
        return True

    @property
    def gate_fields(self) -> int:
        return 0

    def learns_in(self, spec: WorldSpec) -> int:
        """The index of a world, listed from now on if it was not; see :meth:`check_world`."""
        self.check_world(spec)
        for index, known in enumerate(self.worlds):
            if known.digest == spec.digest:
                return index
        self.worlds = (*self.worlds, spec)
        return len(self.worlds) - 1

    def check_world(self, spec: WorldSpec) -> None:
        """Raise ``ValueError`` for a world that shows pictures, or has more symbols than the core tells apart."""
        if spec.pictures:
            raise ValueError(f"world {spec.name} shows pictures; the universal core reads symbols only")
        numbering(spec)

    def listing(self, worlds: Sequence[WorldSpec]) -> UniversalCore:
        """The same core, number for number, with these worlds listed beside it."""
        found = copy.copy(self)  # the parts and their numbers are shared
        found.worlds = tuple(worlds)
        return found

    def tables(self, memory: object) -> NoReturn:
        raise TypeError("a universal core runs by the tables of its rows (npi.universal.rows), not by heads")

    def adapter(self, world: int) -> NoReturn:
        raise TypeError("a universal core has no adapters: it reads every world of symbols by the names of its values")
