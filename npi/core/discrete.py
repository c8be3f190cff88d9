"""The discrete core: what a frame carries from one step to the next is a few bits.

A step is a two-layer network; its state output is the sign of a linear map, trained with a straight-through gradient
(the derivative of tanh) and noise. The state of a frame is one of 2^bits + 1 codes (0 is the frame's beginning), so
the core is a finite machine over (row, arguments, code, observation) that can be checked exhaustively and tabulated.
A row conditions both layers by a scale and a shift for each unit (feature-wise modulation, Perez et al. 2018).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from npi.core.base import Share
from npi.core.initialisation import seeded_linear

STATE_SCALE = 3.0
"""Initial weight of the state beside the observation: an untrained frame then walks through different codes whatever
it sees, which is what a sequence of steps is learned from."""


class _Sign(torch.autograd.Function):
    """±1 forward (0 counts as +1); the derivative of tanh backward."""

    @staticmethod
    def forward(ctx, value):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(value)
        return torch.where(value >= 0, 1.0, -1.0).to(value.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (value,) = ctx.saved_tensors
        soft = torch.tanh(value)
        return grad * (1 - soft * soft)


class DiscreteTrunk(nn.Module):
    """Maps the input of each step, x_BX with X = H units of both layers, to hidden_BH, carrying ``bits`` bits between
    steps; ``row`` is P, numbers in a program embedding."""

    dtype = torch.int64
    width = 1

    def __init__(self, *, hidden: int, bits: int, row: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs = hidden
        self.hidden = hidden
        self.bits = bits
        self.film = seeded_linear(row, 4 * hidden, generator=generator)
        with torch.no_grad():
            self.film.weight.normal_(0.0, 0.5 / math.sqrt(row), generator=generator)
        self.state = seeded_linear(bits, hidden, bias=False, generator=generator)
        with torch.no_grad():
            self.state.weight.normal_(0.0, STATE_SCALE / math.sqrt(bits), generator=generator)
        self.middle = seeded_linear(hidden, hidden, generator=generator)
        self.bit = seeded_linear(hidden, bits, generator=generator)
        self.register_buffer("places", 2 ** torch.arange(bits), persistent=False)

    places: torch.Tensor

    def condition(self, embeddings_NP: torch.Tensor) -> torch.Tensor:
        """cond_NC, C = 4H: scale and shift of both layers, computed once for each row.

        :meth:`npi.core.recurrent.RecurrentCore.tables` appends one more number for cores with gates: whether the row
        uses its state.
        """
        scale1, shift1, scale2, shift2 = self.film(embeddings_NP).chunk(4, -1)
        return torch.cat([1 + scale1, shift1, 1 + scale2, shift2], -1)

    def split(self, cond_BC: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scale and shift of both layers, B × H each, and whether the row's program uses its state, B × 1 (0 or 1)."""
        parts = cond_BC.split(self.hidden, -1)
        return parts if len(parts) == 5 else (*parts, cond_BC.new_ones(len(cond_BC), 1))

    def unroll(
        self,
        x_BTX: torch.Tensor,
        cond_BC: torch.Tensor,
        *,
        noise: float,
        generator: torch.Generator | None,
        share: Share | None = None,
    ) -> torch.Tensor:
        """hidden_BTH of whole frames, with ``noise`` (standard deviation) on the state before its sign.

        Where the frames are a ``share`` of more, each gets the noise that it would get among all of them.
        """
        scale1, shift1, scale2, shift2, remembers = self.split(cond_BC)
        x_TBX = (x_BTX * scale1[:, None] + shift1[:, None]).transpose(0, 1)
        state = x_BTX.new_zeros(x_BTX.shape[0], self.bits)
        hidden = []
        for x in x_TBX:
            first = torch.relu(x + self.state(state) * scale1)
            second = torch.relu(self.middle(first) * scale2 + shift2)
            hidden.append(second)
            value = self.bit(second)
            if noise:
                value = value + noise * _noise(value, generator, share)
            state = _Sign.apply(value) * remembers
        return torch.stack(hidden, 1)

    def step(
        self, x_BX: torch.Tensor, cond_BC: torch.Tensor, code_B1: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step from state codes (int64; 0 at a frame's beginning, else 1 + the bits as a number)."""
        hidden, value = self.advance(x_BX, cond_BC, code_B1)
        return hidden, self.code(value)

    def advance(
        self, x_BX: torch.Tensor, cond_BC: torch.Tensor, code_B1: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """hidden_BH, and the numbers whose signs are the next state bits."""
        scale1, shift1, scale2, shift2, remembers = self.split(cond_BC)
        bits = ((code_B1 - 1) & self.places).ne(0).to(x_BX.dtype) * 2 - 1
        state = torch.where(code_B1 > 0, bits, 0.0) * remembers
        first = torch.relu(x_BX * scale1 + shift1 + self.state(state) * scale1)
        second = torch.relu(self.middle(first) * scale2 + shift2)
        return second, self.bit(second)

    def code(self, value: torch.Tensor) -> torch.Tensor:
        """The state code of these signs (0 counts as positive)."""
        return 1 + ((value >= 0) * self.places).sum(1, keepdim=True)


def _noise(value_BK: torch.Tensor, generator: torch.Generator | None, share: Share | None) -> torch.Tensor:
    """Standard normal numbers of the value's shape: its rows of those that are drawn for the whole."""
    if share is None:
        return torch.randn(value_BK.shape, generator=generator, device=value_BK.device)
    whole = torch.randn(share.whole, value_BK.shape[1], generator=generator, device=value_BK.device)
    return whole[share.index_B]
