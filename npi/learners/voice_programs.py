"""Program files with a program for each voice of a corpus, which a learner that speaks is trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence

HEAD = "world booth is speech(data: {data}, rate: {rate}, steps: {steps}{seconds})\n"

PROGRAM = """
program {name} "Say a text in the voice {voice}":
    minimise bits over {steps} steps
    core "{core}"

task {task}:
    VOICE = digits({number})
    run {name}
    expect DONE == ["yes"]
    train
    test
"""


def program_file(
    voices: Sequence[str],
    *,
    core: str = "wavenet",
    data: str = "voices",
    rate: int = 8000,
    steps: int = 3200,
    seconds: float = 0,
) -> str:
    """The text of a file with a program and a task for each voice, in the order of the corpus.

    Args:
        steps: samples of an episode. seconds: of each voice's recordings for training; 0: all.

    Raises ``ValueError`` where there is no voice.
    """
    if not voices:
        raise ValueError("name at least one voice of the corpus")
    parts = [HEAD.format(data=data, rate=rate, steps=steps, seconds=f", seconds: {seconds:g}" if seconds else "")]
    for number, voice in enumerate(voices, 1):
        name = program_name(voice)
        parts.append(
            PROGRAM.format(name=name, task=f"say_{name.lower()}", voice=voice, number=number, steps=steps, core=core)
        )
    return "".join(parts)


def program_name(voice: str) -> str:
    """A voice's name as that of a program: ``v01-m1`` is ``V01_M1``."""
    word = re.sub(r"[^A-Z0-9]+", "_", voice.upper()).strip("_")
    return word if word[:1].isalpha() else f"VOICE_{word}"
