"""Texts that are said in the voices of a library: phonemes by espeak-ng, samples by the library's core.

Shape legend: ``L`` frames, ``F`` features of a frame, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from envs.speech.audio import Sound
from envs.speech.reading import Speech, text_frames
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

    Raises ``ValueError`` for a library that does not speak, and what :func:`envs.speech.reading.text_frames` raises.
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
