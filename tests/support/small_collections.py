"""Small libraries of different kinds of core, which go into collections."""

from collections.abc import Sequence
from functools import cache

import torch

from npi.library.collection import Collection, combined
from npi.library.examples import shipped
from npi.library.kinds import fingerprint
from npi.library.library import Library
from npi.running.evaluate import run_problems
from tests.support.operation_helpers import grown
from tests.support.tiny import LSTM, tape, untrained
from tests.support.universal_helpers import taught
from traces.machine.outcome import Budget

KINDS = ("discrete", "lstm", "universal", "few-shot", "black-box", "optimiser")


@cache
def _library(kind: str) -> Library:
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
