"""Libraries of one small core and rows beside it that were hardly learned: enough where only numbers are looked at."""

import copy
from functools import cache

from dsl.program import ProgramSet
from npi.library.library import Library
from npi.library.row_file import row_versions
from npi.recurrent import learn
from npi.training.dataset import Dataset
from npi.training.learn_rows import LearnConfig
from tests.support.tiny import SMALL, STRIP, TURN, dataset, turn, untrained
from traces.generation.generate import load_sources

TWIST = """
use "strip.npi"

program RUN "To the beginning again":
    while not first(P):
        MOVE(LEFT)

program TWIST "To the end, and to the beginning":
    SCAN
    RUN

task twist(items: list of 0..2):
    A = items
    run TWIST
    expect at(P) == 0
    train items of 1..5
    test items of 3
"""

AGAIN = """
use "turn.npi"

program AGAIN "Twice":
    TURN
    HOME

task again(items: list of 0..2):
    A = items
    run AGAIN
    expect at(P) == 0
    train items of 1..3
    test items of 3
"""

BOTH = """
use "turn.npi"
use "twist.npi"

program BOTH "One, then the other":
    TURN
    TWIST

task both(items: list of 0..2):
    A = items
    run BOTH
    expect at(P) == 0
    train items of 1..3
    test items of 3
"""

TEXTS = {"strip": STRIP, "turn": TURN, "twist": TWIST, "again": AGAIN, "both": BOTH}
USES = {
    "turn": ("strip",),
    "twist": ("strip",),
    "again": ("strip", "turn"),
    "both": ("strip", "turn", "twist"),
}


def versions_of(library: Library) -> dict[str, str]:
    """For each row, by name, the sha256 of its parameters."""
    found = row_versions(dict(library.memory.named_parameters()))
    return {info.name: version for info, version in zip(library.memory.infos, found, strict=True)}


@cache
def file_of(name: str) -> ProgramSet:
    """A program file, parsed once."""
    if name == "turn":
        return turn()
    return load_sources([(f"{one}.npi", TEXTS[one]) for one in (*USES[name], name)])


@cache
def of(name: str) -> Dataset:
    return dataset(file_of(name), traces=2)


def hasty(seed: int = 0) -> LearnConfig:
    """One step of Adam."""
    return LearnConfig(starts=1, updates=1, frames=4, problems=1, seed=seed, certify=False)


@cache
def _grown(names: tuple[str, ...], seed: int) -> Library:
    if not names:
        return untrained(SMALL)
    library = grown(*names[:-1], seed=seed)
    learn(library, [of(names[-1])], hasty(seed), keep_unsolved=True)
    library.history.append({"learned": [i.name for i in library.memory.infos if i.name.startswith(f"{names[-1]}.")],
                            "seed": seed, "updates": 1})  # fmt: skip
    return library


def grown(*names: str, seed: int = 0) -> Library:
    """The strip's core, to which somebody taught these files one after the other; a copy of its own for each caller."""
    return copy.deepcopy(_grown(names, seed))
