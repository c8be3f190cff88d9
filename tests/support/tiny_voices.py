"""Voices of nobody: three sounds (a vowel, a hiss, a pause) as harmonics of a pitch and noise, with their times."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.speech.audio import Sound, wav_bytes
from envs.speech.corpus import Corpus, prepare
from envs.speech.phones import Phone
from envs.speech.voices import phone_lines, read_voices

RATE = 8000

PITCHES = (110.0, 160.0, 230.0, 320.0)
"""Of the voices, hertz."""


def said(draw: np.random.Generator, hertz: float, tilt: float) -> tuple[Sound, tuple[Phone, ...]]:
    """About half a second: some sounds of random lengths."""
    parts, phones, at = [], [], 0.0
    for symbol in ("_", *draw.permutation(["a", "s", "a"]), "_"):
        seconds = float(draw.integers(6, 14)) / 100
        time = np.arange(int(RATE * seconds)) / RATE
        harmonics = sum(np.sin(2 * np.pi * hertz * n * time) / n**tilt for n in range(1, int(3500 / hertz) + 1))
        sound = {"a": 0.2 * harmonics, "s": 0.05 * draw.standard_normal(len(time)), "_": 0 * time}[symbol]
        parts.append(sound)
        phones.append(Phone(symbol, at, at + seconds, 2 if symbol == "a" else 0))
        at += seconds
    return Sound(np.clip(np.concatenate(parts), -1, 1).astype(np.float32), RATE), tuple(phones)


def write_voices(folder: Path, count: int = 3, recordings: int = 6) -> Path:
    """A folder of so many voices, with transcripts and the times of sounds."""
    for number in range(count):
        draw, home = np.random.default_rng(number), folder / f"voice{number + 1}"
        (home / "wavs").mkdir(parents=True)
        lines, times = [], []
        for recording in range(recordings):
            name = f"r{recording}"
            sound, phones = said(draw, PITCHES[number % len(PITCHES)], 0.8 + 0.4 * (number % 3))
            (home / "wavs" / f"{name}.wav").write_bytes(wav_bytes(sound))
            lines.append(f"{name}|ah sss ah\n")
            times.append(phone_lines(name, phones))
        (home / "metadata.csv").write_text("".join(lines))
        (home / "phones.csv").write_text("".join(times))
    return folder


def tiny_corpus(folder: Path, count: int = 3, recordings: int = 6) -> Corpus:
    """The same, prepared."""
    return prepare(read_voices(write_voices(folder, count, recordings)))
