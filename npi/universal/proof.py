"""A row against its program text: the same call in every configuration that any observations can lead to.

The row's tables (the core's own decisions) and the text's tables are two finite machines. From the beginning of a frame
the pairs of their states are walked for every combination of what either of them reads; whatever a call may do to the
world, any observation may follow it. So what is proved holds in every world, for inputs of every size.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dsl.analysis.equivalence import flat
from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array, read_size
from dsl.program import Program, ProgramSet
from envs.spec import NONE, RETURN
from envs.support import mixed_radix
from npi.library.kinds import ProgramProof
from npi.library.library import Library
from npi.proof.certificate import TOLERANCE
from npi.universal.rows import Tabulated, row_tables
from npi.universal.symbols import seen_words

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
class Comparison:
    """What comparing a row with its text, or with frames, came to.

    Attributes:
        cases: that were compared: decisions of the text, or frames. wrong: those in which the row calls something else.
        mistakes: a few of them: of a text, the first of each pair of states; of frames, the first of each state.
    """

    cases: int
    wrong: int
    mistakes: tuple[Mistake, ...] = ()

    @property
    def holds(self) -> bool:
        return self.wrong == 0

    @property
    def where(self) -> str:
        """What is seen in the first wrong decision; empty where there is none."""
        return self.mistakes[0].seen if self.mistakes else ""


def prove(program: Program, row: Tabulated) -> Comparison:
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
        mine = row[state]
        every = tuple(dict.fromkeys([*text.reads, *mine.reads]))
        sizes = [read_size(read, program.scope) for read in every]
        count = math.prod(sizes)
        if count > MAX_COMBINATIONS:
            raise ValueError(f"{program.name} reads {count} combinations in one decision, more than {MAX_COMBINATIONS}")
        at = dict(zip(every, mixed_radix.digits(np.arange(count), sizes), strict=True))
        size_of = dict(zip(every, sizes, strict=True))
        entry, own = (_entries(part, at, size_of, count) for part in (text.reads, mine.reads))
        call_M4, next_M = text.call_M4[entry], text.next_M[entry]
        found_M5 = mine.entry_M5.numpy()[own]
        returns_M = call_M4[:, 0] == RETURN
        same_M = np.where(returns_M, found_M5[:, 0] == RETURN, (call_M4 == found_M5[:, :4]).all(1))
        decisions += count
        wrong += int((~same_M).sum())
        for place in np.flatnonzero(~same_M)[: len(mistakes) < SHOWN].tolist():
            calls, should = (call_words(call[place], program) for call in (found_M5[:, :4], call_M4))
            seen = seen_words(every, [int(at[r][place]) for r in every], program.scope.face.spec, program.signature)
            mistakes.append(Mistake(state, seen, calls, should))
        going = same_M & ~returns_M
        for pair in set(zip(next_M[going].tolist(), found_M5[going, 4].tolist(), strict=True)) - known:
            known.add(pair)
            waiting.append(pair)
    return Comparison(decisions, wrong, tuple(mistakes))


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


def prove_rows(library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
    """Proofs of rows against the texts of a file; they list no configurations and do not depend on the world.

    A decision that leads by no more than the tolerance counts as wrong: another device may decide otherwise.
    """
    table, rows, proofs = programs.table, library.program_rows(programs.table), []
    for program in programs.programs:
        if (names is not None and program.name not in names) or program.signal is not None:  # what a host runs
            continue
        try:
            states = row_tables(library, rows[program.id], program.id, table)
            proof = prove(program, states)
        except ValueError as error:
            proofs.append(ProgramProof.unproved(program.name, str(error)))
            continue
        lead_M = torch.cat([state.lead_M for state in states])
        close, margin = int((lead_M <= TOLERANCE).sum()), float(lead_M.min()) if len(lead_M) else math.inf
        read = {read.index for state in states for read in state.reads if read.kind == "field"}
        fields = tuple(field.name for index, field in enumerate(table.world.fields) if index in read)
        almost = proof.wrong == 0 and close > 0
        proofs.append(
            ProgramProof(
                program.name, proof.cases, proof.wrong or close, margin, fields, where=proof.where, close=almost
            )
        )
    return proofs
