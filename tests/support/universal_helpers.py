"""Libraries of a small universal core of chance, and rows that it learned: functions of few values."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from dsl import loads
from dsl.program import ProgramSet
from envs.spec import UNKNOWN
from npi.library.kinds import fingerprint
from npi.library.library import Library
from npi.proof.prove import prove
from npi.running.evaluate import solve
from npi.training.dataset import Dataset
from npi.training.induction.steps import tokens_of
from npi.universal.code_search import SearchConfig
from npi.universal.core import new_universal
from npi.universal.learn_rows import learn_universal
from npi.universal.network import InterpreterConfig
from npi.universal.plan import COMPUTED, COPIED, Plan
from npi.universal.rows import SEAL, StateTable, Tabulated
from npi.universal.symbols import computable_tokens, numbers_of
from tests.support.operation_helpers import file_of
from tests.support.tiny import strip, tape

SMALL = InterpreterConfig(hidden=24, layers=1, features=40, code=5, states=7)
"""Weights of chance are enough for functions of few values, by the gains alone."""

SWAP = """
world {name} is scratchpad:
    row A of {values}
    pointer P on A at left

program SWAP(d: direction) "Go there and back":
    ACT(P, d)
    HOME

program HOME "To the beginning":
    while not first(P):
        ACT(P, LEFT)

task swap(items: list of {values}):
    A = items
    run SWAP(RIGHT)
    expect at(P) == 0
    train items of 1..4
    test items of 9
"""

WORLDS = {"fruit": '"apple" or "pear" or "plum"', "cards": "0..2"}


@cache
def text(name: str) -> ProgramSet:
    """A program file: two worlds of their own, a tape, and those of the other packages in the strip."""
    if name in WORLDS:
        return loads(SWAP.format(name=name, values=WORLDS[name]), path=f"{name}.npi")
    return {"tape": tape, "strip": strip}.get(name, lambda: file_of(name))()


@cache
def of(name: str) -> Dataset:
    return Dataset.from_programs(text(name), traces=2, seed=0)


@cache
def _taught(names: tuple[str, ...], seed: int) -> Library:
    if not names:
        return new_universal(SMALL, seed=0)
    library = taught(*names[:-1], seed=seed)
    if {program.name for program in text(names[-1]).programs} <= {info.name for info in library.memory.infos}:
        return library  # learned with a file that uses it
    found = learn_universal(library, [of(names[-1])], SearchConfig(updates=300, rate=0.1, starts=3, seed=seed))
    assert found.solved, found.wrong
    assert found.unchanged
    library.history.append({"learned": list(found.rows), "seed": seed})
    return library


def taught(*names: str, seed: int = 0) -> Library:
    """The core of chance, to which somebody taught these files one after the other."""
    return copy.deepcopy(_taught(names, seed))


def tables(plan: Plan, programs: ProgramSet) -> Tabulated:
    """What a plan knows as a row's tables; what it does not know is no call."""
    spec = programs.table.world
    _, token_C = computable_tokens(programs.table)
    found = []
    for state in plan.states:
        copied = [a.read for o in state.outcomes for a in o.arguments if a.read is not None]
        reads = tuple(dict.fromkeys([*state.inputs, *copied]))
        numbers = [numbers_of(read, spec, plan.signature).tolist() for read in reads]
        decided = zip(state.seen_MR.tolist(), state.outcome_M, state.value_M, strict=True)
        known = {tuple(seen): (outcome, value) for seen, outcome, value in decided}
        entry_M5 = np.full((math.prod(map(len, numbers)), 5), UNKNOWN)
        for row, at in enumerate(np.ndindex(*map(len, numbers))):
            seen = tuple(number[i] for number, i in zip(numbers, at, strict=True))[: len(state.inputs)]
            if seen not in known:
                continue
            outcome, words = state.outcomes[known[seen][0]], []
            for argument in outcome.arguments:
                if argument.how == COPIED and argument.read is not None:
                    words.append(tokens_of(argument.read, spec, plan.signature)[at[reads.index(argument.read)]])
                else:
                    words.append(token_C[known[seen][1]] if argument.how == COMPUTED else argument.token)
            entry_M5[row] = [outcome.callee, *words, outcome.next]
        found.append(StateTable(reads, tuple(map(len, numbers)), torch.from_numpy(entry_M5)))
    return found


def solves(library: Library, *names: str) -> bool:
    """Whether every task of these files is solved, far beyond the sizes of training."""
    for name in names:
        programs = text(name)
        for task in programs.tasks:
            problems = task.draw(12, 8, generator=torch.Generator().manual_seed(1), spread=True)
            if solve(library.stepper(programs.table), programs, task, problems).count < len(problems):
                return False
    return True


def places(library: Library, names: Sequence[str]) -> list[int]:
    return [library.memory.index(name) for name in names]


def same_rows(one: Library, two: Library, names: Sequence[str]) -> bool:
    """Numbers, wiring, declared world, and what is put out, to the bit."""
    ours, theirs = places(one, names), places(two, names)
    told = [
        [(i.name, i.wiring, i.signature, i.source, library.core.worlds[i.world].digest)
         for i in (library.memory.infos[row] for row in rows)]
        for library, rows in ((one, ours), (two, theirs))
    ]  # fmt: skip
    same = torch.equal(one.memory.embeddings_NP[ours], two.memory.embeddings_NP[theirs])
    return (
        same
        and told[0] == told[1]
        and fingerprint(one.core, one.memory, ours) == fingerprint(two.core, two.memory, theirs)
    )


def names_of(library: Library) -> list[str]:
    return [info.name for info in library.memory.infos]


def spoiled(library: Library, name: str) -> Library:
    """The library with other numbers of one row's states, by which it decides otherwise than its text."""
    for seed in range(20):
        memory = copy.deepcopy(library.memory)
        own = memory.embeddings_NP.detach()[memory.index(name), SEAL:]
        own[:] = 3 * torch.randn(own.shape, generator=torch.Generator().manual_seed(seed))
        found = replace(library, memory=memory)
        if any(proof.wrong for _, proofs in prove(found, [name]) for proof in proofs):
            return found
    raise AssertionError(f"no numbers were found by which {name} is wrong")
