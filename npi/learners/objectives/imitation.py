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
from npi.core.config import COUNT, setting, share
from npi.learners.interface import Learner, LearnerCore, LearnerTraining, TaskInput
from npi.learners.objectives.base import EXPLORATION, LearnerObjective, masked_mean
from npi.learners.objectives.likelihood import demonstrated
from npi.learners.rollout import rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

VARIATION, DAGGER, STEPS = 5, 6, 7
"""What random numbers are for, as a part of seeds: what is read of demonstrations, whose states are learned from, and
which."""


@dataclass(frozen=True)
class CloningTraining(LearnerTraining):
    """How a core learns to imitate.

    Attributes:
        cloned: steps of each demonstration that an update learns from, others each time.
        inferred: the share of a batch that is told what to do by an inferred row alone.
        dagger: the share of updates, behind the first fifth, that learn from states that the core itself came to,
            where the world says what its demonstrator would do (:class:`envs.world.Suggesting`).
        kept: the share of the moments of a demonstration that is read in training (temporal dropout).
        silent: the share of demonstrations whose actions are not told.
    """

    cloned: int = setting(8, COUNT)
    inferred: float = setting(0.5, share())
    dagger: float = setting(0.0, share())
    kept: float = setting(0.25, share())
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
        generator = torch.Generator().manual_seed(self.seed(STEPS, number))
        episodes = some_steps(episodes, torch.randperm(episodes.steps, generator=generator)[: self.training.cloned])
        unrolled = self.core.unroll(task, episodes, hidden_BH)
        yield (Loss(-batch.weight * masked_mean(unrolled["log_likelihood"], episodes.live_TB)),)

    def _told(self, group: TaskGroup, batch: Batch, seen: Observation, number: int) -> tuple[TaskInput, torch.Tensor]:
        """Who is told what to do by what: the demonstration that is observed, or a row that it was made into."""
        generator = torch.Generator(self.device).manual_seed(self.seed(VARIATION, number))
        given, row_BP = self.reading.vary(seen, generator), self.rows_of(group, batch, number)
        chance_W = torch.rand(batch.whole, generator=generator, device=self.device)
        alone_B = chance_W[batch.index_B] < self.training.inferred
        index_N, index_M = alone_B.nonzero()[:, 0], (~alone_B).nonzero()[:, 0]
        told_NP = self.reading.rows(given.select(index_N)) if len(index_N) else None
        task = group.input(batch, row_BP)
        if told_NP is None:
            return task, self.core.begin(task, given)
        hidden_BH = self.core.begin(task)
        if len(index_M):
            part = TaskInput(task.spec, task.world, row_BP[index_M], task.arguments_B3[index_M])
            hidden_BH = hidden_BH.index_copy(0, index_M, self.core.begin(part, given.select(index_M)))
        return group.input(batch, row_BP.index_copy(0, index_N, told_NP)), hidden_BH


def some_steps(episodes: Episodes, index_T: torch.Tensor) -> Episodes:
    """Some steps of episodes, as if they were the whole."""
    assert episodes.actions is not None
    chosen = index_T.tolist()
    return replace(
        episodes,
        seen=[*(episodes.seen[step] for step in chosen), episodes.seen[-1]],
        actions=[episodes.actions[step] for step in chosen],
        scores={name: score_TB[index_T] for name, score_TB in episodes.scores.items()},
        live_TB=episodes.live_TB[index_T],
        ended_TB=episodes.ended_TB[index_T],
        extras={name: extra[index_T] for name, extra in episodes.extras.items()},
    )


def visited(core: LearnerCore, group: TaskGroup, batch: Batch, task: TaskInput, hidden_BH: torch.Tensor) -> Episodes:
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
