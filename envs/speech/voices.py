"""Folders of voices: wav files with transcripts, as LJ Speech has them or as one text beside each.

A voice is a folder; a corpus is a folder of such folders. ``metadata.csv`` has a line ``NAME|TEXT`` (or, as LJ Speech,
``NAME|TEXT|NORMALISED TEXT``) for each file ``wavs/NAME.wav`` or ``NAME.wav``. Without one, ``NAME.txt`` lies beside
``NAME.wav``. ``phones.csv``, where it is there, has the sounds with their times: ``NAME|START|END|STRESS|SOUND``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from envs.speech.phones import Phone
from envs.support.user_files import read_file

METADATA, PHONES = "metadata.csv", "phones.csv"

SETTINGS = "voice.json"
"""What a made voice was made of."""

TEXT_BYTES = 32 << 20
"""Of a file of transcripts."""

MAX_UTTERANCES = 100_000
"""Of a voice."""

ROUNDED = 0.002
"""Seconds that a sound may begin before the end of the one before it, as their times are rounded."""

FILE_NAME = re.compile(r"[^/\\\0|]+")

VOICE_NAME = re.compile(r"[A-Za-z0-9][\w .+-]{0,63}")


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it; ``phones`` where their times are known."""

    name: str
    path: Path
    text: str
    phones: tuple[Phone, ...] | None = None


@dataclass(frozen=True)
class Voice:
    """A speaker's utterances, in the order of their transcripts, and how many recordings there are without one."""

    name: str
    utterances: tuple[Utterance, ...]
    untold: int = 0


def read_voices(folder: Path | str) -> list[Voice]:
    """The voices of a folder: it is one itself, or each of its folders is one; in the order of their names.

    Raises:
        ValueError: for a folder without voices, a transcript without its recording or the other way round, and names
            that lead elsewhere; it names the file.
        OSError: where a file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of voices; give a folder of wav files with transcripts, or of such")
    if _is_voice(folder):
        return [_voice(folder)]
    homes = [home for home in sorted(folder.iterdir()) if home.is_dir() and _is_voice(home)]
    if not homes:
        raise ValueError(
            f"{folder} has no voices: expected {METADATA} with lines NAME|TEXT beside NAME.wav, or NAME.txt beside "
            "each NAME.wav, here or in a folder for each voice"
        )
    return [_voice(home) for home in homes]


def _is_voice(folder: Path) -> bool:
    return lexists(folder / METADATA) or any(path.suffix.lower() == ".wav" for path in folder.iterdir())


def _voice(folder: Path) -> Voice:
    name = folder.resolve().name
    if not VOICE_NAME.fullmatch(name):
        raise ValueError(f"{folder}: a voice cannot be called {name!r}; name the folder by letters, digits and -")
    listed = folder / METADATA
    texts = _listed(listed) if lexists(listed) else _beside(folder)
    phones = _phones(folder / PHONES) if lexists(folder / PHONES) else {}
    utterances = tuple(
        Utterance(name, _recording(folder, name), text, phones.get(name)) for name, text in texts.items()
    )
    if not utterances:
        raise ValueError(f"{listed}: it has no line NAME|TEXT")
    there = [path for home in (folder, folder / "wavs") for path in home.glob("*.[wW][aA][vV]")]
    return Voice(name, utterances, max(0, len(there) - len(utterances)))


def _listed(path: Path) -> dict[str, str]:
    """Texts by the names of their recordings, of ``metadata.csv``."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        name, bar, rest = line.partition("|")
        text = (rest.rpartition("|")[2] or rest).strip()
        where, name = f"{path}, line {number}", name.strip().removesuffix(".wav")
        if not bar or not text:
            raise ValueError(f"{where}: {line[:60]!r} is not NAME|TEXT")
        if not FILE_NAME.fullmatch(name) or name in (".", ".."):
            raise ValueError(f"{where}: {name[:60]!r} is no name of a file in this folder; leave folders out")
        if name in found:
            raise ValueError(f"{where}: {name[:60]} was there before; give each recording one line")
        found[name] = text
        if len(found) > MAX_UTTERANCES:
            raise ValueError(f"{path}: more than {MAX_UTTERANCES:,} lines; share them out among folders")
    return found


def _beside(folder: Path) -> dict[str, str]:
    """The same of a text beside each recording."""
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".wav":
            continue
        text = path.with_suffix(".txt")
        if not text.is_file():
            raise ValueError(f"{path} has no transcript; write what is said into {text.name}, or into {METADATA}")
        found[path.stem] = " ".join(_text(text).split())
        if not found[path.stem]:
            raise ValueError(f"{text} is empty; write what is said in {path.name}")
    return found


def _recording(folder: Path, name: str) -> Path:
    """The file of a recording, which lies in the folder itself, whatever links say."""
    for path in (folder / "wavs" / f"{name}.wav", folder / f"{name}.wav", folder / f"{name}.WAV"):
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{path} is a link to a file outside of {folder}; copy the recording there")
            return path
    raise ValueError(
        f"{folder / METADATA} names {name[:60]!r}, and there is no {name[:60]}.wav in {folder} or its folder wavs; add "
        "it, or leave its line out"
    )


def _phones(path: Path) -> Mapping[str, tuple[Phone, ...]]:
    found: dict[str, list[Phone]] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        parts = line.split("|")
        try:
            name, start, end, stress, symbol = parts
            phone = Phone(symbol, float(start), float(end), int(stress))
        except ValueError:
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is not NAME|START|END|STRESS|SOUND") from None
        before = found[name][-1].end - ROUNDED if name in found else 0.0
        if not (before <= phone.start <= phone.end < math.inf and phone.stress in (0, 1, 2)):
            raise ValueError(f"{path}, line {number}: {line[:60]!r} has no times in order, or a stress beside 0, 1, 2")
        found.setdefault(name, []).append(phone)
    return {name: tuple(phones) for name, phones in found.items()}


def _text(path: Path) -> str:
    try:
        return read_file(path, TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is not written in UTF-8 ({error}); save it as UTF-8") from None


def phone_lines(name: str, phones: tuple[Phone, ...]) -> str:
    """The lines of ``phones.csv`` of a recording."""
    return "".join(f"{name}|{p.start:.3f}|{p.end:.3f}|{p.stress}|{p.symbol}\n" for p in phones)
