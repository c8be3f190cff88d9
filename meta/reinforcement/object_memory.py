"""Things in view: an eye that is the same at each place, and a memory of what came of them.

Where a world shows several alike things, such as pictures of one size, each is at a *place*. The eye makes a key of
each. A matrix among the hidden numbers holds a value for each key, and changes with every step (fast weights:
Schmidhuber 1992, Ba et al. 2016; written by the delta rule, Schlag et al. 2021). To know a thing again is a product of
what is seen and what was seen, and gates of an LSTM multiply nothing of that kind.

Shape legend: ``B`` episodes, ``K`` steps, ``N`` = ``K`` × ``B``, ``F`` observation fields, ``L`` places, ``W`` fields
of a thing, ``U`` different things, ``D`` numbers of a key, ``V`` of a value, ``H`` hidden units, ``M`` hidden numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from envs import make
from envs.spec import Field, Picture, WorldSpec
from envs.world import Pictured
from npi.core.initialisation import seeded_conv, seeded_linear

KEY, VALUE = 24, 8
"""D and V."""

WIDE = 48
"""Units of an eye for fields."""

CHANNELS = (16, 32)
"""Of the layers of an eye for pictures, each of stride 2."""

MOST_THINGS = 2**62
"""Different things of a world: each has a whole number of 64 bits."""

MOST_KEPT = 4096
"""Keys of things that are remembered between steps that no one learns from."""


@dataclass(frozen=True)
class Place:
    """Where a thing is seen: its fields (indices into the observation), and the picture that stands for them."""

    columns: tuple[int, ...]
    picture: Picture | None


def places(spec: WorldSpec) -> tuple[Place, ...]:
    """The places of a world's alike things; none where there are fewer than two, or where they differ in kind, or where
    there are more than :data:`MOST_THINGS` different ones.

    They are its pictures; in a world without, rows of numbered fields, ``LEFT1``, ``LEFT2`` … ``RIGHT1``, ``RIGHT2`` ….
    """
    found = [Place(tuple(map(spec.field, picture.fields)), picture) for picture in spec.pictures]
    if not found:
        rows: dict[str, list[int]] = {}
        for column, field in enumerate(spec.fields):
            if numbered := re.fullmatch(r"(\D+)\d+", field.name):
                rows.setdefault(numbered[1], []).append(column)
        found = [Place(tuple(columns), None) for columns in rows.values()]
    if len(found) < 2 or len({_kind(spec, place) for place in found}) > 1:
        return ()
    things = math.prod(spec.fields[i].size for i in found[0].columns)
    return tuple(found) if things <= MOST_THINGS else ()


def _kind(spec: WorldSpec, place: Place) -> tuple[object, ...]:
    """What places must have in common for one eye to look at them."""
    picture = place.picture
    size = (picture.height, picture.width, picture.channels) if picture else ()
    return tuple(spec.fields[i].values for i in place.columns), size


class FieldEye(nn.Module):
    """Fields U×W to numbers UD; zeros of things whose fields are all ``none``.

    Eyes are odd: the opposite of what is seen gives the opposite numbers. So different things begin with keys that are
    about at right angles, where rectified units would give all of them nearly one direction.
    """

    def __init__(self, fields: tuple[Field, ...], *, generator: torch.Generator) -> None:
        super().__init__()
        looks = [_centred(field) for field in fields]
        self.looks = [f"look{number}_VX" for number in range(len(looks))]
        for name, look_VX in zip(self.looks, looks, strict=True):
            self.register_buffer(name, look_VX, persistent=False)
        self.enter = _unbiased(seeded_linear(sum(look_VX.shape[1] for look_VX in looks), WIDE, generator=generator))
        self.out = _unbiased(seeded_linear(WIDE, KEY, generator=generator))

    def forward(self, values_UW: torch.Tensor) -> torch.Tensor:
        looks = map(self.get_buffer, self.looks)
        seen_UX = torch.cat([look_VX[value_U] for look_VX, value_U in zip(looks, values_UW.unbind(1), strict=True)], 1)
        found_UD: torch.Tensor = self.out(torch.tanh(self.enter(seen_UX)))
        return found_UD * (seen_UX != 0).any(1, keepdim=True)


class PictureEye(nn.Module):
    """uint8 pictures U×Y×X×C to numbers UD; zeros of black ones. Odd, as :class:`FieldEye` is, in how pixels differ."""

    def __init__(self, picture: Picture, *, generator: torch.Generator) -> None:
        super().__init__()
        sizes = zip((picture.channels, *CHANNELS), CHANNELS, (5, 3), strict=False)
        self.layers = nn.ModuleList(seeded_conv(i, o, side, generator=generator) for i, o, side in sizes)
        height, across = -(-picture.height // 4), -(-picture.width // 4)
        self.out = _unbiased(seeded_linear(CHANNELS[-1] * height * across, KEY, generator=generator))

    def forward(self, pixels_UYXC: torch.Tensor) -> torch.Tensor:
        x = pixels_UYXC.permute(0, 3, 1, 2).float()
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        found_UD: torch.Tensor = self.out(x.flatten(1))
        return found_UD * pixels_UYXC.flatten(1).any(1, keepdim=True)


def _centred(field: Field) -> torch.Tensor:
    """V×X: a one for each value of a field, less their mean; nothing for ``none``."""
    if field.values[0] != "none":
        return torch.eye(field.size) - 1 / field.size
    return nn.functional.pad(torch.eye(field.size - 1) - 1 / (field.size - 1), (0, 0, 1, 0))


def _unbiased(layer: nn.Linear) -> nn.Linear:
    """The layer with no bias at first."""
    with torch.no_grad():
        layer.bias.zero_()
    return layer


class Recall(nn.Module):
    """The eye, and a memory of values for keys.

    With each step it writes what came of each thing that was in view before the last act; then it reads what it knows
    of each that is in view now. Its hidden numbers are the matrix and the keys of the step before, M in all.

    Args:
        spec: of a world with :func:`places`. row: numbers of a program's row, which conditions what is written.
        hidden: H, of what is told beside the things, and of what is read.
    """

    columns_WL: torch.Tensor

    def __init__(self, spec: WorldSpec, row: int, hidden: int, *, generator: torch.Generator) -> None:
        super().__init__()
        found = places(spec)
        self.spec, self.fields = spec, tuple(spec.fields[i] for i in found[0].columns)
        self.register_buffer("columns_WL", torch.tensor([place.columns for place in found]).T, persistent=False)
        self.picture = found[0].picture
        self.eye: nn.Module
        if self.picture is None:
            self.eye = FieldEye(self.fields, generator=generator)
        else:
            self.eye = PictureEye(self.picture, generator=generator)
        self.place_LH = nn.Parameter(0.5 * torch.randn(len(found), hidden, generator=generator))
        self.condition = seeded_linear(row, 2 * hidden, generator=generator)
        self.write = seeded_linear(hidden, VALUE + 1, generator=generator)
        self.read = seeded_linear(len(found) * VALUE, hidden, generator=generator)
        with torch.no_grad():
            self.condition.bias.zero_()
        self.numbers = (VALUE + len(found)) * KEY
        self._pixels: Callable[[torch.Tensor], torch.Tensor] | None = None
        self._kept: tuple[tuple[int, ...], torch.Tensor, torch.Tensor] | None = None

    def forward(
        self, obs_KBF: torch.Tensor, told_KBH: torch.Tensor, row_BP: torch.Tensor, carried_BM: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is known of the things in view, KBH, and the hidden numbers after the last step."""
        K, B, L = *told_KBH.shape[:2], self.columns_WL.shape[1]
        key_KBLD = self.keys(obs_KBF.flatten(0, 1)).view(K, B, L, KEY)
        factor_BH, summand_BH = self.condition(row_BP).chunk(2, 1)
        note_KBLH = torch.relu((told_KBH[:, :, None] + self.place_LH) * (1 + factor_BH[:, None]) + summand_BH[:, None])
        value_KBLV, rate_KBL1 = self.write(note_KBLH).split([VALUE, 1], 3)
        known_BVD, before_BLD = (part_BM.view(B, -1, KEY) for part_BM in carried_BM.split([VALUE * KEY, L * KEY], 1))
        reads = []
        for value_BLV, rate_BL1, key_BLD in zip(value_KBLV, rate_KBL1.sigmoid(), key_KBLD, strict=True):
            news_BLV = value_BLV - before_BLD @ known_BVD.mT
            known_BVD = torch.baddbmm(known_BVD, (rate_BL1 * news_BLV).mT, before_BLD)
            reads.append(key_BLD @ known_BVD.mT)
            before_BLD = key_BLD
        after_BM = torch.cat([known_BVD.flatten(1), before_BLD.flatten(1)], 1)
        return self.read(torch.stack(reads).flatten(2)), after_BM

    def keys(self, obs_NF: torch.Tensor) -> torch.Tensor:
        """key_NLD, of length 1; zeros where nothing is in view. Each different thing is looked at once."""
        thing_NL = torch.zeros_like(obs_NF[:, self.columns_WL[0]])
        for field, columns_L in zip(self.fields, self.columns_WL, strict=True):
            thing_NL = thing_NL * field.size + obs_NF[:, columns_L]
        thing_U, inverse_NL = thing_NL.unique(return_inverse=True)
        key_UD = self._look(thing_U) if torch.is_grad_enabled() else self._look_once(thing_U)
        return nn.functional.embedding(inverse_NL, key_UD)

    def _look_once(self, thing_U: torch.Tensor) -> torch.Tensor:
        """Keys without a graph; they are kept until the eye's numbers are others."""
        versions = tuple(p._version for p in self.eye.parameters())
        if self._kept is None or self._kept[0] != versions or self._kept[1].device != thing_U.device:
            self._kept = versions, thing_U, self._look(thing_U)
        _, kept_U, key_UD = self._kept
        if not bool(torch.isin(thing_U, kept_U).all()):
            kept_U = torch.cat([kept_U, thing_U]).unique() if len(kept_U) < MOST_KEPT else thing_U
            key_UD = self._look(kept_U)
            self._kept = versions, kept_U, key_UD
        return key_UD[torch.searchsorted(kept_U, thing_U)]

    def _look(self, thing_U: torch.Tensor) -> torch.Tensor:
        values = []
        for field in reversed(self.fields):
            values.append(thing_U % field.size)
            thing_U = thing_U.div(field.size, rounding_mode="floor")
        values_UW = torch.stack(values[::-1], 1)
        return nn.functional.normalize(self.eye(values_UW if self.picture is None else self.pixels(values_UW)), dim=1)

    def pixels(self, values_UW: torch.Tensor) -> torch.Tensor:
        """The pictures of things, as the world that the declaration describes shows them."""
        if self._pixels is None:
            world = make(self.spec.kind, self.spec.name, self.spec.config)
            assert isinstance(world, Pictured)
            self._pixels = world.pictures
        return self._pixels(values_UW).to(values_UW.device)
