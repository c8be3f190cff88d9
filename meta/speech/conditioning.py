"""What cores of speech share: conditioning on sounds and on the voice's row, and rows inferred from recordings.

Shape legend: ``B`` instances, ``T`` samples, ``L`` frames, ``F`` features of a frame, ``E`` numbers that stand for
them, ``K`` numbers of the conditioning, ``P`` parameters of a row, ``M`` bands of a spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from envs.speech.alignment import FLOOR, mel_matrix
from envs.speech.audio import CODES, decode
from envs.speech.phones import FEATURES, FRAMES, PHONE, PHONES
from npi.core.config import SIZE, setting, within
from npi.core.initialisation import seeded_linear
from npi.learners.interface import LearnerConfig

REACH = 4
"""Frames before and behind the present one that are heard of it."""

WINDOW = 256
"""Samples of a spectrum of the encoder of recordings."""

BANDS = 32

BUMPS = 24
"""Bells that smooth functions of a code are sums of."""

HEARD = 9
"""Spectra, one after the other, that two convolutions of 5 hear."""


@dataclass(frozen=True)
class SpeechConfig(LearnerConfig):
    """The shape of a core that speaks.

    Attributes:
        sampling_rate: samples a second.
        phones: numbers that stand for a sound. conditioning: K. encoder: units of the encoder of recordings.
    """

    row: int = 32
    sampling_rate: int = setting(8000, within(1000, 48_000))
    phones: int = setting(24, SIZE)
    conditioning: int = setting(64, SIZE)
    encoder: int = setting(64, SIZE)


def seeded_conv1d(inputs: int, outputs: int, width: int, *, generator: torch.Generator, dilation: int = 1) -> nn.Conv1d:
    """A convolution over time whose initial weights come from ``generator`` alone (uniform, ±1/√inputs)."""
    with torch.random.fork_rng(devices=[]):  # its own initial numbers are drawn from the global generator
        layer = nn.Conv1d(inputs, outputs, width, dilation=dilation)
    bound = (inputs * width) ** -0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def seeded_embedding(count: int, size: int, *, generator: torch.Generator) -> nn.Embedding:
    """An embedding whose initial numbers come from ``generator`` alone (normal, of deviation 1/2)."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Embedding(count, size)
    with torch.no_grad():
        layer.weight.normal_(0, 0.5, generator=generator)
    return layer


def smooth(count: int, size: int, *, generator: torch.Generator) -> torch.Tensor:
    """count × size numbers, each column a random smooth function of the row: neighbouring codes begin alike."""
    middle_J = torch.linspace(0, 1, BUMPS)
    bump_XJ = torch.exp(-0.5 * ((torch.linspace(0, 1, count)[:, None] - middle_J) * BUMPS).square())
    return bump_XJ @ torch.randn(BUMPS, size, generator=generator) / bump_XJ.norm(dim=1, keepdim=True)


class Conditioner(nn.Module):
    """Frames and a row → what every gated unit reads, K numbers a frame (Chen et al. 2018, section 2)."""

    def __init__(self, config: SpeechConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.phone = seeded_embedding(len(PHONES), config.phones, generator=generator)
        inputs = config.phones + len(FEATURES) - 1
        self.context = seeded_conv1d(inputs, config.conditioning, 2 * REACH + 1, generator=generator)
        self.voice = seeded_linear(config.row, config.conditioning, generator=generator, bias=False)
        self.mixed = seeded_linear(config.conditioning, config.conditioning, generator=generator)

    def forward(self, frame_BLF: torch.Tensor, length_B: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        """B × L × K, of all frames."""
        frame_L = torch.arange(frame_BLF.shape[1], device=frame_BLF.device)
        input_BEL = self._inputs(frame_BLF, frame_L < length_B[:, None]).transpose(1, 2)
        return self._conditioned(self.context(functional.pad(input_BEL, (REACH, REACH))), row_BP)

    def at(
        self, frame_BLF: torch.Tensor, length_B: torch.Tensor, place_B: torch.Tensor, row_BP: torch.Tensor
    ) -> torch.Tensor:
        """B × K, of one frame of each instance: the same as the row of :meth:`forward` there."""
        place_BW = place_B[:, None] + torch.arange(-REACH, REACH + 1, device=place_B.device)
        there_BW = (place_BW >= 0) & (place_BW < length_B[:, None])
        index_BW = place_BW.clamp(0, frame_BLF.shape[1] - 1)
        window_BWF = frame_BLF.gather(1, index_BW[:, :, None].expand(-1, -1, frame_BLF.shape[2]))
        return self._conditioned(self.context(self._inputs(window_BWF, there_BW).transpose(1, 2)), row_BP)[:, 0]

    def _inputs(self, frame_BLF: torch.Tensor, there_BL: torch.Tensor) -> torch.Tensor:
        number_BL = frame_BLF[..., PHONE].round().long().clamp(0, len(PHONES) - 1)
        input_BLE = torch.cat([self.phone(number_BL), frame_BLF[..., PHONE + 1 :]], 2)
        return input_BLE * there_BL[:, :, None]

    def _conditioned(self, heard_BKL: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        mixed_BLK = torch.tanh(heard_BKL.transpose(1, 2) + self.voice(row_BP)[:, None])
        return torch.tanh(self.mixed(mixed_BLK))


class VoiceEncoder(nn.Module):
    """A recording → the row of its voice (SEA-ENC: Chen et al. 2018, section 3.2), by its spectrum."""

    mel_MX: torch.Tensor
    sample_X: torch.Tensor

    def __init__(self, config: SpeechConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.step = config.sampling_rate // FRAMES
        self.first = seeded_conv1d(BANDS, config.encoder, 5, generator=generator)
        self.second = seeded_conv1d(config.encoder, config.encoder, 5, generator=generator)
        self.row = seeded_linear(config.encoder, config.row, generator=generator)
        mel_MX = torch.from_numpy(mel_matrix(config.sampling_rate, WINDOW, BANDS)).float()
        self.register_buffer("mel_MX", mel_MX, persistent=False)
        self.register_buffer("sample_X", torch.from_numpy(decode(torch.arange(CODES).numpy())), persistent=False)

    def forward(self, code_BT: torch.Tensor, live_BT: torch.Tensor) -> torch.Tensor:
        """row_BP, of int64 codes; only what is heard of live samples alone counts, if anything is."""
        size = max(0, WINDOW + (HEARD - 1) * self.step - code_BT.shape[1])
        sample_BT = functional.pad(self.sample_X[code_BT], (0, size))
        frame_BLT = sample_BT.unfold(1, WINDOW, self.step) * torch.hann_window(WINDOW, device=code_BT.device)
        power_BLX = torch.fft.rfft(frame_BLT).abs().square() / WINDOW
        band_BML = (power_BLX @ self.mel_MX.T + FLOOR).log().transpose(1, 2) / 5 + 1
        heard_BEL = torch.relu(self.second(torch.relu(self.first(band_BML))))
        live_BL = functional.pad(live_BT, (0, size)).unfold(1, WINDOW, self.step).all(2).unfold(1, HEARD, 1).all(2)
        weight_BL = torch.where(live_BL.any(1, keepdim=True), live_BL, True).to(heard_BEL.dtype)
        return self.row((heard_BEL * weight_BL[:, None]).sum(2) / weight_BL.sum(1, keepdim=True))
