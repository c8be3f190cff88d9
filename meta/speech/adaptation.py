"""A core and a row that are both moved to a new voice (SEA-ALL: Chen et al. 2018, section 3.1).

The library stays as it is: what comes out is another core. Shape legend: ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import NamedTuple

import torch

from dsl.program import ProgramSet
from meta.speech.core import SpeechCore
from meta.speech.learner import Recordings, SpeechTraining
from npi.learners.core import learner_program_core
from npi.learners.interface import Learner, TaskInput
from npi.learners.objectives.base import schedule_of
from npi.learners.rollout import predicted
from npi.learners.tasks import Problems, TrainingTask, training_tasks
from npi.library.library import Library
from npi.training.loop import Evaluation, fit

PATIENCE = 2
"""Checks after the best one before it is stopped."""

HELD = 8
"""Episodes of a check."""


class FineTuned(NamedTuple):
    """A core of its own, the row beside it, the bits a sample of the recordings held back, and the updates taken."""

    core: SpeechCore
    row_P: torch.Tensor
    bits: float
    updates: int


class EarlyStopping(Recordings):
    """Ends where recordings that were held back are no longer found likelier; keeps the best numbers.

    Args:
        held: the task of the recordings that are held back.
    """

    def __init__(
        self, learner: Learner, core: SpeechCore, rows_NP: torch.Tensor, problems: Problems, training: SpeechTraining,
        held: TrainingTask,
    ) -> None:  # fmt: skip
        super().__init__(learner, core, rows_NP, problems, training)
        self.held, self.since = held, 0
        self.best = FineTuned(copy.deepcopy(core), self.rows_NP.detach()[0].clone(), self.bits(), 0)

    @torch.no_grad()
    def bits(self) -> float:
        """A sample, of what is held back."""
        world, row_BP = self.held.world, self.rows_NP[:1].expand(HELD, -1)
        task = TaskInput(world.spec, 0, row_BP, torch.zeros(HELD, 3, dtype=torch.int64))
        episodes = predicted(self.core, world, [{"EPISODE": [n]} for n in range(HELD)], task, self.held.steps)
        return float(self.learner.judge(world, episodes)["bits"].mean())

    def evaluate(self, update: int) -> Evaluation:
        found = self.bits()
        self.curve.append({"update": update, "scores": {self.held.name: found}})
        self.since += 1
        if found < self.best.bits:
            assert isinstance(self.core, SpeechCore)
            self.since = 0
            self.best = FineTuned(copy.deepcopy(self.core), self.rows_NP.detach()[0].clone(), found, update)
        return Evaluation({self.held.name: found}, solved=self.since >= PATIENCE)


def fine_tune(
    library: Library, row_P: torch.Tensor, learned: ProgramSet, held: ProgramSet, training: SpeechTraining
) -> FineTuned:
    """All numbers of a library's core, and a row to begin with, on the recordings of a file, until those of another
    file, which were held back, are no longer found likelier.

    Raises ``ValueError`` for a library that does not speak.
    """
    core = learner_program_core(library.core)
    if not isinstance(core.net, SpeechCore):
        raise ValueError(f"the library's core is {core.config.kind}, which does not speak")
    (task,), (other,) = training_tasks(learned), training_tasks(held)
    net = copy.deepcopy(core.net).requires_grad_(True)
    problems = Problems((task,), (0,))
    objective = EarlyStopping(core.learner, net, row_P[None], problems, replace(training, inferred=0.0), other)
    fit(objective, schedule_of(training))
    return objective.best
