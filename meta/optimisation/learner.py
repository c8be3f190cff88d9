"""Learning to optimise by gradient: an LSTM that looks at one coordinate (Andrychowicz et al. 2016, section 2.1).

All coordinates of all problems share its numbers, and each has a state of its own, so it can move any number of
parameters of anything. The row of a program scales and shifts every gate of both layers and what comes out.

Beside a gradient's logarithm and sign the cells see it, and averages of all so far, divided by their usual size, so
that what they do depends less on a problem's scale (Lv et al. 2017). What comes out is a step, and the sizes of two
others along the longest average. Where the cells say nothing new, one is Adam's (Kingma and Ba 2015), the average being
divided by its usual size; the other takes it as it is, and is momentum's.

Shape legend: ``B`` problems, ``D`` parameters of each, ``P`` numbers of a row, ``U`` units of a layer, ``N`` hidden
numbers of a coordinate, ``H`` = N · D, ``I`` and ``O`` what goes into a layer and comes out, ``X`` averages, ``K``
steps. Coordinates come last: so gates lie together in memory; for networks that is 2.5 times as fast as units last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from envs.spec import WorldSpec
from envs.world import World
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Asked, HostedConfig, HostedTraining, Roll, Step

KIND = "optimiser"

HORIZONS = (20, 50, 100)
"""Steps after which the loss is judged, beside the mean over all."""

FORGET = 1.0
"""What is added to the gates that keep a state, so that it lasts from the beginning."""

SMALL = 0.1
"""By how much the last layer begins smaller than the others: the first steps do little harm."""

CAREFUL = (1.0, 3.0)
"""Minus the logarithms of the sizes, in ``scale``, that Adam's and momentum's steps begin with."""

LARGEST = 20.0
"""The largest logarithm of a size."""

FEW = 100
"""Coordinates from which on each problem has a product of matrices of its own; below, one for all is faster."""

LEAST = 1e-6
"""A loss that is taken for nothing."""

KEPT = 4
"""Numbers of averages: two of gradients, of squares, and how many steps are in them."""

TINY = 1e-24
"""Added to an average of squares, so that nothing is divided by nothing."""

HUGE = 1e18
"""Larger gradients are averaged as this one: their squares would be no numbers of 32 bits."""


@dataclass(frozen=True)
class OptimiserConfig(HostedConfig):
    """The shape of a core.

    Attributes:
        units: U. scale: of what comes out. least: p; gradients below exp(-p) are seen in another way.
        averages: 1: averages of gradients are seen, too; 0: only the gradient of a step, as in the paper.
        short, long: what two averages of gradients keep of themselves at a step; along the long one go parts of the
            step. squares: what the average of squares keeps.
        far: longer averages of gradients count as this one in momentum's step: walls of a valley throw nothing away.
    """

    kind: str = KIND
    row: int = 16
    units: int = 20
    scale: float = 0.1
    least: float = 10.0
    averages: int = 1
    short: float = 0.5
    long: float = 0.9
    squares: float = 0.999
    far: float = 100.0

    def __post_init__(self) -> None:
        for name in ("row", "units"):
            if getattr(self, name) < 1:
                raise ValueError(f"core setting {name} must be at least 1, it is {getattr(self, name)}")
        if self.averages not in (0, 1):
            raise ValueError(f"core setting averages is 0 or 1, it is {self.averages}")
        for name, share in zip(("short", "long", "squares"), self.keeps, strict=True):
            if not 0 <= share < 1:
                raise ValueError(f"core setting {name} is a share from 0 to below 1, it is {share}")
        if not self.far > 0:
            raise ValueError(f"core setting far must be above 0, it is {self.far}")

    @property
    def keeps(self) -> tuple[float, float, float]:
        """What each average keeps of itself at a step."""
        return self.short, self.long, self.squares


class OptimiserCore(nn.Module):
    """Two layers of an LSTM, and a step for each coordinate; a row of zeros leaves everything as it is."""

    def __init__(self, config: OptimiserConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, units = config, config.units
        # A gradient as the paper sees it; and, by its usual size, it and its two averages.
        looks, ways = (2 + 3, 1 + len(CAREFUL)) if config.averages else (2, 1)
        self.one = seeded_linear(looks + units, 4 * units, generator=generator)
        self.two = seeded_linear(2 * units, 4 * units, generator=generator)
        self.out = seeded_linear(units, ways, generator=generator)
        conditioned = ((4 * units, self.one), (4 * units, self.two), (ways, self.out))
        self.rows = seeded_linear(config.row, sum(2 * size for size, _ in conditioned), generator=generator, bias=False)
        with torch.no_grad():
            for layer in (self.one, self.two):
                layer.bias[units : 2 * units] += FORGET
            for part in self.out.parameters():
                part.mul_(SMALL)
            self.out.bias[1:] -= torch.tensor(CAREFUL[: ways - 1])

    @property
    def numbers(self) -> int:
        """N: of each coordinate output and cell of one layer, then of the other, and averages."""
        return 4 * self.config.units + (KEPT if self.config.averages else 0)

    def forward(self, gradient_BD: torch.Tensor, row_BP: torch.Tensor, hidden_BND: torch.Tensor) -> Moved:
        """The next steps, and the hidden numbers after them."""
        *cells, averages_BXD = hidden_BND.tensor_split([k * self.config.units for k in range(1, 5)], 1)
        h1, c1, h2, c2 = cells
        looks_BID, along = seen(gradient_BD, self.config.least), []
        if self.config.averages:
            gradient_BD = gradient_BD.clamp(-HUGE, HUGE)
            averages_BXD = averaged(gradient_BD, averages_BXD, self.config.keeps)
            looks_BID = torch.cat([looks_BID, sized(gradient_BD, averages_BXD)], 1)
            along = [looks_BID[:, -1], averages_BXD[:, 1].clamp(-self.config.far, self.config.far)]
        one, two, out = self._conditioned(row_BP)
        h1, c1 = _cell(_affine(one, looks_BID, h1), c1)
        h2, c2 = _cell(_affine(two, h1, h2), c2)
        step_BD, *sizes = _affine(out, h2).unbind(1)
        for size_BD, along_BD in zip(sizes, along, strict=True):
            step_BD = step_BD - size_BD.clamp(max=LARGEST).exp() * along_BD
        return Moved(self.config.scale * step_BD, torch.cat([h1, c1, h2, c2, averages_BXD], 1))

    def _conditioned(self, row_BP: torch.Tensor) -> list[Affine]:
        """The layers as the rows make them: every output has a gain, one plus what the row says, and a shift."""
        layers = (self.one, self.two, self.out)
        said = self.rows(row_BP)[..., None].split([size for layer in layers for size in [layer.out_features] * 2], 1)
        return [
            Affine(layer.weight, 1 + gain, layer.bias[:, None] * (1 + gain) + shift)
            for layer, gain, shift in zip(layers, said[::2], said[1::2], strict=True)
        ]


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
    weight = layer.weight_OI if coordinates < FEW else layer.weight_OI.expand(count, -1, -1)
    return torch.addcmul(layer.bias_BO1, weight @ x_BID, layer.gain_BO1)


def _cell(gates_B4UD: torch.Tensor, cell_BUD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An LSTM's output and its new cell."""
    units = cell_BUD.shape[1]
    opens, new = gates_B4UD.split([3 * units, units], 1)
    enters, keeps, shows = opens.sigmoid().chunk(3, 1)
    cell_BUD = torch.addcmul(keeps * cell_BUD, enters, new.tanh())
    return shows * cell_BUD.tanh(), cell_BUD


