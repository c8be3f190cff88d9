"""Advantage actor-critic on fresh rollouts (Mnih et al. 2016, section 4; Schulman et al. 2016).

Shape legend: ``T`` steps of a segment, ``B`` instances, ``A`` calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch

from envs.stepper import Action
from envs.world import Episodes
from npi.core.config import COUNT, SWITCH, at_least, setting, share
from npi.learners.interface import Learner, LearnerCore, LearnerTraining
from npi.learners.objectives.base import LearnerObjective, masked_mean, segments
from npi.learners.rollout import Notes, calls, rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

SMALLEST_STD = 1e-6
"""Added to the standard deviation of advantages."""


@dataclass(frozen=True)
class OnPolicyTraining(LearnerTraining):
    """How an actor-critic is trained.

    Attributes:
        rollouts: per problem, each with its own exploration noise: their mean is a baseline.
        truncation: steps of back-propagation through time; 0: all steps of the program.
        discount: of scores to come, when training begins. final_discount: when it ends.
        gae_lambda: λ of generalised advantage estimation.
        entropy: weight of the policy's entropy, when training begins. final_entropy: when it ends.
        value_weight: of the squared error of values.
        regret: 1: with a privileged critic, the reward of an action is minus its regret; the aim is the same where no
            action changes what others are worth later, as in bandits, and there is less noise.
        stopping: 1: where calls conclude episodes and it is known what they pay, the mean over concluding or going on
            is computed in closed form, along calls that go on for ``truncation`` steps
            (:mod:`npi.learners.objectives.stopping`).
        coverage: there, the least weight of steps that the policy seldom reaches. wander: of calls that go on, the
            share that is drawn evenly among all when training begins; it falls to 0. suggested: of these, the share
            that is as the world suggests (:class:`envs.world.Suggesting`), so that what takes many steps is met.
        belief: there, the weight when training begins of the log-likelihood of the conclusion that pays most, among
            all conclusions; it falls to 0, so that in the end nothing counts but what episodes pay.
    """

    rollouts: int = setting(1, COUNT)
    truncation: int = setting(0, at_least(0))
    discount: float = setting(0.9, share())
    final_discount: float = setting(1.0, share())
    gae_lambda: float = setting(0.9, share())
    entropy: float = 0.03
    final_entropy: float = 0.0
    value_weight: float = 0.25
    regret: int = setting(0, SWITCH)
    stopping: int = setting(0, SWITCH)
    coverage: float = setting(0.3, share())
    wander: float = setting(0.3, share())
    belief: float = setting(0.0, at_least(0))
    suggested: float = setting(0.0, share())


@final
class OnPolicy(LearnerObjective):
    """The objective of a core whose ``unroll`` gives ``log_likelihood``, ``entropy`` and ``value``, each T × B.

    Args:
        calls: for the index of a world, the calls (call_A4) whose expected score a privileged critic is told before
            each action, as ``call_values`` (T × B × A) among the extras of the episodes; None: there is no such critic.
    """

    training: OnPolicyTraining

    def __init__(
        self,
        learner: Learner,
        core: LearnerCore,
        rows_NP: torch.Tensor,
        problems: Problems,
        training: OnPolicyTraining,
        *,
        calls: Callable[[int], torch.Tensor] | None = None,
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        if training.regret and calls is None:
            raise ValueError("training setting regret needs a core with a privileged critic, and this one has none")
        self.calls = calls

    def optimizer_steps(self, group: TaskGroup) -> int:
        return len(segments(group.steps, self.training.truncation))

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        training = self.training
        count = max(1, training.batch // training.rollouts)
        batch = self.batch(group, number, ranks, count, rollouts=training.rollouts)
        draw = self.exploration(batch, number)
        task = group.input(batch, self.rows_of(group, batch, number))
        hidden_BH = self.core.begin(task, group.world.observe(batch.state))
        for first, steps in segments(group.steps, self.training.truncation):
            if first:
                task = group.input(batch, self.rows_of(group, batch, number))
            with torch.no_grad():
                episodes, after_BH = rollout(
                    self.core, group.world, batch.state, task, hidden_BH, steps,
                    draw=draw, first_step=first, notes=self._notes(group),
                )  # fmt: skip
            unrolled, hidden_BH = self.core.unroll(task, episodes, hidden_BH), after_BH
            ends = first + episodes.steps == group.steps or episodes.steps < steps
            yield (Loss(batch.weight * self.loss(unrolled, episodes, batch, group, progress, ends, ranks)),)

    def loss(
        self,
        unrolled: Mapping[str, torch.Tensor],
        episodes: Episodes,
        batch: Batch,
        group: TaskGroup,
        progress: float,
        ends: bool,
        ranks: Ranks,
    ) -> torch.Tensor:
        """Policy, value and entropy; ``ends``: whether the program's steps end with the segment."""
        training, live_TB, value_TB = self.training, episodes.live_TB, unrolled["value"]
        if self.calls is not None:
            chosen_TB = index_of(calls(episodes), self.calls(group.index))
            score_TB = action_values(
                group.sign * episodes.extras["call_values"], chosen_TB, regret=bool(training.regret)
            )
        else:
            score_TB = group.sign * episodes.scores[group.signal[1]]
        score_TB = score_TB * live_TB  # behind an end the world shows its last score
        if training.rollouts > 1:
            score_TB = leave_one_out(score_TB, batch.problem_B)
        discount = between(training.discount, training.final_discount, progress)
        advantage_TB = advantages(
            score_TB, value_TB.detach(), discount, training.gae_lambda, ends=ends,
            live_TB=live_TB, ended_TB=episodes.ended_TB,
        )  # fmt: skip
        T = len(advantage_TB)
        live_TB = live_TB[:T]
        error_TB = value_TB[:T] - (advantage_TB + value_TB[:T].detach())
        weight_TB = standardised(advantage_TB, live_TB, ranks)
        entropy_weight = between(training.entropy, training.final_entropy, progress)
        value_loss = masked_mean(error_TB.square(), live_TB)
        policy_loss = masked_mean(unrolled["log_likelihood"][:T] * weight_TB, live_TB)
        entropy = masked_mean(unrolled["entropy"], episodes.live_TB)
        return training.value_weight * value_loss - policy_loss - entropy_weight * entropy

    def _notes(self, group: TaskGroup) -> Notes | None:
        """The expected score of each call of a privileged critic, before an action."""
        if self.calls is None:
            return None
        world: Any = group.world
        call_A4 = self.calls(group.index)

        def notes(state: Any, action: Action) -> Mapping[str, torch.Tensor]:
            values = [world.value(state, Action(call_4.expand_as(action.call_B4))) for call_4 in call_A4]
            return {"call_values": torch.stack(values, 1)}

        return notes


