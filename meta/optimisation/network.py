"""An LSTM that reads one coordinate's gradient and moves it (Andrychowicz et al. 2016, section 2.1).

All coordinates of all problems share its parameters, and each has a state of its own, so it can move any number of
parameters of anything. The row of a program scales and shifts every gate of both layers and the outputs.

Beside a gradient's logarithm and sign the cells read it, and averages of all so far, divided by their usual size, so
that what they do depends less on a problem's scale (Lv et al. 2017). The outputs are a step, and the sizes of two
others along the longest average: one is Adam's (Kingma and Ba 2015), the average being divided by its usual size; the
other takes it as it is, and is momentum's.

What no coordinate can know by itself is what its tensor does. With ``orthogonal`` the cells read their part of the
gradient made orthogonal, too, and one more step goes along its average, as Muon's does (Jordan et al. 2024).

Shape legend: ``B`` problems, ``D`` parameters of each, ``P`` parameters of a row, ``U`` units of a layer, ``N`` hidden
numbers of a coordinate, ``H`` = N · D, ``I`` and ``O`` inputs and outputs of a layer, ``X`` averages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import SLOTS, Channel, WorldSpec
from envs.stepper import Action, Observation
from npi.core.config import POSITIVE, SIZE, SWITCH, Limit, setting
from npi.core.coordinate_cells import affine, conditioned, lstm_cell
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

ORTHOGONAL_LOG_SIZES = (2.5, 4.0, 1.2)
"""The same beside a third step, along what gradients are made orthogonal."""

MAX_LOG_SIZE = 20.0
"""The largest logarithm of a size."""

LONG_LOG = 5.0
"""What the logarithm of the number of steps is divided by; beyond it the clock stands still."""

NEWTON_SCHULZ, ITERATIONS = (3.4445, -4.7750, 2.0315), 3
"""Coefficients of a step that moves all singular values towards one (Jordan et al. 2024), and how often it is made."""

UNIT_SIDE = 64
"""Side of a matrix whose numbers are about one in size when it is made orthogonal."""

SMALLEST_SIZE = 1e-30
"""A tensor whose largest number is less has no direction."""

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
        clock: 1: the logarithm of the number of steps is an input, too.
        orthogonal: 1: each matrix's gradient made orthogonal is an input, too, and a part of the step.
        beta_short, beta_long: decay of two averages of gradients; along the long one go parts of the step.
        beta_squares: decay of the average of squares.
        momentum_clip: larger averages of gradients count as this one in momentum's step, so that the walls of a valley
            do not throw the parameters out of it.
    """

    kind: str = KIND
    row: int = setting(16, SIZE)
    units: int = setting(20, SIZE)
    scale: float = 0.1
    log_range: float = 10.0
    averages: int = setting(1, SWITCH)
    clock: int = setting(0, SWITCH)
    orthogonal: int = setting(0, SWITCH)
    beta_short: float = setting(0.5, DECAY)
    beta_long: float = setting(0.9, DECAY)
    beta_squares: float = setting(0.999, DECAY)
    momentum_clip: float = setting(100.0, POSITIVE)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.averages and (self.clock or self.orthogonal):
            raise ValueError("core settings clock and orthogonal need averages; set averages to 1")

    @property
    def betas(self) -> tuple[float, ...]:
        """The decay of each average: two of gradients, of their squares, and of what they are made orthogonal."""
        return self.beta_short, self.beta_long, self.beta_squares, *[self.beta_short] * self.orthogonal

    @property
    def log_sizes(self) -> tuple[float, ...]:
        """Minus the logarithms of the sizes that the steps along averages begin with."""
        return (ORTHOGONAL_LOG_SIZES if self.orthogonal else INITIAL_LOG_SIZES) if self.averages else ()


