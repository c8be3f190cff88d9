"""Texts that are said: ``--wav`` and ``--picture`` of ``npi run``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from npi.cli.console import Screen, open_library, standing_in
from npi.cli.options import option, output
from npi.cli.words import file_size

WavOption = Annotated[
    Path | None, output("--wav", "Say the words in the task's voice, and write them as sound.", "FILE.wav")
]
SpeechPictureOption = Annotated[
    Path | None, output("--picture", "Draw what was said: waveform, spectrogram and sounds.", "FILE.png")
]
TemperatureOption = Annotated[
    float, option("--temperature", "Of --wav: below 1, likelier samples are drawn more often.", "T")
]


def say(
    screen: Screen,
    library: Path,
    task: str,
    words: Sequence[str],
    wav: Path | None,
    picture: Path | None,
    *,
    seed: int,
    temperature: float,
    core: str | None = None,
    rows: Sequence[str] = (),
) -> None:
    """Say the words, write the files that are asked for, and tell how long it took."""
    from npi.learners.speaking import speak

    for file, ending in ((wav, ".wav"), (picture, ".png")):
        if file is not None and file.suffix.lower() != ending:
            raise ValueError(f"{file}: name a file that ends in {ending}")
    if picture is not None:
        from envs.speech.picture import check_drawable, drawn

        check_drawable()
    opened: Any = standing_in(open_library(library, task=task, core=core), library, rows)
    began = time.perf_counter()
    speech = speak(opened, task, list(words), seed=seed, temperature=temperature)
    seconds = time.perf_counter() - began
    screen.line(f"said        {speech.text!r} by {task} of {library}: {speech.sound.seconds:.2f} s of speech in "
                f"{seconds:.2f} s")  # fmt: skip
    if wav is not None:
        speech.save(wav)
        screen.note(f"wrote {wav}, {file_size(wav.stat().st_size)}")
    if picture is not None:
        from envs.support.atomic_files import write_whole

        content = drawn(speech.sound, speech.phones, speech.text)
        write_whole(picture, content)
        screen.note(f"wrote {picture}, {file_size(len(content))}")
    screen.document(
        {
            "task": task, "text": speech.text, "wav": wav, "picture": picture, "seconds": seconds,
            "speech_seconds": speech.sound.seconds, "rate": speech.sound.rate,
            "phones": [[phone.symbol, phone.start, phone.end, phone.stress] for phone in speech.phones],
        }
    )  # fmt: skip
