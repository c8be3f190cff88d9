"""Layers that rows scale and shift, and attention over moments and objects.

Shape legend: ``B`` instances, ``T`` steps, ``K`` objects, ``M`` moments, ``U`` units, ``A`` heads, ``P`` parameters of
a row, ``I`` and ``O`` inputs and outputs of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from npi.core.initialisation import seeded_linear

FIRST_ROWS = 0.3
"""By what the first weights of rows are scaled: at first rows say little."""


FIRST_WEIGHTS = math.sqrt(6)
"""By what first weights are scaled: layers of rectified units then keep the size of what passes (He et al. 2015)."""


class RowLayer(NamedTuple):
    """A linear layer whose outputs each instance's row scales and shifts: weight_OI, gain_BO and bias_BO."""

    weight_OI: torch.Tensor
    gain_BO: torch.Tensor
    bias_BO: torch.Tensor

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """B × … × O of inputs B × … × I, which are taken together."""
        x_BXI = torch.cat(inputs, -1)
        shape = (len(self.gain_BO), *[1] * (x_BXI.dim() - 2), -1)
        return torch.addcmul(self.bias_BO.view(shape), x_BXI @ self.weight_OI.mT, self.gain_BO.view(shape))


class RowLayers(nn.Module):
    """Layers by name, all of which depend on the row (Perez et al. 2018, "FiLM"); zeros leave them as they are.

    Args:
        sizes: by name, inputs and outputs.
        row: P.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], row: int, *, generator: torch.Generator) -> None:
        super().__init__()
        made = {name: seeded_linear(i, o, generator=generator) for name, (i, o) in sizes.items()}
        self.layers = nn.ModuleDict(made)
        self.outputs = [o for _, o in sizes.values() for _ in range(2)]
        self.rows = seeded_linear(row, sum(self.outputs), generator=generator, bias=False)
        with torch.no_grad():
            self.rows.weight.mul_(FIRST_ROWS)
            for layer in made.values():
                layer.weight.mul_(FIRST_WEIGHTS)

    def forward(self, row_BP: torch.Tensor) -> dict[str, RowLayer]:
        """The layers as the rows make them."""
        said = self.rows(row_BP).split(self.outputs, 1)
        found = {}
        for (name, layer), gain_BO, shift_BO in zip(self.layers.items(), said[::2], said[1::2], strict=True):
            assert isinstance(layer, nn.Linear)
            found[name] = RowLayer(layer.weight, 1 + gain_BO, layer.bias * (1 + gain_BO) + shift_BO)
        return found


def over_moments(query_BTKU: torch.Tensor, track_BKMU: torch.Tensor) -> torch.Tensor:
    """B × T × K × U: what each object reads of the moments of its own track, by the soft maximum of products."""
    query_BKTU = query_BTKU.transpose(1, 2)
    weight_BKTM = (query_BKTU @ track_BKMU.mT / math.sqrt(track_BKMU.shape[3])).softmax(3)
    return (weight_BKTM @ track_BKMU).transpose(1, 2)


def over_shared_moments(query_BTKU: torch.Tensor, track_BKMU: torch.Tensor) -> torch.Tensor:
    """B × T × K × U: what each object reads of its own track at moments that all agree on.

    A moment's weight is by the sum over objects: the moment in which the whole scene was like it is now. So Duan et al.
    (2017, section 4.2) attend to time. Objects that do not exist have tracks of zeros, and count for nothing.
    """
    B, T = query_BTKU.shape[:2]
    key_BVM = track_BKMU.transpose(2, 3).flatten(1, 2)
    weight_BTM = (query_BTKU.reshape(B, T, -1) @ key_BVM / math.sqrt(track_BKMU.shape[3])).softmax(2)
    return (weight_BTM @ track_BKMU.transpose(1, 2).flatten(2)).view_as(query_BTKU)


def over_objects(logit_BTKA: torch.Tensor, exists_BK: torch.Tensor) -> torch.Tensor:
    """B × T × K × A: weights of the objects, of each head; those that do not exist have none."""
    return logit_BTKA.masked_fill(~exists_BK[:, None, :, None], -1e9).softmax(2)


def mean_of_objects(x_BTKU: torch.Tensor, exists_BK: torch.Tensor) -> torch.Tensor:
    """B × T × 1 × U: the mean of the objects that exist."""
    share_BK = exists_BK / exists_BK.sum(1, keepdim=True).clamp(min=1)
    return (x_BTKU * share_BK[:, None, :, None]).sum(2, keepdim=True)


def segments(length_B: torch.Tensor, longest: int, moments: int) -> torch.Tensor:
    """B × M × L: weights that make so many moments of a track of any length, each the mean of its share of time."""
    step_B1 = length_B[:, None] / moments
    begin_BM = torch.arange(moments, device=length_B.device) * step_B1
    place_L = torch.arange(longest, device=length_B.device)
    until_BML = torch.minimum((begin_BM + step_B1)[..., None], place_L + 1.0)
    overlap_BML = (until_BML - torch.maximum(begin_BM[..., None], place_L.float())).clamp(min=0)
    return overlap_BML / step_B1[..., None]
