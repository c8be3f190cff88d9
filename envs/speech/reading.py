"""Texts as the frames that cores are conditioned on, by espeak-ng's reading, and what was said of them.

Shape legend: ``L`` frames, ``F`` features of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from envs.speech.audio import Sound, resampled, wav_bytes
from envs.speech.espeak import Speaker, read_aloud
from envs.speech.phones import FRAMES, Phone, frames
from envs.speech.pitch import normalised, pitch, speaker_scale
from envs.support.atomic_files import write_whole
from envs.support.lazy_torch import torch


@dataclass(frozen=True)
class Speech:
    """What was said: the text, its sound, and the phones that the core was told of, with their times."""

    text: str
    sound: Sound
    phones: tuple[Phone, ...]

    def save(self, path: Path | str) -> None:
        """Write a wav file, whole or not at all."""
        write_whole(Path(path), wav_bytes(self.sound))


def in_a_row(parts: Sequence[Speech]) -> Speech:
    """One after the other, as one; there is at least one, and all have one rate."""
    rate = parts[0].sound.rate
    phones, at = list[Phone](), 0.0
    for part in parts:
        phones += [replace(phone, start=at + phone.start, end=at + phone.end) for phone in part.phones]
        at += part.sound.seconds
    sample_T = np.concatenate([part.sound.sample_T for part in parts])
    return Speech(" ".join(part.text for part in parts), Sound(sample_T, rate), tuple(phones))


def text_frames(text: str, rate: int, *, language: str = "en-us") -> tuple[torch.Tensor, tuple[Phone, ...]]:
    """frame_LF and the phones of a text, with the times and the melody of espeak-ng's reading.

    The melody is normalised by that reading's mean and deviation, as those of recordings are by their speaker's.
    Raises ``ValueError`` where espeak-ng is missing, or there is nothing to say.
    """
    reading = read_aloud(text, Speaker(language))
    sound = resampled(reading.sound, rate)
    hertz_L, voiced_L = pitch(sound)
    count = len(sound.sample_T) // (rate // FRAMES)
    pitch_L = normalised(hertz_L, speaker_scale([hertz_L]))
    return torch.from_numpy(frames(reading.phones, count, pitch_L, voiced_L)), reading.phones
