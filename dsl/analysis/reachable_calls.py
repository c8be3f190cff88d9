"""Which calls a call can lead to, and so which observation fields it can change: read off decision tables.

A call is followed with its arguments, as far as they are pointers or actions; symbols count as any symbol. So a program
that moves the pointer it is given changes what that pointer shows, and nothing of the others. Observations are taken
for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from dsl.lowering.ir import Invoke, Parameter, Step, Symbol, every_step
from dsl.lowering.value_grid import read_size
from dsl.names.worlds import PAD
from dsl.program import Program, ProgramSet
from envs.scratchpad.config import PadConfig, acts_of
from envs.scratchpad.transitions import changed_fields, effect_of
from envs.spec import RETURN, SLOTS
from envs.support import mixed_radix

Call = tuple[int, ...]
"""Callee and three tokens; −1 for any symbol."""

ANY = -1


class ReachableCalls:
    """What every call of a set's programs can change, worked out when it is asked for."""

    def __init__(self, programs: ProgramSet) -> None:
        self.programs, self.spec = programs, programs.world.spec
        self.known = {program.id: program for program in programs.programs}
        self.made: dict[Call, set[Call]] = {}
        self.acts: dict[Call, Call] = {}
        self.first_symbol = 0
        if self.spec.kind == PAD:
            config = PadConfig.from_json(self.spec.config)
            self.first_symbol = config.first_pointer + len(config.pointers)
            for tokens in acts_of(config):
                self.acts.setdefault(self.shortened((0, *tokens)), (0, *tokens))

    def shortened(self, call: Sequence[int]) -> Call:
        return (call[0], *(token if token < self.first_symbol else ANY for token in call[1:]))

    def changes(self, steps: Sequence[Step], program: Program) -> set[int]:
        """The observation fields that a block of a program's body can change."""
        invocations = (step for step in every_step(steps) if isinstance(step, Invoke))
        waiting = [call for invoke in invocations for call in self.calls_of(invoke, program)]
        seen, found = set(waiting), set[int]()
        while waiting:
            call = waiting.pop()
            callee = self.known.get(call[0])
            if callee is not None and callee.table is not None:
                more = self.made_by(callee, call) - seen
                seen |= more
                waiting += more
            elif callee is None and self.spec.kind == PAD:
                found |= changed_fields([effect_of(self.spec, self.acts[call])]) if call in self.acts else set()
            else:  # a signal, or a world that says nothing of what its calls change
                return set(range(len(self.spec.fields)))
        return found

    def calls_of(self, invoke: Invoke, program: Program) -> Iterable[Call]:
        """The calls that a statement can make."""
        slots = self.programs.table.signatures[invoke.callee].slots
        tokens: list[Sequence[int]] = []
        for place, code in enumerate(invoke.arguments):
            if isinstance(code, Symbol):
                tokens.append((code.id,))
            elif isinstance(code, Parameter):
                tokens.append(program.signature.slots[code.slot].tokens)
            else:
                tokens.append(slots[place].tokens)
        short = [dict.fromkeys(token if token < self.first_symbol else ANY for token in part) for part in tokens]
        return product((invoke.callee,), *short)

    def made_by(self, callee: Program, call: Call) -> set[Call]:
        """The calls that a program's body makes when it is called so."""
        if call not in self.made:
            assert callee.table is not None
            found = self.made[call] = set()
            waiting, seen = [0], {0}
            while waiting:
                node = callee.table.nodes[waiting.pop()]
                sizes = [read_size(read, callee.scope) for read in node.reads]
                chosen_M = node.call_M4[:, 0] != RETURN
                for read, value_M in zip(node.reads, mixed_radix.digits(np.arange(len(chosen_M)), sizes), strict=True):
                    if read.kind == "slot" and call[1 + read.index] != ANY:
                        chosen_M &= value_M == callee.signature.slots[read.index].tokens.index(call[1 + read.index])
                new = set(np.unique(node.next_M[chosen_M]).tolist()) - seen
                seen |= new
                waiting += new
                call_C4 = node.call_M4[chosen_M & (node.call_M4[:, 0] >= 0)]
                call_C4[:, 1:][call_C4[:, 1:] >= self.first_symbol] = ANY
                keys = mixed_radix.number((call_C4 + 1).T, [int(call_C4.max(initial=0)) + 2] * (1 + SLOTS))
                _, first = np.unique(keys, return_index=True)
                found.update(map(tuple, call_C4[first].tolist()))
        return self.made[call]
