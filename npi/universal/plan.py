"""What is read off a program before anything is learned: its states, what each looks at, and what it can do next.

A program is a finite machine: in each *state* it looks at a few inputs, chooses one of a few *outcomes* (a call, or
the return, and the state that comes next), and perhaps computes a symbol to write. An outcome's arguments are constant,
or copied from something that is seen, or computed. Which outcome, and which symbol, is a function of the inputs, and
that alone is left for the core to learn.

A plan is made from the decision tables of a program text (:func:`plan_of`), which have every configuration, or from the
frames of traces (:mod:`npi.universal.induction.plan_from_traces`), which have those that occurred.

Shape legend: ``M`` configurations of a state, ``R`` its inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dsl.analysis.equivalence import Choice, choice, essential, smallest
from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array
from dsl.program import Program
from envs.spec import RETURN, SLOTS, ProgramTable, Signature
from npi.training.induction.steps import tokens_of
from npi.universal.symbols import computable_tokens, name_of, numbers_of

CONSTANT, COPIED, COMPUTED = "constant", "copied", "computed"

FEW = 2
"""So many different symbols are chosen among; more are computed."""


@dataclass(frozen=True)
class Argument:
    """One argument of an outcome's call.

    Attributes:
        how: :data:`CONSTANT`, :data:`COPIED` or :data:`COMPUTED`.
        token: the constant one. read: what is copied.
    """

    how: str = CONSTANT
    token: int = 0
    read: Read | None = None


@dataclass(frozen=True)
class Outcome:
    """A call and what comes next.

    Attributes:
        callee: id in the program table, or :data:`~envs.spec.RETURN`.
        arguments: three of them.
        next: number of the state that decides next (0 with a return).
    """

    callee: int
    arguments: tuple[Argument, Argument, Argument]
    next: int

    @property
    def computes(self) -> bool:
        return any(argument.how == COMPUTED for argument in self.arguments)


@dataclass(frozen=True)
class State:
    """One state of a program, and what is known of the function that decides in it.

    Attributes:
        inputs: fields and argument slots that decide.
        outcomes: in the order in which configurations first lead to them.
        seen_MR: the values of the inputs in the configurations that are known, as numbers of
            :mod:`npi.universal.symbols`.
        outcome_M: which outcome each leads to. value_M: what is computed in it; −1 for nothing.
    """

    inputs: tuple[Read, ...]
    outcomes: tuple[Outcome, ...]
    seen_MR: Array
    outcome_M: Array
    value_M: Array


@dataclass(frozen=True)
class Plan:
    """The states of a program; it begins in the first."""

    program: int
    signature: Signature
    states: tuple[State, ...]


def plan_of(program: Program, table: ProgramTable) -> Plan:
    """The plan of a program text, from its decision tables: the smallest machine that decides alike.

    Raises ``ValueError`` for a program without a body, or one that looks at too much at once.
    """
    if program.table is None:
        raise ValueError(f"{program.name} has a signal in place of a body, so no teacher shows how it runs")
    names = {n: str(n) for n in range(len(table))} | {RETURN: str(RETURN)}
    calls: dict[tuple[str, ...], int] = {}
    machine = smallest([choice(n, program, names, calls) for n in range(len(program.table.nodes))])
    call_C4 = np.zeros((len(calls), 1 + SLOTS), np.int64)
    for call, number in calls.items():
        call_C4[number, : len(call)] = [int(word or RETURN) for word in call]
    states = tuple(_state(node, call_C4, program.signature, table) for node in machine)
    return Plan(program.id, program.signature, states)


def _state(node: Choice, call_C4: Array, signature: Signature, table: ProgramTable) -> State:
    sizes = node.call.shape
    at_RM = np.indices(sizes).reshape(len(sizes), node.call.size)
    folded = fold(call_C4[node.call.ravel()], node.next.ravel(), node.reads, at_RM, signature, table)
    outcomes, outcome_M, value_M = folded
    inputs, both = essential(node.reads, (outcome_M * 1000 + value_M).reshape(sizes))
    widest = sorted(range(len(inputs)), key=lambda axis: (-both.shape[axis], axis))
    inputs, both = tuple(inputs[axis] for axis in widest), both.transpose(widest)
    both_M = both.ravel()
    left_RM = np.indices(both.shape).reshape(len(inputs), both.size)
    columns = [numbers_of(r, table.world, signature)[at] for r, at in zip(inputs, left_RM, strict=True)]
    seen_MR = np.stack(columns, 1) if columns else np.zeros((len(both_M), 0), np.int64)
    outcome_M, value_M = np.divmod(both_M + 1, 1000)
    order, outcome_M = as_met(outcome_M)
    return State(inputs, tuple(outcomes[i] for i in order), seen_MR, outcome_M, value_M - 1)


def fold(
    call_M4: Array, next_M: Array, reads: Sequence[Read], at_RM: Array, signature: Signature, table: ProgramTable
) -> tuple[tuple[Outcome, ...], Array, Array]:
    """The fewest outcomes that give these calls: arguments that are copied or computed make many calls one outcome.

    Args:
        reads, at_RM: what was seen, and which of its values in each configuration.
        signature: of the program itself.

    Returns:
        Outcomes, and for each configuration its outcome and the value that it computes (−1 for none).
    """
    token_RM = np.array([tokens_of(r, table.world, signature)[at] for r, at in zip(reads, at_RM, strict=True)])
    token_RM = token_RM.reshape(len(reads), len(call_M4))
    outcome_M, value_M = np.full(len(call_M4), -1), np.full(len(call_M4), -1)
    found: list[Outcome] = []
    for callee in np.unique(call_M4[:, 0]).tolist():
        chosen = np.flatnonzero(call_M4[:, 0] == callee)
        if callee == RETURN:
            outcome_M[chosen] = len(found)
            found.append(Outcome(RETURN, (Argument(), Argument(), Argument()), 0))
            continue
        slots = range(len(table.signatures[callee].slots))
        masks = [mask for size in range(len(slots) + 1) for mask in combinations(slots, size)]
        tried = [_folded(call_M4[chosen], next_M[chosen], reads, token_RM[:, chosen], mask, table) for mask in masks]
        _, groups, values_C = min((t for t in tried if t is not None), key=lambda t: t[0])
        for outcome, members in groups:
            outcome_M[chosen[members]] = len(found)
            found.append(outcome)
        value_M[chosen] = values_C
    return tuple(found), outcome_M, value_M


def as_met(number_M: Array) -> tuple[list[int], Array]:
    """The numbers that occur, in the order in which they first do, and each number's place in that order."""
    known, first, place_M = np.unique(number_M, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return known[order].tolist(), np.argsort(order)[place_M.ravel()]


_Folded = tuple[float, list[tuple[Outcome, Array]], Array]


def _folded(
    call_M4: Array, next_M: Array, reads: Sequence[Read], token_RM: Array, mask: Sequence[int], table: ProgramTable
) -> _Folded | None:
    """Outcomes of one callee's calls where the arguments of ``mask`` vary, with their cost; None where they cannot."""
    kept = [0, *(1 + slot for slot in range(SLOTS) if slot not in mask)]
    _, group_M = np.unique(np.column_stack([call_M4[:, kept], next_M]), axis=0, return_inverse=True)
    group_M = group_M.ravel()
    values_M = np.full(len(call_M4), -1)
    value_V, _ = computable_tokens(table)
    groups, cost = [], 0.01 * len(mask)
    for group in range(int(group_M.max()) + 1):
        members = np.flatnonzero(group_M == group)
        arguments = [Argument(token=int(call_M4[members[0], 1 + slot])) for slot in range(SLOTS)]
        for slot in mask:
            tokens = call_M4[members, 1 + slot]
            if (tokens == tokens[0]).all():
                continue
            same = [r for r, shown_M in enumerate(token_RM) if (shown_M[members] == tokens).all()]
            if same:
                arguments[slot] = Argument(COPIED, read=reads[same[0]])
            elif (value_V[tokens] >= 0).all() and not any(a.how == COMPUTED for a in arguments):
                arguments[slot] = Argument(COMPUTED)
                values_M[members] = value_V[tokens]
                cost += FEW - 0.5
            else:
                return None
        first = (int(call_M4[members[0], 0]), (arguments[0], arguments[1], arguments[2]), int(next_M[members[0]]))
        groups.append((Outcome(*first), members))
        cost += 1
    return cost, groups, values_M


def describe(plan: Plan, table: ProgramTable) -> str:
    """The plan in words, a line for each outcome."""
    lines = []
    for number, state in enumerate(plan.states):
        looks = ", ".join(looks_at(state, plan.signature, table)) or "nothing"
        lines.append(f"state {number} looks at {looks}")
        for outcome in state.outcomes:
            if outcome.callee == RETURN:
                lines.append("    return")
                continue
            called = table.signatures[outcome.callee]
            words = [_argument(a, plan.signature, table) for a in outcome.arguments[: len(called.slots)]]
            lines.append(f"    {called.name}({', '.join(words)}), then state {outcome.next}")
    return "\n".join(lines)


def looks_at(state: State, signature: Signature, table: ProgramTable) -> tuple[str, ...]:
    """The names of the fields and arguments that decide in a state."""
    return tuple(name_of(read, table.world, signature) for read in state.inputs)


def _argument(argument: Argument, signature: Signature, table: ProgramTable) -> str:
    if argument.how == COPIED:
        assert argument.read is not None
        return f"[{name_of(argument.read, table.world, signature)}]"
    return table.world.tokens[argument.token] if argument.how == CONSTANT else "…"
