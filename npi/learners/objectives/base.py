"""What all objectives of learners share: rows beside a core, batches of each world, checks of every row.

What an update draws depends on the seed and its number alone, so a run resumes without the state of any generator.

Shape legend: ``N`` rows, ``P`` parameters of each, ``B`` instances, ``H`` hidden numbers, ``T`` steps.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from envs.support.typed_json import typed
from npi.learners.interface import Learner, LearnerCore, LearnerTraining, Predicting
from npi.learners.rollout import GeneratorDraw, play, predicted
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Evaluation, Group, Loss, Objective, Schedule, State
from npi.training.ranks import Ranks

FINAL_LR_FRACTION = 0.05
"""The final learning rate as a fraction of the peak."""

MAX_CHECKED = 2048
"""Problems of a check, of all tasks together; each task has at least eight."""

PROBLEMS, EXPLORATION, CHECKS = 1, 2, 3
"""What random numbers are for, as a part of seeds."""


def schedule_of(training: LearnerTraining) -> Schedule:
    """How long and how fast: the learning rate falls along a cosine."""

    def share(update: int) -> float:
        falls = 0.5 * (1 + math.cos(math.pi * update / training.updates))
        return FINAL_LR_FRACTION + (1 - FINAL_LR_FRACTION) * falls

    return Schedule(training.updates, training.check_every, share, training.clip)


class LearnerObjective(Objective):
    """Trains rows, and those parameters of the core that need a gradient.

    Args:
        rows_NP: ``problems.copies`` rows for each task.

    Attributes:
        curve: of each check, ``{"update", "scores"}``.
    """

    def __init__(
        self, learner: Learner, core: LearnerCore, rows_NP: torch.Tensor, problems: Problems, training: LearnerTraining
    ) -> None:
        if len(rows_NP) != problems.rows:
            raise ValueError(
                f"{len(problems.tasks)} programs with {problems.copies} rows each need other rows than {len(rows_NP)}"
            )
        self.learner, self.core, self.problems, self.training = learner, core, problems, training
        self.rows_NP = nn.Parameter(rows_NP.detach().clone())
        self.curve: list[dict[str, Any]] = []

    @property
    def device(self) -> torch.device:
        return self.rows_NP.device

    def groups(self) -> Mapping[str, Group]:
        """The rows, and the core's groups as far as they are not frozen."""
        found = {"rows": Group([self.rows_NP], self.training.row_rate)}
        for name, parameters in self.core.parameter_groups().items():
            if moved := [parameter for parameter in parameters if parameter.requires_grad]:
                found[name] = Group(moved, self.training.rate)
        return found

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterator[Loss]]:
        """Each world's losses of a fresh batch, optimiser step by optimiser step."""
        groups = self.problems.groups
        worlds = [
            self.batch_losses(group, len(groups) * update + place, update / self.training.updates, ranks)
            for place, group in enumerate(groups)
        ]
        for _ in range(max(map(self.optimizer_steps, groups))):
            yield (loss for losses in worlds for loss in next(losses, ()))
        for losses in worlds:
            next(losses, ())  # what stands behind the last yield

    def optimizer_steps(self, group: TaskGroup) -> int:
        """In an update, for a group."""
        return 1

    @abstractmethod
    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        """The losses of each optimiser step on a fresh batch of one group; on several ranks, this one's share.

        Args:
            number: of the batch; what is drawn depends on the seed and on it. progress: the share of training that is
                over.
        """

    def batch(self, group: TaskGroup, number: int, ranks: Ranks, count: int | None = None, **more: int) -> Batch:
        """Fresh problems, ``training.batch`` of them by default."""
        generator = np.random.default_rng([self.training.seed, PROBLEMS, number])
        count = self.training.batch if count is None else count
        copies = more.pop("copies", self.problems.copies)
        return group.draw(count, generator=generator, device=self.device, copies=copies, ranks=ranks, **more)

    def exploration(self, batch: Batch, number: int) -> GeneratorDraw:
        """The exploration noise of a batch."""
        generator = torch.Generator(self.device).manual_seed(self.seed(EXPLORATION, number))
        return GeneratorDraw(generator, batch.whole, batch.index_B)

    def seed(self, *parts: int) -> int:
        """One number from the run's seed and others."""
        return int(np.random.SeedSequence([self.training.seed, *parts]).generate_state(1, np.uint64)[0]) >> 1

    def rows_of(self, group: TaskGroup, batch: Batch, number: int) -> torch.Tensor:
        """row_BP of a batch."""
        return self.rows_NP[batch.row_B]

    def evaluate(self, update: int) -> Evaluation:
        """Judge every row on fresh problems; with copies, the best of each task counts."""
        scores_NC = self.row_scores(update).view(len(self.problems.tasks), self.problems.copies)
        scores = {
            task.name: float(score_C.max() if task.sign > 0 else score_C.min())
            for task, score_C in zip(self.problems.tasks, scores_NC, strict=True)
        }
        self.curve.append({"update": update, "scores": scores})
        return Evaluation(scores)

    @torch.no_grad()
    def row_scores(self, turn: int, problems: int | None = None) -> torch.Tensor:
        """float64 N: the mean first score of each row, on problems that no other turn has (a number from 0)."""
        count = problems or max(8, min(self.training.problems, MAX_CHECKED // len(self.problems.tasks)))
        found_N = torch.zeros(len(self.rows_NP), dtype=torch.float64)
        generator = np.random.default_rng([self.training.seed, CHECKS, turn])
        for group in self.problems.groups:
            together = self.check_size(group, count * len(group.tasks))
            batch = group.draw(together, generator=generator, device=self.device, copies=self.problems.copies)
            task = group.input(batch, self.rows_of(group, batch, turn))
            if isinstance(self.learner, Predicting):
                episodes = predicted(self.core, group.world, batch.layouts, task, group.steps)
            else:
                episodes = play(self.core, group.world, batch.state, task, group.steps)
            score_B = next(iter(self.learner.judge(group.world, episodes).values())).double().cpu()
            sums_N = torch.zeros_like(found_N).index_add_(0, batch.row_B.cpu(), score_B)
            found_N += sums_N / torch.bincount(batch.row_B.cpu(), minlength=len(found_N)).clamp(min=1)
        return found_N

    def check_size(self, group: TaskGroup, problems: int) -> int:
        """How many of these problems a check has."""
        return problems

    def state_dict(self) -> State:
        return State({}, {"curve": self.curve})

    def load_state_dict(self, state: State) -> None:
        self.curve = typed(list[dict[str, Any]], state.facts["curve"])


def segments(steps: int, truncation: int) -> list[tuple[int, int]]:
    """The first step and the length of each segment of back-propagation through time; 0: all steps are one."""
    length = truncation or steps
    return [(first, min(length, steps - first)) for first in range(0, steps, length)]


def masked_mean(value_TB: torch.Tensor, live_TB: torch.Tensor) -> torch.Tensor:
    """The mean over live steps."""
    if bool(live_TB.all()):
        return value_TB.mean()
    return (value_TB * live_TB).sum() / live_TB.sum().clamp(min=1)
