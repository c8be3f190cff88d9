"""What is said, sound by sound: phones with times and stress, and the frames that cores are conditioned on.

Shape legend: ``L`` frames of 10 ms, ``F`` features of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FRAMES = 100
"""A second."""

PAUSE, OTHER = "_", "?"
"""Silence, and a sound that :data:`PHONES` does not have."""

PHONES = (
    PAUSE, OTHER,
    *"a ɐ ɑ ɒ æ ʌ ə ɚ ɜ e ɛ i ɪ ᵻ ɨ o ɔ ɵ ø œ u ʊ y ʏ ɯ ɤ".split(),
    *"p b t d ʈ ɖ c ɟ k ɡ q ʔ ɾ m n ɲ ŋ ɳ f v θ ð s z ʃ ʒ ɕ ʑ ʂ ʐ ç x ɣ χ h ɦ β ɸ".split(),
    *"l ɫ ɬ ʎ ɭ r ɹ ɻ ʀ ʁ w ʍ j ɥ ʋ ɰ".split(),
    *"aɪ aʊ eɪ oʊ əʊ ɔɪ ɪə eə ʊə aɪə aɪɚ ɛɹ ɪɹ ɔːɹ ɑːɹ oːɹ ʊɹ ɜː iː uː ɑː ɔː aː eː oː tʃ dʒ ts dz əl".split(),
)  # fmt: skip
"""Sounds in IPA; the place of each is its number in frames."""

_NUMBER = {symbol: number for number, symbol in enumerate(PHONES)}

FEATURES = ("phone", "place", "seconds", "stress", "pitch", "voiced")
"""Of a frame: the sound's number; how far it has come, from 0 to 1; log of its length in 0.1 s; its stress, 0, 1
(secondary) or 2; log of the pitch in units of the speaker's deviation from the speaker's mean; whether there is one."""

PHONE, PLACE, SECONDS, STRESS, PITCH, VOICED = range(len(FEATURES))

STRESSES = {"ˈ": 2, "ˌ": 1}


@dataclass(frozen=True)
class Phone:
    """A sound from ``start`` to ``end`` (seconds), in IPA; ``stress`` is 0, 1 (secondary) or 2 (primary)."""

    symbol: str
    start: float
    end: float
    stress: int = 0


def phone_number(symbol: str) -> int:
    """The place of a sound in :data:`PHONES`: of itself, without its length, or of what it begins with."""
    plain = symbol.strip("ˈˌ")
    if not plain or plain.isspace():
        return _NUMBER[PAUSE]
    for word in (plain, plain.rstrip("ː"), plain[:2], plain[0]):
        if word in _NUMBER:
            return _NUMBER[word]
    return _NUMBER[OTHER]


def stretched(phones: Sequence[Phone], place_L: np.ndarray) -> list[Phone]:
    """Phones of one reading as they lie in another one.

    Args:
        place_L: for each frame of the first reading, and for its end, the frame of the other one.
    """

    def moved(seconds: float) -> float:
        return float(np.interp(seconds * FRAMES, np.arange(len(place_L)), place_L)) / FRAMES

    return [Phone(phone.symbol, moved(phone.start), moved(phone.end), phone.stress) for phone in phones]


def frames(phones: Sequence[Phone], count: int, pitch_L: np.ndarray, voiced_L: np.ndarray) -> np.ndarray:
    """float32 L × F, :data:`FEATURES` of each of ``count`` frames; where no phone is, there is a pause.

    Args:
        pitch_L, voiced_L: normalised log pitch and whether there is one; cut, or continued by unvoiced frames.
    """
    found_LF = np.zeros((count, len(FEATURES)), np.float32)
    found_LF[:, SECONDS] = np.log(10.0 * count / FRAMES + 1e-3)
    for phone in phones:
        first, last = phone.start * FRAMES, max(phone.end, phone.start + 1 / FRAMES) * FRAMES
        here = np.arange(max(0, round(first)), min(count, max(round(last), round(first) + 1)))
        found_LF[here, PHONE] = phone_number(phone.symbol)
        found_LF[here, PLACE] = np.clip((here + 0.5 - first) / (last - first), 0, 1)
        found_LF[here, SECONDS] = np.log(10.0 * (last - first) / FRAMES)
        found_LF[here, STRESS] = phone.stress
    size = min(count, len(pitch_L))
    found_LF[:size, VOICED] = voiced_L[:size]
    found_LF[:size, PITCH] = pitch_L[:size] * voiced_L[:size]
    return found_LF
