"""An LSTM that reads one coordinate's gradient and moves it (Andrychowicz et al. 2016, section 2.1).

All coordinates of all problems share its parameters, and each has a state of its own, so it can move any number of
parameters of anything. The row of a program scales and shifts every gate of both layers and the outputs.

Beside a gradient's logarithm and sign the cells read it, and averages of all so far, divided by their usual size, so
that what they do depends less on a problem's scale (Lv et al. 2017). The outputs are a step, and the sizes of two
others along the longest average: one is Adam's (Kingma and Ba 2015), the average being divided by its usual size; the
other takes it as it is, and is momentum's.

Shape legend: ``B`` problems, ``D`` parameters of each, ``P`` parameters of a row, ``U`` units of a layer, ``N`` hidden
numbers of a coordinate, ``H`` = N · D, ``I`` and ``O`` inputs and outputs of a layer, ``X`` averages. Coordinates come
last: so gates lie together in memory; for networks that is 2.5 times as fast as units last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from envs.spec import SLOTS, Channel, WorldSpec
from envs.stepper import Action, Observation
from npi.core.config import POSITIVE, SWITCH, Limit, at_least, setting
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput

KIND = "optimiser"

GRADIENT = "gradient"
"""The channel that a core reads."""

FORGET_BIAS = 1.0
"""Added to the forget gates, so that the state lasts from the beginning."""

LAST_LAYER_SCALE = 0.1
"""The last layer begins smaller than the others: the first steps do little harm."""

INITIAL_LOG_SIZES = (1.0, 3.0)
"""Minus the logarithms of the sizes, in ``scale``, that Adam's and momentum's steps begin with."""

MAX_LOG_SIZE = 20.0
"""The largest logarithm of a size."""

BATCHED_COORDINATES = 100
"""Coordinates from which on each problem has a product of matrices of its own; below, one for all is faster."""

AVERAGES = 4
"""Numbers of averages: two of gradients, of squares, and how many steps are in them."""

SMALLEST_SQUARE = 1e-24
"""Added to an average of squares, so that 0 is not divided by 0."""

MAX_GRADIENT = 1e18
"""Larger gradients are averaged as this one: their squares would overflow 32 bits."""

DECAY = Limit(lambda value: 0 <= value < 1, "is a share from 0 to below 1, it is {}")


@dataclass(frozen=True)
class OptimiserConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        units: U. scale: of the steps. log_range: p; gradients below exp(-p) have an encoding of their own.
        averages: 1: averages of gradients are an input, too; 0: only the gradient of a step, as in the paper.
        beta_short, beta_long: decay of two averages of gradients; along the long one go parts of the step.
        beta_squares: decay of the average of squares.
        momentum_clip: larger averages of gradients count as this one in momentum's step, so that the walls of a valley
            do not throw the parameters out of it.
    """

    kind: str = KIND
    row: int = setting(16, at_least(1))
    units: int = setting(20, at_least(1))
    scale: float = 0.1
    log_range: float = 10.0
    averages: int = setting(1, SWITCH)
    beta_short: float = setting(0.5, DECAY)
    beta_long: float = setting(0.9, DECAY)
    beta_squares: float = setting(0.999, DECAY)
    momentum_clip: float = setting(100.0, POSITIVE)

    @property
    def betas(self) -> tuple[float, float, float]:
        """The decay of each average."""
        return self.beta_short, self.beta_long, self.beta_squares


