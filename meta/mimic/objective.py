"""Off-policy learning of several programs from one replay memory (Le Paine et al. 2018, algorithm 1).

Actors of programs that imitate and of those that do a task fill it in lockstep. A program that imitates learns from
episodes with a demonstration; one that does a task learns from all of them, and never sees the demonstration.

Shape legend: ``M`` transitions of a sample, ``B`` instances, ``P`` parameters of a row.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import nn

from envs.stepper import Observation
from meta.mimic.critic import Critic, projected
from meta.mimic.network import WINDOW, MimicCore
from npi.core.config import at_least, setting, share
from npi.learners.interface import Learner, TaskInput
from npi.learners.objectives.replay import OffPolicy, ReplayTraining
from npi.learners.objectives.replay_memory import SCORE, Memory, Shard, discounted, unpacked
from npi.learners.tasks import Problems, TaskGroup
from npi.training.loop import Group, Loss

LIKENESS, REWARD = "likeness", "reward"
"""What programs can maximise: to be like a demonstration, or to do the task."""


@dataclass(frozen=True)
class MimicTraining(ReplayTraining):
    """How cores are trained.

    Attributes:
        imitation_discount: of likeness to come. discount: of reward to come.
        sharing: 1: what does a task learns from the episodes of imitation, too.
        restraint: weight of the squares of what forces exceed 1 by before they are bounded; far beyond the bound a
            policy has no gradient, and would stay there.
    """

    imitation_discount: float = setting(0.8, share(0.999))
    sharing: int = setting(1, share())
    restraint: float = setting(0.1, at_least(0))


@final
class MimicReplay(OffPolicy):
    """A policy and, for each group of programs, a distributional critic with n-step returns and slow targets."""

    core: MimicCore
    training: MimicTraining

    def __init__(
        self, learner: Learner, core: MimicCore, rows_NP: torch.Tensor, problems: Problems, training: MimicTraining
    ) -> None:
        generator = torch.Generator().manual_seed(training.seed)
        critics = [Critic(core.config, generator=generator) for _ in problems.groups]
        self.critics = nn.ModuleList(critics).to(rows_NP.device)
        super().__init__(learner, core, rows_NP, problems, training)

    def groups(self) -> dict[str, Group]:
        found = {**super().groups(), "critic": Group(list(self.critics.parameters()), self.training.rate)}
        return {name: replace(group, optimiser="adamw") for name, group in found.items()}  # without decay: fused Adam

    def targets(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        self.target_core, self.target_critics = (
            copy.deepcopy(module).requires_grad_(False) for module in (self.core, self.critics)
        )
        return (self.core, self.target_core), (self.critics, self.target_critics)

    def remembered(self, group: TaskGroup, task: TaskInput, seen: Observation) -> Observation:
        return self.core.remembered(task.spec, seen)

    def sources(self, group: TaskGroup) -> Sequence[Memory]:
        if imitates(group) or not self.training.sharing:
            return super().sources(group)
        same = zip(self.problems.groups, self.memories, strict=True)
        return [memory for other, memory in same if other.index == group.index]

    def sample_losses(self, group: TaskGroup, sample: Shard, weight: float) -> tuple[Loss, ...]:
        place = self.problems.groups.index(group)
        critic, target = self.critics[place], self.target_critics[place]
        row_MP = self.rows_NP[self._rows(group, sample)]
        still_MP = row_MP.detach()
        seen, after = (self._shown(group, unpacked(sample, name)) for name in ("seen", "after"))
        with torch.no_grad():
            won_M, discount_M = self._returns(group, sample)
            next_MX = self.target_core.force(still_MP, after)
            goal_MA = projected(target(still_MP, after, next_MX).exp(), won_M, discount_M)
        surprise = -(goal_MA * critic(still_MP, seen, sample["payload"])).sum(1).mean()
        wanted_MX = self.core.wanted(row_MP, seen)
        value = critic.value(still_MP, seen, wanted_MX.tanh()).mean()
        value = value - self.training.restraint * (wanted_MX.abs() - 1).relu().square().mean()
        moved = tuple(name for name in self.groups() if name != "critic")
        return Loss(weight * surprise, ("critic",)), Loss(-weight * value, moved)

    def _rows(self, group: TaskGroup, sample: Shard) -> torch.Tensor:
        """int64 M: whose transitions they are; those of other groups are shared out among the group's rows."""
        copies = self.problems.copies
        own_N = torch.tensor([place * copies + c for place in group.places for c in range(copies)], device=self.device)
        row_M = sample["row"]
        turn_M = own_N[torch.arange(len(row_M), device=self.device) % len(own_N)]
        return torch.where(torch.isin(row_M, own_N), row_M, turn_M)

    def _shown(self, group: TaskGroup, kept: Observation) -> Observation:
        """What a program may see of an observation: a task hides the demonstration."""
        if imitates(group):
            return kept
        window_MI = kept.channels[WINDOW]
        assert isinstance(window_MI, torch.Tensor)
        return Observation(kept.fields_BF, {**kept.channels, WINDOW: torch.zeros_like(window_MI)})

    def _returns(self, group: TaskGroup, sample: Shard) -> tuple[torch.Tensor, torch.Tensor]:
        """won_M of the next steps, scaled so that returns lie within 0 and 1, and the discount of what comes after.

        An end is one for the program that it is the end of: an imitation that is cut ends nothing for the task.
        """
        score_MK = sample[SCORE + group.signal[1]]
        if imitates(group):
            discount = self.training.imitation_discount
            won_M, ended_M = (1 - discount) * discounted(score_MK, discount), sample["ended"]
        else:
            discount = self.training.discount
            won_M, ended_M = discounted(score_MK, discount), (score_MK > 0).any(1)
        return won_M, discount ** sample["steps"] * ~ended_M


def imitates(group: TaskGroup) -> bool:
    return group.signal[1] == LIKENESS
