"""Texts that are said in the voices of a library: phonemes by espeak-ng, samples by the library's core.

Shape legend: ``T`` samples, ``L`` frames, ``F`` features of a frame, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from envs.speech.audio import Sound, resampled, wav_bytes
from envs.speech.espeak import Speaker, read_aloud
from envs.speech.phones import FRAMES, Phone, frames
from envs.speech.pitch import normalised, pitch, speaker_scale
from envs.support.atomic_files import write_whole
from npi.learners.core import LearnerProgramCore
from npi.library.library import Library
from npi.library.manifest import LibraryError


@runtime_checkable
class Voiced(Protocol):
    """A learner whose cores speak."""

    def say(
        self, core: Any, frame_LF: torch.Tensor, row_P: torch.Tensor, *, seed: int = 0, temperature: float = 1.0
    ) -> Sound:
        """Sound of some frames (:data:`envs.speech.phones.FEATURES`) by a row."""
        ...


@dataclass(frozen=True)
class Speech:
    """What was said: the text, its sound, and the phones that the core was told of, with their times."""

    text: str
    sound: Sound
    phones: tuple[Phone, ...]

    def save(self, path: Path | str) -> None:
        """Write a wav file, whole or not at all."""
        write_whole(Path(path), wav_bytes(self.sound))


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


def speak(
    library: Library,
    task: str,
    text: str | Sequence[str],
    *,
    seed: int = 0,
    temperature: float = 1.0,
    language: str = "en-us",
) -> Speech:
    """A text in the voice of a task's program.

    Args:
        text: of words, or several that stand side by side. temperature: of the samples that are drawn; below 1,
            likelier ones are drawn more often than they are likely.

    Raises ``ValueError`` for a library that does not speak, and what :func:`text_frames` raises.
    """
    core = library.core
    if not isinstance(core, LearnerProgramCore) or not isinstance(core.learner, Voiced):
        raise LibraryError(f"the library's core is {core.config.kind}, which does not speak; train one on voices.npi")
    if not 0.05 <= temperature <= 2:
        raise ValueError(f"the temperature is {temperature}; give 0.05 to 2 (1: as likely as the core finds it)")
    programs, found = library.task(task)
    name = programs.program(found.program).name
    row_P = library.memory.embeddings_NP[library.memory.index(name)].detach()
    words = text if isinstance(text, str) else " ".join(text)
    frame_LF, phones = text_frames(words, programs.world.spec.config["rate"], language=language)
    sound = core.learner.say(core.net, frame_LF, row_P, seed=seed, temperature=temperature)
    return Speech(words, sound, phones)
