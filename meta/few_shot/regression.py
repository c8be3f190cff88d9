"""A function from a few of its points, by gradient descent on the row alone (Zintgraf et al. 2019, "Fast context
adaptation via meta-learning", section 3).

The points of an episode move a copy of the program's row; the core stays, and so does the row of the library. What the
row descends is not the squared error of the paper but the likelihood of the points: the network says beside each value
how unsure it is. A step along the gradient of a squared error is linear in the values; one of the likelihood also tells
by how much the start was wrong, and where points lie. The row acts on every layer, as gains and shifts that a small
network makes of it, and how far it moves is learned for each of its numbers (as in Meta-SGD, Li et al. 2017).

Shape legend: ``B`` episodes, ``L`` points, ``P`` parameters of a row, ``U`` units of a layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes, World
from npi.core.config import SIZE, setting, within
from npi.core.initialisation import seeded_linear
from npi.learners import inner
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput
from npi.learners.objectives.unrolled import Unrolled, UnrolledTraining
from npi.learners.tasks import Problems

KIND = "regression"

SUPPORT, PLACE = "support", "place"
"""The channels that a core reads: points, x and y of each, and the x whose y is asked for."""

GENERATED = 64
"""Units of the network that makes gains and shifts of a row."""

INITIAL_RATE = 0.1
"""How far a row moves along its gradient before training says better."""

HALF_RANGE = 2.0
"""What an x is divided by."""

MAX_LOG_SCALE = 3.0
"""How unsure a value can be, and how sure: the largest and, negative, the smallest logarithm of its scale."""


@dataclass(frozen=True)
class RegressionConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        units: U. layers: of that many units.
        steps: of gradient descent within an episode.
    """

    kind: str = KIND
    row: int = setting(5, SIZE)
    units: int = setting(40, SIZE)
    layers: int = setting(2, within(1, 8))
    steps: int = setting(1, within(1, 100))


class RegressionCore(LearnerCore):
    """Says y at an x; what an episode carries is its row."""

    constant_hidden = True
    config: RegressionConfig

    def __init__(self, config: RegressionConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        sizes = [1, *[config.units] * config.layers, 2]
        self.layers = nn.ModuleList(seeded_linear(i, o, generator=generator) for i, o in itertools.pairwise(sizes))
        self.widths = [2 * size for size in sizes[1:]]
        self.first = seeded_linear(config.row, GENERATED, generator=generator)
        self.second = seeded_linear(GENERATED, GENERATED, generator=generator)
        self.said = seeded_linear(GENERATED, sum(self.widths), generator=generator)
        self.log_rate_P = nn.Parameter(torch.full((config.row,), math.log(INITIAL_RATE)))

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.config.row

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """The row after gradient descent on the episode's points."""
        assert given is not None
        points_BL2 = given.channels[SUPPORT]
        assert isinstance(points_BL2, torch.Tensor)
        graph = torch.is_grad_enabled()
        row_BP = self.adapted(points_BL2, task.row_BP, second_order=graph)
        return row_BP if graph else row_BP.detach()

    def adapted(self, points_BL2: torch.Tensor, row_BP: torch.Tensor, *, second_order: bool) -> torch.Tensor:
        """Rows after gradient descent on the points of each episode."""
        with torch.enable_grad():  # of the rates, too
            rate_P = self.log_rate_P.exp()

        def loss(row_BP: torch.Tensor) -> torch.Tensor:
            return self.negative_log_likelihood(points_BL2, row_BP)

        return inner.adapt(loss, row_BP, self.config.steps, rate_P, second_order=second_order)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        place_B1 = seen.channels[PLACE]
        assert isinstance(place_B1, torch.Tensor)
        value_B1, log_scale_B1 = self(place_B1, hidden_BH)
        call_B4 = torch.zeros(len(value_B1), 1 + SLOTS, dtype=torch.int64, device=value_B1.device)
        return StepOutput(Action(call_B4, value_B1), hidden_BH, {"log_scale": log_scale_B1[:, 0]})

    def forward(self, x_BL: torch.Tensor, row_BP: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """value_BL and the logarithms of its scales, at places of functions that rows stand for."""
        made_BX = nn.functional.silu(self.second(nn.functional.silu(self.first(row_BP))))
        y_BLU = x_BL[..., None] / HALF_RANGE
        for place, (layer, said_BX) in enumerate(
            zip(self.layers, self.said(made_BX).split(self.widths, 1), strict=True)
        ):
            gain_B1U, shift_B1U = said_BX[:, None].chunk(2, 2)
            y_BLU = torch.addcmul(shift_B1U, layer(y_BLU), 1 + gain_B1U)
            y_BLU = y_BLU.tanh() if place < self.config.layers else y_BLU
        value_BL, log_scale_BL = y_BLU.unbind(2)
        return value_BL, log_scale_BL.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)

    def negative_log_likelihood(self, points_BL2: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        """B: of points under normal distributions, in the mean over an episode's, less a constant."""
        x_BL, y_BL = points_BL2.unbind(2)
        value_BL, log_scale_BL = self(x_BL, row_BP)
        return ((value_BL - y_BL).square() * (-2 * log_scale_BL).exp() / 2 + log_scale_BL).mean(1)


class Regression:
    """The learner (implements ``npi.learners.interface.Learner``); see the head of this file."""

    kind, signals, anywhere = KIND, (("minimise", "error"),), True
    config = RegressionConfig
    training = UnrolledTraining(
        updates=2000, batch=100, rate=3e-3, row_rate=3e-3, clip=10.0, check_every=500, problems=500
    )
    learning = UnrolledTraining(
        updates=300, batch=100, row_rate=1e-2, clip=10.0, check_every=100, problems=500, starts=2
    )

    def admit(self, spec: WorldSpec) -> None:
        """A world that shows points of a function, then places, and takes a value for each."""
        channels = {channel.name: channel for channel in spec.channels}
        support, place, first = channels.get(SUPPORT), channels.get(PLACE), spec.primitives[0]
        points = support is not None and len(support.shape) == 2 and support.shape[1] == 2 and not support.ragged
        asked = place is not None and place.shape == (1,)
        if not points or not asked or first.slots or first.payload is None or first.payload.shape != (1,):
            raise ValueError(
                f"world {spec.name} ({spec.kind}) does not ask for values of a function that is shown by points: it "
                f"needs the channels {SUPPORT!r} (points x 2) and {PLACE!r} (1), and a first primitive that takes one "
                "number; use a world such as sines(shots: 10)"
            )

    def core(
        self, config: RegressionConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> RegressionCore:
        return RegressionCore(config, generator=generator)

    def objective(
        self, core: RegressionCore, rows_NP: torch.Tensor, problems: Problems, training: UnrolledTraining
    ) -> Unrolled:
        """The mean squared error after the steps of descent, through which the gradient goes."""
        return Unrolled(self, core, rows_NP, problems, training)

    def infer_row(self, core: RegressionCore, evidence: Episodes) -> None:
        """Rows are learned by gradient, and moved by gradient within an episode."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The mean squared error."""
        live_TB = episodes.live_TB
        return {"error": (episodes.scores["error"] * live_TB).sum(0) / live_TB.sum(0).clamp(min=1)}


LEARNER = Regression()
