"""WaveNet: dilated causal convolutions over µ-law codes (van den Oord et al. 2016; conditioned as in Chen et al. 2018).

Shape legend: ``B`` instances, ``T`` samples, ``L`` frames, ``R`` channels, ``S`` skip channels, ``X`` codes, ``K``
numbers of the conditioning, ``P`` parameters of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from envs.speech.audio import CODES
from meta.speech.conditioning import SpeechConfig, seeded_conv1d, seeded_embedding, smooth
from meta.speech.core import SpeechCore, below
from npi.core.config import SIZE, setting, within
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw


@dataclass(frozen=True)
class WaveNetConfig(SpeechConfig):
    """The shape of a WaveNet.

    Attributes:
        channels: R. skip: S.
        layers: of dilations 1, 2, 4 …. stacks: how often they are there.
    """

    kind: str = "wavenet"
    channels: int = setting(32, SIZE)
    skip: int = setting(64, SIZE)
    layers: int = setting(8, within(1, 12))
    stacks: int = setting(1, within(1, 8))

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(2**layer for layer in range(self.layers)) * self.stacks


class GatedLayer(nn.Module):
    """tanh ⊙ σ of a causal convolution of two samples, the conditioning and the row (section 2.3 and 2.5)."""

    def __init__(self, config: WaveNetConfig, dilation: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.dilation = dilation
        R = config.channels
        self.gate = seeded_conv1d(R, 2 * R, 2, generator=generator, dilation=dilation)
        self.condition = seeded_linear(config.conditioning, 2 * R, generator=generator, bias=False)
        self.voice = seeded_linear(config.row, 2 * R, generator=generator, bias=False)
        self.out = seeded_linear(R, R + config.skip, generator=generator)

    @property
    def bias(self) -> torch.Tensor:
        """2R, of the gates."""
        assert self.gate.bias is not None
        return self.gate.bias

    def conditioned(self, condition_BXK: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        """B × … × 2R: what is added in the gates, of each frame."""
        voice_BR = self.voice(row_BP)
        return self.condition(condition_BXK) + (voice_BR[:, None] if condition_BXK.dim() == 3 else voice_BR)

    def gated(self, before_BRT: torch.Tensor, added_B2RT: torch.Tensor) -> torch.Tensor:
        """B × R × T, of a stretch with ``dilation`` samples more before it."""
        wide_BRT, gate_BRT = (self.gate(before_BRT) + added_B2RT).chunk(2, 1)
        return torch.tanh(wide_BRT) * torch.sigmoid(gate_BRT)


class WaveNet(SpeechCore):
    """The core; its state are the last inputs of each layer, ``dilation`` of them, the oldest first."""

    config: WaveNetConfig

    def __init__(self, config: WaveNetConfig, *, generator: torch.Generator) -> None:
        super().__init__(config, generator=generator)
        self.code = seeded_embedding(CODES, config.channels, generator=generator)
        self.layers = nn.ModuleList(GatedLayer(config, dilation, generator=generator) for dilation in config.dilations)
        with torch.no_grad():
            self.code.weight.copy_(smooth(CODES, config.channels, generator=generator))
        self.hidden = seeded_linear(config.skip, config.skip, generator=generator)
        self.logits = seeded_linear(config.skip, CODES, generator=generator)
        with torch.no_grad():
            self.logits.weight.copy_(smooth(CODES, config.skip, generator=generator) * config.skip**-0.5)
            self.logits.bias.zero_()

    @property
    def gated_layers(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    @property
    def state_size(self) -> int:
        return self.config.channels * sum(self.config.dilations)

    def advance(
        self, last_B: torch.Tensor, condition_BK: torch.Tensor, row_BP: torch.Tensor, state_BS: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        R = self.config.channels
        held = state_BS.split([R * dilation for dilation in self.config.dilations], 1)
        x_BR, skip_BS, states = self.code(last_B), last_B.new_zeros((), dtype=state_BS.dtype), []
        for layer, queue_BX in zip(self.gated_layers, held, strict=True):
            pair_BR2 = torch.stack([queue_BX[:, :R], x_BR], 2)
            states.append(torch.cat([queue_BX[:, R:], x_BR], 1))
            gate_B2R = (layer.gate.weight * pair_BR2[:, None]).sum((2, 3)) + layer.bias
            wide_BR, open_BR = (gate_B2R + layer.conditioned(condition_BK, row_BP)).chunk(2, 1)
            out_BX = layer.out(torch.tanh(wide_BR) * torch.sigmoid(open_BR))
            x_BR, skip_BS = x_BR + out_BX[:, :R], skip_BS + out_BX[:, R:]
        return self._head(skip_BS), torch.cat(states, 1)

    def _head(self, skip: torch.Tensor) -> torch.Tensor:
        return self.logits(torch.relu(self.hidden(torch.relu(skip)))).log_softmax(-1)

    def choose(self, log_BX: torch.Tensor, draw: Draw) -> torch.Tensor:
        return below(log_BX, draw.uniform(1)[:, 0])

    def parallel(
        self, last_BT: torch.Tensor, next_BT: torch.Tensor, condition_BLK: torch.Tensor, row_BP: torch.Tensor,
        state_BS: torch.Tensor, step: int,
    ) -> torch.Tensor:  # fmt: skip
        (B, T), R = last_BT.shape, self.config.channels
        held = state_BS.split([R * dilation for dilation in self.config.dilations], 1)
        x_BRT = self.code(last_BT).transpose(1, 2)
        skip_BST: torch.Tensor | None = None
        for layer, queue_BX in zip(self.gated_layers, held, strict=True):
            queue_BRD = queue_BX.view(B, layer.dilation, R).transpose(1, 2)
            added_BRL = layer.conditioned(condition_BLK, row_BP).transpose(1, 2)
            added_BRT = added_BRL.repeat_interleave(step, 2)[:, :, :T]
            gated_BRT = layer.gated(torch.cat([queue_BRD, x_BRT], 2), added_BRT)
            out_BXT = functional.conv1d(gated_BRT, layer.out.weight[:, :, None], layer.out.bias)
            x_BRT = x_BRT + out_BXT[:, :R]
            skip_BST = out_BXT[:, R:] if skip_BST is None else skip_BST + out_BXT[:, R:]
        assert skip_BST is not None
        hidden_BST = functional.conv1d(torch.relu(skip_BST), self.hidden.weight[:, :, None], self.hidden.bias)
        logit_BXT = functional.conv1d(torch.relu(hidden_BST), self.logits.weight[:, :, None], self.logits.bias)
        return -functional.cross_entropy(logit_BXT, next_BT, reduction="none")
