"""A prepared corpus: recordings as µ-law codes with the features of their frames, in memory or in one ``.npz`` file.

Preparing needs espeak-ng where the times of sounds are not known; what is prepared needs it no more.

Shape legend: ``N`` samples of all recordings, ``M`` frames of all, ``U`` recordings, ``F`` features.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from envs.speech.alignment import aligned
from envs.speech.audio import RATE, Sound, encode, read_wav, resampled
from envs.speech.espeak import Speaker, read_aloud
from envs.speech.phones import FEATURES, FRAMES, PHONE, PHONES, Phone, frames, stretched
from envs.speech.pitch import normalised, pitch, speaker_scale
from envs.speech.voices import PHONES as PHONES_FILE
from envs.speech.voices import Utterance, Voice, read_voices
from envs.support.array_files import read_arrays
from envs.support.atomic_files import write_whole

LOUDNESS = 0.1
"""The root mean square that a speaker's louder half of frames is brought to."""

SHORTEST = 0.1
"""Seconds of a recording that is used."""

LONGEST = 120.0
"""Seconds of a recording."""

CORPUS_BYTES = 2 << 30
"""Of a prepared file, and of each array in it."""

BEYOND = 0.5
"""Seconds that sounds may end after their recording, whose silence may have been cut."""

SPLITS = ("train", "validation", "test")
"""Of each ten recordings of a voice, the ninth is for validation and the tenth for tests; of fewer, the last two."""


