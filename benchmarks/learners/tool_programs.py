"""The programs of ``programs/tools`` as libraries: cores and rows of their tools, and the cores that run their bodies.

Each is a stage under ``runs/tools``, its library beside it; cores that come with the engine are taken as they are, and
those of ``build.npi`` and ``tune.npi`` from their own recipes. :func:`collection` is all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from benchmarks.common import ROOT, RUNS, finished
from benchmarks.learners import stacking, tune
from benchmarks.learners.heavier import SHAPE
from benchmarks.learners.heavier import TRAINING as HEAVIER
from dsl import load
from dsl.program import ProgramSet
from envs.images.data import drawings
from envs.speech import data
from envs.speech.corpus import open_corpus, prepare
from envs.speech.making import finished_voice, make_voice, voices
from envs.speech.voices import read_voices
from meta.few_shot.learner import LEARNER as FEW_SHOT
from meta.speech.learner import SpeechTraining
from npi.core.config import TrainConfig
from npi.jobs.learners import train_learner
from npi.jobs.train import learn_into, train_library
from npi.learners.interface import LearnerConfig, LearnerTraining
from npi.learners.learn_rows import learn_rows, take_row
from npi.learners.voice_programs import program_file, program_name
from npi.library.collection import Collection, combined
from npi.library.examples import shipped
from npi.library.library import Library
from npi.library.manifest import holds_library
from npi.library.members import libraries_below
from npi.reproduce.ledger import Result

NAME = "tools"

TOOLS = ROOT / "programs" / "tools"

VOICES, SECONDS = 4, 60
"""Synthetic voices of espeak-ng, and how much of each is read."""

SPEECH = SpeechTraining(updates=200, batch=8, rate=5e-3, row_rate=5e-3, check_every=100, problems=8, clip=1.0)

RANKS = replace(HEAVIER, updates=400, batch=256, check_every=200)

ALPHABET = """# Characters of one alphabet: a row of its own beside a core that reads all of them.
world cards is images(data: strokes, ways: 10, shots: 1, queries: 20, order: freely, pixels: 64, only: "{group}")

program READ_ONE "Say which character of this alphabet is on the card":
    maximise accuracy over 20 steps
    core "few-shot"

task one:
    run READ_ONE
    expect SHOWN == ["no"]
    train
"""

LEARNING = replace(FEW_SHOT.learning, updates=40, check_every=40)
"""Of the alphabet's row."""


def place(name: str) -> Path:
    """Of a library."""
    return RUNS / NAME / name / "library"


def made(name: str, make: Callable[[Path], Result], **settings: object) -> Result:
    """A library that is made once; its stage tells how many CPU seconds it took."""

    def timed() -> Result:
        place(name).parent.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        found = make(place(name))
        return {"seconds": time.process_time() - began, **found}

    return finished(f"{NAME}/{name}/made", timed, **settings)


# --- the tools -------------------------------------------------------------------------------------------------------


def core(
    name: str,
    file: Callable[[], Path | ProgramSet],
    training: LearnerTraining,
    config: LearnerConfig | None = None,
    then: Callable[[Library], None] = lambda library: None,
) -> Result:
    """A learner's core that is trained on a file; ``then`` adds rows to it."""

    def make(out: Path) -> Result:
        library = train_learner([file()], out=out, config=config, training=training, fresh=True).library
        then(library)
        library.save(out)
        return {}

    return made(name, make, training=training.to_json())


def all_voices() -> list[str]:
    """Their rows."""
    return [f"voices.{program_name(voice.name)}" for voice in voices(VOICES, programs=("espeak-ng",))]


def voice_rows() -> tuple[str, str]:
    """The row that SAY has, and another one: the loudest of the voices.

    Cores that are trained so briefly hardly leave silence within a short word where a voice is soft.
    """
    _, _, second, loudest = all_voices()
    return loudest, second


def recordings() -> ProgramSet:
    """Programs of the voices, whose recordings are made once."""
    folder = RUNS / NAME / "voices"
    for voice in voices(VOICES, programs=("espeak-ng",)):
        if not finished_voice(folder / "made", voice):
            make_voice(folder / "made", voice, SECONDS)
    if not (folder / "voices.npz").exists():
        prepare(read_voices(folder / "made")).save(folder / "voices.npz")
    found = open_corpus(folder / "voices.npz")
    data.hold("voices", found)
    (folder / "voices.npi").write_text(program_file(found.voices, steps=1600), encoding="utf-8")
    return load(folder / "voices.npi")


