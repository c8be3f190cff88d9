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

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dsl.analysis.equivalence import Choice, choice, smallest
from dsl.errors.error import Placed
from dsl.lowering.ir import Act, Branch, Read, Switch
from dsl.lowering.value_grid import Array, essential
from dsl.program import Program
from envs.spec import RETURN, SLOTS, ProgramTable, Signature
from npi.training.induction.steps import tokens_of
from npi.universal.symbols import COMPUTABLE, computable_tokens, name_of, numbers_of

CONSTANT, COPIED, COMPUTED = "constant", "copied", "computed"

HEAD = -1
"""In place of a register: what the step computes that decides."""

FEW = 2
"""So many different symbols are chosen among; more are computed."""

NUMBER = re.compile("0|-?[1-9][0-9]*")
"""The names of symbols that are numbers."""

CHOICES = 8
"""Outcomes of a state beyond which symbols of any kind, and several in one call, count as computed."""


MAX_ENTRIES = 2**20
"""Configurations of a state, with what it copies, beyond which it is not tabulated."""


class OversizeError(ValueError):
    """A program that does not fit a core; ``item`` is the place in its text, None where that is not known."""

    def __init__(self, reason: str, item: Placed | None = None) -> None:
        super().__init__(reason)
        self.item = item


@dataclass(frozen=True)
class Argument:
    """One argument of an outcome's call.

    Attributes:
        how: :data:`CONSTANT`, :data:`COPIED` or :data:`COMPUTED`.
        token: the constant one. read: what is copied.
        palette: tokens that are computed by their place here; empty: the digits and blank.
        digits: what holds each decimal digit of that place, the highest first: registers, or :data:`HEAD`.
    """

    how: str = CONSTANT
    token: int = 0
    read: Read | None = None
    palette: tuple[int, ...] = ()
    digits: tuple[int, ...] = (HEAD,)

    @property
    def radix(self) -> int:
        """How many symbols can be computed."""
        return len(self.palette) or COMPUTABLE


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
    def computed(self) -> list[Argument]:
        """The arguments that are computed; a value is their places in their palettes as one number, mixed radix."""
        return [argument for argument in self.arguments if argument.how == COMPUTED]

    @property
    def computes(self) -> bool:
        return bool(self.computed)


@dataclass(frozen=True)
class Look:
    """What a step reads: an input, or a decimal digit of its value's place among the input's values, or a register."""

    read: Read | None = None
    digit: int = -1
    register: int = -1


When = tuple[tuple[Look, tuple[int, ...]], ...]
"""The configurations that a step does: those in which each of these looks shows one of these numbers."""


@dataclass(frozen=True)
class Step:
    """One of several functions that make a decision together (:mod:`npi.universal.splitting`).

    Attributes:
        looks: what it reads. to: the register that it writes, or :data:`HEAD` for one that decides.
        when: which configurations are its own.
        seen_MR, outcome_M, value_M: as of a :class:`State`.
    """

    looks: tuple[Look, ...]
    to: int
    when: When
    seen_MR: Array
    outcome_M: Array
    value_M: Array


@dataclass(frozen=True)
class State:
    """One state of a program, and what is known of the function that decides in it.

    Attributes:
        inputs: fields and argument slots that decide.
        outcomes: in the order in which configurations first lead to them.
        seen_MR: the values of the inputs in the configurations that are known, as numbers of
            :mod:`npi.universal.symbols`.
        outcome_M: which outcome each leads to. value_M: what is computed in it; −1 for nothing.
        steps: the functions that decide one after the other; none: one function of the inputs.
        which: the register that says which group of outcomes it is, as many in each as a step chooses among.
    """

    inputs: tuple[Read, ...]
    outcomes: tuple[Outcome, ...]
    seen_MR: Array
    outcome_M: Array
    value_M: Array
    steps: tuple[Step, ...] = ()
    which: int = HEAD

    @property
    def reads(self) -> tuple[Read, ...]:
        """All that is read: the inputs, then what is only copied."""
        copied = [a.read for outcome in self.outcomes for a in outcome.arguments if a.read is not None]
        return tuple(dict.fromkeys([*self.inputs, *copied]))

    @property
    def functions(self) -> tuple[State | Step, ...]:
        """What the core learns of it, in the order in which the row has their codes."""
        return self.steps or ((self,) if self.inputs else ())


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
    _, machine, calls = _machine(program, table)
    call_C4 = np.zeros((len(calls), 1 + SLOTS), np.int64)
    for call, number in calls.items():
        call_C4[number, : len(call)] = [int(word or RETURN) for word in call]
    states = tuple(_state(node, call_C4, program.signature, table) for node in machine)
    return Plan(program.id, program.signature, states)


def _machine(program: Program, table: ProgramTable) -> tuple[list[Choice], list[Choice], dict[tuple[str, ...], int]]:
    """What each node of a text decides, the smallest machine that decides alike, and the numbers of calls in both."""
    if program.table is None:
        raise ValueError(f"{program.name} has a signal in place of a body, so no teacher shows how it runs")
    names = {n: str(n) for n in range(len(table))} | {RETURN: str(RETURN)}
    calls: dict[tuple[str, ...], int] = {}
    choices = []
    for number in range(len(program.table.nodes)):
        try:
            choices.append(choice(number, program, names, calls))
        except ValueError as error:
            raise OversizeError(str(error).removeprefix(f"{program.name} "), _item(program, number)) from error
        if (count := choices[-1].call.size) > MAX_ENTRIES:
            reason = f"reads {count:,} combinations in one decision, more than {MAX_ENTRIES:,}"
            raise OversizeError(reason, _item(program, number))
    return choices, smallest(choices), calls


