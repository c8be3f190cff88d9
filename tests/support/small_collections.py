"""Small libraries of different kinds of core, which go into collections."""

from collections.abc import Sequence
from functools import cache

import torch

from dsl import load, loads
from meta.few_shot.core import MemoryConfig
from meta.few_shot.regression import RegressionConfig
from meta.imitation.network import ImitationConfig
from meta.mimic.network import MimicConfig
from meta.reinforcement.network import MetaRLConfig
from meta.speech.wavenet import WaveNetConfig
from meta.speech.wavernn import WaveRNNConfig
from npi.jobs.learners import new_library
from npi.learners.interface import LearnerConfig
from npi.learners.tasks import training_tasks
from npi.learners.voice_programs import program_file
from npi.library.collection import Collection, combined
from npi.library.examples import shipped
from npi.library.kinds import fingerprint
from npi.library.library import Library
from npi.running.evaluate import run_problems
from tests.support.operation_helpers import grown
from tests.support.paths import PROGRAMS
from tests.support.tiny import LSTM, tape, untrained
from tests.support.universal_helpers import taught
from traces.machine.outcome import Budget

KINDS = ("discrete", "lstm", "universal", "few-shot", "black-box", "optimiser")


VOICE = {"row": 4, "phones": 4, "conditioning": 8, "encoder": 8}

LEARNERS: dict[str, tuple[str, LearnerConfig]] = {
    "meta-rl": ("harlow", MetaRLConfig(hidden=8)),
    "imitation": ("reaching", ImitationConfig(row=7, units=11, track=5, moments=3)),
    "mimic": ("puzzlebox", MimicConfig(units=11, row=5)),
    "memory": ("memory", MemoryConfig(channels=8, row=4)),
    "regression": ("sines", RegressionConfig(units=8)),
    "wavenet": ("voices", WaveNetConfig(**VOICE, channels=8, skip=8, layers=4)),
    "wavernn": ("sayings", WaveRNNConfig(**VOICE, code=8, units=16, output=8)),
}
"""Learners of which no core comes with the engine: a program file, and the shape of a core that nobody trained."""


def _chance(kind: str) -> Library:
    """A core of chance."""
    name, config = LEARNERS[kind]
    programs = loads(program_file(("one", "two"), core=kind), path=f"{name}.npi") if kind == "wavernn" else load(
        PROGRAMS / "learning" / f"{name}.npi"
    )  # fmt: skip
    return new_library(config, training_tasks(programs), [programs], seed=3)


@cache
def _library(kind: str) -> Library:
    if kind in LEARNERS:
        return _chance(kind)
    if kind == "discrete":
        return grown("turn", "twist")
    if kind == "lstm":
        return untrained(LSTM, tape())
    if kind == "universal":
        return taught("fruit")
    return Library.open(
        shipped()[{"few-shot": "few_shot", "black-box": "black_box", "optimiser": "optimisation"}[kind]]
    )


def library_of(kind: str) -> Library:
    """A library with a core of this kind; those that come with the engine are of learners."""
    found = _library(kind)
    found.origin = None
    return found


def collection_of(*kinds: str) -> Collection:
    """Such libraries side by side."""
    return combined([library_of(kind) for kind in kinds])


def fingerprint_of(library: Library) -> str:
    """What all rows of programs put out."""
    rows = [place for place, info in enumerate(library.memory.infos) if not info.primitive]
    return fingerprint(library.core, library.memory, rows)


def readings_of(library: Library, tasks: Sequence[str], count: int = 3) -> list[object]:
    """How problems of some tasks end: statuses, steps, and what their worlds hold then."""
    found: list[object] = []
    for name in tasks:
        programs, task = library.task(name)
        size = min(task.test_sizes or task.train_sizes)
        problems = task.draw(size, count, generator=torch.Generator().manual_seed(5), spread=False)
        stepper = library.stepper(programs.table)
        outcome = run_problems(stepper, programs, problems, budget=Budget(steps=120), seed=7)
        found += [outcome.status_N.tolist(), outcome.steps_N.tolist(), outcome.read(programs.world)]
    return found
