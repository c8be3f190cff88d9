"""Optimal stopping from reward: when to conclude an episode, how, and what to find out before.

Where some calls conclude an episode and training knows what each would pay, the mean over concluding now or going on
has a closed form along the calls that go on. Its gradient has none of the noise of when an episode was concluded, and
how; what is left to sample is which call goes on (a Rao-Blackwellised policy gradient: Casella and Robert 1996,
Ranganath et al. 2014). No step is spent on an episode that is over.

Shape legend: ``T`` steps, ``B`` instances, ``A`` calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

import torch

from envs.stepper import Action, Observation
from envs.world import Concluding, Suggesting
from npi.learners.interface import Learner, LearnerCore, StepOutput, choice
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.on_policy import OnPolicyTraining, between
from npi.learners.rollout import GeneratorDraw
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks


class Walk(NamedTuple):
    """Calls that go on, and what was known before each.

    Attributes:
        log_TBA: log-probabilities of all calls, with a graph. value_TB: of going on, by the core's critic, likewise.
        ends_TBA: whether a call concludes the episode. pay_TBA: what it would pay; 0 of others.
        chosen_TB: the call that was made, one of those that go on.
        ratio_TB: its chance by the policy, among those that go on, over that by which it was drawn.
        payload_TB: the log-likelihood of the payload that it was given, with a graph; None: calls take none.
    """

    log_TBA: torch.Tensor
    value_TB: torch.Tensor
    ends_TBA: torch.Tensor
    pay_TBA: torch.Tensor
    chosen_TB: torch.Tensor
    ratio_TB: torch.Tensor
    payload_TB: torch.Tensor | None = None


@final
class Stopping(LearnerObjective):
    """The objective of a core whose ``step`` gives ``log_calls`` (B × A) and ``value``, in a ``Concluding`` world.

    Where calls take payloads, it also gives ``log_payload`` (B × A): of its payload, for each call.

    Args:
        calls: for the index of a world, its calls, call_A4, in the order of ``log_calls``.

    Raises ``ValueError`` for a world that does not say what calls conclude.
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
        calls: Callable[[int], torch.Tensor],
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        for group in problems.groups:
            if not isinstance(group.world, Concluding):
                raise ValueError(
                    f"training setting stopping needs a world that says what its calls conclude, and "
                    f"{group.world.spec.name} ({group.world.spec.kind}) does not; train with stopping: 0"
                )
            if training.suggested and not isinstance(group.world, Suggesting):
                raise ValueError(f"world {group.world.spec.name} suggests no calls; train with suggested: 0")
        self.calls = calls

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        training = self.training
        count = max(1, training.batch // training.rollouts)
        batch = self.batch(group, number, ranks, count, rollouts=training.rollouts)
        wander = between(training.wander, 0.0, progress)
        walk = self.walk(group, batch, number, self.exploration(batch, number), wander)
        entropy = between(training.entropy, training.final_entropy, progress)
        loss = stopping_loss(walk, coverage=training.coverage, entropy=entropy, value_weight=training.value_weight)
        if training.belief:
            loss = loss + between(training.belief, 0.0, progress) * belief_loss(walk)
        yield (Loss(batch.weight * loss),)

    def walk(self, group: TaskGroup, batch: Batch, number: int, draw: GeneratorDraw, wander: float) -> Walk:
        """Calls that go on, for the truncation length or all steps; a share, ``wander``, are drawn blindly."""
        world: Any = group.world
        call_A4 = self.calls(group.index)
        task = group.input(batch, self.rows_of(group, batch, number))
        steps = min(self.training.truncation or group.steps, group.steps)
        everyone_B = torch.ones(batch.state.batch, dtype=torch.bool, device=self.device)
        with_payload = world.spec.payload_width > 0
        ending = concluding(world, batch.state, call_A4, range(len(call_A4)))[0].any(0).nonzero()[:, 0].tolist()
        parts = list[tuple[torch.Tensor, ...]]()

        def respond(step: StepOutput) -> Observation:
            log_BA = step.extras["log_calls"]
            with torch.no_grad():
                ends_BA, pay_BA = concluding(world, batch.state, call_A4, ending)
                even_BA = (~ends_BA).float() / (~ends_BA).sum(1, keepdim=True)
                going_BA = log_BA.masked_fill(ends_BA, -torch.inf).softmax(1)
                told = world.suggest(batch.state) if self.training.suggested else None
                if told is not None:
                    told_BA = (call_A4 == told.call_B4[:, None]).all(2).float()
                    even_BA = torch.lerp(even_BA, told_BA, self.training.suggested)
                drawn_BA = torch.lerp(going_BA, even_BA, wander)
                chosen_B = choice(drawn_BA, draw)
                ratio_B = (going_BA / drawn_BA).gather(1, chosen_B[:, None])[:, 0]
                payload_BX = step.action.payload_BX
                if told is not None and told.payload_BX is not None and payload_BX is not None:
                    follows_B = draw.uniform(1)[:, 0] < wander * self.training.suggested
                    payload_BX = torch.where(follows_B[:, None], told.payload_BX, payload_BX)
                    ratio_B = torch.where(follows_B, 0.0, ratio_B)  # these say nothing of the policy's payloads
                world.act(batch.state, Action(call_A4[chosen_B], payload_BX), everyone_B)
            part = [log_BA, step.extras["value"], ends_BA, pay_BA, chosen_B, ratio_B]
            if with_payload:
                part.append(step.extras["log_payload"].gather(1, chosen_B[:, None])[:, 0])
            parts.append(tuple(part))
            return world.observe(batch.state)

        seen = world.observe(batch.state)
        noise = draw if with_payload else None
        self.core.generate(task, seen, respond, self.core.begin(task, seen), steps, draw=noise)
        return Walk(*(torch.stack(part) for part in zip(*parts, strict=True)))


def concluding(
    world: Any, state: Any, call_A4: torch.Tensor, places: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """ends_BA and pay_BA, of the calls at these places; no other is known to conclude."""
    ends_BA = torch.zeros(state.batch, len(call_A4), dtype=torch.bool, device=call_A4.device)
    pay_BA = torch.zeros(ends_BA.shape, device=call_A4.device)
    for place in places:
        ends_BA[:, place], pay_BA[:, place] = world.conclusion(state, Action(call_A4[place].expand(state.batch, -1)))
    return ends_BA, pay_BA


def stopping_loss(walk: Walk, *, coverage: float, entropy: float, value_weight: float) -> torch.Tensor:
    """Minus what episodes pay, the critic's squared error, and minus the entropy of which call goes on; over all steps.

    Each decision is made better given those after it: the gradient of a step's worth, with what comes after as it is,
    in the mean over steps by how likely the policy goes on up to there, is that of what episodes pay (the policy
    gradient theorem: Sutton et al. 2000). With ``coverage`` that weight is never less; so decisions are learned, as by
    backward induction, that follow on a call which the policy does not make yet.

    An episode that goes on after the last step pays the least that concluding it there could.
    """
    end_TBA = walk.log_TBA.masked_fill(~walk.ends_TBA, -torch.inf)
    log_which_TBA = walk.log_TBA.masked_fill(walk.ends_TBA, -torch.inf)
    log_go_TB = log_which_TBA.logsumexp(2)
    log_which_TBA = (log_which_TBA - log_go_TB[..., None]).masked_fill(walk.ends_TBA, 0.0)
    go_TB, pay_TB = log_go_TB.exp(), (end_TBA.exp() * walk.pay_TBA).sum(2)
    after_TB = worth_after(go_TB.detach(), pay_TB.detach(), least_pay(walk))
    reached_TB = torch.cat([torch.ones_like(go_TB[:1]), go_TB.cumprod(0)]).detach()
    weight_TB = coverage + (1 - coverage) * reached_TB
    which_TB = log_which_TBA.gather(2, walk.chosen_TB[..., None])[..., 0]
    which_TB = walk.ratio_TB * (which_TB if walk.payload_TB is None else which_TB + walk.payload_TB)
    gain_TB = weight_TB[:-1] * (pay_TB + go_TB * after_TB)
    gain_TB = gain_TB + weight_TB[1:] * (after_TB - walk.value_TB.detach()) * which_TB
    error_TB = weight_TB[1:] * (walk.value_TB - after_TB).square()
    spread_TB = weight_TB[:-1] * -(log_which_TBA.exp() * log_which_TBA).sum(2)
    return (value_weight * error_TB - gain_TB - entropy * spread_TB).sum(0).mean()


def belief_loss(walk: Walk) -> torch.Tensor:
    """The cross-entropy between which call would pay most and the policy, among the calls that conclude; summed over
    steps, whether they are reached or not.

    What pays is learned as a posterior is (a proper scoring rule: Gneiting and Raftery 2007). Expected pay has next to
    no gradient where a policy is sure of what is wrong, or when it has to know much before anything pays.
    """
    log_TBA = walk.log_TBA.masked_fill(~walk.ends_TBA, -torch.inf).log_softmax(2)
    best_TB1 = walk.pay_TBA.masked_fill(~walk.ends_TBA, -torch.inf).argmax(2, keepdim=True)
    return -log_TBA.gather(2, best_TB1).sum(0).mean()


def least_pay(walk: Walk) -> torch.Tensor:
    """float32 B: the least that concluding at the last step pays."""
    return walk.pay_TBA[-1].masked_fill(~walk.ends_TBA[-1], torch.inf).amin(1)


def worth_after(go_TB: torch.Tensor, pay_TB: torch.Tensor, last_B: torch.Tensor) -> torch.Tensor:
    """TB: of each step the worth of going on, by the chances of going on and what concluding pays in the mean."""
    found = [last_B]
    for go_B, pay_B in zip(go_TB[1:].flip(0), pay_TB[1:].flip(0), strict=True):
        found.append(pay_B + go_B * found[-1])
    return torch.stack(found[::-1])
