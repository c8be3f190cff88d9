"""What is said, by a text or by a program: ``--wav`` and ``--picture`` of ``npi run``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import Screen
from npi.cli.options import option, output
from npi.cli.words import file_size

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from envs.speech.reading import Speech
    from npi.library.library import Library
    from npi.running.compiled_library import CompiledLibrary
    from npi.running.runs import Run

WavOption = Annotated[
    Path | None,
    output(
        "--wav", "Write what is said as sound: the words in the task's voice, or what its program says.", "FILE.wav"
    ),
]
SpeechPictureOption = Annotated[
    Path | None, output("--picture", "Draw what was said: waveform, spectrogram and sounds.", "FILE.png")
]
TemperatureOption = Annotated[
    float, option("--temperature", "Of --wav: below 1, likelier samples are drawn more often.", "T")
]


def check_files(wav: Path | None, picture: Path | None) -> None:
    """Raise ``ValueError`` for files of other kinds, and where nothing that draws is installed."""
    for file, ending in ((wav, ".wav"), (picture, ".png")):
        if file is not None and file.suffix.lower() != ending:
            raise ValueError(f"{file}: name a file that ends in {ending}")
    if picture is not None:
        from envs.speech.picture import check_drawable

        check_drawable()


def write_speech(screen: Screen, speech: Speech, wav: Path | None, picture: Path | None) -> None:
    """Write the files that are asked for."""
    if wav is not None:
        speech.save(wav)
        screen.note(f"wrote {wav}, {file_size(wav.stat().st_size)}")
    if picture is not None:
        from envs.speech.picture import drawn
        from envs.support.atomic_files import write_whole

        content = drawn(speech.sound, speech.phones, speech.text)
        write_whole(picture, content)
        screen.note(f"wrote {picture}, {file_size(len(content))}")


def document(speech: Speech, wav: Path | None, picture: Path | None) -> dict[str, Any]:
    """What programs are told of a speech."""
    return {
        "text": speech.text, "wav": wav, "picture": picture, "speech_seconds": speech.sound.seconds,
        "rate": speech.sound.rate,
        "phones": [[phone.symbol, phone.start, phone.end, phone.stress] for phone in speech.phones],
    }  # fmt: skip


def speaks(source: Any, task: str) -> bool:
    """Whether a task's program says something itself, in a world where that can be heard."""
    from envs.product import audible

    programs, _ = source.task(task)
    return audible(programs.world)


def heard(run: Run, wav: Path | None, picture: Path | None) -> Speech:
    """What a run said; ``ValueError`` where it said nothing."""
    if not run.heard:
        files = ", ".join(str(file) for file in (wav, picture) if file is not None)
        raise ValueError(f"{run.inputs} said nothing, so there is nothing to write to {files}")
    found: Speech = run.heard[0]
    return found


def say(
    screen: Screen,
    library: Library | CompiledLibrary | ProgramSet,
    place: Path,
    task: str,
    words: Sequence[str],
    wav: Path | None,
    picture: Path | None,
    *,
    seed: int,
    temperature: float,
) -> None:
    """Say the words, write the files that are asked for, and tell how long it took."""
    from npi.learners.speaking import speak
    from npi.library.library import Library

    if not isinstance(library, Library):
        raise ValueError(f"{place} is a file of tables, which does not speak; name the folder of a library")
    began = time.perf_counter()
    speech = speak(library, task, list(words), seed=seed, temperature=temperature)
    seconds = time.perf_counter() - began
    screen.line(f"said        {speech.text!r} by {task} of {place}: {speech.sound.seconds:.2f} s of speech in "
                f"{seconds:.2f} s")  # fmt: skip
    write_speech(screen, speech, wav, picture)
    screen.document({"task": task, **document(speech, wav, picture), "seconds": seconds})
