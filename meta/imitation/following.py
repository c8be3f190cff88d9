"""A policy that follows a demonstration moment by moment (``reads=along``), for drawings and other paths.

A path that crosses itself is not told by where the body is: what comes next depends on how far one has come. The body
says how late it is (its last number, from 0 to 1), and the core reads the demonstration there and a little ahead, as it
lies from the body, all seen from the first object: in parts of its size, from its place. So a demonstration on another
sheet is seen as it would lie on this one.

A row stands for a demonstration: a plan of places and of the other parts of the body is made of it, which is read in
the demonstration's stead. At first it is a cosine transform; both ways are learned.

Bodies are (x, y, vx, vy, others …, clock), the first object begins with (x, y, size), the first two numbers of a
payload are forces along x and y.

Shape legend: ``B`` instances, ``T`` steps, ``L`` moments of a demonstration, ``M`` of what is kept of it, ``W`` of
those that are read in one step, ``G`` numbers of a moment, ``S`` of a body, ``X`` payload, ``U`` units, ``P``
parameters of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from envs.control.demonstrations import (
    BODY,
    DEMONSTRATION,
    Demonstration,
    Sizes,
    objects_of,
    unpacked,
)
from envs.spec import WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.world import Episodes
from meta.imitation.attention import RowLayers
from meta.imitation.network import ImitationConfig, first_call, log_likelihood, shows
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput

PLACE, OTHERS = 2, 4
"""Where the place of a body ends, and where what is neither place nor velocity begins."""

FRAME = 3
"""Numbers of an object that say where it is and how large."""

SLOW = 0.1
"""By what layers are scaled that add to something which is good from the beginning: they change it slowly."""


class Moments(NamedTuple):
    """Some states, and what is read of the plan in each.

    Attributes:
        body_BTS: as observed. frame_B3: the place and the size of the first object. read_BTWG: moments of the plan.
    """

    body_BTS: torch.Tensor
    frame_B3: torch.Tensor
    read_BTWG: torch.Tensor


class FollowingCore(LearnerCore):
    """The core; see the head of this file."""

    constant_hidden = True
    config: ImitationConfig
    cosines_PG: torch.Tensor

    def __init__(self, config: ImitationConfig, sizes: Sizes, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        self.others = sizes.body - OTHERS - 1
        self.shown = PLACE + self.others
        self.width = self.shown + sizes.payload + 1
        self.seen = PLACE + self.others + 1 + config.ahead * self.width
        units, row = 2 * config.units, config.row
        layers = {"act0": (self.seen, units), "act1": (units, units), "payload": (units, sizes.payload)}
        self.layers = RowLayers(layers, row, generator=generator)
        self.straight = seeded_linear(self.seen, sizes.payload, generator=generator)
        path = config.moments * self.shown
        self.write0, self.write1 = (seeded_linear(i, o, generator=generator) for i, o in ((row, units), (units, path)))
        self.read0, self.read1 = (seeded_linear(i, o, generator=generator) for i, o in ((path, units), (units, row)))
        self.register_buffer("cosines_PG", cosines(row, config.moments, self.shown), persistent=False)
        self.written_PG = nn.Parameter(torch.zeros(row, path))
        self.told_GP = nn.Parameter(torch.zeros(path, row))

    def hidden_size(self, spec: WorldSpec) -> int:
        """The moments of a demonstration, and a 1; nothing where none is observed."""
        return self.config.moments * self.width + 1 if shows(spec) else 0

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """The demonstration's moments; zeros, so that the row alone counts, where none is given."""
        if given is None or not shows(task.spec):
            return super().begin(task, given)
        plan_BMG = self.kept(self.read(given))
        return torch.cat([plan_BMG.flatten(1), torch.ones_like(plan_BMG[:, 0, :1])], 1)

    def read(self, given: Observation) -> Demonstration:
        """The demonstration that is observed."""
        held = given.channels[DEMONSTRATION]
        assert isinstance(held, Ragged)
        return unpacked(held, self.sizes)

    def kept(self, shown: Demonstration) -> torch.Tensor:
        """plan_BMG: M moments of each demonstration, evenly spaced, seen from its first object."""
        frame_BL3 = shown.objects_BLKF[:, :, 0, :FRAME]
        size_BL1 = frame_BL3[..., 2:].clamp(min=1e-6)
        place_BL2 = (shown.body_BLS[..., :PLACE] - frame_BL3[..., :PLACE]) / size_BL1
        force_BL2, more_BLX = shown.action_BLX.split([PLACE, self.sizes.payload - PLACE], 2)
        told_BL1 = shown.told_B[:, None, None].expand(-1, place_BL2.shape[1], 1).float()
        others_BLO = shown.body_BLS[..., OTHERS:-1]
        line_BLG = torch.cat([place_BL2, others_BLO, force_BL2 / size_BL1, more_BLX, told_BL1], 2)
        share_M = torch.linspace(0, 1, self.config.moments, device=line_BLG.device)
        return between(line_BLG, share_M * (shown.length_B[:, None] - 1))

    def inferred(self, shown: Demonstration) -> torch.Tensor:
        """row_BP: the demonstrations as rows, by which the core does the same without them; differentiable. Actions are
        no part of it."""
        path_BG = self.kept(shown)[..., : self.shown].flatten(1)
        straight_BP = path_BG @ (self.cosines_PG.mT + SLOW * self.told_GP) / self.config.moments
        more_BP: torch.Tensor = self.read1(nn.functional.silu(self.read0(path_BG)))
        return straight_BP + SLOW * more_BP

    def planned(self, row_BP: torch.Tensor) -> torch.Tensor:
        """plan_BMG that rows stand for; it tells no actions."""
        straight_BG = row_BP @ (self.cosines_PG + SLOW * self.written_PG)
        more_BG: torch.Tensor = self.write1(nn.functional.silu(self.write0(row_BP)))
        path_BMG = (straight_BG + SLOW * more_BG).unflatten(1, (self.config.moments, self.shown))
        return nn.functional.pad(path_BMG, (0, self.width - self.shown))

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        payload_BX = self.payload(task, [seen], hidden_BH)[:, 0]
        return StepOutput(Action(first_call(payload_BX), payload_BX), hidden_BH, {"mean": payload_BX})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        """Of a payload under normal distributions about the core's, less a constant."""
        assert action.payload_BX is not None
        return log_likelihood(step.extras["mean"], action.payload_BX)

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All steps at once, since each depends on its state alone."""
        mean_TBX = self.payload(task, episodes.seen[:-1], hidden_BH).transpose(0, 1)
        if episodes.actions is None:
            return {"mean": mean_TBX}
        payloads = [action.payload_BX for action in episodes.actions if action.payload_BX is not None]
        return {"mean": mean_TBX, "log_likelihood": log_likelihood(mean_TBX, torch.stack(payloads))}

    def payload(self, task: TaskInput, seen: Sequence[Observation], hidden_BH: torch.Tensor) -> torch.Tensor:
        """payload_BTX in each state."""
        return self._acted(task.row_BP, self._moments(task, seen, hidden_BH))

    def _moments(self, task: TaskInput, seen: Sequence[Observation], hidden_BH: torch.Tensor) -> Moments:
        bodies = []
        for one in seen:
            body_BS = one.channels[BODY]
            assert isinstance(body_BS, torch.Tensor)
            bodies.append(body_BS)
        body_BTS, objects_BKF = torch.stack(bodies, 1), objects_of(seen[0], self.sizes)[0]
        plan_BMG = self.planned(task.row_BP)
        if hidden_BH.shape[1]:
            held_BMG = hidden_BH[:, :-1].unflatten(1, plan_BMG.shape[1:])
            plan_BMG = torch.where(hidden_BH[:, -1:, None] > 0, held_BMG, plan_BMG)
        ahead_W = torch.arange(self.config.ahead, device=body_BTS.device)
        at_BTW = body_BTS[..., -1:] * (self.config.moments - 1) + ahead_W
        read_BTWG = between(plan_BMG, at_BTW.flatten(1)).unflatten(1, at_BTW.shape[1:])
        return Moments(body_BTS, objects_BKF[:, 0, :FRAME], read_BTWG)

    def _acted(self, row_BP: torch.Tensor, moments: Moments) -> torch.Tensor:
        """payload_BTX: linear in what is seen, and what a small network adds; forces are in parts of the size."""
        body_BTS, frame_B3, read_BTWG = moments
        size_B11 = frame_B3[:, None, 2:].clamp(min=1e-6)
        place_BT2, own_BTI = about(body_BTS, frame_B3[:, None]).split([PLACE, body_BTS.shape[2] - 1 - PLACE], 2)
        from_here_BTW2 = read_BTWG[..., :PLACE] - place_BT2[:, :, None]
        plan_BTI = torch.cat([from_here_BTW2, read_BTWG[..., PLACE:]], 3).flatten(2)
        seen_BTI = torch.cat([own_BTI, size_B11.expand_as(body_BTS[..., :1]), plan_BTI], 2)
        layers = self.layers(row_BP)
        x_BTU = nn.functional.silu(layers["act0"](seen_BTI))
        said_BTX = self.straight(seen_BTI)
        said_BTX = said_BTX + SLOW * layers["payload"](nn.functional.silu(layers["act1"](x_BTU)))
        return torch.cat([said_BTX[..., :PLACE] * size_B11, said_BTX[..., PLACE:]], 2)


def about(body_XS: torch.Tensor, frame_X3: torch.Tensor) -> torch.Tensor:
    """Bodies as seen from an object, in parts of its size, without the clock: place, velocity, and the others."""
    size_X1 = frame_X3[..., PLACE:].clamp(min=1e-6)
    place_X2 = (body_XS[..., :PLACE] - frame_X3[..., :PLACE]) / size_X1
    return torch.cat([place_X2, body_XS[..., PLACE:OTHERS] / size_X1, body_XS[..., OTHERS:-1]], -1)


def between(line_BLG: torch.Tensor, at_BM: torch.Tensor) -> torch.Tensor:
    """B × M × G: lines at places between two of them, in parts of both; the last one behind the end."""
    last = line_BLG.shape[1] - 1
    first_BM = at_BM.detach().floor().long().clamp(0, last)
    part_BM1 = (at_BM - first_BM).clamp(0, 1)[..., None]
    row_B1 = torch.arange(len(at_BM), device=at_BM.device)[:, None]
    return torch.lerp(line_BLG[row_B1, first_BM], line_BLG[row_B1, (first_BM + 1).clamp(max=last)], part_BM1)


def cosines(row: int, moments: int, shown: int) -> torch.Tensor:
    """float32 P × M · G: cosines, from slow to quick; each parameter of a row is one of one number of a moment.

    What is no place has two for each of a place's, since pens are lifted at once.
    """
    middle_M = (torch.arange(moments) + 0.5) / moments
    turn = [(number, 1, 0) for number in range(PLACE)]
    turn += [(number, 2, more) for number in range(PLACE, shown) for more in range(2)]
    found_PMG = torch.zeros(row, moments, shown)
    for p in range(row):
        number, times, more = turn[p % len(turn)]
        wave = times * (p // len(turn)) + more
        found_PMG[p, :, number] = (math.pi * wave * middle_M).cos() * (2**0.5 if wave else 1.0)
    return found_PMG.flatten(1)


def check_followed(sizes: Sizes) -> None:
    """``ValueError`` for a world whose demonstrations can't be followed, says why."""
    if sizes.body <= OTHERS or sizes.object < FRAME or sizes.payload < PLACE:
        raise ValueError(
            f'a core that reads: "along" follows bodies (x, y, vx, vy, …, clock) about an object (x, y, size), and '
            f"this world has {sizes.body} numbers of a body, {sizes.object} of an object and {sizes.payload} of a "
            "payload; use a kind such as pen, or another value of reads"
        )
