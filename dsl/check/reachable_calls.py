"""Which calls a call can lead to, and so which observation fields it can change: read off decision tables.

A call is followed with its arguments, as far as they are pointers or actions; symbols count as any symbol. So a program
that moves the pointer it is given changes what that pointer shows, and nothing of the others. Observations are taken
for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from itertools import product

import numpy as np

from dsl.lowering.ir import Invoke, Parameter, Step, Symbol, every_step, reached
from dsl.lowering.value_grid import read_size
from dsl.program import Program
from envs.scratchpad.config import acts_of
from envs.scratchpad.parts import pads_of
from envs.scratchpad.transitions import changed_fields, effect_of
from envs.spec import RETURN, Signature, WorldSpec
from envs.support import mixed_radix

Call = tuple[int, ...]
"""Callee and three tokens; −1 for any symbol."""

ANY = -1

Move = tuple[list[tuple[int, int]], Call | None, int]
"""Slots and the tokens that they hold, the call that is made then, if any, and the next node."""


class ReachableCalls:
    """What every call of a set's programs can change, worked out when it is asked for.

    Args:
        programs: those of the set. signatures: of all that it can call, primitives first.
    """

    def __init__(self, programs: Iterable[Program], spec: WorldSpec, signatures: Sequence[Signature]) -> None:
        self.spec, self.signatures = spec, signatures
        self.known = {program.id: program for program in programs}
        self.changes: dict[Call, frozenset[int]] = {}
        self.made: dict[Call, set[Call]] = {}
        self.acts: dict[Call, Call] = {}
        self.moves: dict[int, list[list[Move]]] = {}
        pads = pads_of(self.spec)
        self.pad_acts = {pad.act for pad in pads}
        self.named_V = np.zeros(len(self.spec.tokens) + 1, np.bool_)
        self.named = frozenset[int]().union(*(pad.named for pad in pads))
        self.named_V[list(self.named)] = True
        for pad in pads:
            for tokens in acts_of(pad.config):
                call = (pad.act, *(pad.tokens[token] for token in tokens))
                self.acts.setdefault(self.shortened(call), call)

    def shortened(self, call: Sequence[int]) -> Call:
        """The call without its symbols; pointers and actions of scratchpads stay."""
        return (call[0], *(token if token in self.named else ANY for token in call[1:]))

    def can_change(self, steps: Sequence[Step], program: Program, fields: Set[int]) -> bool:
        """Whether a block of a body, or anything that it calls, can change one of these observation fields."""
        invocations = (step for step in every_step(steps) if isinstance(step, Invoke))
        calls = {call for invoke in invocations for call in self.calls_of(invoke, program)}
        reached = set[Call]()
        while calls:  # one level of calls after the other: most loops change what they ask for themselves
            if any(self._own_changes(call) & fields for call in calls):
                return True
            reached |= calls
            calls = set[Call]().union(*(self._leads_to(call) for call in calls)) - reached
        return False

    def changed(self, call: Call) -> frozenset[int]:
        """The fields that a call, or anything to which it leads, can change."""
        if call not in self.changes:
            every = reached([call], self._leads_to)
            self.changes[call] = frozenset[int]().union(*map(self._own_changes, every))
        return self.changes[call]

    def _leads_to(self, call: Call) -> set[Call]:
        callee = self.known.get(call[0])
        return set() if callee is None or callee.table is None else self.made_by(callee, call)

    def _own_changes(self, call: Call) -> set[int]:
        """What a call changes beside the calls that it makes."""
        callee = self.known.get(call[0])
        if callee is not None:  # what has a signal can change all of the world in which it was learned
            return set() if callee.table is not None else set(callee.scope.face.fields.values())
        if call[0] in self.pad_acts:
            return changed_fields([effect_of(self.spec, self.acts[call])]) if call in self.acts else set()
        is_primitive = call[0] < len(self.spec.primitives)  # what has a mistake counts as if it changed nothing
        return changed_fields([effect_of(self.spec, call)]) if is_primitive else set()

    def calls_of(self, invoke: Invoke, program: Program) -> Iterable[Call]:
        """The calls that a statement can make."""
        slots = self.signatures[invoke.callee].slots
        tokens: list[Sequence[int]] = []
        for place, code in enumerate(invoke.arguments):
            if isinstance(code, Symbol):
                tokens.append((code.id,))
            elif isinstance(code, Parameter):
                tokens.append(program.signature.slots[code.slot].tokens)
            else:
                tokens.append(slots[place].tokens)
        short = [dict.fromkeys(token if token in self.named else ANY for token in part) for part in tokens]
        return product((invoke.callee,), *short)

    def made_by(self, callee: Program, call: Call) -> set[Call]:
        """The calls that a program's body makes when it is called so."""
        if call not in self.made:
            fitting = [
                [move for move in moves if all(call[1 + slot] in (ANY, token) for slot, token in move[0])]
                for moves in self._moves(callee)
            ]
            nodes = reached([0], lambda node: (after for _, _, after in fitting[node]))
            self.made[call] = {made for node in nodes for _, made, _ in fitting[node] if made is not None}
        return self.made[call]

    def _moves(self, callee: Program) -> list[list[Move]]:
        """Of each node: the different things that it can do, whatever is observed."""
        if callee.id not in self.moves:
            assert callee.table is not None
            nodes = []
            for node in callee.table.nodes:
                sizes = [read_size(read, callee.scope) for read in node.reads]
                digits = mixed_radix.digits(np.arange(len(node.call_M4)), sizes)
                given = [
                    (read.index, digit_M)
                    for read, digit_M in zip(node.reads, digits, strict=True)
                    if read.kind == "slot" and self.named_V[list(callee.signature.slots[read.index].tokens)].any()
                ]
                call_M4 = node.call_M4.copy()
                call_M4[:, 1:][~self.named_V[call_M4[:, 1:]]] = ANY
                columns = np.column_stack([*(digit_M for _, digit_M in given), call_M4, node.next_M])
                shifted = columns - columns.min(0)
                keys = mixed_radix.number(shifted.T, (shifted.max(0) + 1).tolist())
                moves: list[Move] = []
                _, first = np.unique(keys, return_index=True)
                for *values, program, one, two, three, after in columns[first].tolist():
                    if program != RETURN:
                        tokens = [callee.signature.slots[slot].tokens for slot, _ in given]
                        needed = [(slot, t[v]) for (slot, _), t, v in zip(given, tokens, values, strict=True)]
                        moves.append((needed, (program, one, two, three) if program >= 0 else None, after))
                nodes.append(moves)
            self.moves[callee.id] = nodes
        return self.moves[callee.id]
