"""A learner's core, as libraries hold it: its numbers, its shape, and the worlds that it acts in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import nn

from envs.spec import WorldSpec
from npi.core.recurrent import Core
from npi.learners.interface import HostedConfig, learner_of


class HostedCore(Core):
    """The network of a learner, for programs with a signal; a program is a row beside it.

    Args:
        config: its shape; says which learner.
        worlds: those that it acts in.
        generator: of the initial weights.

    Raises ``ValueError`` where the learner is not installed, or cannot act in a world.
    """

    rows_of_primitives = False
    config: HostedConfig  # type: ignore[assignment]

    def __init__(self, config: HostedConfig, worlds: Sequence[WorldSpec] = (), *, generator: torch.Generator) -> None:
        nn.Module.__init__(self)  # none of the parts of the other cores
        self.learner = learner_of(config.kind)
        self.config = config
        self.worlds = tuple(worlds)
        for spec in worlds:
            self.learner.admit(spec)
        self.net = self.learner.network(config, self.worlds, generator=generator)

    @property
    def lists_worlds(self) -> bool:
        """Whether worlds can be added beside its numbers."""
        return self.learner.anywhere

    @property
    def gate_fields(self) -> int:
        return 0

    def learns_in(self, spec: WorldSpec) -> int:
        """The index of a world, listed from now on if it was not; ``ValueError`` where the core cannot act in it."""
        for index, known in enumerate(self.worlds):
            if known.digest == spec.digest:
                return index
        self.check_world(spec)
        self.worlds = (*self.worlds, spec)
        return len(self.worlds) - 1

    def check_world(self, spec: WorldSpec) -> None:
        """Raise ``ValueError`` for a world that the core was not trained in, where its learner cannot do without."""
        self.learner.admit(spec)
        if not self.lists_worlds and all(known.digest != spec.digest for known in self.worlds):
            known_names = ", ".join(f"{w.name} ({w.kind})" for w in self.worlds)
            raise ValueError(
                f"this core of {self.config.kind!r} has never seen world {spec.name} ({spec.kind}) as it is declared; "
                f"it knows {known_names}. `use` a file that declares one of them, or train a core on this one"
            )

    def listing(self, worlds: Sequence[WorldSpec]) -> HostedCore:
        """The same core, number for number, with these worlds listed beside it."""
        found = copy.copy(self)  # the parts and their numbers are shared
        found.worlds = tuple(worlds)
        return found

    def tables(self, memory: object) -> NoReturn:
        raise TypeError("a learner's core runs by its own steps (npi.learners.stepper), not by heads")

    def adapter(self, world: int) -> NoReturn:
        raise TypeError("a learner's core has no adapters of the engine's")
