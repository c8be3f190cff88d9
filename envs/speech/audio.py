"""Sound as samples: wav files, other rates, and the µ-law codes that cores predict.

Shape legend: ``T`` samples, ``C`` channels of a file.
"""

from __future__ import annotations

import io
import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.support.user_files import read_file

RATE = 8000
"""Samples a second of speech by default, those of a telephone."""

CODES = 256
"""Of µ-law, as ITU-T G.711 companding with μ = 255 has them (van den Oord et al. 2016, section 2.2)."""

MU = CODES - 1

SILENCE = CODES // 2
"""The code of a sample of 0."""

FILE_BYTES = 256 << 20
"""Of a wav file that is read."""

RATES = (4000, 192_000)
"""What a file's rate may lie between."""

MAX_CHANNELS = 8

TAPS = 24
"""Zero crossings on either side of the filter that resamples."""


@dataclass(frozen=True)
class Sound:
    """sample_T, float32 from -1 to 1, and how many there are a second."""

    sample_T: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.sample_T) / self.rate


def read_wav(path: Path | str) -> Sound:
    """The sound of a wav file of whole numbers of 8, 16, 24 or 32 bits; of several channels the mean.

    Raises:
        ValueError: for anything else, for a file without a sample, and one that ends before it should; names the file.
        OSError: where there is none.
    """
    return parse_wav(read_file(path, FILE_BYTES), str(path))


def parse_wav(data: bytes, name: str) -> Sound:
    """As :func:`read_wav`, of a file's content; ``name`` is for errors."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate, count = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
                file.getnframes(),
            )
            raw = file.readframes(count)
    # The reader raises EOFError and others beside its own error where a header is broken.
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        reason = str(error) or "the header ends early"
        raise ValueError(f"{name}: it is no wav file of whole numbers ({reason}); save it as 16-bit PCM") from error
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"{name}: {rate:,} samples a second on {channels} channels; give {RATES[0]:,} to {RATES[1]:,} on 1 to "
            f"{MAX_CHANNELS}"
        )
    if not count or len(raw) < count * channels * width:
        whole = len(raw) // (channels * width)
        raise ValueError(f"{name}: {whole:,} samples are there, and its header says {count:,}; save it anew")
    return Sound(_decoded(raw, width).reshape(-1, channels).mean(1).astype(np.float32), rate)


def _decoded(raw: bytes, width: int) -> np.ndarray:
    """float32 from -1 to 1, of samples of so many bytes."""
    if width == 1:  # the one width that has no sign
        return np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
    if width == 3:
        byte_T3 = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
        number_T = byte_T3[:, 0] << 8 | byte_T3[:, 1] << 16 | byte_T3[:, 2] << 24
        return (number_T / 2.0**31).astype(np.float32)
    whole = np.frombuffer(raw, {2: "<i2", 4: "<i4"}[width])
    return (whole / 2.0 ** (8 * width - 1)).astype(np.float32)


def wav_bytes(sound: Sound) -> bytes:
    """A wav file of one channel, 16 bits a sample."""
    found = io.BytesIO()
    whole_T = np.clip(np.round(np.asarray(sound.sample_T, np.float64) * 32768), -32768, 32767).astype("<i2")
    with wave.open(found, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(whole_T.tobytes())
    return found.getvalue()


def resampled(sound: Sound, rate: int) -> Sound:
    """The same sound at another rate: a windowed sinc, which leaves out what the lower of both rates cannot hold."""
    if rate == sound.rate:
        return sound
    divisor = math.gcd(rate, sound.rate)
    up, down = rate // divisor, sound.rate // divisor
    cutoff = min(1.0, rate / sound.rate)
    half = math.ceil(TAPS / cutoff)
    count = -(-len(sound.sample_T) * up // down)
    padded_T = np.pad(sound.sample_T.astype(np.float64), half)
    window = np.lib.stride_tricks.sliding_window_view(padded_T, 2 * half)
    found_T = np.zeros(count)
    for phase in range(min(up, count)):  # output samples that lie equally between input samples share their weights
        place_K = np.arange(phase, count, up) * down
        whole_K, part = place_K // up, (phase * down % up) / up
        distance = np.arange(1 - half, half + 1) - part
        weight = cutoff * np.sinc(cutoff * distance) * (0.5 + 0.5 * np.cos(np.pi * distance / (half + 1)))
        found_T[phase::up] = window[whole_K + 1] @ weight
    return Sound(found_T.astype(np.float32), rate)


def encode(sample_T: np.ndarray) -> np.ndarray:
    """uint8 codes of samples, which are cut to -1 to 1."""
    x_T = np.clip(np.asarray(sample_T, np.float64), -1, 1)
    folded_T = np.sign(x_T) * np.log1p(MU * np.abs(x_T)) / math.log1p(MU)
    return np.clip(np.floor((folded_T + 1) / 2 * MU + 0.5), 0, MU).astype(np.uint8)


def decode(code_T: np.ndarray) -> np.ndarray:
    """float32 samples in the middle of their codes."""
    folded_T = 2 * np.asarray(code_T, np.float64) / MU - 1
    return (np.sign(folded_T) * np.expm1(np.abs(folded_T) * math.log1p(MU)) / MU).astype(np.float32)
