"""Places: where in the text of its program each step of a frame is, and what is read there.

A program is a finite machine whose state is the place in its text. A core that is told the place need not find it
(teacher forcing of the state): each step can be learned by itself. Places of programs with a text are exact; those of
programs that only traces show are inferred by whoever has a way to (:data:`Finder`).

Shape legend: ``M`` frames, ``S`` their steps, ``F`` fields of the observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from dsl.lowering.decision_tables import DecisionTable
from dsl.lowering.ir import reached
from dsl.program import ProgramSet
from dsl.teacher import teacher_of_bodies
from envs.spec import GO_ON, RETURN
from envs.stepper import Observation
from traces.recording.batch import same_table
from traces.recording.placed_steps import renumbered_calls
from traces.recording.unique_frames import FrameSet

Reads = Mapping[int, frozenset[int]]
"""For each place at which a step can be: what is read there, the index of a field, or F + that of an argument slot."""


Decide = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""What programs do, by program_S, place_S in their texts, obs_SF and arguments_S3, whatever these are: call_S4, and the
place that follows."""


@dataclass(frozen=True)
class Places:
    """The places of some frames.

    A frame begins at place 0, to which none returns: a loop back to the first line of a text is another place.

    Attributes:
        before_S, after_S: the place before each step, and after it (0 after a return).
        reads: for each program, by its id in the frames' table.
        decide: what the texts do, by the same ids; ``None`` where there is no text.
    """

    before_S: torch.Tensor
    after_S: torch.Tensor
    reads: Mapping[int, Reads]
    decide: Decide | None = None

    def renumbered(self, rows_N: torch.Tensor) -> Places:
        """With programs and callees renumbered from ids of the table to the row of each."""
        reads = {int(rows_N[program]): read for program, read in self.reads.items()}
        return replace(self, reads=reads, decide=None if self.decide is None else _by_rows(self.decide, rows_N))


def _by_rows(decide: Decide, rows_N: torch.Tensor) -> Decide:
    """The same, of programs and callees by the row of each id."""
    id_R = torch.zeros(1 + int(rows_N.max()), dtype=torch.int64).scatter(0, rows_N, torch.arange(len(rows_N)))

    def by_rows(
        row_S: torch.Tensor, place_S: torch.Tensor, obs_SF: torch.Tensor, arguments_S3: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        call_S4, after_S = decide(id_R[row_S], place_S, obs_SF, arguments_S3)
        return renumbered_calls(call_S4, rows_N), after_S

    return by_rows


Finder = Callable[[FrameSet], Places]
"""Finds the places of frames of one table; raises ``ValueError`` with the reason where it cannot."""


def finder_of_texts(programs: ProgramSet) -> Finder:
    """Places by the texts of a program file. Place n + 1 is node n of a program's table, place 0 the entry."""
    teacher = teacher_of_bodies(programs)
    fields = len(programs.world.spec.fields)
    reads = {p.id: place_reads(p.table, fields) for p in programs.programs if p.table is not None}

    def decide(
        program_S: torch.Tensor, place_S: torch.Tensor, obs_SF: torch.Tensor, arguments_S3: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        node_S1 = (place_S - 1).clamp(min=0)[:, None]
        decided = teacher.step(Observation(obs_SF.to(torch.int64)), program_S, arguments_S3, node_S1)
        return decided.call_B4, torch.where(decided.call_B4[:, 0] == RETURN, 0, decided.hidden_BH[:, 0] + 1)

    def find(frames: FrameSet) -> Places:
        if not same_table(frames.table, programs.table):
            raise ValueError(f"the frames are of other programs than those of {programs.path}")
        before_S, after_S = (torch.zeros(frames.steps, dtype=torch.int64) for _ in range(2))
        going, step = torch.arange(len(frames)), 0
        place_B = torch.zeros(len(frames), dtype=torch.int64)
        while len(going):
            at_B = frames.start_M[going] + step
            call_B4, after_B = decide(frames.program_M[going], place_B, frames.obs_SF[at_B], frames.arguments_M3[going])
            shown_B4 = frames.call_S4[at_B].to(torch.int64)
            returns_B = shown_B4[:, 0] == RETURN
            same_B = torch.where(returns_B, call_B4[:, 0] == RETURN, (call_B4 == shown_B4).all(1))
            if not bool(same_B.all()):
                name = frames.table.signatures[int(frames.program_M[going[~same_B][0]])].name
                raise ValueError(f"the traces show {name} calling otherwise than its text in {programs.path}")
            before_S[at_B], after_S[at_B] = place_B, after_B
            stays_B = frames.length_M[going] > step + 1
            going, place_B = going[stays_B], after_B[stays_B]
            step += 1
        return Places(before_S, after_S, reads, decide)

    return find


def place_reads(table: DecisionTable, fields: int) -> dict[int, frozenset[int]]:
    """What is read at each place of a program, what it hands on to included: the entry, and what follows some call."""

    def onward(number: int) -> list[int]:
        node = table.nodes[number]
        return np.unique(node.next_M[node.call_M4[:, 0] == GO_ON]).tolist()

    def read(number: int) -> frozenset[int]:
        return frozenset(r.column(fields) for n in reached([number], onward) for r in table.nodes[n].reads)

    following = np.unique(np.concatenate([node.next_M[node.call_M4[:, 0] >= 0] for node in table.nodes]))
    return {0: read(0)} | {number + 1: read(number) for number in following.tolist()}
