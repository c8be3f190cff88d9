"""A policy that reads a demonstration (Duan et al. 2017, "One-shot imitation learning").

What the policy does depends on the state alone, and on what it reads: in each of several rounds every object asks the
moments of its own track in the demonstration (temporal attention), and hears of the other objects; then a few heads
attend to objects, and what they read, places as they lie from the body, goes through a small network that gives the
payload (the context and manipulation networks of sections 4.2 and 4.3). All objects share all weights.

Every layer depends on the program's row. Where no demonstration is observed the row alone says what is to be done; a
row can be inferred from a demonstration (:meth:`ImitationCore.inferred`).

Shape legend: ``B`` instances, ``T`` steps, ``K`` objects of ``F`` numbers, ``M`` moments, ``U`` units, ``S`` numbers of
a body, ``X`` payload, ``A`` heads, ``P`` parameters of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from envs.control.demonstrations import (
    BODY,
    DEMONSTRATION,
    Demonstration,
    Sizes,
    objects_of,
    sizes_of,
    unpacked,
)  # fmt: skip
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.world import Episodes
from meta.imitation.attention import (
    RowLayer,
    RowLayers,
    mean_of_objects,
    over_moments,
    over_objects,
    over_shared_moments,
)
from meta.imitation.encoder import AWAY, Encoder, away, existing, glances, rests, things, thinned
from npi.core.config import SIZE, one_of, setting, within
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput

KIND = "imitation"

FULL, SNAPSHOTS, FINAL = "demonstration", "snapshots", "final"
"""How a demonstration is read by attention: all of it, the moments in which something came to rest, or its end."""

ALONG, RECURRENT = "along", "recurrent"
"""Other ways: moment by moment, or all of it by a plain LSTM."""

OWN, SHARED = "own", "shared"
"""Whether each object attends to moments of its own, or all of them agree on which ones."""

SCALE = 0.3
"""Standard deviation of the actions that are thought likely about what the network says."""


@dataclass(frozen=True)
class ImitationConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        units: U. track: units of a moment of an object in what is kept of a demonstration. moments: M, of a track.
        every: moments of a demonstration, of which one is read. dilated: convolutions along those that are, each of
            which reaches three times as far as the one before.
        rounds: in which objects ask. heads: A.
        attention: to moments: each object its ``own``, or ``shared`` ones.
        reads: ``demonstration``; ``snapshots``: the moments alone in which an object came to rest, and the last one;
            ``final``: its last moment alone; ``along``: moment by moment, where bodies tell how late it is;
            ``recurrent``: by an LSTM, without attention.
        ahead: moments that are read in each step, of ``along``.
    """

    kind: str = KIND
    row: int = setting(32, SIZE)
    units: int = setting(48, SIZE)
    track: int = setting(24, SIZE)
    moments: int = setting(8, within(1, 256))
    rounds: int = setting(1, within(1, 8))
    heads: int = setting(2, within(1, 16))
    every: int = setting(1, within(1, 100))
    dilated: int = setting(2, within(1, 5))
    attention: str = setting(OWN, one_of(OWN, SHARED))
    reads: str = setting(FULL, one_of(FULL, SNAPSHOTS, FINAL, ALONG, RECURRENT))
    ahead: int = setting(6, within(1, 64))


MATCHED = 16
"""Numbers by which what a row seeks and what an object is are compared."""

GLANCES = 4
"""Moments of a demonstration in which a core is put to infer a row."""

Track = tuple[torch.Tensor, torch.Tensor]
"""Of demonstrations, B × K × M × U, and whether there is one, B × 1."""


class Scene(NamedTuple):
    """States of T steps.

    Attributes:
        body_BTS, objects_BTKF: as observed. exists_BK: bool. asked_BK3: float32, whether an argument names the object.
    """

    body_BTS: torch.Tensor
    objects_BTKF: torch.Tensor
    exists_BK: torch.Tensor
    asked_BK3: torch.Tensor


