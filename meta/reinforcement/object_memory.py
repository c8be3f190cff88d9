"""Objects in view: an encoder shared by all places, and an associative memory of what came of them.

Where a world shows several objects of one kind, such as pictures of one size, each is at a *place*. The encoder makes a
key of each. A matrix among the hidden numbers holds a value for each key and is written at every step (fast weights:
Schmidhuber 1992, Ba et al. 2016; by the delta rule, Schlag et al. 2021). To recognise an object is a product of present
and past observations, which the gates of an LSTM do not multiply.

Shape legend: ``B`` episodes, ``K`` steps, ``N`` = ``K`` × ``B``, ``F`` observation fields, ``L`` places, ``W`` fields
of an object, ``U`` different objects, ``D`` size of a key, ``V`` of a value, ``H`` hidden units, ``M`` hidden numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
from torch import nn

from envs.spec import Channel, Field, WorldSpec
from envs.support import mixed_radix
from npi.core.initialisation import seeded_conv, seeded_linear
from npi.core.pictures import WorldPictures, encode_unique

KEY, VALUE = 24, 8
"""D and V."""

WIDE = 48
"""Units of an encoder of fields."""

CHANNELS = (16, 32)
"""Of the layers of an encoder of pictures, each of stride 2."""

MAX_CACHED_KEYS = 4096
"""Keys of objects that are kept between steps without gradient."""


@dataclass(frozen=True)
class Place:
    """Where an object is seen: its fields (indices into the observation), and the picture that stands for them."""

    columns: tuple[int, ...]
    picture: Channel | None


def places(spec: WorldSpec) -> tuple[Place, ...]:
    """The places of a world's objects; none where there are fewer than two, where they differ in kind, or where there
    are more different objects than a key of 64 bits can hold.

    They are its pictures; in a world without, rows of numbered fields, ``LEFT1``, ``LEFT2`` … ``RIGHT1``, ``RIGHT2`` ….
    """
    found = [Place(tuple(map(spec.field, picture.fields)), picture) for picture in spec.rendered]
    if not found:
        rows: dict[str, list[int]] = {}
        for column, field in enumerate(spec.fields):
            if numbered := re.fullmatch(r"(\D+)\d+", field.name):
                rows.setdefault(numbered[1], []).append(column)
        found = [Place(tuple(columns), None) for columns in rows.values()]
    if len(found) < 2 or len({_kind(spec, place) for place in found}) > 1:
        return ()
    objects = math.prod(spec.fields[i].size for i in found[0].columns)
    return tuple(found) if objects <= mixed_radix.MAX_KEYS else ()


def _kind(spec: WorldSpec, place: Place) -> tuple[object, ...]:
    """What places must have in common to share an encoder."""
    picture = place.picture
    size = picture.sizes if picture else ()
    return tuple(spec.fields[i].values for i in place.columns), size


class FieldEncoder(nn.Module):
    """Fields U×W to keys UD; zeros for objects whose fields are all ``none``.

    Encoders are odd functions: the opposite input gives the opposite key. So keys of different objects are about
    orthogonal at first, where rectified units would give all of them nearly one direction.
    """

    def __init__(self, fields: tuple[Field, ...], *, generator: torch.Generator) -> None:
        super().__init__()
        codes = [_centred(field) for field in fields]
        self.codes = [f"code{number}_VX" for number in range(len(codes))]
        for name, code_VX in zip(self.codes, codes, strict=True):
            self.register_buffer(name, code_VX, persistent=False)
        self.enter = _unbiased(seeded_linear(sum(code_VX.shape[1] for code_VX in codes), WIDE, generator=generator))
        self.out = _unbiased(seeded_linear(WIDE, KEY, generator=generator))

    def forward(self, values_UW: torch.Tensor) -> torch.Tensor:
        codes = map(self.get_buffer, self.codes)
        seen_UX = torch.cat([code_VX[value_U] for code_VX, value_U in zip(codes, values_UW.unbind(1), strict=True)], 1)
        found_UD: torch.Tensor = self.out(torch.tanh(self.enter(seen_UX)))
        return found_UD * (seen_UX != 0).any(1, keepdim=True)


class ObjectEncoder(nn.Module):
    """uint8 pictures U×Y×X×C to keys UD; zeros for black ones. An odd function of the standardised pixels."""

    def __init__(self, picture: Channel, *, generator: torch.Generator) -> None:
        super().__init__()
        height, across, colours = picture.sizes
        sizes = zip((colours, *CHANNELS), CHANNELS, (5, 3), strict=False)
        self.layers = nn.ModuleList(seeded_conv(i, o, side, generator=generator) for i, o, side in sizes)
        self.out = _unbiased(seeded_linear(CHANNELS[-1] * -(-height // 4) * -(-across // 4), KEY, generator=generator))

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
    """The encoder, and a memory of values for keys.

    Each step writes what came of each object that was in view before the last act; then it reads the memory for each
    object in view. Its hidden numbers are the matrix and the keys of the step before, M in all.

    Args:
        spec: of a world with :func:`places`. row: numbers of a program's row, which conditions what is written.
        hidden: H, of what is told beside the things, and of what is read.
    """

    columns_WL: torch.Tensor

    def __init__(self, spec: WorldSpec, row: int, hidden: int, *, generator: torch.Generator) -> None:
        super().__init__()
        found = places(spec)
        fields = tuple(spec.fields[i] for i in found[0].columns)
        self.sizes = [field.size for field in fields]
        self.register_buffer("columns_WL", torch.tensor([place.columns for place in found]).T, persistent=False)
        picture = found[0].picture
        self.shown = WorldPictures(spec, self.sizes) if picture else None
        self.eye: nn.Module  # names of tensors in files begin so
        if picture is None:
            self.eye = FieldEncoder(fields, generator=generator)
        else:
            self.eye = ObjectEncoder(picture, generator=generator)
        self.place_LH = nn.Parameter(0.5 * torch.randn(len(found), hidden, generator=generator))
        self.condition = seeded_linear(row, 2 * hidden, generator=generator)
        self.write = seeded_linear(hidden, VALUE + 1, generator=generator)
        self.read = seeded_linear(len(found) * VALUE, hidden, generator=generator)
        with torch.no_grad():
            self.condition.bias.zero_()
        self.numbers = (VALUE + len(found)) * KEY
        self._kept: tuple[tuple[int, ...], torch.Tensor, torch.Tensor] | None = None

    def forward(
        self, obs_KBF: torch.Tensor, told_KBH: torch.Tensor, row_BP: torch.Tensor, carried_BM: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the memory holds of the objects in view, KBH, and the hidden numbers after the last step."""
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
        """key_NLD, of length 1; zeros where nothing is in view. Each different object is encoded once."""
        encode = self._encode if torch.is_grad_enabled() else self._encode_once
        return encode_unique(obs_NF[:, self.columns_WL.T], self.sizes, encode)

    def _encode_once(self, object_U: torch.Tensor) -> torch.Tensor:
        """Keys without a graph; they are kept until the encoder's parameters change."""
        versions = tuple(p._version for p in self.eye.parameters())
        if self._kept is None or self._kept[0] != versions or self._kept[1].device != object_U.device:
            self._kept = versions, object_U, self._encode(object_U)
        _, kept_U, key_UD = self._kept
        if not bool(torch.isin(object_U, kept_U).all()):
            kept_U = torch.cat([kept_U, object_U]).unique() if len(kept_U) < MAX_CACHED_KEYS else object_U
            key_UD = self._encode(kept_U)
            self._kept = versions, kept_U, key_UD
        return key_UD[torch.searchsorted(kept_U, object_U)]

    def _encode(self, object_U: torch.Tensor) -> torch.Tensor:
        if self.shown is None:
            seen = torch.stack(mixed_radix.digits(object_U, self.sizes), 1)
        else:
            seen = self.shown.pixels(object_U)
        return nn.functional.normalize(self.eye(seen), dim=1)
