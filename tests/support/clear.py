"""A program that clears a tape, and a core that is proved to run it."""

from functools import cache

from dsl import loads
from dsl.program import ProgramSet
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.library.library import Library
from npi.proof.prove import Certifier
from npi.training.dataset import Dataset
from npi.training.validation import TaskValidator
from tests.support.tiny import objective_on, solved

CLEAR = """
world tape is scratchpad:
    row A of "x" or "y" or blank at left

program CLEAR "Blank every cell to the right":
    while A:
        ACT(A, WRITE, blank)
        ACT(A, RIGHT)

task clear(word: list of "x" or "y"):
    A = word
    run CLEAR
    expect len(A) == 0
    train word of 1..6
    test word of 20
"""


@cache
def clear() -> ProgramSet:
    return loads(CLEAR, path="clear.npi")


@cache
def proved() -> Library:
    """Not to be changed: whoever changes it takes a copy."""
    dataset = Dataset.from_programs(clear(), traces=8, seed=0)
    library = new_library(CoreConfig(hidden=32, bits=3), [dataset], seed=0)
    training = TrainConfig(seed=0, problems=8)
    validate = Certifier(TaskValidator(library, [clear()], training), library, [clear()], states=training.states)
    assert solved(objective_on(library, [dataset], training, validate=validate))
    assert validate.audited > 0
    return library
