"""Rows without gradients: evolution strategies beside a frozen core (Salimans et al. 2017).

Shape legend: ``N`` rows, ``P`` parameters of each, ``D`` directions, ``B`` instances.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch

from npi.core.config import COUNT, POSITIVE, setting
from npi.learners.interface import LearnerTraining
from npi.learners.objectives.base import EXPLORATION, LearnerObjective
from npi.learners.rollout import play
from npi.learners.tasks import TaskGroup
from npi.training.loop import Group, Loss
from npi.training.ranks import Ranks


@dataclass(frozen=True)
class SearchTraining(LearnerTraining):
    """How rows are searched for.

    Attributes:
        directions: in which each row is varied, forwards and backwards. deviation: standard deviation of variations.
    """

    directions: int = setting(8, COUNT)
    deviation: float = setting(0.3, POSITIVE)


@final
class Search(LearnerObjective):
    """The expected first score of normally varied rows; the gradient of its surrogate loss is the estimate.

    Nothing has to be differentiable. All rows of a group meet the same problems.
    """

    training: SearchTraining

    def groups(self) -> Mapping[str, Group]:
        return {"rows": Group([self.rows_NP], self.training.row_rate)}

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        D, copies = self.training.directions, self.problems.copies
        generator = torch.Generator(self.device).manual_seed(self.seed(EXPLORATION, number))
        noise_NDP = torch.randn(len(self.rows_NP), D, self.rows_NP.shape[1], generator=generator, device=self.device)
        shift_NDP = self.training.deviation * torch.cat([noise_NDP, -noise_NDP], 1)
        varied_MP = (self.rows_NP.detach()[:, None] + shift_NDP).flatten(0, 1)
        batch = self.batch(group, number, ranks, copies=copies * 2 * D)
        task = group.input(batch, varied_MP[batch.row_B])
        episodes = play(self.core, group.world, batch.state, task, group.steps)
        score_B = next(iter(self.learner.judge(group.world, episodes).values()))
        sums_2M = torch.stack([score_B.double(), torch.ones_like(score_B).double()])
        sums_2M = torch.zeros(2, len(varied_MP), dtype=torch.float64, device=self.device).index_add_(
            1, batch.row_B, sums_2M
        )
        total_M, count_M = ranks.sum(sums_2M.cpu()).to(self.device)
        score_ND2 = (total_M / count_M.clamp(min=1)).view(-1, 2, D).mT
        slope_ND = (score_ND2[..., 0] - score_ND2[..., 1]) / 2
        slope_ND = slope_ND / (slope_ND.square().mean(1, keepdim=True).sqrt() + 1e-8)
        estimate_NP = (slope_ND[..., None] * noise_NDP).mean(1).float()
        surrogate = -group.sign * (self.rows_NP * estimate_NP).sum()
        value = -group.sign * (total_M.sum() / count_M.sum()).float()
        yield (Loss((surrogate - surrogate.detach() + value) / ranks.count),)
