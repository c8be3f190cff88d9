"""A learned adaptation loss: rows by gradient from demonstrations without actions (Yu and Finn et al. 2018, "One-shot
imitation from observing humans via domain-adaptive meta-learning", section 4).

Without actions there is no likelihood to descend. A small network takes its place: of what the core would do in the
demonstrated states, and of the states themselves, convolutions over time make numbers whose squares are the loss. A row
takes a few steps of gradient descent on it; what the loss should be is learned through those steps, by how likely the
row that comes out makes the actions of a demonstrator in another scene of the same task. Where rows begin, and how far
each of their numbers moves, is learned with it. The core stays as it is.

Shape legend: ``B`` demonstrations, ``T`` steps, ``S`` numbers of a body, ``X`` payload, ``I`` numbers of a step, ``U``
units, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import nn

from envs.control.demonstrations import BODY, objects_of
from envs.spec import SLOTS, WorldSpec
from envs.world import Episodes
from meta.imitation.following import FRAME, FollowingCore, about
from npi.core.initialisation import seeded_linear
from npi.learners import inner
from npi.learners.interface import TaskInput
from npi.learners.objectives.base import masked_mean
from npi.training.loop import Evaluation, Group, Loss, Objective
from npi.training.ranks import Ranks

INITIAL_RATE, QUICK = 0.01, 5.0
"""How far a row moves along its gradient before training says better, and how many times faster than other parameters
the logarithm of that is learned: numbers of a row differ by orders of magnitude in what they change."""

REACH = 2
"""Steps before and behind one that a convolution reads."""


@dataclass(frozen=True)
class AdaptationConfig:
    """How rows are adapted.

    Attributes:
        units: U. steps: of gradient descent. rate: of what is learned. seed: of the first weights.
    """

    units: int = 32
    steps: int = 5
    rate: float = 3e-3
    seed: int = 0


@final
class AdaptationLoss(nn.Module):
    """The loss, where rows begin, and the rate of each of their numbers.

    Args:
        start_P: where rows begin at first.
    """

    def __init__(self, core: FollowingCore, start_P: torch.Tensor, config: AdaptationConfig) -> None:
        super().__init__()
        self.config, sizes = config, core.sizes
        generator = torch.Generator().manual_seed(config.seed)
        seen = sizes.payload + 2 * (sizes.body - 1)
        self.straight = seeded_linear(seen, config.units, generator=generator)
        self.along = seeded_linear((1 + 2 * REACH) * seen, config.units, generator=generator)
        self.more = seeded_linear(config.units, config.units, generator=generator)
        self.start_P = nn.Parameter(start_P.detach().clone())
        self.rate_P = nn.Parameter(torch.full_like(start_P, math.log(INITIAL_RATE) / QUICK))

    def forward(self, core: FollowingCore, world: int, spec: WorldSpec, evidence: Episodes) -> torch.Tensor:
        """row_BP of demonstrations, whose actions are not read; differentiable while a graph is made."""
        quiet = replace(evidence, actions=None)

        def loss(row_BP: torch.Tensor) -> torch.Tensor:
            return self.loss(core, task_of(spec, world, row_BP), quiet)

        row_BP = self.start_P.repeat(evidence.batch, 1)
        with torch.enable_grad():
            rate_P = (QUICK * self.rate_P).exp()
        return inner.adapt(loss, row_BP, self.config.steps, rate_P, second_order=torch.is_grad_enabled())

    def loss(self, core: FollowingCore, task: TaskInput, quiet: Episodes) -> torch.Tensor:
        """loss_B of rows: the mean square of what is made of states and of what the core would do in them."""
        mean_TBX = core.unroll(task, quiet, core.begin(task))["mean"]
        frame_B3 = objects_of(quiet.seen[0], core.sizes)[0][:, 0, :FRAME]
        body_JBS = torch.stack([_tensor(seen.channels[BODY]) for seen in quiet.seen])
        state_JBI = about(body_JBS, frame_B3)
        force_TBX = torch.cat([mean_TBX[..., :2] / frame_B3[:, 2:], mean_TBX[..., 2:]], 2)
        seen_TBI = torch.cat([force_TBX, state_JBI[:-1], state_JBI.diff(dim=0) * len(mean_TBX)], 2)
        around_BIT = nn.functional.pad(seen_TBI.permute(1, 2, 0), (REACH, REACH))
        window_TBI = around_BIT.unfold(2, 1 + 2 * REACH, 1).permute(2, 0, 1, 3).flatten(2)
        found_TBU = self.straight(seen_TBI) + self.more(nn.functional.silu(self.along(window_TBI)))
        return (found_TBU.square().mean(2) * quiet.live_TB).sum(0) / quiet.live_TB.sum(0)


@final
class LearnedAdaptation(Objective):
    """Trains an :class:`AdaptationLoss` beside a frozen core.

    Args:
        pairs: of the number of an update or, negative, of a check: demonstrations, and those of the same tasks in other
            scenes, with actions.
    """

    def __init__(
        self,
        core: FollowingCore,
        world: int,
        spec: WorldSpec,
        learned: AdaptationLoss,
        pairs: Callable[[int], tuple[Episodes, Episodes]],
    ) -> None:
        self.core, self.world, self.spec, self.learned, self.pairs = core, world, spec, learned, pairs

    def groups(self) -> Mapping[str, Group]:
        return {"loss": Group(list(self.learned.parameters()), self.learned.config.rate)}

    def losses(self, update: int, ranks: Ranks) -> Iterator[list[Loss]]:
        yield [Loss(self._outer(update) / ranks.count)]

    def evaluate(self, update: int) -> Evaluation:
        with torch.no_grad():
            return Evaluation({"loss": float(self._outer(-1))})

    def _outer(self, number: int) -> torch.Tensor:
        shown, other = self.pairs(number)
        row_BP = self.learned(self.core, self.world, self.spec, shown)
        task = task_of(self.spec, self.world, row_BP)
        unrolled = self.core.unroll(task, other, self.core.begin(task))
        return -masked_mean(unrolled["log_likelihood"], other.live_TB)


def task_of(spec: WorldSpec, world: int, row_BP: torch.Tensor) -> TaskInput:
    """Without arguments."""
    return TaskInput(spec, world, row_BP, torch.zeros(len(row_BP), SLOTS, dtype=torch.int64, device=row_BP.device))


def _tensor(part: object) -> torch.Tensor:
    assert isinstance(part, torch.Tensor)
    return part