class ImitationCore(LearnerCore):
    """The core; see the head of this file."""

    constant_hidden = True
    config: ImitationConfig

    def __init__(self, config: ImitationConfig, sizes: Sizes, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        units, track = config.units, config.track
        self.encoder = Encoder(
            sizes, units=track, moments=config.moments, dilated=config.dilated, row=config.row, generator=generator
        )
        layers = {"sought": (config.row, MATCHED), "known0": (sizes.object, units), "known1": (units, MATCHED)}
        layers |= {"look": (sizes.body + sizes.object + AWAY + SLOTS + 1, units)}
        for turn in range(config.rounds):
            layers |= {f"ask{turn}": (units, track), f"hear{turn}": (2 * units + track, units)}
        read = config.heads * (AWAY + units) + sizes.body
        layers |= {"weigh": (units, config.heads), "act0": (read, 2 * units), "act1": (2 * units, units)}
        seen = config.heads * (sizes.object + units) + sizes.body
        layers |= {"glance": (seen, units), "row0": (2 * units, units), "row1": (units, config.row)}
        self.layers = RowLayers(layers | {"payload": (units, sizes.payload)}, config.row, generator=generator)

    def hidden_size(self, spec: WorldSpec) -> int:
        """The tracks of a demonstration, and a 1; nothing where none is observed."""
        return max(1, objects_in(spec, self.sizes)) * self.config.moments * self.config.track + 1 if shows(spec) else 0

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """The demonstration's tracks; zeros, so that the row alone counts, where none is given."""
        if given is None or not shows(task.spec):
            return super().begin(task, given)
        track_BKMU = self.encoder(self.read(given), task.row_BP)
        return torch.cat([track_BKMU.flatten(1), torch.ones_like(track_BKMU[:, 0, 0, :1])], 1)

    def read(self, given: Observation) -> Demonstration:
        """What the core reads of the demonstration that is observed."""
        held = given.channels[DEMONSTRATION]
        assert isinstance(held, Ragged)
        return self.readable(unpacked(held, self.sizes))

    def readable(self, shown: Demonstration) -> Demonstration:
        """The part of a demonstration that the core reads."""
        if self.config.reads == FULL and self.config.every == 1:
            return shown
        place_BL = torch.arange(shown.body_BLS.shape[1], device=shown.length_B.device).expand(shown.body_BLS.shape[:2])
        if self.config.reads == FULL:
            return thinned(shown, place_BL % self.config.every == 0)
        return thinned(shown, rests(shown) if self.config.reads == SNAPSHOTS else place_BL < 0)

    def inferred(self, shown: Demonstration) -> torch.Tensor:
        """row_BP: the demonstrations as rows, by which the core does the same without them; differentiable.

        Told by the demonstration itself, the core is put into some of its moments: what it attends to there, in the
        mean and at the end, makes the row.
        """
        shown = self.readable(shown)
        none_BP = shown.body_BLS.new_zeros(len(shown.length_B), self.config.row)
        layers, track_BKMU = self.layers(none_BP), self.encoder(shown, none_BP)
        body_BTS, objects_BTKF = glances(shown, GLANCES)
        exists_BK = existing(objects_BTKF[:, 0], shown.count_B)
        asked_BK3 = torch.zeros(*exists_BK.shape, SLOTS, device=exists_BK.device)
        scene = Scene(body_BTS, things(objects_BTKF), exists_BK, asked_BK3)
        weight_BTKA, x_BTKU = self._attended(layers, none_BP, scene, (track_BKMU, torch.ones_like(none_BP[:, :1])))
        read_BTAR = weight_BTKA.mT @ torch.cat([scene.objects_BTKF, x_BTKU], 3)
        glance_BTU = nn.functional.silu(layers["glance"](body_BTS, read_BTAR.flatten(2)))
        both_BU = torch.cat([glance_BTU.mean(1), glance_BTU[:, -1]], 1)
        return layers["row1"](nn.functional.silu(layers["row0"](both_BU)))

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        payload_BX = self.payload(task.row_BP, self._scene(task, [seen]), self._track(task, hidden_BH))[:, 0]
        return StepOutput(Action(first_call(payload_BX), payload_BX), hidden_BH, {"mean": payload_BX})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        """Of a payload under normal distributions about the core's, less a constant."""
        assert action.payload_BX is not None
        return log_likelihood(step.extras["mean"], action.payload_BX)

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All steps at once, since each depends on its state alone."""
        scene = self._scene(task, episodes.seen[:-1])
        mean_TBX = self.payload(task.row_BP, scene, self._track(task, hidden_BH)).transpose(0, 1)
        if episodes.actions is None:
            return {"mean": mean_TBX}
        payloads = [action.payload_BX for action in episodes.actions if action.payload_BX is not None]
        return {"mean": mean_TBX, "log_likelihood": log_likelihood(mean_TBX, torch.stack(payloads))}

    def payload(self, row_BP: torch.Tensor, scene: Scene, track: Track | None) -> torch.Tensor:
        """payload_BTX in each state.

        Args:
            track: None without a demonstration.
        """
        layers = self.layers(row_BP)
        weight_BTKA, x_BTKU = self._attended(layers, row_BP, scene, track)
        away_BTK3 = away(scene.body_BTS, scene.objects_BTKF)
        read_BTAR = weight_BTKA.mT @ torch.cat([away_BTK3, x_BTKU], 3)
        hidden_BTU = nn.functional.silu(layers["act0"](scene.body_BTS, read_BTAR.flatten(2)))
        return layers["payload"](nn.functional.silu(layers["act1"](hidden_BTU)))

    def _attended(
        self, layers: Mapping[str, RowLayer], row_BP: torch.Tensor, scene: Scene, track: Track | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """weight_BTKA of the objects in each state, and what is known of each of them, x_BTKU."""
        body_BTS, objects_BTKF, exists_BK, asked_BK3 = scene
        B, T, K, _ = objects_BTKF.shape
        asked_BTK3, own_BTKS = asked_BK3[:, None].expand(B, T, K, SLOTS), body_BTS[:, :, None].expand(B, T, K, -1)
        known_BTKN = layers["known1"](nn.functional.silu(layers["known0"](objects_BTKF)))
        fits_BTK1 = known_BTKN @ layers["sought"](row_BP)[:, None, :, None] / math.sqrt(MATCHED)
        seen = own_BTKS, objects_BTKF, away(body_BTS, objects_BTKF), asked_BTK3, fits_BTK1
        x_BTKU = nn.functional.silu(layers["look"](*seen))
        for turn in range(self.config.rounds):
            read_BTKU = x_BTKU.new_zeros(B, T, K, self.config.track)
            if track is not None:
                track_BKMU = with_objects(track[0], K)
                asks = over_moments if self.config.attention == OWN else over_shared_moments
                read_BTKU = asks(layers[f"ask{turn}"](x_BTKU), track_BKMU) * track[1][:, None, None]
            all_BTKU = mean_of_objects(x_BTKU, exists_BK).expand_as(x_BTKU)
            x_BTKU = x_BTKU + nn.functional.silu(layers[f"hear{turn}"](x_BTKU, all_BTKU, read_BTKU))
        return over_objects(layers["weigh"](x_BTKU), exists_BK), x_BTKU

    def _scene(self, task: TaskInput, seen: Sequence[Observation]) -> Scene:
        """What was observed in some steps."""
        bodies, things_BKF = [], []
        for one in seen:
            body_BS = one.channels[BODY]
            assert isinstance(body_BS, torch.Tensor)
            bodies.append(body_BS)
            objects_BKF, count_B = objects_of(one, self.sizes)
            things_BKF.append(things(objects_BKF))
        exists_BK = existing(objects_BKF, count_B)
        token_K1 = 1 + torch.arange(exists_BK.shape[1], device=exists_BK.device)[:, None]
        asked_BK3 = (task.arguments_B3[:, None] == token_K1).float()
        return Scene(torch.stack(bodies, 1), torch.stack(things_BKF, 1), exists_BK, asked_BK3)

    def _track(self, task: TaskInput, hidden_BH: torch.Tensor) -> Track | None:
        """The demonstration's tracks, and whether there is one."""
        if not shows(task.spec):
            return None
        shape = (len(hidden_BH), max(1, objects_in(task.spec, self.sizes)), self.config.moments, self.config.track)
        return hidden_BH[:, :-1].reshape(shape), hidden_BH[:, -1:]


def objects_in(spec: WorldSpec, sizes: Sizes) -> int:
    """The most objects of a world that shows demonstrations; 0 where there are none."""
    width = next(channel.size for channel in spec.channels if channel.name == DEMONSTRATION)
    return (width - sizes.width(0)) // max(1, sizes.object)


def with_objects(track_BKMU: torch.Tensor, objects: int) -> torch.Tensor:
    """Tracks of so many objects: zeros for those that no demonstration has, and without those that are not there."""
    return nn.functional.pad(track_BKMU, (0, 0, 0, 0, 0, objects - track_BKMU.shape[1]))


def shows(spec: WorldSpec) -> bool:
    """Whether a demonstration is observed in a world."""
    return any(channel.name == DEMONSTRATION for channel in spec.channels)


def sizes_of_all(specs: Sequence[WorldSpec]) -> Sizes:
    """Of worlds that one core acts in; ``ValueError`` where they differ."""
    found = {sizes_of(spec): spec.name for spec in specs}
    if len(found) > 1:
        told = "; ".join(f"{name}: {sizes._asdict()}" for sizes, name in found.items())
        raise ValueError(f"one core moves bodies of one size, and these worlds differ ({told}); train a core for each")
    return next(iter(found))


def log_likelihood(mean_BX: torch.Tensor, payload_BX: torch.Tensor) -> torch.Tensor:
    """B: of normal distributions of the deviation :data:`SCALE`, less a constant."""
    return -((payload_BX[..., : mean_BX.shape[-1]] - mean_BX) / SCALE).square().sum(-1) / 2


def first_call(payload_BX: torch.Tensor) -> torch.Tensor:
    """call_B4 of the first primitive."""
    return torch.zeros(len(payload_BX), 1 + SLOTS, dtype=torch.int64, device=payload_BX.device)
