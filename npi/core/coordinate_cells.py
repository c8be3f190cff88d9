"""Layers that all coordinates of a problem share, scaled and shifted by a row: what cores are made of that move
parameters or points of any number of dimensions.

Shape legend: ``B`` problems, ``D`` coordinates, ``I`` and ``O`` inputs and outputs of a layer, ``U`` units, ``P``
parameters of a row. Coordinates come last: so gates lie together in memory; for networks that is 2.5 times as fast as
units last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

BATCHED_COORDINATES = 100
"""Coordinates from which on each problem has a product of matrices of its own; below, one for all is faster."""


class Affine(NamedTuple):
    """A linear layer whose outputs each problem scales and shifts: weight_OI, gain_BO1 and bias_BO1."""

    weight_OI: torch.Tensor
    gain_BO1: torch.Tensor
    bias_BO1: torch.Tensor


def conditioned(layers: Sequence[nn.Linear], rows: nn.Linear, row_BP: torch.Tensor) -> list[Affine]:
    """The layers as the rows make them: every output has a gain, one plus what the row says, and a shift."""
    said = rows(row_BP)[..., None].split([size for layer in layers for size in [layer.out_features] * 2], 1)
    return [
        Affine(layer.weight, 1 + gain, layer.bias[:, None] * (1 + gain) + shift)
        for layer, gain, shift in zip(layers, said[::2], said[1::2], strict=True)
    ]


def affine(layer: Affine, *inputs: torch.Tensor) -> torch.Tensor:
    """B × O × D of inputs B × I × D, which are taken together."""
    x_BID = torch.cat(inputs, 1)
    count, _, coordinates = x_BID.shape
    weight = layer.weight_OI if coordinates < BATCHED_COORDINATES else layer.weight_OI.expand(count, -1, -1)
    return torch.addcmul(layer.bias_BO1, weight @ x_BID, layer.gain_BO1)


def lstm_cell(gates_B4UD: torch.Tensor, cell_BUD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An LSTM's output and its new cell."""
    units = cell_BUD.shape[1]
    opens, new = gates_B4UD.split([3 * units, units], 1)
    enters, keeps, shows = opens.sigmoid().chunk(3, 1)
    cell_BUD = torch.addcmul(keeps * cell_BUD, enters, new.tanh())
    return shows * cell_BUD.tanh(), cell_BUD