def index_of(call_TB4: torch.Tensor, call_A4: torch.Tensor) -> torch.Tensor:
    """int64 TB: which of the calls each one is."""
    return (call_TB4[:, :, None] == call_A4).all(-1).int().argmax(-1)


def action_values(call_value_TBA: torch.Tensor, chosen_TB: torch.Tensor, *, regret: bool) -> torch.Tensor:
    """TB: the expected score of each action, whose mean over what was still to be drawn is its score; with ``regret``,
    less that of the best call."""
    value_TB = call_value_TBA.gather(2, chosen_TB[..., None])[..., 0]
    return value_TB - call_value_TBA.amax(2) if regret else value_TB


def leave_one_out(score_TB: torch.Tensor, problem_B: torch.Tensor) -> torch.Tensor:
    """Each score less the mean of the same problem's other rollouts at the same step (Kool et al. 2019).

    What others score does not depend on what is done here, so the expected gradient is the same; but the noise that
    all share, and how hard the problem is, is gone.
    """
    count_B = torch.bincount(problem_B)[problem_B]
    sum_TQ = score_TB.new_zeros(len(score_TB), int(problem_B.max()) + 1).index_add_(1, problem_B, score_TB)
    others_TB = (sum_TQ[:, problem_B] - score_TB) / (count_B - 1).clamp(min=1)
    return score_TB - others_TB


def between(first: float, last: float, progress: float) -> float:
    """What changes evenly in training."""
    return first + (last - first) * progress


def advantages(
    score_TB: torch.Tensor,
    value_TB: torch.Tensor,
    discount: float,
    gae_lambda: float,
    *,
    ends: bool,
    live_TB: torch.Tensor | None = None,
    ended_TB: torch.Tensor | None = None,
) -> torch.Tensor:
    """Generalised advantage estimates (Schulman et al. 2016, equation 16), 0 behind a true end.

    Where the program does not end with the segment, the value of its last step stands for all that comes, and that
    step has no estimate of its own: there is one less than there are scores.
    """
    if ends:
        value_TB = torch.cat([value_TB, torch.zeros_like(value_TB[:1])])
    count = len(value_TB) - 1
    after_TB = value_TB[1:]
    if ended_TB is not None and live_TB is not None:
        after_TB = after_TB * ~ended_TB[:count]
    delta_TB = score_TB[:count] + discount * after_TB - value_TB[:-1]
    if live_TB is not None:
        delta_TB = delta_TB * live_TB[:count]
    step_T = torch.arange(count, device=delta_TB.device)
    ahead_TT = (step_T - step_T[:, None]).to(delta_TB.dtype)
    decay_TT = torch.where(ahead_TT >= 0, (discount * gae_lambda) ** ahead_TT.clamp(min=0), 0.0)
    return decay_TT @ delta_TB


def standardised(advantage_TB: torch.Tensor, live_TB: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """With mean 0 and standard deviation 1 over the live steps of all ranks' batches."""
    counted = advantage_TB if bool(live_TB.all()) else advantage_TB[live_TB]
    if ranks.alone:
        return (advantage_TB - counted.mean()) / (counted.std() + SMALLEST_STD)
    sums = [torch.tensor(counted.numel()), counted.sum(), counted.double().square().sum()]
    count, total, squares = ranks.sum(torch.stack([part.double().cpu() for part in sums])).tolist()
    variance = max(0.0, squares - total * total / count) / max(1.0, count - 1)
    return (advantage_TB - total / count) / (variance**0.5 + SMALLEST_STD)
