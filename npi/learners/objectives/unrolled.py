"""Back-propagation through the steps of a differentiable world (Andrychowicz et al. 2016, section 2).

Shape legend: ``T`` steps of a segment, ``B`` instances, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import torch

from envs.world import Episodes, World
from npi.core.config import at_least, setting
from npi.learners.interface import Learner, LearnerCore, LearnerTraining
from npi.learners.objectives.base import LearnerObjective, segments
from npi.learners.rollout import rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

CHECKED_BUDGETS = 4
"""How many times the hidden budget a batch may have where nothing is learned from it."""


@dataclass(frozen=True)
class UnrolledTraining(LearnerTraining):
    """How a core is trained through a world.

    Attributes:
        truncation: steps of back-propagation through time; 0: all steps of the program.
        hidden_budget: hidden numbers of all problems of a batch together, at most: worlds whose problems have many have
            smaller batches. 0: any number.
    """

    truncation: int = setting(0, at_least(0))
    hidden_budget: int = setting(0, at_least(0))


Measure = Callable[[World[Any], Episodes, float], torch.Tensor]


@final
class Unrolled(LearnerObjective):
    """The mean over steps of the problems' mean score, whose gradient goes through the world.

    Args:
        transform: of the mean score of each step, T; its mean is what is to fall. By default the mean itself, with the
            sign of the program's aim.
        measure: what each step of each problem is judged by, T × B, in place of its score: of the world, the episodes
            and the share of training that is over. Where there is one the transform is given its mean, and by default
            that is what is to fall.
        horizon: steps of an episode, of the group and that share; by default those of the programs.
    """

    training: UnrolledTraining

    def __init__(
        self,
        learner: Learner,
        core: LearnerCore,
        rows_NP: torch.Tensor,
        problems: Problems,
        training: UnrolledTraining,
        *,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        measure: Measure | None = None,
        horizon: Callable[[TaskGroup, float], int] | None = None,
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        self.transform, self.measure, self.horizon = transform, measure, horizon

    def optimizer_steps(self, group: TaskGroup) -> int:
        return len(segments(group.steps, self.training.truncation))

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        count = max(1, self.room(group, self.training.batch, self.training.hidden_budget))
        batch = self.batch(group, number, ranks, count)
        draw = self.exploration(batch, number)
        task = group.input(batch, self.rows_of(group, batch, number))
        hidden_BH = self.core.begin(task, group.world.observe(batch.state))
        horizon = group.steps if self.horizon is None else self.horizon(group, progress)
        for first, steps in segments(horizon, self.training.truncation):
            if first:
                task, hidden_BH = group.input(batch, self.rows_of(group, batch, number)), hidden_BH.detach()
            episodes, hidden_BH = rollout(
                self.core, group.world, batch.state, task, hidden_BH, steps, draw=draw, first_step=first
            )
            if self.measure is None:
                yield (Loss(self.loss(episodes.scores[group.signal[1]], -group.sign, batch, ranks)),)
            else:
                yield (Loss(self.loss(self.measure(group.world, episodes, progress), 1, batch, ranks)),)

    def loss(self, score_TB: torch.Tensor, sign: float, batch: Batch, ranks: Ranks) -> torch.Tensor:
        """This rank's share of the transform of the whole batch's mean scores, by default the mean with a sign."""
        transform = self.transform or (lambda mean_T: sign * mean_T)
        share_T = score_TB.mean(1)
        if ranks.alone:
            return transform(share_T).mean()
        share_T = batch.weight * share_T
        whole_T = ranks.sum(share_T.detach().cpu().clone()).to(share_T).requires_grad_()
        value = transform(whole_T).mean()
        (slope_T,) = torch.autograd.grad(value, whole_T)
        linear = (slope_T * share_T).sum()
        return linear - linear.detach() + value.detach() / ranks.count

    def room(self, group: TaskGroup, problems: int, budget: int) -> int:
        """How many of these problems a batch with this hidden budget holds; at least one of each task."""
        if not budget:
            return problems
        size = self.core.hidden_size(group.world.spec)
        return min(problems, max(len(group.tasks), budget // (size * self.problems.copies)))

    def check_size(self, group: TaskGroup, problems: int) -> int:
        return self.room(group, problems, CHECKED_BUDGETS * self.training.hidden_budget)