def place_of(program: Program, table: ProgramTable, state: int) -> Placed | None:
    """The first condition or call of a text that a state of its plan decides about; None where it only returns."""
    choices, machine, calls = _machine(program, table)
    known = [(0, 0)]
    for node, own in known:
        if own == state:
            return _item(program, node)
        text, mine = choices[node], machine[own]
        shape = [size if read in mine.reads else 1 for read, size in zip(text.reads, text.next.shape, strict=True)]
        after = np.broadcast_to(mine.next.reshape(shape), text.next.shape)
        going = text.call != calls.get(("",), -1)
        known += sorted(set(zip(text.next[going].tolist(), after[going].tolist(), strict=True)) - set(known))
    return None


def _item(program: Program, node: int) -> Placed | None:
    """What a node of a program's tables begins with in its text."""
    assert program.table is not None, "only programs with a body are asked"
    assert program.graph is not None, "only programs with a body are asked"
    found = program.graph.nodes[program.table.places[node]]
    while isinstance(found, Switch):
        found = program.graph.nodes[found.targets[0]]
    return found.call if isinstance(found, Act) else found if isinstance(found, Branch) else None


def _state(node: Choice, call_C4: Array, signature: Signature, table: ProgramTable) -> State:
    sizes = node.call.shape
    at_RM = np.indices(sizes).reshape(len(sizes), node.call.size)
    folded = fold(call_C4[node.call.ravel()], node.next.ravel(), node.reads, at_RM, signature, table)
    outcomes, outcome_M, value_M = folded
    span = int(value_M.max()) + 2
    inputs, both = essential(node.reads, (outcome_M * span + value_M + 1).reshape(sizes))
    widest = sorted(range(len(inputs)), key=lambda axis: (-both.shape[axis], axis))
    inputs, both = tuple(inputs[axis] for axis in widest), both.transpose(widest)
    both_M = both.ravel()
    left_RM = np.indices(both.shape).reshape(len(inputs), both.size)
    columns = [numbers_of(r, table.world, signature)[at] for r, at in zip(inputs, left_RM, strict=True)]
    seen_MR = np.stack(columns, 1) if columns else np.zeros((len(both_M), 0), np.int64)
    outcome_M, value_M = np.divmod(both_M, span)
    order, outcome_M = as_met(outcome_M)
    return State(inputs, tuple(outcomes[i] for i in order), seen_MR, outcome_M, value_M - 1)


def fold(
    call_M4: Array, next_M: Array, reads: Sequence[Read], at_RM: Array, signature: Signature, table: ProgramTable
) -> tuple[tuple[Outcome, ...], Array, Array]:
    """The fewest outcomes that give these calls: arguments that are copied or computed make many calls one outcome.

    Digits and blank are computed, and beyond :data:`CHOICES` outcomes any symbols.

    Args:
        reads, at_RM: what was seen, and which of its values in each configuration.
        signature: of the program itself.

    Returns:
        Outcomes, and for each configuration its outcome and the value that it computes (−1 for none).
    """
    token_RM = np.array([tokens_of(r, table.world, signature)[at] for r, at in zip(reads, at_RM, strict=True)])
    token_RM = token_RM.reshape(len(reads), len(call_M4))
    found = _outcomes(call_M4, next_M, reads, token_RM, table, wide=False)
    if len(found[0]) <= CHOICES:
        return found
    return min(found, _outcomes(call_M4, next_M, reads, token_RM, table, wide=True), key=lambda one: len(one[0]))


def _outcomes(
    call_M4: Array, next_M: Array, reads: Sequence[Read], token_RM: Array, table: ProgramTable, *, wide: bool
) -> tuple[tuple[Outcome, ...], Array, Array]:
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
        parts = call_M4[chosen], next_M[chosen], reads, token_RM[:, chosen]
        tried = [_folded(*parts, mask, table, wide=wide) for mask in masks]
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
    call_M4: Array,
    next_M: Array,
    reads: Sequence[Read],
    token_RM: Array,
    mask: Sequence[int],
    table: ProgramTable,
    *,
    wide: bool,
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
                continue
            first = not any(a.how == COMPUTED for a in arguments)
            palette: tuple[int, ...] = ()
            if not (first and (value_V[tokens] >= 0).all()):
                if not wide:
                    return None
                palette = palette_of(tokens, table)
            arguments[slot] = Argument(COMPUTED, palette=palette)
            place_V = value_V
            if palette:
                place_V = np.full(len(value_V), -1)
                place_V[list(palette)] = np.arange(len(palette))
            before_M = 0 if first else values_M[members]
            values_M[members] = before_M * arguments[slot].radix + place_V[tokens]
            cost += FEW - 0.5
        call = (int(call_M4[members[0], 0]), (arguments[0], arguments[1], arguments[2]), int(next_M[members[0]]))
        groups.append((Outcome(*call), members))
        cost += 1
    return cost, groups, values_M


def palette_of(tokens: Array, table: ProgramTable) -> tuple[int, ...]:
    """Tokens in an order in which they can be computed: numbers by size, without gaps from 0 where the world has all.

    So a number of a row of ``0..12`` stands at its own place, and the core computes its tens and its ones.
    """
    token_N = {int(name): token for token, name in enumerate(table.world.tokens) if NUMBER.fullmatch(name)}
    used = set(tokens.tolist())
    numbers = sorted(number for number, token in token_N.items() if token in used)
    if numbers:
        every = range(min(0, numbers[0]), numbers[-1] + 1)
        numbers = list(every) if len(every) <= 4 * len(numbers) and all(n in token_N for n in every) else numbers
    known = [token_N[number] for number in numbers]
    return (*known, *sorted(used - set(known)))


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
