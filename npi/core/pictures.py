"""Pictures in: a small convolutional network, trained with the core (NPI section 4.3, f_enc of the car task).

Pictures are functions of a few numbers of the world (:class:`envs.spec.Picture`). However many steps and programs look
at one, it goes through the network once a batch.

Shape legend: ``B`` steps, ``U`` different pictures among them, ``X`` numbers that the core takes in.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from envs import make
from envs.spec import Picture, WorldSpec
from envs.world import Pictured
from npi.core.initialisation import seeded_conv, seeded_linear

CHANNELS = (16, 32, 48, 64)
"""Of the layers, each of stride 2."""

WIDE = 256
"""Units between the layers and what the core takes in."""


class Eye(nn.Module):
    """Maps uint8 pictures U×H×W×C to U×X."""

    def __init__(self, picture: Picture, *, width: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = zip((picture.channels, *CHANNELS), CHANNELS, (5, 3, 3, 3), strict=False)
        self.layers = nn.ModuleList(seeded_conv(i, o, k, generator=generator) for i, o, k in sizes)
        height, across = picture.height, picture.width
        for _ in CHANNELS:
            height, across = -(-height // 2), -(-across // 2)
        self.wide = seeded_linear(CHANNELS[-1] * height * across, WIDE, generator=generator)
        self.out = seeded_linear(WIDE, width, generator=generator)

    def forward(self, pixels_UHWC: torch.Tensor) -> torch.Tensor:
        x = pixels_UHWC.permute(0, 3, 1, 2).to(self.out.weight.dtype) / 128 - 1
        for layer in self.layers:
            x = torch.relu(layer(x))
        found: torch.Tensor = self.out(torch.relu(self.wide(x.flatten(1))))
        return found


class Sight(nn.Module):
    """One picture of a world: which fields it stands for, where its pixels come from, and the eye for it."""

    def __init__(self, spec: WorldSpec, picture: Picture, *, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.columns = [spec.field(name) for name in picture.fields]
        self.sizes = [spec.fields[i].size for i in self.columns]
        self.spec = spec
        self.eye = Eye(picture, width=width, generator=generator)
        self._world: Pictured | None = None

    @property
    def world(self) -> Pictured:
        """Where pixels come from: the world that the declaration describes, unless :meth:`show` gave another."""
        if self._world is None:
            self.show(make(self.spec.kind, self.spec.name, self.spec.config))
        assert self._world is not None
        return self._world

    def show(self, world: object) -> None:
        """Take pictures from this world; ``ValueError`` for one that has none."""
        if not isinstance(world, Pictured):
            raise ValueError(f"world {self.spec.name} declares pictures, and its kind {self.spec.kind!r} shows none")
        self._world = world

    def forward(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """features_BX of the pictures that observations stand for; equal ones are looked at once."""
        key_B = obs_BF.new_zeros(len(obs_BF))
        for column, size in zip(self.columns, self.sizes, strict=True):
            key_B = key_B * size + obs_BF[:, column]
        key_U, inverse_B = key_B.unique(return_inverse=True)
        pixels = self.world.pictures(self._values(key_U)).to(obs_BF.device)
        found: torch.Tensor = functional.embedding(inverse_B, self.eye(pixels))
        return found

    def _values(self, key_U: torch.Tensor) -> torch.Tensor:
        values = []
        for size in reversed(self.sizes):
            values.append(key_U % size)
            key_U = key_U.div(size, rounding_mode="floor")
        return torch.stack(values[::-1], 1)
