"""Pictures in: a small convolutional network, trained with the core (NPI section 4.3, f_enc of the car task).

Pictures are functions of a few fields of the observation (:class:`envs.spec.Channel`). However many steps and programs
read one, it is encoded once a batch.

Shape legend: ``B`` steps, ``U`` different pictures among them, ``W`` fields of a picture, ``X`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from envs import make
from envs.spec import Channel, WorldSpec
from envs.support import mixed_radix
from envs.world import Pictured
from npi.core.initialisation import seeded_conv, seeded_linear

CHANNELS = (16, 32, 48, 64)
"""Of the layers, each of stride 2."""

WIDE = 256
"""Units of the layer before the features."""


class PictureEncoder(nn.Module):
    """Maps uint8 pictures U×H×W×C to U×X."""

    def __init__(self, picture: Channel, *, width: int, generator: torch.Generator) -> None:
        super().__init__()
        height, across, colours = picture.sizes
        sizes = zip((colours, *CHANNELS), CHANNELS, (5, 3, 3, 3), strict=False)
        self.layers = nn.ModuleList(seeded_conv(i, o, k, generator=generator) for i, o, k in sizes)
        for _ in CHANNELS:
            height, across = -(-height // 2), -(-across // 2)
        self.wide = seeded_linear(CHANNELS[-1] * height * across, WIDE, generator=generator)
        self.out = seeded_linear(WIDE, width, generator=generator)

    def forward(self, pixels_UHWC: torch.Tensor) -> torch.Tensor:
        x = pixels_UHWC.permute(0, 3, 1, 2).to(self.out.weight.dtype).div_(128).sub_(1)  # in place: 20 times as fast
        for layer in self.layers:
            x = torch.relu(layer(x))
        found: torch.Tensor = self.out(torch.relu(self.wide(x.flatten(1))))
        return found


def encode_unique(
    values_NW: torch.Tensor, sizes: Sequence[int], encode: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """features_NX of rows of field values, each different row encoded once; any shape ``N``.

    Args:
        sizes: how many values each of the W fields has.
        encode: features_UX of rows given as :func:`~envs.support.mixed_radix.number`, ascending.
    """
    number_U, inverse_N = mixed_radix.number(values_NW.unbind(-1), sizes).unique(return_inverse=True)
    return functional.embedding(inverse_N, encode(number_U))


class WorldPictures:
    """Pixels by field values, from the world that a declaration describes or from another one (:attr:`world`)."""

    def __init__(self, spec: WorldSpec, sizes: Sequence[int]) -> None:
        self.spec, self.sizes = spec, sizes
        self._world: Pictured | None = None

    @property
    def world(self) -> Pictured:
        """Where pixels come from."""
        if self._world is None:
            self.show(make(self.spec.kind, self.spec.name, self.spec.config))
        assert self._world is not None
        return self._world

    def show(self, world: object) -> None:
        """Take pictures from this world; ``ValueError`` for one that has none."""
        if not isinstance(world, Pictured):
            raise ValueError(f"world {self.spec.name} declares pictures, and its kind {self.spec.kind!r} shows none")
        self._world = world

    def pixels(self, number_U: torch.Tensor) -> torch.Tensor:
        """uint8 U×H×W×C of rows of field values, given as numbers."""
        values_UW = torch.stack(mixed_radix.digits(number_U, self.sizes), 1)
        return self.world.pictures(values_UW).to(number_U.device)


class PictureInput(nn.Module):
    """One picture of a world: the fields that it is a function of, where its pixels come from, and its encoder."""

    def __init__(self, spec: WorldSpec, picture: Channel, *, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.columns = [spec.field(name) for name in picture.fields]
        self.shown = WorldPictures(spec, [spec.fields[i].size for i in self.columns])
        self.eye = PictureEncoder(picture, width=width, generator=generator)  # names of tensors in files begin so

    def forward(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """features_BX of the pictures that observations stand for."""
        return encode_unique(
            obs_BF[:, self.columns], self.shown.sizes, lambda number_U: self.eye(self.shown.pixels(number_U))
        )
