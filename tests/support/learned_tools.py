"""A program with a body that calls programs with a signal, which a small learner's core of chance runs."""

import copy
from functools import cache
from typing import Any

import torch

from dsl import loads
from dsl.program import ProgramSet
from npi.jobs.learners import new_library
from npi.jobs.train import learn_into
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.universal.code_search import SearchConfig
from npi.universal.core import new_universal
from tests.support.tiny_learner import TinyConfig
from tests.support.universal_helpers import SMALL
from traces.generation.generate import load_sources

ARMS = """
world arms is bandit(arms: {arms}, steps: 20)
"""
PLAY = """
program {program}{slots} "Find the better arm":
    maximise reward over 6 steps
    core "tiny"

task {task}:
    FAMILY = ["easy"]
    run {program}{given}
    expect TRIAL == [6]
    train
    test
"""


def arms(*programs: str, count: int = 2, slots: str = "", given: str = "") -> str:
    """A file of programs with a signal, of a world of arms."""
    made = [PLAY.format(program=name, task=name.lower(), slots=slots, given=given) for name in programs]
    return ARMS.format(arms=count) + "".join(made)


DESK = """
use "arms.npi"

world pad is scratchpad:
    row OUT of 1..2 or blank

world desk joins arms, pad

program BOTH "Play, and write down whether the last pull paid":
    {program}
    NOTE

program NOTE "Write it down":
    if REWARD == "0":
        ACT(OUT, WRITE, 1)
    else:
        ACT(OUT, WRITE, 2)

task both:
    FAMILY = ["easy"]
    run BOTH
    expect TRIAL == [6]
    train
    test
"""


def desk(program: str) -> ProgramSet:
    """The file that calls one of the two, under the name ``desk`` or that of the other one in small letters."""
    name = "desk" if program == "DRAW" else program.lower()
    return load_sources([("arms.npi", arms("DRAW", "OTHER")), (f"{name}.npi", DESK.format(program=program))])


def players(name: str = "arms", *programs: str, seed: int = 0, **more: Any) -> Library:
    """An untrained learner's library of these programs (DRAW and OTHER), whose rows are far from each other."""
    return copy.deepcopy(_players(name, programs, seed, tuple(more.items())))


@cache
def _players(name: str, programs: tuple[str, ...], seed: int, given: tuple[tuple[str, Any], ...]) -> Library:
    more = dict(given)
    sets = loads(arms(*(programs or ("DRAW", "OTHER")), **more), path=f"{name}.npi")
    library = new_library(TinyConfig(), training_tasks(sets), [sets], seed=seed)
    with torch.no_grad():
        library.memory.embeddings_NP.mul_(30)
    return library


@cache
def _callers() -> Library:
    library = new_universal(SMALL, seed=0)
    settings = SearchConfig(updates=300, rate=0.1, starts=3, seed=0)
    found = learn_into(library, [desk("DRAW")], hosts=[players()], config=settings, traces=2)
    assert found.solved, found.wrong
    return library


def callers() -> Library:
    """A universal core that learned to call DRAW, with the learner's library as its host."""
    return copy.deepcopy(_callers())