class OptimiserCore(LearnerCore):
    """Two layers of an LSTM, and a step for each coordinate; a row of zeros leaves everything as it is."""

    def __init__(self, config: OptimiserConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, units = config, config.units
        # A gradient as the paper sees it; and, by its usual size, it and its two averages.
        looks, ways = (2 + 3, 1 + len(INITIAL_LOG_SIZES)) if config.averages else (2, 1)
        self.one = seeded_linear(looks + units, 4 * units, generator=generator)
        self.two = seeded_linear(2 * units, 4 * units, generator=generator)
        self.out = seeded_linear(units, ways, generator=generator)
        conditioned = ((4 * units, self.one), (4 * units, self.two), (ways, self.out))
        self.rows = seeded_linear(config.row, sum(2 * size for size, _ in conditioned), generator=generator, bias=False)
        with torch.no_grad():
            for layer in (self.one, self.two):
                layer.bias[units : 2 * units] += FORGET_BIAS
            for part in self.out.parameters():
                part.mul_(LAST_LAYER_SCALE)
            self.out.bias[1:] -= torch.tensor(INITIAL_LOG_SIZES[: ways - 1])

    @property
    def numbers(self) -> int:
        """N: of each coordinate output and cell of one layer, then of the other, and averages."""
        return 4 * self.config.units + (AVERAGES if self.config.averages else 0)

    def hidden_size(self, spec: WorldSpec) -> int:
        return gradient(spec).size * self.numbers

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        gradient_BD = seen.channels[GRADIENT]
        assert isinstance(gradient_BD, torch.Tensor)
        moved = self(gradient_BD, task.row_BP, hidden_BH.view(len(gradient_BD), -1, gradient_BD.shape[1]))
        call_B4 = torch.zeros(len(gradient_BD), 1 + SLOTS, dtype=torch.int64, device=gradient_BD.device)
        return StepOutput(Action(call_B4, moved.step_BD), moved.hidden_BND.flatten(1))

    def forward(self, gradient_BD: torch.Tensor, row_BP: torch.Tensor, hidden_BND: torch.Tensor) -> Moved:
        """The next steps, and the hidden numbers after them."""
        *cells, averages_BXD = hidden_BND.tensor_split([k * self.config.units for k in range(1, 5)], 1)
        h1, c1, h2, c2 = cells
        looks_BID, along = encoded(gradient_BD, self.config.log_range), []
        if self.config.averages:
            gradient_BD = gradient_BD.clamp(-MAX_GRADIENT, MAX_GRADIENT)
            averages_BXD = averaged(gradient_BD, averages_BXD, self.config.betas)
            looks_BID = torch.cat([looks_BID, sized(gradient_BD, averages_BXD)], 1)
            along = [looks_BID[:, -1], averages_BXD[:, 1].clamp(-self.config.momentum_clip, self.config.momentum_clip)]
        one, two, out = self._conditioned(row_BP)
        h1, c1 = _cell(_affine(one, looks_BID, h1), c1)
        h2, c2 = _cell(_affine(two, h1, h2), c2)
        step_BD, *sizes = _affine(out, h2).unbind(1)
        for size_BD, along_BD in zip(sizes, along, strict=True):
            step_BD = step_BD - size_BD.clamp(max=MAX_LOG_SIZE).exp() * along_BD
        return Moved(self.config.scale * step_BD, torch.cat([h1, c1, h2, c2, averages_BXD], 1))

    def _conditioned(self, row_BP: torch.Tensor) -> list[Affine]:
        """The layers as the rows make them: every output has a gain, one plus what the row says, and a shift."""
        layers = (self.one, self.two, self.out)
        said = self.rows(row_BP)[..., None].split([size for layer in layers for size in [layer.out_features] * 2], 1)
        return [
            Affine(layer.weight, 1 + gain, layer.bias[:, None] * (1 + gain) + shift)
            for layer, gain, shift in zip(layers, said[::2], said[1::2], strict=True)
        ]


def gradient(spec: WorldSpec) -> Channel:
    """The channel that a core reads; ``ValueError`` for a world without one, or whose first primitive adds no step."""
    found = {channel.name: channel for channel in spec.channels}.get(GRADIENT)
    first = spec.primitives[0]
    if found is None or first.slots or first.payload is None or first.payload.shape != found.shape:
        raise ValueError(
            f"world {spec.name} ({spec.kind}) has no channel {GRADIENT!r} with a first primitive that takes nothing "
            "but a step of its shape; use an optimisee, or a world like it (envs/objectives/world.py)"
        )
    return found


class Affine(NamedTuple):
    """A linear layer whose outputs each problem scales and shifts: weight_OI, gain_BO1 and bias_BO1."""

    weight_OI: torch.Tensor
    gain_BO1: torch.Tensor
    bias_BO1: torch.Tensor


class Moved(NamedTuple):
    """What is added to the parameters, and the hidden numbers after it."""

    step_BD: torch.Tensor
    hidden_BND: torch.Tensor


def _affine(layer: Affine, *inputs: torch.Tensor) -> torch.Tensor:
    x_BID = torch.cat(inputs, 1)
    count, _, coordinates = x_BID.shape
    weight = layer.weight_OI if coordinates < BATCHED_COORDINATES else layer.weight_OI.expand(count, -1, -1)
    return torch.addcmul(layer.bias_BO1, weight @ x_BID, layer.gain_BO1)


def _cell(gates_B4UD: torch.Tensor, cell_BUD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An LSTM's output and its new cell."""
    units = cell_BUD.shape[1]
    opens, new = gates_B4UD.split([3 * units, units], 1)
    enters, keeps, shows = opens.sigmoid().chunk(3, 1)
    cell_BUD = torch.addcmul(keeps * cell_BUD, enters, new.tanh())
    return shows * cell_BUD.tanh(), cell_BUD


def encoded(gradient_BD: torch.Tensor, log_range: float) -> torch.Tensor:
    """B × 2 × D: logarithm and sign of a gradient (Andrychowicz et al. 2016, appendix A)."""
    size_BD = gradient_BD.abs()
    large_BD = size_BD >= math.exp(-log_range)
    log_BD = torch.where(large_BD, size_BD.clamp(min=math.exp(-log_range)).log() / log_range, -1.0)
    return torch.stack([log_BD, torch.where(large_BD, gradient_BD.sign(), math.exp(log_range) * gradient_BD)], 1)


def averaged(gradient_BD: torch.Tensor, averages_BXD: torch.Tensor, betas: Sequence[float]) -> torch.Tensor:
    """averages_BXD of one step more: of gradients, of their squares; and the count of steps. The first is all it has:
    averages are such as Kingma and Ba (2015, section 3) have, without a bias towards zero."""
    *means, square_BD, count_BD = averages_BXD.unbind(1)
    count_B1 = count_BD[:, :1] + 1
    news = (*[gradient_BD] * len(means), gradient_BD.square())
    moved = [
        old.lerp(new, (1 - beta) / (1 - beta**count_B1))
        for old, new, beta in zip((*means, square_BD), news, betas, strict=True)
    ]
    return torch.stack([*moved, count_B1.expand_as(count_BD)], 1)


def sized(gradient_BD: torch.Tensor, averages_BXD: torch.Tensor) -> torch.Tensor:
    """B × 3 × D: the gradient and its averages, divided by the root of the average of squares."""
    *means, square_BD, _ = averages_BXD.unbind(1)
    return torch.stack([gradient_BD, *means], 1) / (square_BD + SMALLEST_SQUARE).sqrt()[:, None]
