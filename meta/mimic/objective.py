"""Off-policy learning of several programs from one replay memory (Le Paine et al. 2018, algorithm 1).

Actors of programs that imitate and of those that do a task fill it in lockstep. A program that imitates learns from
episodes with a demonstration; one that does a task learns from all of them, and never sees the demonstration.

Shape legend: ``M`` transitions of a sample, ``B`` instances, ``P`` parameters of a row.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from torch import nn

from envs.stepper import Observation
from meta.mimic.critic import Critic, projected
from meta.mimic.improvement import advantage_weight, better_acts, chosen
from meta.mimic.network import WINDOW, MimicCore
from meta.mimic.takeover import TaskActor, beginning, demonstrations_of
from npi.core.config import at_least, setting, share
from npi.learners.interface import Learner, LearnerCore, TaskInput
from npi.learners.objectives.replay import OffPolicy, ReplayTraining
from npi.learners.objectives.replay_memory import SCORE, Memory, Shard, discounted, unpacked
from npi.learners.rollout import GeneratorDraw
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Group, Loss

LIKENESS, REWARD = "likeness", "reward"
"""What programs can maximise: to be like a demonstration, or to do the task."""

FIRST_ACTS = 6
"""What random numbers are for, as a part of seeds: the acts of imitation that a task takes over from."""


@dataclass(frozen=True)
class MimicTraining(ReplayTraining):
    """How cores are trained.

    Attributes:
        discount: of likeness to come. reward_discount: of a reward, for each act until it.
        sharing: 1: what does a task learns from the episodes of imitation, too, and takes some of them over.
        takeover: share of a task's episodes that begin with acts of imitation, as many as chance will have.
        skips: share of these in which the imitation skips the first frames of the demonstration, likewise.
        noise: the largest standard deviation of what is added to a task's acts in training. Each episode has its own,
            and many have little: so places are met where the policy itself comes to a halt.
        cloning: weight of the squared distance to acts in the memory, which are all the learner's own. Of imitation, of
            those that the critic values above the policy's own act (the Q-filter of Nair et al. 2018, section IV-C). Of
            a task, of all, each by :func:`meta.mimic.improvement.advantage_weight`.
        improvement: of tasks, weight of the squared distance to :func:`meta.mimic.improvement.better_acts`; they do not
            climb the slope of their critic.
        restraint: weight of the squares of what forces exceed 1 by before they are bounded; far beyond the bound a
            policy has no gradient, and would stay there.
    """

    discount: float = setting(0.8, share(0.999))
    reward_discount: float = setting(0.92, share(0.999))
    sharing: int = setting(1, share())
    takeover: float = setting(0.5, share())
    skips: float = setting(0.5, share())
    noise: float = setting(0.5, at_least(0))
    cloning: float = setting(0.3, at_least(0))
    improvement: float = setting(1.0, at_least(0))
    restraint: float = setting(0.1, at_least(0))


class Viewed(NamedTuple):
    """Transitions as a program learns from them.

    Attributes:
        row_M: int64, whose they are. force_MX: what was done. won_M, discount_M: see :meth:`MimicReplay._returns`.
        imitates_M: bool, whether the program imitates; others do a task.
    """

    row_M: torch.Tensor
    seen: Observation
    after: Observation
    force_MX: torch.Tensor
    won_M: torch.Tensor
    discount_M: torch.Tensor
    imitates_M: torch.Tensor


@final
class MimicReplay(OffPolicy):
    """A policy, and a distributional critic of all programs, with n-step returns and slow targets."""

    core: MimicCore
    training: MimicTraining

    def __init__(
        self, learner: Learner, core: MimicCore, rows_NP: torch.Tensor, problems: Problems, training: MimicTraining
    ) -> None:
        generator = torch.Generator().manual_seed(training.seed)
        self.critic = Critic(core.config, generator=generator).to(rows_NP.device)
        super().__init__(learner, core, rows_NP, problems, training)
        self._waiting: list[tuple[TaskGroup, Shard]] = []

    def groups(self) -> dict[str, Group]:
        found = {**super().groups(), "critic": Group(list(self.critic.parameters()), self.training.rate)}
        return {name: replace(group, optimiser="adamw") for name, group in found.items()}  # without decay: fused Adam

    def targets(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        self.target_core = copy.deepcopy(self.core).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        return (self.core, self.target_core), (self.critic, self.target_critic)

    def remembered(self, group: TaskGroup, task: TaskInput, seen: Observation) -> Observation:
        return self.core.remembered(task.spec, seen)

    @torch.no_grad()
    def actor(self, group: TaskGroup, batch: Batch, number: int) -> LearnerCore:
        """Episodes of a task have noise of different strengths, and some are begun by an imitation and taken over."""
        if imitates(group):
            return self.core
        training = self.training
        generator = torch.Generator(self.device).manual_seed(self.seed(FIRST_ACTS, number))
        draw = GeneratorDraw(generator, batch.whole, batch.index_B)
        noise_B = training.noise * draw.uniform(1)[:, 0].square()
        imitations = [other for other in self.problems.groups if imitates(other) and other.index == group.index]
        if not imitations or not training.sharing:
            return TaskActor(self.core, noise_B, None)
        row_P = self.rows_NP.detach()[imitations[0].places[0] * self.problems.copies]
        layouts = [batch.layouts[place] for place in batch.index_B.tolist()]
        demonstration = demonstrations_of(group.world, layouts, self.device)
        row_BP = row_P.expand(len(layouts), -1)
        return TaskActor(self.core, noise_B, beginning(row_BP, demonstration, training.takeover, training.skips, draw))

    def sources(self, group: TaskGroup) -> Sequence[Memory]:
        if imitates(group) or not self.training.sharing:
            return super().sources(group)
        same = zip(self.problems.groups, self.memories, strict=True)
        return [memory for other, memory in same if other.index == group.index]

    def sample_losses(self, group: TaskGroup, sample: Shard, weight: float) -> tuple[Loss, ...]:
        """All groups' samples are learned from as one batch, with the last of them: most of a step's time is its calls,
        however large the batch is."""
        self._waiting.append((group, sample))
        if len(self._waiting) < len(self.problems.groups):
            return ()
        waiting, self._waiting = self._waiting, []
        return self.losses_of([self._viewed(*one) for one in waiting], weight)

    def losses_of(self, parts: Sequence[Viewed], weight: float) -> tuple[Loss, ...]:
        """The critic's loss and the policy's, over the transitions of all parts."""
        one = merged(parts)
        row_MP = self.rows_NP[one.row_M]
        still_MP = row_MP.detach()
        with torch.no_grad():
            next_MX = self.target_core.force(still_MP, one.after)
            later_MA = self.target_critic(still_MP, one.after, next_MX).exp()
            goal_MA = projected(later_MA, one.won_M, one.discount_M)
        log_MA = self.critic(still_MP, one.seen, one.force_MX)
        surprise = -(goal_MA * log_MA).sum(1).mean()
        wanted_MX = self.core.wanted(row_MP, one.seen)
        value_M = self.critic.value(still_MP, one.seen, wanted_MX.tanh())
        with torch.no_grad():
            better_M = log_MA.exp() @ self.critic.atom_A > value_M
            brought_M = advantage_weight(goal_MA @ self.critic.atom_A, value_M)
            drawn_M = self.training.cloning * torch.where(one.imitates_M, better_M, brought_M)
        apart_M = drawn_M * (wanted_MX.tanh() - one.force_MX).square().sum(1)
        beyond = (wanted_MX.abs() - 1).relu().square().mean()
        loss = (apart_M - one.imitates_M * value_M).mean() + self.training.restraint * beyond
        if not bool(one.imitates_M.all()):
            loss = loss + self.training.improvement * self._worse(one, still_MP, wanted_MX.tanh())
        moved = tuple(name for name in self.groups() if name != "critic")
        return Loss(weight * surprise, ("critic",)), Loss(weight * loss, moved)

    def _worse(self, one: Viewed, still_MP: torch.Tensor, own_MX: torch.Tensor) -> torch.Tensor:
        """The sum of tasks' squared distances to better acts, over the number of all transitions."""
        task_M = ~one.imitates_M
        own_MX = own_MX[task_M]
        with torch.no_grad():
            seen = chosen(one.seen, task_M)
            better_MX = better_acts(self.critic, still_MP[task_M], seen, own_MX, one.force_MX[task_M])
        return (own_MX - better_MX).square().sum() / len(task_M)

    def _viewed(self, group: TaskGroup, sample: Shard) -> Viewed:
        seen, after = (self._shown(group, unpacked(sample, name)) for name in ("seen", "after"))
        row_M = self._rows(group, sample)
        imitates_M = torch.full_like(row_M, imitates(group), dtype=torch.bool)
        return Viewed(row_M, seen, after, sample["payload"], *self._returns(group, sample), imitates_M)

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
        hidden_MI = torch.zeros_like(inputs_of(kept, WINDOW))
        return Observation(kept.fields_BF, {**kept.channels, WINDOW: hidden_MI})

    def _returns(self, group: TaskGroup, sample: Shard) -> tuple[torch.Tensor, torch.Tensor]:
        """won_M and discount_M of :func:`meta.mimic.critic.projected`, on a scale from 0 to 1.

        Of likeness: the discounted sum of the next steps' scores, scaled so that returns lie there; and the discount of
        what comes after. Of a reward: the discount of the acts until it. An end is one for the program that it is the
        end of: an imitation that is cut ends nothing for the task.
        """
        score_MK, steps_M = sample[SCORE + group.signal[1]], sample["steps"]
        if imitates(group):
            discount = self.training.discount
            return (1 - discount) * discounted(score_MK, discount), discount**steps_M * ~sample["ended"]
        paid_MK, discount = score_MK > 0, self.training.reward_discount
        won_M = paid_MK.any(1)
        return won_M * discount ** paid_MK.long().argmax(1), ~won_M * discount**steps_M


def merged(parts: Sequence[Viewed]) -> Viewed:
    """Several samples as one."""
    row_M, seen, after, force_MX, won_M, discount_M, imitates_M = zip(*parts, strict=True)
    return Viewed(
        torch.cat(row_M), joined(seen), joined(after), torch.cat(force_MX), torch.cat(won_M), torch.cat(discount_M),
        torch.cat(imitates_M),
    )  # fmt: skip


def joined(parts: Sequence[Observation]) -> Observation:
    """What is remembered of several samples, as one."""
    channels = {name: torch.cat([inputs_of(part, name) for part in parts]) for name in parts[0].channels}
    return Observation(torch.cat([part.fields_BF for part in parts]), channels)


def inputs_of(kept: Observation, name: str) -> torch.Tensor:
    part = kept.channels[name]
    assert isinstance(part, torch.Tensor)
    return part


def imitates(group: TaskGroup) -> bool:
    return group.signal[1] == LIKENESS