def speaker() -> Library:
    """A WaveNet with four voices, and the tool SAY with the row of one."""
    core("speaker", recordings, SPEECH, then=lambda library: _taken(library, "say", voice_rows()[0]))
    return Library.open(place("speaker"))


def experimenter() -> Library:
    """A core with a row for each place by weight."""
    core("experimenter", lambda: TOOLS / "ranks.npi", RANKS, SHAPE)
    return Library.open(place("experimenter"))


def reader() -> Library:
    """The core that comes with the engine and names characters, its row under the names of the tools, and a row that
    was learned of one alphabet."""

    def make(out: Path) -> Result:
        library = Library.open(shipped()["few_shot"])
        for file in ("readcard", "readplace"):
            _taken(library, file, "characters.NAME")
        group = drawings("strokes", 64, 30).group_names[0]
        (out.parent / "alphabet.npi").write_text(ALPHABET.format(group=group), encoding="utf-8")
        learned = learn_rows(library, [load(out.parent / "alphabet.npi")], LEARNING)
        assert learned.unchanged
        library.save(out)
        return {"group": group}

    made("reader", make, learning=LEARNING.to_json())
    return Library.open(place("reader"))


def _taken(library: Library, file: str, row: str) -> None:
    take_row(library, [load(TOOLS / f"{file}.npi")], row)


# --- the programs that call them -------------------------------------------------------------------------------------


def bodies(file: str, hosts: Callable[[], list[Library]], *, problems: int, traces: int = 64) -> Library:
    """A core that runs the bodies of a file, proved with any answer of its tools."""

    def make(out: Path) -> Result:
        training = TrainConfig(seed=0, certify=True, problems=problems)
        trained = train_library(
            [TOOLS / f"{file}.npi"], out=out, hosts=hosts(), training=training, traces=traces, fresh=True
        )
        return {"proved": bool(trained.solved)}

    made(file, make, problems=problems, traces=traces)
    return Library.open(place(file))


@cache
def sums() -> Library:
    """Addition and bubble sort on one core, and MAX as a row beside it."""

    def make(out: Path) -> Result:
        files = [ROOT / "programs" / f"{name}.npi" for name in ("addition", "bubblesort", "max")]
        training = TrainConfig(seed=0, certify=True)
        trained = train_library(files[:2], out=out, training=training, traces=32, fresh=True)
        learned = learn_into(trained.library, files[2:], out=out)
        return {"proved": bool(trained.solved and learned.solved)}

    made("sums", make)
    return Library.open(place("sums"))


@cache
def announce() -> Library:
    return bodies("announce", lambda: [speaker()], problems=64, traces=32)


@cache
def weigh() -> Library:
    return bodies("weigh", lambda: [experimenter()], problems=64, traces=32)


@cache
def sortcards() -> Library:
    return bodies("sortcards", lambda: [reader()], problems=64, traces=32)


@cache
def clerk() -> Library:
    return bodies("clerk", lambda: [reader(), experimenter(), speaker()], problems=64, traces=32)


@cache
def tuner() -> Library:
    """That of the recipe of ``tune.npi``."""
    return tune.trained()[0]


@cache
def builder() -> Library:
    """That of the recipe of ``build.npi``, which also measures its skills."""
    stacking.build_stage(0)
    return Library.open(stacking.folder("build", 0))


PROGRAMS: dict[str, Callable[[], Library]] = {
    "announce": announce, "weigh": weigh, "sortcards": sortcards, "clerk": clerk, "build": builder, "tune": tuner,
}  # fmt: skip


def collection(also: Sequence[Path] = ()) -> Collection:
    """All of them that are made, what comes with the engine for their tools, and further libraries of folders."""
    names = ("sums", "speaker", "experimenter", "reader", "announce", "weigh", "sortcards", "clerk")
    skills = [stacking.folder(name, 0) for name in ("skills", "build")]
    made_here = [*map(place, names), *skills, RUNS / f"{tune.NAME}-core" / "library"]
    ready = [shipped()[name] for name in ("optimisation", "black_box")]
    others = [found for folder in also for found in libraries_below(folder)]
    folders = [*filter(holds_library, made_here), *ready, *others]
    return combined([Library.open(folder) for folder in folders], prefer="first")
