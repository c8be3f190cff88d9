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
from envs.world import Episodes
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

LEFT = "acts_left"
"""The column that says after how many acts more an episode was rewarded; :data:`NEVER` where it was not."""

NEVER = 10.0**6

FOLLOWING = 0.5
"""The share of training in which a task is drawn to all acts of imitation, ever less; after it to better ones alone.
Where its own actor never came, what a critic says of other acts than those in the memory is no more than a guess."""


@dataclass(frozen=True)
class MimicTraining(ReplayTraining):
    """How cores are trained.

    Attributes:
        discount: of likeness to come; until a reward acts are counted.
        sharing: 1: what does a task learns from the episodes of imitation, too.
        cloning: weight of the squared distance to acts in the memory that the critic values above the policy's own (the
            Q-filter of Nair et al. 2018, section IV-C). They are the learner's own: a demonstrator's acts are in none.
        restraint: weight of the squares of what forces exceed 1 by before they are bounded; far beyond the bound a
            policy has no gradient, and would stay there.
    """

    discount: float = setting(0.8, share(0.999))
    sharing: int = setting(1, share())
    cloning: float = setting(0.3, at_least(0))
    restraint: float = setting(0.1, at_least(0))


class Viewed(NamedTuple):
    """Transitions as a program learns from them.

    Attributes:
        row_M: int64, whose they are. force_MX: what was done. won_M, discount_M: see :meth:`MimicReplay._returns`.
        others_M: 1.0 where another program's actor brought them. floor_M: what an act is worth at least, as its episode
            went on to bring that much (He et al. 2016, equation 4); 0 where it is not known.
    """

    row_M: torch.Tensor
    seen: Observation
    after: Observation
    force_MX: torch.Tensor
    won_M: torch.Tensor
    discount_M: torch.Tensor
    others_M: torch.Tensor
    floor_M: torch.Tensor


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

    def noted(self, group: TaskGroup, episodes: Episodes) -> dict[str, torch.Tensor]:
        return {LEFT: acts_left(episodes.scores[REWARD] * episodes.live_TB)}

    def sources(self, group: TaskGroup) -> Sequence[Memory]:
        if imitates(group) or not self.training.sharing:
            return super().sources(group)
        same = zip(self.problems.groups, self.memories, strict=True)
        return [memory for other, memory in same if other.index == group.index]

    def sample_losses(self, group: TaskGroup, sample: Shard, weight: float, progress: float) -> tuple[Loss, ...]:
        """All groups' samples are learned from as one batch, with the last of them: most of a step's time is its calls,
        however large the batch is."""
        self._waiting.append((group, sample))
        if len(self._waiting) < len(self.problems.groups):
            return ()
        waiting, self._waiting = self._waiting, []
        return self.losses_of([self._viewed(*one) for one in waiting], weight, progress)

    def losses_of(self, parts: Sequence[Viewed], weight: float, progress: float) -> tuple[Loss, ...]:
        """The critic's loss and the policy's, over the transitions of all parts."""
        one = merged(parts)
        row_MP = self.rows_NP[one.row_M]
        still_MP = row_MP.detach()
        with torch.no_grad():
            next_MX = self.target_core.force(still_MP, one.after)
            later_MA = self.target_critic(still_MP, one.after, next_MX).exp()
            goal_MA = projected(later_MA, one.won_M, one.discount_M)
            floor_MA = projected(later_MA, one.floor_M, torch.zeros_like(one.floor_M))
            lower_M1 = (goal_MA @ self.critic.atom_A < one.floor_M)[:, None]
            goal_MA = torch.where(lower_M1, floor_MA, goal_MA)
        log_MA = self.critic(still_MP, one.seen, one.force_MX)
        surprise = -(goal_MA * log_MA).sum(1).mean()
        wanted_MX = self.core.wanted(row_MP, one.seen)
        value_M = self.critic.value(still_MP, one.seen, wanted_MX.tanh())
        better_M = log_MA.detach().exp() @ self.critic.atom_A > value_M.detach()
        drawn_M = torch.maximum(better_M.float(), one.others_M * max(0.0, 1 - progress / FOLLOWING))
        apart_M = (wanted_MX.tanh() - one.force_MX).square().sum(1) * drawn_M
        beyond = (wanted_MX.abs() - 1).relu().square().mean()
        loss = -value_M.mean() + self.training.cloning * apart_M.mean() + self.training.restraint * beyond
        moved = tuple(name for name in self.groups() if name != "critic")
        return Loss(weight * surprise, ("critic",)), Loss(weight * loss, moved)

    def _viewed(self, group: TaskGroup, sample: Shard) -> Viewed:
        seen, after = (self._shown(group, unpacked(sample, name)) for name in ("seen", "after"))
        row_M = self._rows(group, sample)
        others_M = (row_M != sample["row"]).float()
        floor_M = torch.zeros_like(others_M) if imitates(group) else (1 - sample[LEFT] / group.steps).clamp(min=0)
        return Viewed(row_M, seen, after, sample["payload"], *self._returns(group, sample), others_M, floor_M)

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
        what comes after. Of a reward: 1 where it comes at once, less by a share of the program's steps for each act
        until then, at least 0. An end is one for the program that it is the end of: an imitation that is cut ends
        nothing for the task.
        """
        score_MK, steps_M = sample[SCORE + group.signal[1]], sample["steps"]
        if imitates(group):
            discount = self.training.discount
            return (1 - discount) * discounted(score_MK, discount), discount**steps_M * ~sample["ended"]
        paid_MK = score_MK > 0
        won_M, acts_M = paid_MK.any(1), torch.where(paid_MK.any(1), paid_MK.long().argmax(1), steps_M)
        return won_M.float() - acts_M / group.steps, (~won_M).float()


def acts_left(reward_TB: torch.Tensor) -> torch.Tensor:
    """float32 T × B: how many acts lie before the one that is rewarded next; :data:`NEVER` where none is."""
    left_TB, after_B = torch.empty_like(reward_TB), torch.full_like(reward_TB[0], NEVER)
    for t in reversed(range(len(reward_TB))):
        after_B = torch.where(reward_TB[t] > 0, 0.0, after_B + 1).clamp(max=NEVER)
        left_TB[t] = after_B
    return left_TB


def merged(parts: Sequence[Viewed]) -> Viewed:
    """Several samples as one."""
    row_M, seen, after, force_MX, won_M, discount_M, others_M, floor_M = zip(*parts, strict=True)
    return Viewed(
        torch.cat(row_M), joined(seen), joined(after), torch.cat(force_MX), torch.cat(won_M), torch.cat(discount_M),
        torch.cat(others_M), torch.cat(floor_M),
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
