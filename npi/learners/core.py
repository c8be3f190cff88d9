"""A learner's core, as libraries hold it: its numbers, its shape, and the worlds that it acts in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from envs.spec import WorldSpec
from npi.core.base import Core
from npi.learners.interface import LearnerConfig, learner_of
from npi.library.manifest import LibraryError


@final
class LearnerProgramCore(Core):
    """The network of a learner, for programs with a signal; a program is a row beside it.

    Args:
        config: its shape; says which learner.
        worlds: those that it acts in.
        generator: of the initial weights.

    Raises ``ValueError`` where the learner is not installed, or cannot act in a world.
    """

    calls_rows = False  # a program with a signal calls what its world does itself
    config: LearnerConfig

    def __init__(self, config: LearnerConfig, worlds: Sequence[WorldSpec] = (), *, generator: torch.Generator) -> None:
        super().__init__(config, worlds)
        self.learner = learner_of(config.kind)
        for spec in worlds:
            self.learner.admit(spec)
        self.net = self.learner.core(config, self.worlds, generator=generator)

    @property
    def lists_worlds(self) -> bool:
        """Whether worlds can be added beside its parameters."""
        return self.learner.anywhere

    @property
    def row_sizes(self) -> tuple[int, int, int]:
        return self.config.row, 0, 0

    def check_world(self, spec: WorldSpec) -> None:
        """Raise ``ValueError`` for a world that the core was not trained in, where its learner cannot do without."""
        self.learner.admit(spec)
        if not self.lists_worlds and all(known.digest != spec.digest for known in self.worlds):
            known_names = ", ".join(f"{w.name} ({w.kind})" for w in self.worlds)
            raise ValueError(
                f"this core of {self.config.kind!r} has never seen world {spec.name} ({spec.kind}) as it is declared; "
                f"it knows {known_names}. `use` a file that declares one of them, or train a core on this one"
            )


def learner_program_core(core: Core) -> LearnerProgramCore:
    """The core; ``LibraryError`` where it is of another kind."""
    if not isinstance(core, LearnerProgramCore):
        raise LibraryError(f"the library's core is {core.config.kind}, which learns from texts and traces")
    return core
