"""The codes of rows: a function for each deciding state first, and what one code does not come to hold is split.

Shape legend: ``F`` functions of all programs, in the order in which their rows have them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from envs.spec import ProgramTable
from npi.universal.code_search import Found, Search, SearchConfig
from npi.universal.functions import Functions, oversizes
from npi.universal.network import Interpreter, InterpreterConfig, Proposer
from npi.universal.plan import MAX_ENTRIES, Plan, Step
from npi.universal.rows import sizes_of
from npi.universal.splitting import Draft, Part

CLOSE = 16
"""A program is tried once more without splits where one of so many configurations was wrong at most."""


@dataclass(frozen=True)
class Code:
    """What a search came to for one function: its code and gains, what it still has wrong, after how many updates."""

    code_C: torch.Tensor
    gain_G: torch.Tensor
    wrong: torch.Tensor
    updates: int

    @classmethod
    def each(cls, found: Found) -> list[Code]:
        parts = zip(found.code_NC, found.gain_NG, found.wrong, found.updates_N.tolist(), strict=True)
        return [cls(*part) for part in parts]


class SizeError(ValueError):
    """A program that does not fit a core however it is split, and the number of the state in which it does not."""

    def __init__(self, state: int, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class Drafts:
    """A program's states as they are planned, and the codes of their steps.

    Raises :class:`SizeError` for a program that does not fit the core however it is split.
    """

    def __init__(self, plan: Plan, table: ProgramTable, config: InterpreterConfig) -> None:
        self.whole, self.table, self.config = plan, table, config
        deciding = [number for number, state in enumerate(plan.states) if state.inputs]
        self.drafts = {n: Draft(plan.states[n], table, plan.signature, config) for n in deciding}
        self.codes = dict[Part, Code]()
        self.stuck = self.close = False
        for number, state in enumerate(plan.states):
            count = math.prod(sizes_of(state, plan, table))
            if count > MAX_ENTRIES:
                raise SizeError(number, f"reads {count:,} configurations in state {number}, more than {MAX_ENTRIES:,}")
        while found := next(oversizes(self.plan, config), None):
            wide = [(d, p) for d in self.drafts.values() for p in d.parts if len(p.looks) > config.inputs]
            if not wide or not wide[0][0].split(wide[0][1], self.room):
                raise SizeError(*found)

    def anew(self) -> Drafts | None:
        """The program without any split; None where it does not fit the core so."""
        found = Drafts(self.whole, self.table, self.config)
        return found if len(found.parts) == len(found.drafts) else None

    @property
    def plan(self) -> Plan:
        """The plan with the steps as they are."""
        states = list(self.whole.states)
        for number, draft in self.drafts.items():
            states[number] = draft.state
        return replace(self.whole, states=tuple(states))

    @property
    def parts(self) -> list[Part]:
        return [part for draft in self.drafts.values() for part in draft.parts]

    @property
    def room(self) -> int:
        """How many more steps the row has room for."""
        return self.config.states - len(self.parts)

    @property
    def unsolved(self) -> list[Part]:
        return [part for part in self.parts if part not in self.codes or len(self.codes[part].wrong)]

    def split(self) -> None:
        """Split every step that is not right; those that are right stay."""
        if len(self.parts) == len(self.drafts):
            self.close = self.wrong * CLOSE <= sum(len(part.at_I) for part in self.unsolved)
        for draft in self.drafts.values():
            for part in [part for part in self.unsolved if part in draft.parts]:
                self.stuck |= not draft.split(part, self.room)

    def steps(self, parts: Sequence[Part]) -> list[Step]:
        """The functions of some parts."""
        return [draft.step(part) for draft in self.drafts.values() for part in draft.parts if part in parts]

    @property
    def numbers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """code_FC and gain_FG of its functions, in the order of its row; 0 of those that have none yet."""
        code_FC = torch.zeros(len(self.parts), self.config.code)
        gain_FG = torch.zeros(len(self.parts), self.config.features)
        for number, part in enumerate(self.parts):
            if part in self.codes:
                code_FC[number], gain_FG[number] = self.codes[part].code_C, self.codes[part].gain_G
        return code_FC, gain_FG

    @property
    def updates(self) -> int:
        """After how many updates the last of its functions was right, or given up."""
        return max((self.codes[part].updates for part in self.parts if part in self.codes), default=0)

    @property
    def wrong(self) -> int:
        """In how many configurations its functions are wrong, or not known yet."""
        return sum(len(self.codes[part].wrong) if part in self.codes else len(part.at_I) for part in self.parts)

    def take(self, other: Drafts) -> None:
        """Become another draft of the same program."""
        self.drafts, self.codes = other.drafts, other.codes


def search(
    net: Interpreter,
    proposer: Proposer,
    rows: Sequence[Drafts],
    config: SearchConfig,
    *,
    report: Callable[[int], None] = lambda updates: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Find the codes of some programs as one batch; a function that is not right after a while is split into others.

    A function that cannot be split any more, for want of room, is searched for as long as the settings say, and then
    the whole decision as one function, too, where little of it was wrong.

    Args:
        rows: their parts and codes change in place.
        report: told the updates so far.
    """
    spent = 0

    def learn(some: Sequence[Drafts], settings: SearchConfig, updates: int) -> None:
        nonlocal spent
        owners = [(row, part) for row in some for part in row.unsolved]
        functions = Functions([step for row in some for step in row.steps(row.unsolved)], net.config.inputs)
        one, calls = Search(net, proposer, functions, settings), itertools.count()

        def note(done: int) -> None:
            for (row, part), code in zip(owners, Code.each(one.best), strict=True):
                row.codes[part] = replace(code, updates=spent + min(code.updates, updates))
            report(spent + done)

        one.run(report=lambda progress: note(progress.update), stop=lambda: stop() or next(calls) >= updates)
        note(updates)
        spent += updates

    going = list(rows)
    while going:
        learn(going, replace(config, rounds=1), min(config.patience, config.updates))
        going = [row for row in going if row.wrong]
        for row in going if not stop() else ():
            row.split()
        going = [row for row in going if not (row.stuck or stop())]
    stuck = [row for row in rows if row.stuck and not stop()]
    if stuck:
        learn(stuck, config, config.most)
    whole = {row: row.anew() for row in stuck if row.wrong and row.close}
    again = {row: other for row, other in whole.items() if other is not None}
    if again and not stop():
        learn(list(again.values()), config, config.most)
        for row, other in again.items():
            if other.wrong < row.wrong:
                row.take(other)
