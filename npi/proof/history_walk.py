"""The walk over all histories of one program, for a core whose state is no small code (an ``lstm``).

Two frames of such a core are alike only if everything that they saw is, so each history is a configuration of its own.
A program whose frames are bounded (no loop in its text) has finitely many; they grow with every field that it sees and
with every step, since an ``lstm`` has no gates that would close one. Cai et al. (2017) verify recursive programs so.
"""

from __future__ import annotations

import math

import networkx as nx
import torch

from dsl.program import Program
from dsl.teacher import body_nodes
from envs.spec import RETURN
from npi.library.library import LibraryError
from npi.proof.configuration_walk import MAX_CONFIGURATIONS, Walk, Walked, _Decided, _spread

BATCH = 2**14
"""Histories that the core is asked about side by side."""


def is_bounded(program: Program) -> bool:
    """Whether no frame of a program can come back to a place in its text."""
    steps = [
        (place, int(after))
        for place, node in enumerate(body_nodes(program))
        for after in node.next_M[node.call_M4[:, 0] != RETURN]
    ]
    return bool(nx.is_directed_acyclic_graph(nx.DiGraph(steps)))


class HistoryWalk(Walk):
    """Breadth first over histories. A wave's column of codes holds the number of the history instead."""

    def run(self) -> Walked:
        """Walk them all; :class:`LibraryError` for a program with a loop, or with too many histories."""
        if not is_bounded(self.program):
            raise LibraryError(f"{self.program.name} has a loop: its frames have no bound, nor have its histories")
        wave = self.beginnings()
        state_PH = torch.zeros(1, self.stepper.width, dtype=self.stepper.dtype)
        parent_M = torch.zeros(len(wave), dtype=torch.int64)
        waves, parents, wrong = [wave], [torch.full((len(wave),), -1)], []
        total, margin, first = len(wave), math.inf, 0
        while len(wave):
            decided, state_PH = self._decide_all(wave, state_PH, parent_M)
            margin = min(margin, float(decided.margin_M.min()))
            wrong.append(decided.wrong_M.nonzero()[:, 0] + first)
            place_M = _goes_on(decided).cumsum(0) - 1  # of a history among those that go on
            self.count_codes(len(wave))
            found, origin = self.successors(wave, decided)
            if total + len(found) > MAX_CONFIGURATIONS:
                raise self.too_many()
            wave, parent_M = found, place_M[origin]
            waves.append(wave)
            parents.append(origin + first)
            first, total = total, total + len(wave)
        bad, every = torch.cat(wrong), torch.cat(waves)
        examples = self.frames(every, torch.cat(parents), bad[_spread(len(bad))]) if len(bad) else None
        every[:, 2] = 0
        return Walked(self.named(every), bad, margin, examples)

    def too_many(self) -> LibraryError:
        return LibraryError(
            f"{self.program.name} has more than {MAX_CONFIGURATIONS:,} histories over the {len(self.fields)} "
            "fields that an lstm sees; train a discrete core, whose rows see only what they need"
        )

    def codes(self, value_MS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One history goes on as one, whose number stands in place of the code."""
        return value_MS, torch.arange(len(value_MS))

    @torch.no_grad()
    def _decide_all(
        self, wave: torch.Tensor, state_PH: torch.Tensor, parent_M: torch.Tensor
    ) -> tuple[_Decided, torch.Tensor]:
        """Decisions in a wave, whose states are those of its parents; and the states of the histories that go on."""
        parts, states = [], [state_PH[:0]]
        trunk = self.stepper.core.trunk
        for index in torch.arange(len(wave)).split(BATCH):
            part = self.judged(
                wave[index],
                lambda x, cond, i=index: trunk.step(x, cond, state_PH[parent_M[i]]),  # type: ignore[misc]
            )
            states.append(part.value_MS[_goes_on(part)])
            parts.append(part._replace(value_MS=index[:, None]))
        return _Decided(*(torch.cat(column) for column in zip(*parts, strict=True))), torch.cat(states)


def _goes_on(decided: _Decided) -> torch.Tensor:
    return ~decided.wrong_M & (decided.call_M4[:, 0] != RETURN)
