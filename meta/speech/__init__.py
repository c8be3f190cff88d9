"""Learning to speak: WaveNet and WaveRNN, in which a voice is a row of numbers (Chen et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.speech.adaptation import FineTuned, fine_tune

__all__ = ["FineTuned", "fine_tune"]

__getattr__, __dir__ = lazy(__name__)
