"""A row against its program text: the same call in every configuration that any observations can lead to.

The row's tables (the core's own decisions) and the text's tables are two finite machines. From the beginning of a frame
the pairs of their states are walked for every combination of what either of them reads; whatever a call may do to the
world, any observation may follow it. So what is proved holds in every world, for inputs of every size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dsl.analysis.equivalence import flat
from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array, read_size
from dsl.program import Program
from envs.spec import NONE, RETURN
from envs.support import mixed_radix
from npi.universal.rows import Tabulated

MAX_COMBINATIONS = 2**22
"""Combinations of one pair of states beyond which it is not walked."""

SHOWN = 3
"""Mistakes of a row that are told in words."""


@dataclass(frozen=True)
class Mistake:
    """One wrong decision of a row in words: in which state, what it sees, what it calls, and what it should call."""

    state: int
    seen: str
    calls: str
    should: str


@dataclass(frozen=True)
class Proof:
    """What the walk came to.

    Attributes:
        decisions: combinations that were compared. wrong: those in which the row calls something else.
        mistakes: the first of each pair of states, a few of them.
    """

    decisions: int
    wrong: int
    mistakes: tuple[Mistake, ...] = ()

    @property
    def holds(self) -> bool:
        return self.wrong == 0

    @property
    def where(self) -> str:
        """What is seen in the first wrong decision; empty where there is none."""
        return self.mistakes[0].seen if self.mistakes else ""


def prove(program: Program, row: Tabulated) -> Proof:
    """Compare a row's tables with its program's text.

    Raises ``ValueError`` for a program without a body, or one that reads too much at once to be walked.
    """
    if program.table is None:
        raise ValueError(f"{program.name} has a signal in place of a body, so there is nothing to compare its row with")
    decisions = wrong = 0
    mistakes: list[Mistake] = []
    known = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        node, state = waiting.pop()
        text = flat(node, program.table, program)
        reads, _, entry_M5 = row[state]
        every = tuple(dict.fromkeys([*text.reads, *reads]))
        sizes = [read_size(read, program.scope) for read in every]
        count = math.prod(sizes)
        if count > MAX_COMBINATIONS:
            raise ValueError(f"{program.name} reads {count} combinations in one decision, more than {MAX_COMBINATIONS}")
        at = dict(zip(every, mixed_radix.digits(np.arange(count), sizes), strict=True))
        size_of = dict(zip(every, sizes, strict=True))
        entry, mine = (_entries(part, at, size_of, count) for part in (text.reads, reads))
        call_M4, next_M = text.call_M4[entry], text.next_M[entry]
        found_M5 = entry_M5.numpy()[mine]
        returns_M = call_M4[:, 0] == RETURN
        same_M = np.where(returns_M, found_M5[:, 0] == RETURN, (call_M4 == found_M5[:, :4]).all(1))
        decisions += count
        wrong += int((~same_M).sum())
        for place in np.flatnonzero(~same_M)[: len(mistakes) < SHOWN].tolist():
            calls, should = (call_words(call[place], program) for call in (found_M5[:, :4], call_M4))
            mistakes.append(Mistake(state, _words(program, every, at, place), calls, should))
        going = same_M & ~returns_M
        for pair in set(zip(next_M[going].tolist(), found_M5[going, 4].tolist(), strict=True)) - known:
            known.add(pair)
            waiting.append(pair)
    return Proof(decisions, wrong, tuple(mistakes))


def _entries(
    reads: Sequence[Read], at: Mapping[Read, np.ndarray], size_of: Mapping[Read, int], count: int
) -> np.ndarray:
    """The entry that the values of these reads choose, in each combination."""
    return np.zeros(count, np.int64) + mixed_radix.number([at[r] for r in reads], [size_of[r] for r in reads])


def call_words(call_4: Array, program: Program) -> str:
    """A call as it is written, or ``return``."""
    callee, *tokens = call_4.tolist()
    if callee == RETURN:
        return "return"
    words = [program.scope.face.spec.tokens[token] for token in tokens]
    while words and words[-1] == NONE:
        words.pop()
    name = program.scope.callables[callee].name.rpartition(".")[2]
    return f"{name}({', '.join(words)})" if words else name


def _words(program: Program, reads: tuple[Read, ...], at: dict[Read, np.ndarray], place: int) -> str:
    spec, words = program.scope.face.spec, []
    for read in reads:
        value = int(at[read][place])
        if read.kind == "field":
            words.append(f"{spec.fields[read.index].name} = {spec.fields[read.index].values[value]}")
        else:
            slot = program.signature.slots[read.index]
            words.append(f"{slot.name} = {spec.tokens[slot.tokens[value]]}")
    return ", ".join(words) or "nothing seen"