@dataclass(frozen=True)
class Corpus:
    """Recordings, voice after voice.

    Attributes:
        rate: samples a second. voices: their names. voice_U: int64, the voice of each recording.
        code_N: uint8. end_U: int64, where each recording ends among the codes, a whole number of frames.
        frame_MF: float32, :data:`envs.speech.phones.FEATURES` of the frames.
        text_U: what is said.
    """

    rate: int
    voices: tuple[str, ...]
    voice_U: np.ndarray
    code_N: np.ndarray
    end_U: np.ndarray
    frame_MF: np.ndarray
    text_U: np.ndarray

    @property
    def step(self) -> int:
        """Samples of a frame."""
        return self.rate // FRAMES

    @cached_property
    def start_U(self) -> np.ndarray:
        return np.concatenate([[0], self.end_U[:-1]]).astype(np.int64)

    def seconds(self, voice: int) -> float:
        of_U = self.voice_U == voice
        return float((self.end_U - self.start_U)[of_U].sum()) / self.rate

    def recordings(self, voice: int, split: str) -> np.ndarray:
        """The numbers of a voice's recordings in a split, in order; ``ValueError`` where it has too few for one."""
        own = np.flatnonzero(self.voice_U == voice)
        place = np.arange(len(own)) % 10
        if 3 <= len(own) < 10:
            place[-2:] = 8, 9
        kept = own[{"train": place < 8, "validation": place == 8, "test": place == 9}[split]]
        if not len(kept):
            raise ValueError(
                f"voice {self.voices[voice]} has {len(own)} recordings, and none of them is for {split}; give three or "
                "more, cut into sentences"
            )
        return kept

    def codes(self, recording: int) -> np.ndarray:
        return self.code_N[self.start_U[recording] : self.end_U[recording]]

    def frames(self, recording: int) -> np.ndarray:
        """float32 L × F."""
        step = self.step
        return self.frame_MF[self.start_U[recording] // step : self.end_U[recording] // step]

    def stretch(self, voice: int, begin: float, end: float) -> Corpus:
        """A part of a voice's recordings for training as one recording: from ``begin`` to ``end`` seconds of them.

        Raises ``ValueError`` where there is nothing.
        """
        numbers, step = self.recordings(voice, "train"), self.step
        first, last = round(begin * FRAMES), round(end * FRAMES)
        code_N = np.concatenate([self.codes(int(number)) for number in numbers])[first * step : last * step]
        frame_MF = np.concatenate([self.frames(int(number)) for number in numbers])[first:last]
        if not len(frame_MF):
            raise ValueError(f"voice {self.voices[voice]} has less than {begin:g} seconds for training")
        one, text = np.zeros(1, np.int64), np.array([" ".join(self.text_U[numbers].tolist())])
        return Corpus(self.rate, (self.voices[voice],), one, code_N, one + len(code_N), frame_MF, text)

    def to_bytes(self) -> bytes:
        """An archive without pickles, compressed."""
        found = io.BytesIO()
        np.savez_compressed(
            found, rate=np.array(self.rate), voices=np.array(self.voices), voice_U=self.voice_U, code_N=self.code_N,
            end_U=self.end_U, frame_MF=self.frame_MF.astype(np.float16), text_U=self.text_U,
        )  # fmt: skip
        return found.getvalue()

    def save(self, path: Path | str) -> None:
        """Write it whole or not at all."""
        write_whole(Path(path), self.to_bytes())


def open_corpus(path: Path | str, *, rate: int = RATE) -> Corpus:
    """A prepared file, or a folder of voices, which is prepared in memory.

    Raises:
        ValueError: for anything else, a file of another rate, and what its recordings raise.
        OSError: where it cannot be read.
    """
    if Path(path).is_dir():
        return prepare(read_voices(path), rate=rate)
    found = _checked(str(path), read_arrays(path, CORPUS_BYTES))
    if found.rate != rate:
        raise ValueError(
            f"{path} has {found.rate:,} samples a second, and {rate:,} are wanted; prepare its folder again with "
            f"--rate {rate}"
        )
    return found


def _checked(path: str, arrays: dict[str, np.ndarray]) -> Corpus:
    """The arrays of a file as a corpus; ``ValueError`` that says what does not fit."""

    def refuse(reason: str) -> ValueError:
        return ValueError(f"{path}: it is no prepared corpus ({reason}); make one with npi voices prepare")

    kinds = {"rate": "i", "voices": "U", "voice_U": "i", "code_N": "u", "end_U": "i", "frame_MF": "f", "text_U": "U"}
    for name, kind in kinds.items():
        size = {"rate": 0, "frame_MF": 2}.get(name, 1)
        if name not in arrays or arrays[name].dtype.kind != kind or arrays[name].ndim != size:
            raise refuse(f"there is no array {name}, or it is of another kind")
    rate, end_U, voice_U = int(arrays["rate"]), arrays["end_U"].astype(np.int64), arrays["voice_U"].astype(np.int64)
    with np.errstate(over="ignore"):  # what is too large is no number
        frame_MF = arrays["frame_MF"].astype(np.float32)
    code_N, names = arrays["code_N"], arrays["voices"].tolist()
    as_many = len(voice_U) == len(end_U) == len(arrays["text_U"]) > 0
    if rate < FRAMES or rate % FRAMES or not as_many:
        raise refuse("the rate is no multiple of 100, or the recordings are not as many as their voices and texts")
    lengths_U = np.diff(end_U, prepend=0)
    if lengths_U.min() <= 0 or (lengths_U % (rate // FRAMES)).any() or end_U[-1] != len(code_N):
        raise refuse("recordings do not end one after the other, at frames")
    if frame_MF.shape != (len(code_N) // (rate // FRAMES), len(FEATURES)) or code_N.dtype != np.uint8:
        raise refuse("the frames do not fit the samples")
    if not (voice_U.min() >= 0 and voice_U.max() < len(names)) or len(set(names)) < len(names):
        raise refuse("a recording is of no voice, or two voices have one name")
    phone_M = frame_MF[:, PHONE]
    if not np.isfinite(frame_MF).all() or phone_M.min() < 0 or phone_M.max() >= len(PHONES):
        raise refuse("a feature is no number, or names no sound")
    return Corpus(rate, tuple(names), voice_U, code_N, end_U, frame_MF, arrays["text_U"])


def prepare(
    voices: Sequence[Voice],
    *,
    rate: int = RATE,
    language: str = "en-us",
    report: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Corpus:
    """Read, resample, align and encode the recordings of voices.

    Loudness and pitch are normalised by speaker. Where the times of sounds are not known they come from espeak-ng's
    reading in ``language``, warped onto the recording.

    Args:
        report: told before each recording how many are done, of how many, and its voice.

    Raises ``ValueError`` for a recording that cannot be used, and names it.
    """
    total, done = sum(len(voice.utterances) for voice in voices), 0
    parts: list[tuple[int, np.ndarray, np.ndarray, str]] = []
    for number, voice in enumerate(voices):
        sounds = []
        for utterance in voice.utterances:
            report(done, total, voice.name)
            sounds.append(_sound(utterance, rate))
            done += 1
        pitches = [pitch(sound) for sound in sounds]
        scale, gain = speaker_scale([hertz_L for hertz_L, _ in pitches]), _gain(sounds)
        for utterance, sound, (hertz_L, voiced_L) in zip(voice.utterances, sounds, pitches, strict=True):
            phones = utterance.phones or _phones(utterance, sound, language)
            if phones[-1].end > sound.seconds + BEYOND:
                raise ValueError(
                    f"{utterance.path}: {sound.seconds:.2f} seconds long, and its sounds end after "
                    f"{phones[-1].end:.6g}; correct {PHONES_FILE} beside it"
                )
            count = len(sound.sample_T) // (rate // FRAMES)
            frame_LF = frames(phones, count, normalised(hertz_L, scale), voiced_L)
            code_T = encode(gain * sound.sample_T[: count * (rate // FRAMES)])
            parts.append((number, code_T, frame_LF, utterance.text))
    owners, codes, features, texts = zip(*parts, strict=True)
    return Corpus(
        rate, tuple(voice.name for voice in voices), np.array(owners, np.int64), np.concatenate(codes),
        np.cumsum([len(code_T) for code_T in codes]).astype(np.int64), np.concatenate(features).astype(np.float32),
        np.array(texts),
    )  # fmt: skip


def _sound(utterance: Utterance, rate: int) -> Sound:
    found = read_wav(utterance.path)
    if not SHORTEST <= found.seconds <= LONGEST:
        raise ValueError(
            f"{utterance.path}: {found.seconds:.2f} seconds long; recordings have {SHORTEST} to {LONGEST:.0f}, cut it "
            "or leave it out"
        )
    return resampled(found, rate)


def _gain(sounds: Sequence[Sound]) -> float:
    """What brings a speaker to :data:`LOUDNESS`; ``1`` for silence."""
    step = sounds[0].rate // FRAMES
    power_L = np.concatenate([
        (sound.sample_T[: len(sound.sample_T) // step * step].reshape(-1, step).astype(np.float64) ** 2).mean(1)
        for sound in sounds
    ])  # fmt: skip
    loud = np.sqrt(power_L[power_L >= np.median(power_L)].mean())
    return float(LOUDNESS / loud) if loud > 1e-5 else 1.0


def _phones(utterance: Utterance, sound: Sound, language: str) -> list[Phone]:
    """The sounds of a recording, from the reading of its text."""
    reading = read_aloud(utterance.text, Speaker(language))
    return stretched(reading.phones, aligned(resampled(reading.sound, sound.rate), sound))
