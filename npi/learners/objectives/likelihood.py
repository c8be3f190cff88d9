"""Learning from given actions: answers (Supervised) and demonstrations (Imitation).

Shape legend: ``T`` steps, ``B`` instances, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, final

import torch

from envs.world import Episodes
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.objectives.base import EXPLORATION, LearnerObjective, masked_mean
from npi.learners.tasks import Batch, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

EVIDENCE = 4
"""What random numbers are for, as a part of seeds: the demonstrations that rows are inferred from."""


@final
class Supervised(LearnerObjective):
    """The mean log-likelihood of a world's answers (:class:`envs.world.Demonstrated`), whatever the core would do."""

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        batch = self.batch(group, number, ranks)
        answers = demonstrated(self, group, batch, EXPLORATION, number)
        task = group.input(batch, self.rows_of(group, batch, number))
        yield (Loss(batch.weight * negative_log_likelihood(self.core, task, answers)),)


@final
class Imitation(LearnerObjective):
    """The mean log-likelihood of a demonstration, by a row that is inferred from another one of the same problem.

    One-shot imitation (Duan et al. 2017). Where the learner infers no rows, each program has its own.
    """

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        batch = self.batch(group, number, ranks)
        row_BP = self.rows_of(group, batch, number)
        episodes = demonstrated(self, group, batch, EXPLORATION, number)
        yield (Loss(batch.weight * negative_log_likelihood(self.core, group.input(batch, row_BP), episodes)),)

    def rows_of(self, group: TaskGroup, batch: Batch, number: int) -> torch.Tensor:
        row_BP = self.learner.infer_row(self.core, demonstrated(self, group, batch, EVIDENCE, number))
        return self.rows_NP[batch.row_B] if row_BP is None else row_BP


def demonstrated(objective: LearnerObjective, group: TaskGroup, batch: Batch, purpose: int, number: int) -> Episodes:
    """Demonstrations of a batch's problems, other ones for each purpose and number."""
    world: Any = group.world
    generator = torch.Generator(objective.device).manual_seed(objective.seed(purpose, number))
    found: Episodes = world.demonstrate(batch.layouts, generator=generator)  # of the whole, so that ranks draw alike
    return found if batch.weight == 1 else selected(found, batch.index_B)


def selected(episodes: Episodes, index_B: torch.Tensor) -> Episodes:
    """The instances named, in that order."""
    assert episodes.actions is not None
    return replace(
        episodes,
        seen=[seen.select(index_B) for seen in episodes.seen],
        actions=[action.select(index_B) for action in episodes.actions],
        scores={name: score_TB[:, index_B] for name, score_TB in episodes.scores.items()},
        live_TB=episodes.live_TB[:, index_B],
        ended_TB=episodes.ended_TB[:, index_B],
    )


def negative_log_likelihood(core: LearnerCore, task: TaskInput, episodes: Episodes) -> torch.Tensor:
    """Of the actions of given episodes, in the mean over live steps."""
    unrolled = core.unroll(task, episodes, core.begin(task, episodes.seen[0]))
    return -masked_mean(unrolled["log_likelihood"], episodes.live_TB)
