"""The published core: a two-layer LSTM over the fusion of program embedding and encoded state (NPI section 3.1).

``p_t ⊕ s_t`` goes through a two-layer perceptron (rectified hidden layer, linear output) into the LSTM, whose top
hidden state feeds the heads. The hidden state starts at zero in each frame.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from npi.core.base import Share
from npi.core.initialisation import seeded_linear


class LstmTrunk(nn.Module):
    """Maps x_BX with X = H to hidden_BH, carrying 2 layers × (h, c) × H floats between steps."""

    dtype = torch.float32
    layers = 2

    def __init__(self, *, hidden: int, row: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs = hidden
        self.hidden = hidden
        self.width = 2 * self.layers * hidden
        self.encode = seeded_linear(hidden, hidden, generator=generator)
        self.fuse1 = seeded_linear(hidden + row, hidden, generator=generator)
        self.fuse2 = seeded_linear(hidden, hidden, generator=generator)
        with torch.random.fork_rng(devices=[]):  # its own initial numbers are drawn from the global generator
            self.lstm = nn.LSTM(hidden, hidden, num_layers=self.layers, batch_first=True)
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.uniform_(-1 / math.sqrt(hidden), 1 / math.sqrt(hidden), generator=generator)

    def condition(self, embeddings_NP: torch.Tensor) -> torch.Tensor:
        """cond_NC, C = P: the embedding itself."""
        return embeddings_NP

    def unroll(
        self,
        x_BTX: torch.Tensor,
        cond_BC: torch.Tensor,
        *,
        noise: float,
        generator: torch.Generator | None,
        share: Share | None = None,
    ) -> torch.Tensor:
        """hidden_BTH of whole frames (``noise`` and its ``share`` belong to the discrete core and are not used)."""
        return self.lstm(self._fuse(x_BTX, cond_BC[:, None].expand(-1, x_BTX.shape[1], -1)))[0]

    def step(
        self, x_BX: torch.Tensor, cond_BC: torch.Tensor, hidden_BW: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step; hidden_BW holds h of both layers, then c of both layers.

        Cell by cell: for a single step it takes a third of the time of the module for whole sequences.
        """
        h, c = hidden_BW.view(-1, 2, self.layers, self.hidden).unbind(1)
        y, hs, cs = self._fuse(x_BX, cond_BC), [], []
        for layer, weights in enumerate(self.lstm.all_weights):
            y, memory = torch.lstm_cell(y, (h[:, layer], c[:, layer]), *weights)
            hs.append(y)
            cs.append(memory)
        return y, torch.cat([*hs, *cs], 1)

    def _fuse(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        state = self.encode(torch.relu(x))
        return self.fuse2(torch.relu(self.fuse1(torch.cat([embedding, state], -1))))
