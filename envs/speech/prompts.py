"""Prompts of the telephone system Asterisk as a voice: studio recordings of one speaker, with a list of their texts.

Debian's packages ``asterisk-core-sounds-en-wav`` and ``asterisk-core-sounds-en`` (likewise es, fr and it; CC-BY-SA-3.0)
have the recordings and ``core-sounds-en.txt.gz``, whose lines are ``NAME: TEXT``.
"""

from __future__ import annotations

import gzip
import io
import zlib
from os.path import lexists
from pathlib import Path, PurePosixPath

from envs.speech.audio import read_wav, wav_bytes
from envs.speech.corpus import LONGEST, SHORTEST
from envs.speech.voices import METADATA, TEXT_BYTES
from envs.support.atomic_files import whole_folder, write_whole
from envs.support.user_files import read_file


def import_prompts(sounds: Path, transcript: Path, folder: Path) -> tuple[int, int]:
    """Write a voice's folder, whole or not at all; how many recordings it has, and how many were left out.

    Left out are tones and silence (texts in brackets), texts without a recording, and recordings of less than 0.1 or
    more than 120 seconds.

    Raises:
        ValueError: for a list that is none, or where nothing is left. OSError: where a file cannot be read.
    """
    with whole_folder(folder) as home:
        return _import(sounds, transcript, home)


def _import(sounds: Path, transcript: Path, folder: Path) -> tuple[int, int]:
    lines, names, left_out = list[str](), set[str](), 0
    for name, text in _texts(transcript).items():
        path = sounds / f"{name}.wav"
        if text.startswith("[") or not lexists(path):
            left_out += 1
            continue
        sound = read_wav(path)
        if not SHORTEST <= sound.seconds <= LONGEST:
            left_out += 1
            continue
        plain = name.replace("/", "-")
        while plain in names:
            plain += "-"
        names.add(plain)
        (folder / "wavs").mkdir(parents=True, exist_ok=True)
        write_whole(folder / "wavs" / f"{plain}.wav", wav_bytes(sound))
        lines.append(f"{plain}|{text.replace('|', ' ')}\n")
    if not lines:
        raise ValueError(f"{sounds}: no text of {transcript} has a recording there; give the folder of one speaker")
    write_whole(folder / METADATA, "".join(lines).encode())
    return len(lines), left_out


def _texts(path: Path) -> dict[str, str]:
    """Texts by name; ``ValueError`` for a file of another form, and for a name that leads out of its folder."""
    data = read_file(path, TEXT_BYTES)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(TEXT_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: it cannot be unpacked ({error})") from error
    if len(data) > TEXT_BYTES:
        raise ValueError(f"{path}: it unpacks to more than {TEXT_BYTES >> 20} MiB")
    found: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
        name, colon, text = line.partition(":")
        if not line.strip() or line.startswith(";") or not colon or not text.strip():
            continue
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise ValueError(f"{path}, line {number}: {name[:60]!r} is no name of a file under the folder")
        found[name.strip()] = " ".join(text.split())
    if not found:
        raise ValueError(f"{path}: it has no line NAME: TEXT")
    return found
