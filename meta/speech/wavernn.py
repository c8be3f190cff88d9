"""WaveRNN: a gated recurrent unit with a dual softmax (Kalchbrenner et al. 2018, section 2), conditioned as WaveNet is.

Codes are of 8 bits (µ-law), so a coarse half of 4 bits is drawn first and the fine half by it. Other than in the paper,
whose samples have 16 bits, the fine half knows the coarse one in its output layers, and not in the recurrence: one
recurrence a sample is left.

Shape legend: ``B`` instances, ``T`` samples, ``L`` frames, ``U`` units, ``O`` units of an output layer, ``C`` values of
a half of a code, ``X`` codes, ``K`` numbers of the conditioning, ``P`` parameters of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from envs.speech.audio import CODES
from meta.speech.conditioning import SpeechConfig, seeded_embedding, smooth
from meta.speech.core import SpeechCore, below
from npi.core.config import SIZE, setting
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw

HALF = 16
"""C: the values of a half."""


@dataclass(frozen=True)
class WaveRNNConfig(SpeechConfig):
    """The shape of a WaveRNN.

    Attributes:
        code: numbers that stand for the last code. units: U. output: O.
    """

    kind: str = "wavernn"
    code: int = setting(32, SIZE)
    units: int = setting(128, SIZE)
    output: int = setting(64, SIZE)


def seeded_gru(inputs: int, units: int, *, generator: torch.Generator) -> nn.GRU:
    """A gated recurrent unit whose initial weights come from ``generator`` alone (uniform, ±1/√units)."""
    with torch.random.fork_rng(devices=[]):  # its own initial numbers are drawn from the global generator
        layer = nn.GRU(inputs, units, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(units**-0.5), units**-0.5, generator=generator)
    return layer


class WaveRNN(SpeechCore):
    """The core; its state are the units of the recurrence."""

    config: WaveRNNConfig

    def __init__(self, config: WaveRNNConfig, *, generator: torch.Generator) -> None:
        super().__init__(config, generator=generator)
        self.code = seeded_embedding(CODES, config.code, generator=generator)
        with torch.no_grad():
            self.code.weight.copy_(smooth(CODES, config.code, generator=generator))
        self.recurrence = seeded_gru(config.code + config.conditioning + config.row, config.units, generator=generator)
        self.coarse_hidden = seeded_linear(config.units, config.output, generator=generator)
        self.coarse = seeded_linear(config.output, HALF, generator=generator)
        self.fine_hidden = seeded_linear(config.units, config.output, generator=generator)
        self.known = seeded_embedding(HALF, config.output, generator=generator)
        self.fine = seeded_linear(config.output, HALF, generator=generator)

    @property
    def state_size(self) -> int:
        return self.config.units

    def advance(
        self, last_B: torch.Tensor, condition_BK: torch.Tensor, row_BP: torch.Tensor, state_BS: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        input_B1X = torch.cat([self.code(last_B), condition_BK, row_BP], 1)[:, None]
        unit_B1U, after_1BU = self.recurrence(input_B1X, state_BS[None].contiguous())
        unit_BU = unit_B1U[:, 0]
        coarse_BC = self.coarse(torch.relu(self.coarse_hidden(unit_BU))).log_softmax(1)
        each_BCO = torch.relu(self.fine_hidden(unit_BU)[:, None] + self.known.weight)
        log_BCC = coarse_BC[:, :, None] + self.fine(each_BCO).log_softmax(2)
        return log_BCC.flatten(1), after_1BU[0]

    def choose(self, log_BX: torch.Tensor, draw: Draw) -> torch.Tensor:
        """The coarse half, then the fine one by it; each by a number of its own."""
        uniform_B2, log_BCC = draw.uniform(2), log_BX.unflatten(1, (HALF, HALF))
        coarse_B = below(log_BCC.logsumexp(2), uniform_B2[:, 0])
        fine_BC = log_BCC[torch.arange(len(log_BX), device=log_BX.device), coarse_B].log_softmax(1)
        return HALF * coarse_B + below(fine_BC, uniform_B2[:, 1])

    def parallel(
        self, last_BT: torch.Tensor, next_BT: torch.Tensor, condition_BLK: torch.Tensor, row_BP: torch.Tensor,
        state_BS: torch.Tensor, step: int,
    ) -> torch.Tensor:  # fmt: skip
        T = last_BT.shape[1]
        frame_BLX = torch.cat([condition_BLK, row_BP[:, None].expand(-1, condition_BLK.shape[1], -1)], 2)
        input_BTX = torch.cat([self.code(last_BT), frame_BLX.repeat_interleave(step, 1)[:, :T]], 2)
        unit_BTU, _ = self.recurrence(input_BTX, state_BS[None].contiguous())
        coarse_BT, fine_BT = next_BT // HALF, next_BT % HALF
        coarse_BTC = self.coarse(torch.relu(self.coarse_hidden(unit_BTU)))
        fine_BTC = self.fine(torch.relu(self.fine_hidden(unit_BTU) + self.known(coarse_BT)))
        return -sum_of_losses(coarse_BTC, coarse_BT, fine_BTC, fine_BT)


def sum_of_losses(
    coarse_BTC: torch.Tensor, coarse_BT: torch.Tensor, fine_BTC: torch.Tensor, fine_BT: torch.Tensor
) -> torch.Tensor:
    """B × T: minus the log-likelihood of both halves."""
    pairs = ((coarse_BTC, coarse_BT), (fine_BTC, fine_BT))
    return sum(
        (functional.cross_entropy(logit.flatten(0, 1), half.flatten(), reduction="none").view_as(half)
         for logit, half in pairs),
        torch.zeros(()),
    )  # fmt: skip