class OptimiserCore(LearnerCore):
    """Two layers of an LSTM, and a step for each coordinate; a row of zeros leaves everything as it is."""

    def __init__(self, config: OptimiserConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, units = config, config.units
        # A gradient as the paper sees it; and, by its usual size, it and its two averages.
        looks, ways = 2 + 3 * config.averages + config.clock + 2 * config.orthogonal, 1 + len(config.log_sizes)
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
            self.out.bias[1:] -= torch.tensor(config.log_sizes)

    @property
    def layers(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """Those that a row scales and shifts."""
        return self.one, self.two, self.out

    @property
    def numbers(self) -> int:
        """N: of each coordinate output and cell of one layer, then of the other, and averages."""
        return 4 * self.config.units + (1 + len(self.config.betas) if self.config.averages else 0)

    def hidden_size(self, spec: WorldSpec) -> int:
        return gradient(spec).size * self.numbers

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        gradient_BD = seen.channels[GRADIENT]
        assert isinstance(gradient_BD, torch.Tensor)
        direction_BD = orthogonal(gradient_BD, gradient(task.spec).parts) if self.config.orthogonal else None
        hidden_BND = hidden_BH.view(len(gradient_BD), -1, gradient_BD.shape[1])
        moved = self(gradient_BD, task.row_BP, hidden_BND, direction_BD)
        call_B4 = torch.zeros(len(gradient_BD), 1 + SLOTS, dtype=torch.int64, device=gradient_BD.device)
        return StepOutput(Action(call_B4, moved.step_BD), moved.hidden_BND.flatten(1))

    def forward(
        self,
        gradient_BD: torch.Tensor,
        row_BP: torch.Tensor,
        hidden_BND: torch.Tensor,
        direction_BD: torch.Tensor | None = None,
    ) -> Moved:
        """The next steps, and the hidden numbers after them.

        Args:
            direction_BD: of :func:`orthogonal`, where the core reads it.
        """
        *cells, averages_BXD = hidden_BND.tensor_split([k * self.config.units for k in range(1, 5)], 1)
        h1, c1, h2, c2 = cells
        read = self._read(gradient_BD, averages_BXD, direction_BD)
        one, two, out = conditioned(self.layers, self.rows, row_BP)
        h1, c1 = lstm_cell(affine(one, read.looks_BID, h1), c1)
        h2, c2 = lstm_cell(affine(two, h1, h2), c2)
        step_BD = self._step(affine(out, h2), read.along)
        return Moved(step_BD, torch.cat([h1, c1, h2, c2, read.averages_BXD], 1))

    def plain(self, row_P: torch.Tensor) -> PlainLayers:
        """The layers as one row makes them, for :meth:`move_`."""
        return [
            (layer.weight_OI * layer.gain_BO1[0], layer.bias_BO1[0])
            for layer in conditioned(self.layers, self.rows, row_P.detach()[None])
        ]

    @torch.no_grad()
    def move_(
        self,
        plain: PlainLayers,
        gradient_D: torch.Tensor,
        hidden_ND: torch.Tensor,
        direction_D: torch.Tensor | None = None,
        *,
        beta_long: float | None = None,
    ) -> torch.Tensor:
        """step_D of one problem, as :meth:`forward` without a graph; hidden_ND changes in place.

        What this computes with is of D coordinates, and read often: some thousand of them fit into a cache.

        Args:
            plain: of its row; they can be on another device than the core. beta_long: in place of the core's.
        """
        *cells, averages_XD = hidden_ND.tensor_split([k * self.config.units for k in range(1, 5)])
        h1, c1, h2, c2 = cells
        direction_1D = None if direction_D is None else direction_D[None]
        read = self._read(gradient_D[None], averages_XD[None], direction_1D, beta_long)
        averages_XD.copy_(read.averages_BXD[0])
        (one, one_bias), (two, two_bias), (out, out_bias) = plain
        looks_ID = read.looks_BID[0]
        _cell_(torch.addmm(one_bias, one[:, : len(looks_ID)], looks_ID).addmm_(one[:, len(looks_ID) :], h1), h1, c1)
        _cell_(torch.addmm(two_bias, two[:, : len(h1)], h1).addmm_(two[:, len(h1) :], h2), h2, c2)
        return self._step(torch.addmm(out_bias, out, h2)[None], read.along)[0]

    def _read(
        self,
        gradient_BD: torch.Tensor,
        averages_BXD: torch.Tensor,
        direction_BD: torch.Tensor | None,
        beta_long: float | None = None,
    ) -> Read:
        looks, along = [encoded(gradient_BD, self.config.log_range)], list[torch.Tensor]()
        if self.config.averages:
            gradient_BD = gradient_BD.clamp(-MAX_GRADIENT, MAX_GRADIENT)
            directions = [] if direction_BD is None else [direction_BD]
            news = [gradient_BD, gradient_BD, gradient_BD.square(), *directions]
            short, long, *others = self.config.betas
            averages_BXD = averaged(news, averages_BXD, (short, long if beta_long is None else beta_long, *others))
            looks.append(sized(gradient_BD, averages_BXD))
            along = [looks[-1][:, -1], averages_BXD[:, 1].clamp(-self.config.momentum_clip, self.config.momentum_clip)]
            if self.config.clock:
                looks.append((averages_BXD[:, -1:].log() / LONG_LOG).clamp(max=1))
            if direction_BD is not None:
                along.append(averages_BXD[:, 3])
                looks.append(torch.stack([direction_BD, along[-1]], 1))
        return Read(torch.cat(looks, 1), averages_BXD, along)

    def _step(self, said_BOD: torch.Tensor, along: Sequence[torch.Tensor]) -> torch.Tensor:
        step_BD, *sizes = said_BOD.unbind(1)
        for size_BD, along_BD in zip(sizes, along, strict=True):
            step_BD = step_BD - size_BD.clamp(max=MAX_LOG_SIZE).exp() * along_BD
        return self.config.scale * step_BD


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


PlainLayers = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Weights O × I and biases O × 1 of each layer."""


class Read(NamedTuple):
    """What the cells read, the averages with it, and what parts of the step go along, B × D each."""

    looks_BID: torch.Tensor
    averages_BXD: torch.Tensor
    along: list[torch.Tensor]


class Moved(NamedTuple):
    """What is added to the parameters, and the hidden numbers after it."""

    step_BD: torch.Tensor
    hidden_BND: torch.Tensor


def _cell_(gates_4UD: torch.Tensor, shown_UD: torch.Tensor, cell_UD: torch.Tensor) -> None:
    """The same in place, without a graph; the gates are spent."""
    enters, keeps, shows, new = gates_4UD.chunk(4)
    gates_4UD[: -len(new)].sigmoid_()
    cell_UD.mul_(keeps).addcmul_(enters, _tanh_(new))
    torch.mul(shows, _tanh_(keeps.copy_(cell_UD)), out=shown_UD)


def _tanh_(x: torch.Tensor) -> torch.Tensor:
    """By way of the logistic function, which torch computes several times as fast."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def encoded(gradient_BD: torch.Tensor, log_range: float) -> torch.Tensor:
    """B × 2 × D: logarithm and sign of a gradient (Andrychowicz et al. 2016, appendix A)."""
    size_BD = gradient_BD.abs()
    large_BD = size_BD >= math.exp(-log_range)
    log_BD = torch.where(large_BD, size_BD.clamp(min=math.exp(-log_range)).log() / log_range, -1.0)
    return torch.stack([log_BD, torch.where(large_BD, gradient_BD.sign(), math.exp(log_range) * gradient_BD)], 1)


def averaged(news: Sequence[torch.Tensor], averages_BXD: torch.Tensor, betas: Sequence[float]) -> torch.Tensor:
    """averages_BXD with one more of each, B × D; the last is the count of steps. The first is all that they have:
    averages are such as Kingma and Ba (2015, section 3) have, without a bias towards zero."""
    *olds, count_BD = averages_BXD.unbind(1)
    count_B1 = count_BD[:, :1] + 1
    moved = [old.lerp(new, (1 - beta) / (1 - beta**count_B1)) for old, new, beta in zip(olds, news, betas, strict=True)]
    return torch.stack([*moved, count_B1.expand_as(count_BD)], 1)


def sized(gradient_BD: torch.Tensor, averages_BXD: torch.Tensor) -> torch.Tensor:
    """B × 3 × D: the gradient and its averages, divided by the root of the average of squares."""
    short_BD, long_BD, square_BD = averages_BXD[:, :3].unbind(1)
    return torch.stack([gradient_BD, short_BD, long_BD], 1) / (square_BD + SMALLEST_SQUARE).sqrt()[:, None]


@torch.no_grad()
def orthogonal(gradient_BD: torch.Tensor, parts: Sequence[Sequence[int]] = ()) -> torch.Tensor:
    """B × D: the gradient of each tensor with its singular values made about one, times the root of UNIT_SIDE.

    Args:
        parts: shapes of the tensors; without any all is one vector. More than two dimensions are a matrix of the first
            by all others, and a vector is one of a single column.
    """
    parts = parts or [gradient_BD.shape[1:]]
    tensors = gradient_BD.split([math.prod(part) for part in parts], 1)
    return torch.cat(
        [_equalised(g.view(len(g), part[0], -1)).flatten(1) for g, part in zip(tensors, parts, strict=True)], 1
    )


def _equalised(matrix_BMN: torch.Tensor) -> torch.Tensor:
    """Newton and Schulz's iteration, on the shorter side."""
    turned = matrix_BMN.shape[1] > matrix_BMN.shape[2]
    x = matrix_BMN.mT if turned else matrix_BMN
    x = x / x.abs().amax((1, 2), keepdim=True).clamp(min=SMALLEST_SIZE)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=SMALLEST_SIZE)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS if x.shape[1] > 1 else 0):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    size = x.norm(dim=(1, 2), keepdim=True).clamp(min=SMALLEST_SIZE)
    x = x * ((x.shape[1] * UNIT_SIDE) ** 0.5 / size)
    return x.mT if turned else x
