"""Agents for Which is Heavier: the Bayes-optimal one, by backward induction, and simpler ones beside it.

A poke of a block at rest shows its mass exactly, so what is known is the draw x of each poked block. Its likelihood
ratio of being the heavy one is that of Beta(β, 1) to Beta(1, β), ``(x / (1 − x))^(β − 1)``, and that of a block that
was not poked is 1. After n pokes all depends on the sum S of the ratios and on the largest M: the chance that the best
guess is right is ``max(M, 1) / (S + N − n)``, and the ratio of the next block is that of a heavy one with chance
``1 / (S + N − n)``. To poke a block twice tells nothing.

Shape legend: ``B`` experiments, ``N`` blocks, ``K`` nodes of a quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from envs.physics.blocks import ANSWER, CENTIMETRES, POKE, Blocks, BlocksConfig, BlocksState
from envs.spec import SLOTS
from envs.stepper import Action, Observation

NODES = 40
"""K, of Gauss-Legendre quadrature over a draw."""

GRID = 401
"""Draws at which the first decision is tabulated."""

TOGETHER = 4096
"""Experiments that are decided side by side."""


@dataclass(frozen=True)
class StoppingPlan:
    """When to stop: the solution for the heavy one of so many blocks, at most five.

    Attributes:
        beta, discount: of the masses, and of time.
    """

    blocks: int
    beta: float
    discount: float

    def ratio(self, draw: torch.Tensor) -> torch.Tensor:
        """The likelihood ratio of draws."""
        return (draw / (1 - draw)) ** (self.beta - 1)

    @cached_property
    def nodes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """ratio_K, and the weights of draws of heavy and of light blocks."""
        place_K, weight_K = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
        draw_K, weight_K = (place_K + 1) / 2, weight_K / 2
        heavy_K, light_K = (self.beta * part_K ** (self.beta - 1) * weight_K for part_K in (draw_K, 1 - draw_K))
        return self.ratio(draw_K), heavy_K, light_K

    def stop(self, pokes: int, total: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """What the best guess is worth now: a right one pays 1, a wrong one −1."""
        best = largest.clamp(min=1) if pokes < self.blocks else largest
        return 2 * best / (total + (self.blocks - pokes)) - 1

    def go(self, pokes: int, total: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """What one more poke is worth now, by backward induction."""
        ratio_K, heavy_K, light_K = self.nodes
        chance = (1 / (total + (self.blocks - pokes)))[..., None]
        weight = chance * heavy_K + (1 - chance) * light_K
        after = self.value(pokes + 1, total[..., None] + ratio_K, torch.maximum(largest[..., None], ratio_K))
        return self.discount * (weight * after).sum(-1)

    def value(self, pokes: int, total: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """The worth of the better one."""
        stop = self.stop(pokes, total, largest)
        return stop if pokes == self.blocks else torch.maximum(stop, self.go(pokes, total, largest))

    @cached_property
    def start(self) -> float:
        """The mean return of the optimal agent."""
        none = torch.zeros((), dtype=torch.float64)
        return float(self.value(0, none, none))

    @cached_property
    def _first(self) -> tuple[np.ndarray, np.ndarray]:
        """By how much going on is better than stopping after one poke, at draws of :data:`GRID`."""
        draw = torch.linspace(0, 1, GRID + 2, dtype=torch.float64)[1:-1]
        ratio = self.ratio(draw)
        gain = torch.cat([self.go(1, part, part) - self.stop(1, part, part) for part in ratio.split(8)])
        return draw.numpy(), gain.numpy()

    def goes_on(self, draw_BN: torch.Tensor) -> torch.Tensor:
        """bool B: whether another poke is worth more than an answer; draws of blocks that were not poked are nan.

        The number of pokes is the same for all.
        """
        known_BN = ~draw_BN.isnan()
        pokes = int(known_BN[0].sum()) if len(draw_BN) else self.blocks
        if pokes in (0, self.blocks):
            return torch.full((len(draw_BN),), pokes == 0, device=draw_BN.device)
        ratio_BN = torch.where(known_BN, self.ratio(draw_BN), 0.0)
        if pokes == 1:
            draw_B = draw_BN.nan_to_num().sum(1).numpy()
            return torch.from_numpy(np.interp(draw_B, *self._first) > 0)
        parts = zip(ratio_BN.sum(1).split(TOGETHER), ratio_BN.amax(1).split(TOGETHER), strict=True)
        return torch.cat([self.go(pokes, *part) > self.stop(pokes, *part) for part in parts])

    def guess(self, draw_BN: torch.Tensor) -> torch.Tensor:
        """int64 B: the likeliest block to be the heavy one, from 0; the first of equals."""
        return torch.where(draw_BN.isnan(), 1.0, self.ratio(draw_BN)).argmax(1)


class Experimenter(Protocol):
    """What acts in a batch of experiments from their beginnings, by what is observed."""

    def act(self, seen: Observation, live_B: torch.Tensor) -> torch.Tensor:
        """call_B4: the next call of each; of those that are over (not live) it counts for nothing."""
        ...


class Weigher:
    """Pokes one block after the other, and answers with the likeliest (implements ``Experimenter``).

    Args:
        pokes: how many before the answer; None: as the plan says, which is Bayes-optimal.
    """

    def __init__(self, config: BlocksConfig, plan: StoppingPlan, *, pokes: int | None = None) -> None:
        self.config, self.plan, self.pokes = config, plan, pokes
        self.step = 0
        self.draw_BN = torch.empty(0)

    def act(self, seen: Observation, live_B: torch.Tensor) -> torch.Tensor:
        height_BN = seen.channels["heights"]
        assert isinstance(height_BN, torch.Tensor)
        if self.step == 0:
            self.draw_BN = torch.full_like(height_BN, torch.nan, dtype=torch.float64)
        else:
            self.draw_BN[:, self.step - 1] = draw_of(self.config, height_BN[:, self.step - 1].double())
        if self.pokes is None:
            goes_B = torch.zeros_like(live_B)
            goes_B[live_B] = self.plan.goes_on(self.draw_BN[live_B])
        else:
            goes_B = torch.full_like(live_B, self.step < self.pokes)
        call_B4 = torch.zeros(len(live_B), 1 + SLOTS, dtype=torch.int64)
        call_B4[:, 0] = torch.where(goes_B, POKE, ANSWER)
        call_B4[:, 1] = 1 + torch.where(goes_B, self.step, self.plan.guess(self.draw_BN))
        self.step += 1
        return call_B4


def draw_of(config: BlocksConfig, height: torch.Tensor) -> torch.Tensor:
    """The draws of blocks that were at rest before a poke, by their heights (cm) after it."""
    acceleration = 2 * height / CENTIMETRES / config.seconds**2 + config.gravity
    share = (config.force / acceleration - config.least) / (config.most - config.least)
    return share.clamp(1e-9, 1 - 1e-9)


@dataclass(frozen=True)
class Experiments:
    """How a batch of experiments went.

    Attributes:
        return_B: what was paid, discounted. right_B: bool. pokes_B: before the answer.
    """

    return_B: torch.Tensor
    right_B: torch.Tensor
    pokes_B: torch.Tensor

    def means(self) -> dict[str, float]:
        """By name."""
        return {name.removesuffix("_B"): float(part.double().mean()) for name, part in vars(self).items()}


@torch.no_grad()
def experiments(world: Blocks, agent: Experimenter, state: BlocksState) -> Experiments:
    """Experiments from their beginnings to their ends; the state is changed."""
    return_B = torch.zeros(state.batch, dtype=torch.float64, device=state.device)
    for _ in range(world.config.steps):
        live_B = ~world.ended(state)
        if not bool(live_B.any()):
            break
        world.act(state, Action(agent.act(world.observe(state), live_B)), live_B)
        return_B += torch.where(live_B, world.score(state)["reward"].double(), 0.0)
    answered_B = (state.answer_B > 0).long()
    return Experiments(return_B, state.right_B.clone(), state.step_B - answered_B)
