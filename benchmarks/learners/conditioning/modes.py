"""Four ways in which a row of P numbers conditions the layers of a network.

Each says what a row e makes of the numbers x that a layer W gives, before they are rectified:

``concatenation``  the first layer reads e beside its input: x + V e, there alone
``bias``           every layer: x + V e
``modulation``     every layer: (1 + G e) x + V e (feature-wise modulation: Perez et al. 2018)
``low rank``       every layer: x + U (e ⊙ (Vᵀ x)), which makes its weights W + Σ e_k U_k (Wᵀ V_k)ᵀ

The row has equally many numbers in each; how many of the network's own stand between them differs, and is told.

Shape legend: ``B`` instances, ``H`` units of a layer, ``P`` parameters of a row; ``…`` axes between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from npi.core.initialisation import seeded_linear

CONCATENATION, BIAS, MODULATION, LOW_RANK = MODES = ("concatenation", "bias", "modulation", "low rank")


class Conditioned(NamedTuple):
    """What rows make of one layer.

    Attributes:
        factor, summand: B × … × H, 1 and 0 where the mode has none.
        row: B × … × P. left, right: H × P, of low rank; none in other modes.
    """

    factor: torch.Tensor
    summand: torch.Tensor
    row: torch.Tensor
    left_HP: torch.Tensor | None = None
    right_HP: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.left_HP is None or self.right_HP is None:
            return torch.addcmul(self.summand, x, self.factor)
        return x + ((x @ self.right_HP) * self.row) @ self.left_HP.T


class Conditioner(nn.Module):
    """Makes of rows what they do to each layer.

    Args:
        widths: H of each layer. scale: standard deviation of what a row of standard normal numbers adds at first.
    """

    def __init__(
        self, mode: str, row: int, widths: Sequence[int], *, scale: float, generator: torch.Generator
    ) -> None:  # fmt: skip
        super().__init__()
        assert mode in MODES
        self.mode, self.widths = mode, list(widths)
        self.shared = self.left = self.right = None
        if mode == LOW_RANK:
            self.left = nn.ParameterList(
                scale * torch.randn(width, row, generator=generator) / row**0.5 for width in widths
            )
            self.right = nn.ParameterList(torch.randn(width, row, generator=generator) / width**0.5 for width in widths)
        else:
            outputs = {CONCATENATION: widths[0], BIAS: sum(widths), MODULATION: 2 * sum(widths)}[mode]
            self.shared = seeded_linear(row, outputs, generator=generator, bias=False)
            with torch.no_grad():
                self.shared.weight.normal_(0.0, scale / row**0.5, generator=generator)

    def forward(self, row: torch.Tensor) -> list[Conditioned]:
        """Of each layer, from rows B × … × P."""
        if self.left is not None and self.right is not None:
            one = row.new_ones(())
            return [Conditioned(one, one * 0, row, *pair) for pair in zip(self.left, self.right, strict=True)]
        assert self.shared is not None
        said = self.shared(row)
        factors = [said.new_ones(*said.shape[:-1], width) for width in self.widths]
        summands = [said.new_zeros(*said.shape[:-1], width) for width in self.widths]
        if self.mode == CONCATENATION:
            summands[0] = said
        elif self.mode == BIAS:
            summands = list(said.split(self.widths, -1))
        else:
            gain, shift = said.chunk(2, -1)
            factors = [1 + part for part in gain.split(self.widths, -1)]
            summands = list(shift.split(self.widths, -1))
        return [Conditioned(*pair, row) for pair in zip(factors, summands, strict=True)]
