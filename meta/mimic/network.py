"""A policy that follows a demonstration's next observations, or does a task, as its row says (Le Paine et al. 2018).

The layers are those of a perceptron, each scaled and shifted by the row. Of the demonstration the next few frames are
read, counted from the number of the act; an episode without a demonstration shows zeros.

Shape legend: ``B`` instances, ``I`` inputs, ``W`` units, ``L`` layers, ``P`` parameters of a row, ``K`` frames, ``D``
numbers of a frame, ``X`` payload.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from envs.control.puzzle_box_settings import BOX, DEMONSTRATION, HAND, SITES, STEP, TRANSPARENT, VELOCITY
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation, Ragged
from npi.core.config import SIZE, SWITCH, at_least, setting, within
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput

KIND = "mimic"

FEATURES, WINDOW = "features", "window"
"""What a replay memory keeps of an observation: what is seen of the box, and what of the demonstration."""

FORCES = 2
"""Numbers of a payload."""

LAST_LAYER_SCALE = 0.1
"""The last layer begins smaller than the others."""

DEVIATION = 0.1
"""Of the acts that a likelihood takes a policy to make: a normal distribution about the one that it makes."""


@dataclass(frozen=True)
class MimicConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        units, layers: W of each hidden layer, and how many there are. normalised: 1: with layer normalisation.
        frames: K, of the demonstration that are seen ahead.
        noise: standard deviation of what is added to acts in training.
    """

    kind: str = KIND
    row: int = setting(16, SIZE)
    units: int = setting(128, SIZE)
    layers: int = setting(2, within(1, 16))
    normalised: int = setting(1, SWITCH)
    frames: int = setting(3, within(1, 20))
    noise: float = setting(0.2, at_least(0))


@final
class Perceptron(nn.Module):
    """Linear layers, each normalised where that is asked for, and rectified."""

    def __init__(self, inputs: int, config: MimicConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [inputs, *[config.units] * config.layers]
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(seeded_linear(a, b, generator=generator) for a, b in pairs)
        self.norms = nn.ModuleList(nn.LayerNorm(config.units) for _ in range(config.layers * config.normalised))

    def forward(self, x_BI: torch.Tensor, said_BLW: torch.Tensor | None = None) -> torch.Tensor:
        """x_BW; ``said_BLW`` are gains and shifts of the layers, B × 2 L × W."""
        for place, layer in enumerate(self.layers):
            x_BI = layer(x_BI)
            if len(self.norms):
                x_BI = self.norms[place](x_BI)
            if said_BLW is not None:
                x_BI = torch.addcmul(said_BLW[:, 2 * place + 1], x_BI, 1 + said_BLW[:, 2 * place])
            x_BI = x_BI.relu()
        return x_BI


@final
class MimicCore(LearnerCore):
    """The policy. Critics are no part of it: they are scaffolding, and go when training is over."""

    config: MimicConfig

    def __init__(self, config: MimicConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.body = Perceptron(FEATURE_SIZE + config.frames * FRAME_SIZE, config, generator=generator)
        self.head = seeded_linear(config.units, FORCES, generator=generator)
        self.rows = seeded_linear(config.row, 2 * config.layers * config.units, generator=generator, bias=False)
        with torch.no_grad():
            for part in self.head.parameters():
                part.mul_(LAST_LAYER_SCALE)

    def hidden_size(self, spec: WorldSpec) -> int:
        return 0

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        force_BX = self.force(task.row_BP, self.remembered(task.spec, seen))
        if draw is not None:
            force_BX = (force_BX + self.config.noise * draw.normal(FORCES)).clamp(-1, 1)
        call_B4 = torch.zeros(len(force_BX), 1 + SLOTS, dtype=torch.int64, device=force_BX.device)
        return StepOutput(Action(call_B4, force_BX), hidden_BH)

    def force(self, row_BP: torch.Tensor, kept: Observation) -> torch.Tensor:
        """force_BX by what is remembered of observations."""
        return self.wanted(row_BP, kept).tanh()

    def wanted(self, row_BP: torch.Tensor, kept: Observation) -> torch.Tensor:
        """The force before it is bounded."""
        said_BLW = self.rows(row_BP).unflatten(1, (-1, self.config.units))
        out_BX: torch.Tensor = self.head(self.body(inputs(kept), said_BLW))
        return out_BX

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        assert step.action.payload_BX is not None
        assert action.payload_BX is not None
        away_BX = (step.action.payload_BX - action.payload_BX) / DEVIATION
        return -0.5 * away_BX.square().sum(1)

    def remembered(self, spec: WorldSpec, seen: Observation) -> Observation:
        """An observation without its ragged channel: the features, and the demonstration's next frames."""
        channels = seen.channels
        hand_B2 = _tensor(channels[HAND])
        transparent_B1, step_B = seen.fields_BF[:, [spec.field(TRANSPARENT)]], seen.fields_BF[:, spec.field(STEP)]
        demonstration = channels[DEMONSTRATION]
        assert isinstance(demonstration, Ragged)
        shown_B1 = (demonstration.lengths_B > 0)[:, None].float()
        site_BI = _tensor(channels[SITES]).flatten(1)
        near_BI = (site_BI / NEAR).tanh()
        features = [hand_B2, _tensor(channels[VELOCITY]), site_BI, near_BI, _tensor(channels[BOX])]
        feature_BI = torch.cat([*features, transparent_B1.float()], 1)
        frame_BKD = ahead(demonstration, step_B, self.config.frames)
        place_BK2, box_BKS = frame_BKD.split([2, frame_BKD.shape[2] - 2], 2)
        window_BKD = torch.cat([place_BK2 - hand_B2[:, None], box_BKS, torch.ones_like(box_BKS[..., :1])], 2)
        window_BI = window_BKD.flatten(1) * shown_B1
        return Observation(seen.fields_BF[:, :0], {FEATURES: feature_BI, WINDOW: window_BI})


FEATURE_SIZE = 2 + 2 + 12 + 12 + 6 + 1
"""Numbers that are seen of hand and box."""

NEAR = 0.1
"""Where the hand is from a site is seen twice, once so that the last steps of a way are as large as all before: else a
hand comes to a halt just outside a site, where its way on looks the same as its way in."""

FRAME_SIZE = 2 + 6 + 1
"""Numbers that are seen of a frame: from the hand to where it was, the state of the box, and that there is one."""


def inputs(kept: Observation) -> torch.Tensor:
    """x_BI of what is remembered."""
    return torch.cat([_tensor(kept.channels[FEATURES]), _tensor(kept.channels[WINDOW])], 1)


def ahead(demonstration: Ragged, step_B: torch.Tensor, frames: int) -> torch.Tensor:
    """frame_BKD: those that follow after so many acts; behind the end, the last one."""
    frame_BLD, length_B = demonstration
    if not frame_BLD.shape[1]:
        return frame_BLD.new_zeros(len(frame_BLD), frames, frame_BLD.shape[2])
    place_BK = step_B[:, None] + 1 + torch.arange(frames, device=step_B.device)
    place_BK = torch.minimum(place_BK, (length_B - 1).clamp(min=0)[:, None])
    return frame_BLD.gather(1, place_BK[..., None].expand(-1, -1, frame_BLD.shape[2]))


def _tensor(part: torch.Tensor | Ragged) -> torch.Tensor:
    assert isinstance(part, torch.Tensor)
    return part
