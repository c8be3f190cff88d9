"""A discrete core decides the same thing in the same configuration; this stepper asks it once for each.

A configuration is (program, arguments, state code, observation), all small integers, so it packs into one int64.
Decisions are kept in a sorted table that grows by what has not been met before. The decisions are the core's own.
"""

from __future__ import annotations

import math

import torch

from envs.spec import SLOTS, ProgramTable
from envs.stepper import Action, Decision, Draw, Observation, Stepper
from envs.support import mixed_radix


class MemoisedStepper:
    """Wraps a stepper whose hidden state is one small int64 code; same decisions, most of them looked up.

    Args:
        stepper: the wrapped one, of ``width`` 1 and dtype int64.
        table: its program table.
        codes: how many state codes there are.
        limit: entries kept; where it is passed the table begins anew.
    """

    width = 1
    dtype = torch.int64

    def __init__(self, stepper: Stepper, table: ProgramTable, *, codes: int, limit: int = 4_000_000) -> None:
        if stepper.width != 1 or stepper.dtype != torch.int64:
            raise ValueError("only a stepper with one int64 state code a frame can be memoised")
        sizes = [len(table), *[len(table.world.tokens)] * SLOTS, codes, *[f.size for f in table.world.fields]]
        if not self.fits(sizes):
            raise ValueError(f"configurations of world {table.world.name} do not pack into 63 bits")
        self.stepper, self.limit = stepper, limit
        self.strides = torch.tensor(mixed_radix.strides(sizes))
        self._clear()

    def _clear(self) -> None:
        self.keys = torch.tensor([torch.iinfo(torch.int64).max])
        self.calls = torch.zeros(1, 1 + SLOTS, dtype=torch.int64)
        self.codes = torch.zeros(1, 1, dtype=torch.int64)

    @staticmethod
    def fits(sizes: list[int]) -> bool:
        """Whether a mixed-radix number of these digit sizes fits an int64."""
        return math.prod(sizes) < mixed_radix.MAX_KEYS

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """Look the configurations up; ask the wrapped stepper about those that are new."""
        if len(self.keys) > self.limit:
            self._clear()
        configuration = torch.cat([program_B[:, None], arguments_B3, hidden_BH, seen.fields_BF], 1)
        key_B = (configuration * self.strides).sum(1)
        found = torch.searchsorted(self.keys, key_B)
        known = self.keys[found] == key_B
        if not bool(known.all()):
            key_M, inverse = torch.unique(key_B[~known], return_inverse=True)
            first_M = torch.empty_like(key_M).scatter_(0, inverse, torch.arange(len(inverse)))
            new = configuration[~known][first_M]
            decision = self.stepper.step(
                Observation(new[:, 2 + SLOTS :]), new[:, 0], new[:, 1 : 1 + SLOTS], new[:, [1 + SLOTS]]
            )
            self._keep(key_M, decision)
            found = torch.searchsorted(self.keys, key_B)
        return Decision(Action(self.calls[found]), self.codes[found])

    def _keep(self, key_M: torch.Tensor, decision: Decision) -> None:
        keys, order = torch.sort(torch.cat([self.keys, key_M]))
        self.keys = keys
        self.calls = torch.cat([self.calls, decision.call_B4])[order]
        self.codes = torch.cat([self.codes, decision.hidden_BH])[order]
