"""espeak-ng's library: text read aloud, with the sounds and their times.

The library is a package of the system (Debian: ``apt-get install libespeak-ng1 espeak-ng-data``, or ``espeak-ng`` for
both). Only what makes phonemes of a text needs it.
"""

from __future__ import annotations

import _ctypes
import ctypes
import ctypes.util
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from envs.speech.audio import Sound
from envs.speech.phones import PAUSE, STRESSES, Phone

LIBRARIES = ("libespeak-ng.so.1", "libespeak-ng.1.dylib", "espeak-ng.dll")

RETRIEVAL = 1
"""AUDIO_OUTPUT_RETRIEVAL: sound goes to a callback."""

EVENTS, NAMES, KEEP_RUNNING = 1, 2, 0x8000
"""Options: events for phonemes, named in IPA; an error is returned and does not end the process."""

UTF8 = 1
RATE, PITCH, RANGE = 1, 3, 4
"""Parameters of espeak_SetParameter."""

TERMINATED, PHONEME = 0, 7
"""Types of events."""

MAX_TEXT = 5000
"""Characters that are read at once."""

NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""Characters that no text has: what ends it for the library, and what stands for bytes that are not UTF-8."""

VOICE = re.compile(r"[\w+ -]{1,80}", re.ASCII)
"""Names of voices; the library would read any file that one leads to."""

_ONE = threading.Lock()
"""Held while the library reads: its state is that of the process."""


class EspeakError(ValueError):
    """espeak-ng is missing, or does not have a voice."""


@dataclass(frozen=True)
class Speaker:
    """One of espeak-ng's voices.

    Attributes:
        voice: such as ``en-us`` or ``en-gb-scotland+f3``: an accent, and a variant of the voice.
        speed: words a minute. pitch, range: 0 to 100, in espeak-ng's units.
    """

    voice: str = "en-us"
    speed: int = 160
    pitch: int = 50
    range: int = 50


@dataclass(frozen=True)
class Reading:
    """A text as it was read: its sound, and the sounds of it in order of time."""

    sound: Sound
    phones: tuple[Phone, ...]


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; ``place`` is in milliseconds."""

    _fields_ = (
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int),
        ("place", ctypes.c_int), ("sample", ctypes.c_int), ("data", ctypes.c_void_p), ("id", _Name),
    )  # fmt: skip


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """The library, initialised, and what it says of the text that is being read."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.rate = library.espeak_Initialize(RETRIEVAL, 0, None, EVENTS | NAMES | KEEP_RUNNING)
        if self.rate <= 0:
            raise EspeakError("espeak-ng finds none of its data; install them: apt-get install espeak-ng-data")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.parts = list[np.ndarray]()
        self.events = list[tuple[int, str]]()
        self._callback = _Callback(self._heard)  # the library keeps no reference
        library.espeak_SetSynthCallback(self._callback)

    def _heard(self, wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            self.parts.append(np.ctypeslib.as_array(wav, (count,)).copy())
        place = 0
        while events[place].type != TERMINATED:
            if events[place].type == PHONEME:
                self.events.append((events[place].place, bytes(events[place].id.string).decode(errors="replace")))
            place += 1
        return 0

    def read(self, text: str, speaker: Speaker) -> Reading:
        if self.library.espeak_SetVoiceByName(speaker.voice.encode()):
            raise EspeakError(f"espeak-ng has no voice {speaker.voice!r}; espeak-ng --voices lists them")
        for parameter, value in ((RATE, speaker.speed), (PITCH, speaker.pitch), (RANGE, speaker.range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        self.parts, self.events, data = [], [], text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        sample_T = np.concatenate([*self.parts, np.zeros(0, np.int16)]).astype(np.float32) / 32768
        end = 1000 * len(sample_T) / self.rate
        places = [*self.events, (round(end), "")]
        phones = [
            Phone(symbol or PAUSE, at / 1000, min(after, end) / 1000)
            for (at, symbol), (after, _) in pairwise(places) if after > at
        ]  # fmt: skip
        return Reading(Sound(sample_T, self.rate), tuple(_stressed(phones, self._transcription(data))))

    def _transcription(self, data: bytes) -> str:
        """The text in IPA, with signs of stress."""
        rest, found = ctypes.c_char_p(data), list[str]()
        while rest.value:
            found.append(
                (self.library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, 2) or b"").decode(errors="replace")
            )
        return " ".join(found)


def _stressed(phones: list[Phone], transcription: str) -> list[Phone]:
    """Phones with the stress that the transcription has before them."""
    found, at = list[Phone](), 0
    for phone in phones:
        place = transcription.find(phone.symbol, at, at + 8) if phone.symbol != PAUSE else -1
        stress = 0
        if place >= 0:
            stress = max((STRESSES.get(sign, 0) for sign in transcription[at:place]), default=0)
            at = place + len(phone.symbol)
        found.append(replace(phone, stress=stress))
    return found


@contextmanager
def _opened() -> Iterator[_Espeak]:
    """The library as it is when it was just loaded: it varies what it reads by what it has read before."""
    library = _loaded()
    try:
        yield _Espeak(library)
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def _loaded() -> ctypes.CDLL:
    for name in (*LIBRARIES, ctypes.util.find_library("espeak-ng")):
        if name is not None:
            with suppress(OSError):
                return ctypes.CDLL(name)
    raise EspeakError(
        "making phonemes of a text needs espeak-ng's library, which is not installed; on Debian and Ubuntu: apt-get "
        "install espeak-ng. Folders that were prepared (npi voices prepare) need it no more"
    )


@cache
def available() -> bool:
    """Whether espeak-ng's library is there, with its data."""
    try:
        with _opened():
            return True
    except EspeakError:
        return False


def read_aloud(text: str, speaker: Speaker = Speaker()) -> Reading:
    """A text as espeak-ng reads it; the same each time.

    Raises :class:`EspeakError`, a ``ValueError``, where it is not installed or has no such voice, and ``ValueError``
    for a text that has nothing to say, or more than :data:`MAX_TEXT` characters.
    """
    if not text.strip() or len(text) > MAX_TEXT or NO_TEXT.search(text):
        raise ValueError(
            f"a text to say has 1 to {MAX_TEXT:,} characters, no zeros, and is written in UTF-8; this one is "
            f"{text[:40]!r}"
        )
    if not VOICE.fullmatch(speaker.voice):
        raise EspeakError(f"espeak-ng has no voice {speaker.voice!r}; espeak-ng --voices lists them")
    with _ONE, _opened() as espeak:
        found = espeak.read(" ".join(text.split()), speaker)
    if not any(phone.symbol != PAUSE for phone in found.phones):
        raise ValueError(f"there is nothing to say in {text[:40]!r}; give words")
    return found