def seen(gradient_BD: torch.Tensor, least: float) -> torch.Tensor:
    """B × 2 × D: logarithm and sign of a gradient (Andrychowicz et al. 2016, appendix A)."""
    size_BD = gradient_BD.abs()
    large_BD = size_BD >= math.exp(-least)
    log_BD = torch.where(large_BD, size_BD.clamp(min=math.exp(-least)).log() / least, -1.0)
    return torch.stack([log_BD, torch.where(large_BD, gradient_BD.sign(), math.exp(least) * gradient_BD)], 1)


def averaged(gradient_BD: torch.Tensor, averages_BXD: torch.Tensor, keeps: Sequence[float]) -> torch.Tensor:
    """averages_BXD of one step more: of gradients, of their squares; and the count of steps. The first is all it has:
    averages are such as Kingma and Ba (2015, section 3) have, without a bias towards zero."""
    *means, square_BD, count_BD = averages_BXD.unbind(1)
    count_B1 = count_BD[:, :1] + 1
    news = (*[gradient_BD] * len(means), gradient_BD.square())
    moved = [
        old.lerp(new, (1 - keep) / (1 - keep**count_B1))
        for old, new, keep in zip((*means, square_BD), news, keeps, strict=True)
    ]
    return torch.stack([*moved, count_B1.expand_as(count_BD)], 1)


def sized(gradient_BD: torch.Tensor, averages_BXD: torch.Tensor) -> torch.Tensor:
    """B × 3 × D: the gradient and its averages, divided by the root of the average of squares."""
    *means, square_BD, _ = averages_BXD.unbind(1)
    return torch.stack([gradient_BD, *means], 1) / (square_BD + TINY).sqrt()[:, None]


class Optimiser:
    """The learner (implements ``npi.learners.interface.Learner``); see the head of this file."""

    kind = KIND
    signal = "loss"
    config = OptimiserConfig
    training = HostedTraining(
        updates=500,
        batch=192,
        carried=400_000,
        stretch=20,
        rate=2e-3,
        row_rate=3e-3,
        clip=0.05,
        check_every=50,
        problems=32,
    )
    learning = HostedTraining(
        updates=40, batch=16, carried=750_000, stretch=20, row_rate=5e-3, check_every=40, problems=64, starts=2
    )
    anywhere = True

    def admit(self, spec: WorldSpec) -> None:
        if spec.primitives[0].payload is None or "gradient" not in [channel.name for channel in spec.channels]:
            raise ValueError(
                f"world {spec.name} ({spec.kind}) shows no gradient to a primitive that adds a step to parameters; "
                "use an optimisee"
            )

    def network(
        self, config: OptimiserConfig, worlds: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> OptimiserCore:
        return OptimiserCore(config, generator=generator)

    def width(self, net: nn.Module, world: World[Any]) -> int:
        assert isinstance(net, OptimiserCore)
        return world.spec.channel("gradient").size * net.numbers

    def step(
        self,
        net: nn.Module,
        asked: Asked,
        seen: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        generator: torch.Generator | None,
    ) -> Step:
        moved = net(seen, asked.row_BP, hidden_BH.view(len(seen), -1, seen.shape[1]))
        return Step(moved.step_BD, moved.hidden_BND.flatten(1), {})

    def loss(self, net: nn.Module, roll: Roll) -> torch.Tensor:
        """The logarithm of the problems' mean loss after a step, in the mean over steps.

        The mean is what is reported; its logarithm lets late steps, and families of every scale, count as much.
        """
        return (roll.signal_KB.mean(1) + LEAST).log().mean()

    def judge(self, world: World[Any], roll: Roll) -> dict[str, torch.Tensor]:
        """The mean over all steps, and the losses at some."""
        found = {"loss": roll.signal_KB.mean(0)}
        return found | {f"loss at {k}": roll.signal_KB[k - 1] for k in HORIZONS if k <= len(roll.signal_KB)}


LEARNER = Optimiser()
