"""The universal core: an interpreter and a proposer, for any world of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch

from envs.spec import WorldSpec
from npi.core.base import Core
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.universal.network import Interpreter, InterpreterConfig, Proposer
from npi.universal.symbols import numbering

SHIPPED = Path(__file__).parent / "shipped"
"""The library of the core that comes with the engine: no rows, for users to copy."""


@final
class UniversalCore(Core):
    """One network for programs over any world of symbols; a program is written into it as a row.

    It has no adapters: what a world shows is translated by name (:mod:`npi.universal.symbols`). So worlds are listed
    beside its numbers, and adding one changes none of them.

    Args:
        config: sizes.
        worlds: those that rows were learned in.
        generator: of the initial weights.
    """

    follows_device = False  # it makes its tables on the CPU, alike for every device
    config: InterpreterConfig

    def __init__(
        self, config: InterpreterConfig, worlds: Sequence[WorldSpec] = (), *, generator: torch.Generator
    ) -> None:
        super().__init__(config, worlds)
        self.net = Interpreter(config, generator=generator)
        self.proposer = Proposer(config, generator=generator)

    @property
    def lists_worlds(self) -> bool:
        return True

    @property
    def row_sizes(self) -> tuple[int, int, int]:
        return self.config.row, 0, 0

    def check_world(self, spec: WorldSpec) -> None:
        """Raise ``ValueError`` for a world that shows pictures, or has more symbols than the core tells apart."""
        if spec.rendered:
            raise ValueError(f"world {spec.name} shows pictures; the universal core reads symbols only")
        numbering(spec)


def new_universal(config: InterpreterConfig, *, seed: int) -> Library:
    """An untrained universal core, without rows."""
    core = UniversalCore(config, generator=torch.Generator().manual_seed(seed))
    return Library(core, core.memory(), [])


def universal(core: Core) -> UniversalCore:
    """The core; ``LibraryError`` where it is of another kind."""
    if not isinstance(core, UniversalCore):
        raise LibraryError(f"the library's core is {core.config.kind}; this learns rows of universal ones")
    return core
