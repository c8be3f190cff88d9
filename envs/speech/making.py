"""Synthetic voices: speakers of espeak-ng, flite and festival that differ, reading generated sentences.

The synthesisers are programs of the system (GPL-3 espeak-ng, BSD-like flite and festival); none of them is part of the
engine, and what they say is nobody's voice.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os.path import lexists
from pathlib import Path

import numpy as np

from envs.speech.audio import RATE, Sound, read_wav, resampled, wav_bytes
from envs.speech.espeak import Speaker, read_aloud
from envs.speech.phones import Phone
from envs.speech.sentences import sentence
from envs.speech.voices import METADATA, PHONES, SETTINGS, TEXT_BYTES, phone_lines
from envs.support.atomic_files import write_whole
from envs.support.typed_json import FormatError, Number, read_json
from envs.support.user_files import read_file

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan", "en-us-nyc", "en-gb-x-gbcwmd")

VARIANTS = (
    "m1 f1 m2 f2 m3 f3 m4 f4 m5 f5 m6 Andrea m7 Annie klatt linda klatt2 steph klatt4 belinda max anika Lee grandma "
    "Mike aunty norbert Alicia Gene Denis adam Nguyen paul travis iven quincy zac edward victor boris caleb marcelo "
    "robert david pablo miguel Diogo Hugo ed benjamin rob sandro Jacky shelby Michael Mario kaukovalta gustave Marco "
    "pedro john antonio"
).split()
"""espeak-ng's variants that differ in more than pitch and speed, women and men in turn as far as they go."""

FLITE = ("slt", "rms", "awb", "kal16")

PROGRAMS = ("espeak-ng", "flite", "festival")

FESTIVAL = ("kal_diphone",)

MAX_SECONDS = 10**6
"""Of a voice."""

TIMEOUT = 60
"""Seconds that a program may take for a sentence."""


@dataclass(frozen=True)
class MadeVoice:
    """A voice that can be made: its name, the program that speaks, and the program's name for it."""

    name: str
    program: str
    speaker: Speaker


def voices(
    count: int, *, seed: int = 0, programs: Sequence[str] = ("espeak-ng", "flite", "festival")
) -> list[MadeVoice]:
    """So many voices that differ, those of the programs with few of them last; the same for the same seed.

    Raises ``ValueError`` for more than there are.
    """
    draw = np.random.default_rng(seed)
    others = [
        *(MadeVoice(f"flite-{name}", "flite", Speaker(name)) for name in FLITE if "flite" in programs),
        *(MadeVoice(f"festival-{name}", "festival", Speaker(name)) for name in FESTIVAL if "festival" in programs),
    ]
    found = list[MadeVoice]()
    if "espeak-ng" in programs:
        for number, variant in enumerate(VARIANTS):
            accent = ACCENTS[number % len(ACCENTS)]
            pitch, range_, speed = (int(draw.integers(*bounds)) for bounds in ((25, 76), (30, 71), (130, 186)))
            speaker = Speaker(f"{accent}+{variant}", speed, pitch, range_)
            found.append(MadeVoice(f"v{number + 1:02}-{variant.lower()}", "espeak-ng", speaker))
    found = found[: max(0, count - len(others))] + others
    if not 1 <= count <= len(found):
        raise ValueError(f"{count} voices are wanted, and there are {len(found)} of {', '.join(programs)}; make fewer")
    return found[:count]


def installed() -> list[str]:
    """Which of the programs are there."""
    from envs.speech.espeak import available

    return ["espeak-ng"] * available() + [name for name in ("flite", "festival") if shutil.which(name)]


def spoken(voice: MadeVoice, text: str, rate: int = RATE) -> tuple[Sound, tuple[Phone, ...] | None]:
    """A text in a voice, and the sounds with their times where the program says them.

    Raises ``ValueError`` where the program is missing, or fails.
    """
    if voice.program == "espeak-ng":
        reading = read_aloud(text, voice.speaker)
        return resampled(reading.sound, rate), reading.phones
    tool = {"flite": "flite", "festival": "text2wave"}[voice.program]
    if not shutil.which(tool):
        raise ValueError(
            f"voice {voice.name} needs {tool}, which is not installed; on Debian and Ubuntu: apt-get install "
            f"{voice.program}"
        )
    with tempfile.TemporaryDirectory() as folder:
        wav, written = Path(folder) / "said.wav", Path(folder) / "text"
        written.write_text(text, encoding="ascii", errors="ignore")
        command = {
            "flite": ["flite", "-voice", voice.speaker.voice, "-f", str(written), "-o", str(wav)],
            "festival": ["text2wave", "-eval", f"(voice_{voice.speaker.voice})", str(written), "-o", str(wav)],
        }[voice.program]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
        if done.returncode or not wav.is_file():
            reason = " ".join(done.stderr.decode(errors="replace").split())[:200]
            raise ValueError(f"{voice.program} failed to read {text[:40]!r} in the voice {voice.name}: {reason}")
        return resampled(read_wav(wav), rate), None


def finished_voice(folder: Path, voice: MadeVoice) -> float:
    """The seconds of a voice that is there already; 0 where it is not, or not finished.

    Raises ``ValueError`` where what tells them is damaged.
    """
    home = folder / voice.name
    if not lexists(home / METADATA) or not lexists(home / SETTINGS):
        return 0.0
    try:
        seconds = read_json(dict[str, Number | str], read_file(home / SETTINGS, TEXT_BYTES)).get("seconds")
        if not isinstance(seconds, float | int) or not 0 < seconds < MAX_SECONDS:
            raise FormatError(f"seconds: {seconds!r}, expected a number above 0 and below {MAX_SECONDS:,}")
    except FormatError as error:
        raise ValueError(f"{home / SETTINGS}: {error}; remove {home}, and the voice is made again") from error
    return float(seconds)


def make_voice(
    folder: Path,
    voice: MadeVoice,
    seconds: float,
    *,
    seed: int = 0,
    rate: int = RATE,
    report: Callable[[float], None] = lambda seconds: None,
) -> float:
    """Write a voice of at least so many seconds into a folder of its own; how many there are.

    Args:
        report: told how many seconds there are, after each sentence.
    """
    draw = np.random.default_rng([seed, *voice.name.encode()])
    home, said, lines, sounds = folder / voice.name, 0.0, list[str](), list[str]()
    (home / "wavs").mkdir(parents=True, exist_ok=True)
    while said < seconds:
        name, text = f"s{len(lines) + 1:04}", sentence(draw)
        sound, phones = spoken(voice, text, rate)
        write_whole(home / "wavs" / f"{name}.wav", wav_bytes(sound))
        lines.append(f"{name}|{text}\n")
        if phones is not None:
            sounds.append(phone_lines(name, phones))
        said += sound.seconds
        report(said)
    if sounds:
        write_whole(home / PHONES, "".join(sounds).encode())
    about = {"program": voice.program, **asdict(voice.speaker), "seed": seed, "seconds": round(said, 1)}
    write_whole(home / SETTINGS, (json.dumps(about) + "\n").encode())
    write_whole(home / METADATA, "".join(lines).encode())  # last: a folder without it is no voice yet
    return said
