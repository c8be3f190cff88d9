"""Imitation by supervision: behaviour cloning of demonstrations, and DAgger (Ross et al. 2011).

Where an observation holds a demonstration, the core is told by it what to do; for a share of a batch a row is inferred
from the demonstration instead, and is all that the core is told.

Shape legend: ``T`` steps, ``B`` instances, ``P`` parameters of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

import torch

from envs.stepper import Action, Observation
from envs.world import Episodes, Suggesting
from npi.core.config import setting, share
from npi.learners.interface import Learner, LearnerCore, LearnerTraining, TaskInput
from npi.learners.objectives.base import EXPLORATION, LearnerObjective, masked_mean
from npi.learners.objectives.likelihood import demonstrated
from npi.learners.rollout import rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

VARIATION, DAGGER = 5, 6
"""What random numbers are for, as a part of seeds: what is read of demonstrations, and whose states are learned from."""


@dataclass(frozen=True)
class CloningTraining(LearnerTraining):
    """How a core learns to imitate.

    Attributes:
        inferred: the share of a batch that is told what to do by an inferred row alone.
        dagger: the share of updates, behind the first fifth, that learn from states that the core itself came to,
            where the world says what its demonstrator would do (:class:`envs.world.Suggesting`).
        kept: the share of the moments of a demonstration that is read in training (temporal dropout).
        silent: the share of demonstrations whose actions are not told.
    """

    inferred: float = setting(0.5, share())
    dagger: float = setting(0.0, share())
    kept: float = setting(0.7, share())
    silent: float = setting(0.3, share())


DAGGER_FROM = 0.2
"""The share of training before DAgger begins: first the core must come to states worth learning from."""


class Reading(Protocol):
    """How a learner reads demonstrations in training."""

    def vary(self, given: Observation, generator: torch.Generator) -> Observation:
        """What is observed, with something left out of its demonstrations."""
        ...

    def rows(self, given: Observation) -> torch.Tensor | None:
        """row_BP inferred from the demonstrations that are observed; None where there are none."""
        ...


@final
class Cloning(LearnerObjective):
    """The mean log-likelihood of a demonstrator's actions, along its demonstrations or in states of the core's own."""

    training: CloningTraining

    def __init__(
        self,
        learner: Learner,
        core: LearnerCore,
        rows_NP: torch.Tensor,
        problems: Problems,
        training: CloningTraining,
        reading: Reading,
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        self.reading = reading
        for group in problems.groups:
            if training.dagger and not isinstance(group.world, Suggesting):
                raise ValueError(
                    f"world {group.world.spec.name} does not say what its demonstrator would do in any state, which "
                    "DAgger needs; set dagger to 0"
                )

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        batch = self.batch(group, number, ranks)
        episodes = demonstrated(self, group, batch, EXPLORATION, number)
        task, hidden_BH = self._told(group, batch, episodes.seen[0], number)
        chance = torch.rand((), generator=torch.Generator().manual_seed(self.seed(DAGGER, number)))
        if progress >= DAGGER_FROM and float(chance) < self.training.dagger:
            episodes = visited(self.core, group, batch, task, hidden_BH.detach())
        unrolled = self.core.unroll(task, episodes, hidden_BH)
        yield (Loss(-batch.weight * masked_mean(unrolled["log_likelihood"], episodes.live_TB)),)

    def _told(
        self, group: TaskGroup, batch: Batch, seen: Observation, number: int
    ) -> tuple[TaskInput, torch.Tensor]:
        """Who is told what to do by what: the demonstration that is observed, or a row that it was made into."""
        generator = torch.Generator(self.device).manual_seed(self.seed(VARIATION, number))
        given, row_BP = self.reading.vary(seen, generator), self.rows_of(group, batch, number)
        told_BP = self.reading.rows(given) if self.training.inferred else None
        if told_BP is None:
            task = group.input(batch, row_BP)
            return task, self.core.begin(task, given)
        chance_W = torch.rand(batch.whole, generator=generator, device=self.device)
        alone_B1 = (chance_W[batch.index_B] < self.training.inferred)[:, None]
        task = group.input(batch, torch.where(alone_B1, told_BP, row_BP))
        return task, torch.where(alone_B1, self.core.begin(task), self.core.begin(task, given))


def visited(
    core: LearnerCore, group: TaskGroup, batch: Batch, task: TaskInput, hidden_BH: torch.Tensor
) -> Episodes:
    """What the core does, and what the world's demonstrator would have done in the same states."""
    world: Any = group.world

    def suggested(state: Any, action: Action) -> Mapping[str, torch.Tensor]:
        better: Action = world.suggest(state)
        assert better.payload_BX is not None
        return {"suggested_call": better.call_B4, "suggested_payload": better.payload_BX}

    with torch.no_grad():
        episodes, _ = rollout(core, world, batch.state, task, hidden_BH, group.steps, notes=suggested)
    labels = zip(episodes.extras["suggested_call"], episodes.extras["suggested_payload"], strict=True)
    return replace(episodes, actions=[Action(call_B4, payload_BX) for call_B4, payload_BX in labels])
