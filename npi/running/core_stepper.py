"""A trained core as a stepper: what the machine runs instead of the teacher."""

from __future__ import annotations

import math

import torch

from envs.spec import RETURN, SLOTS, ProgramTable
from envs.stepper import Action, Decision, Draw, Observation, Stepper
from envs.support import mixed_radix
from npi.core.encoder import stack_slots
from npi.core.recurrent import RecurrentCore, may_call, recurrent
from npi.library.library import Library
from npi.program_memory import ProgramMemory


class CoreStepper:
    """Runs the rows of a memory on their core, for the programs of one table.

    Args:
        rows_N: for each id of the table, its row. world: index of the table's world in the core.
    """

    def __init__(
        self, core: RecurrentCore, memory: ProgramMemory, rows_N: torch.Tensor, *, world: int, table: ProgramTable
    ) -> None:
        self.core, self.table, self.world = core, table, world
        self.width, self.dtype = core.trunk.width, core.trunk.dtype
        device = memory.keys_NK.device
        near_M, memory = memory.of({memory.infos[row].generation for row in rows_N.tolist()})
        rows_N = torch.searchsorted(near_M, rows_N.cpu()).to(device)  # thousands of other rows are left out
        with torch.no_grad():
            self.rows = core.tables(memory)
            self.cond_NC = self.rows.cond_NC[rows_N]
            self.words_NSW = self.rows.words_NSW[rows_N]
        self.columns = rows_N
        reach = may_call(memory, rows_N).to(device)
        self.reach_NN = torch.where(reach, 0.0, -torch.inf)
        slots = stack_slots([[s.tokens for s in p.slots] for p in table.signatures], len(table.world.tokens))
        self.slots_N3V = torch.where(slots, 0.0, -torch.inf).to(device)
        self.return_4 = torch.tensor([RETURN, 0, 0, 0], device=device)

    @classmethod
    def of(cls, library: Library, table: ProgramTable) -> CoreStepper:
        """A library's rows for the programs of a table; ``ValueError`` beside another kind of core."""
        rows_N, world = library.rows(table), library.world(table.world)
        return cls(recurrent(library.core), library.memory, rows_N, world=world, table=table)

    @torch.no_grad()
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
        """Decide by the heads: return where f_end is positive, else the best key and, for each slot, the best token."""
        hidden, after = self.core.trunk.step(
            self.encode(seen.fields_BF, program_B, arguments_B3, hidden_BH), self.cond_NC[program_B], hidden_BH
        )
        return Decision(Action(self._heads(hidden, program_B)), after)

    def encode(
        self, obs_BF: torch.Tensor, program_B: torch.Tensor, arguments_B3: torch.Tensor, hidden_BH: torch.Tensor
    ) -> torch.Tensor:
        """x_BX: what the core takes in."""
        return self.core.adapter(self.world).encode(obs_BF, arguments_B3, self.seen(program_B, hidden_BH))

    def seen(self, program_B: torch.Tensor, hidden_BH: torch.Tensor) -> torch.Tensor:
        """weight_BI of the inputs (fields, then slots) that programs see in their states, 0 or 1."""
        code_B = hidden_BH[:, 0] if self.words_NSW.shape[1] > 1 else torch.zeros_like(program_B)
        return self.core.adapter(self.world).input_weights(self.words_NSW[program_B, code_B])

    def _heads(self, hidden: torch.Tensor, program_B: torch.Tensor) -> torch.Tensor:
        """call_B4 that the heads decide."""
        key_BN = self.core.key_logits(hidden, self.rows)[:, self.columns] + self.reach_NN[program_B]
        callee = key_BN.argmax(1)
        token_B3V = self.core.adapter(self.world).argument_logits(hidden) + self.slots_N3V[callee]
        call = torch.cat([callee[:, None], token_B3V.argmax(2)], 1)
        return torch.where((self.core.end_logits(hidden) > 0)[:, None], self.return_4, call)


class MemoisedStepper:
    """Wraps a stepper whose hidden state is one small int64 code; same decisions, most of them looked up.

    A configuration is (program, arguments, state code, observation), all small integers, so it packs into one int64.
    Decisions are kept in a sorted table that grows by what has not been met before.

    Args:
        codes: how many state codes there are. limit: entries kept; where it is passed the table begins anew.
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
