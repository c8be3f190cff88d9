"""A decision that one code cannot hold, as several small steps of the same state, done one after the other.

A *step* has a code of its own and reads inputs, decimal digits of inputs, and *registers* that earlier steps of the
decision wrote; the last one decides. What a decision needs of some inputs alone becomes a register: ``A + B > C + D``
needs of A and B which of 19 classes they are in, two digits, and nothing else (functional decomposition: Ashenhurst
1957, Curtis 1962). Where that gains nothing, two steps share the configurations by the values of one input. Which step
reads what is wiring, exact by construction; the core learns the steps' functions.

Shape legend: ``Z`` configurations of a state, ``I`` those of a step, ``M`` different ones of these, ``R`` its looks,
``S`` and ``T`` combinations of the looks that a register stands for, and of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array
from envs.spec import BLANK, ProgramTable, Signature
from envs.support import mixed_radix
from npi.universal.network import InterpreterConfig
from npi.universal.plan import COMPUTED, HEAD, Look, Outcome, State, Step, When
from npi.universal.symbols import COMPUTABLE, DIGIT, FIXED, VALUES, numbers_of

BLANK_NUMBER = FIXED[BLANK]

WORTH = 0.8
"""Registers must leave fewer configurations than this share of those that there were."""

LARGEST = 2**22
"""Combinations beyond which no register is looked for."""

COUNTED = 2**16
"""Configurations of a step beyond which no sums and products are tried."""

MOST = 1000
"""Sums and products stay below this."""

KNOWN = 0.25
"""What a configuration of a sum or a product costs, which the core knows, where one of another function costs 1."""

ARITHMETIC = (np.add, np.subtract, np.multiply, np.maximum, np.minimum, lambda a, b: np.abs(a - b))
"""What the numbers of a register may stand for."""

MERGED = 400
"""So many groups of inputs are merged at most where not every configuration is known."""


@dataclass(frozen=True, eq=False)
class Part:
    """A step that is being planned.

    Attributes:
        looks, to, when: as of a :class:`~npi.universal.plan.Step`.
        at_I: the configurations of the state that it does. outcome_I, value_I: what is right in them.
    """

    looks: tuple[Look, ...]
    to: int
    when: When
    at_I: Array
    outcome_I: Array
    value_I: Array

    @property
    def label_I(self) -> Array:
        """Equal numbers where the same is right."""
        return self.outcome_I * (COMPUTABLE + 1) + self.value_I + 1


class Draft:
    """The steps of a state, as far as they are planned.

    Args:
        state: what it decides. table, signature: of its program. config: of the core.

    Attributes:
        column: what each look shows in each configuration of the state. parts: in the order in which they are done.
    """

    def __init__(self, state: State, table: ProgramTable, signature: Signature, config: InterpreterConfig) -> None:
        self.config, self.column, self.registers = config, dict[Look, Array](), 0
        self.index, self.size, self.numbers = dict[Read, Array](), dict[Read, int](), dict[tuple[Look, ...], Array]()
        self.count = len(state.outcome_M)
        looks: list[Look] = []
        for read, seen_Z in zip(state.inputs, state.seen_MR.T, strict=True):
            number_V = numbers_of(read, table.world, signature)
            order = np.argsort(number_V)
            self.index[read], self.size[read] = order[np.searchsorted(number_V, seen_Z, sorter=order)], len(number_V)
            self.column[Look(read)] = seen_Z
            if number_V.max() <= BLANK_NUMBER:
                self.numbers[Look(read),] = np.where(seen_Z == BLANK_NUMBER, 0, seen_Z)
            looks += self._digits(read) if number_V.max() >= VALUES else [Look(read)]
        self.parts: list[Part] = []
        self.whole = self._targets(state, tuple(looks))

    @property
    def state(self) -> State:
        """The state as it is planned."""
        steps = tuple(self.step(part) for part in self.parts)
        alone = len(steps) == 1 and steps[0].looks == tuple(Look(read) for read in self.whole.inputs)
        return self.whole if alone else replace(self.whole, steps=steps)

    def step(self, part: Part) -> Step:
        """A part with the configurations that differ for it."""
        seen_IR = self._seen(part.looks, part.at_I)
        every, first = np.unique(np.column_stack([seen_IR, part.label_I]), axis=0, return_index=True)
        return Step(part.looks, part.to, part.when, every[:, :-1], part.outcome_I[first], part.value_I[first])

    def _seen(self, looks: Sequence[Look], at_I: Array) -> Array:
        return np.stack([self.column[look][at_I] for look in looks], 1) if looks else np.zeros((len(at_I), 0), np.int64)

    # --- what is to be done ------------------------------------------------------------------------------------------

    def _targets(self, state: State, looks: tuple[Look, ...]) -> State:
        """One step that decides, and one for each further symbol of what is computed and of the outcome's number.

        Returns the state with the registers that its outcomes are made of.
        """
        symbols: list[Array] = []  # of each register, what it is in each configuration; −1 where nobody reads it
        count, which, outcomes = self.config.outcomes, HEAD, []
        outcome_Z, value_Z = state.outcome_M, np.full(len(state.outcome_M), -1)
        if len(state.outcomes) > count:
            which = len(symbols)
            symbols.append(outcome_Z // count)
        shared = len(symbols)
        for number, outcome in enumerate(state.outcomes):
            mine, used, arguments = np.flatnonzero(outcome_Z == number), shared, list(outcome.arguments)
            for slot, place_I in places_of(outcome, state.value_M[mine]):
                digits = []
                for symbol_I in symbols_of(place_I, arguments[slot].radix):
                    if (value_Z[mine] < 0).all():
                        value_Z[mine], register = symbol_I, HEAD
                    else:
                        symbols += [np.full(len(value_Z), -1)] * (used == len(symbols))
                        symbols[used] = symbols[used].copy()
                        symbols[used][mine], register = symbol_I, used
                        used += 1
                    digits.append(register)
                arguments[slot] = replace(arguments[slot], digits=tuple(digits[::-1]))
            outcomes.append(replace(outcome, arguments=(arguments[0], arguments[1], arguments[2])))
        for register, symbol_Z in enumerate(symbols):
            at_I = np.flatnonzero(symbol_Z >= 0)
            self.parts.append(self._least(Part(looks, register, (), at_I, np.zeros_like(at_I), symbol_Z[at_I])))
            self._shows(Look(register=register), at_I, symbol_Z[at_I])
        self.registers = len(symbols)
        every = Part(looks, HEAD, (), np.arange(len(value_Z)), outcome_Z % count, value_Z)
        self.parts.append(self._least(every) if symbols else every)
        return replace(state, outcomes=tuple(outcomes), which=which, steps=())

    def _shows(self, look: Look, at_I: Array, symbol_I: Array) -> None:
        self.column[look] = np.zeros(self.count, np.int64)
        self.column[look][at_I] = symbol_I
        self._counts((look,), at_I, symbol_I)

    def _counts(self, looks: tuple[Look, ...], at_I: Array, number_I: Array) -> None:
        """Note the number that some digits write."""
        self.numbers[looks] = np.zeros(self.count, np.int64)
        self.numbers[looks][at_I] = number_I

    def _least(self, part: Part) -> Part:
        """The step without looks that it can do without; one stays."""
        looks = list(part.looks)
        for look in part.looks:
            left = [other for other in looks if other != look]
            if left and settled(self._seen(left, part.at_I), part.label_I):
                looks = left
        return replace(part, looks=tuple(looks))

    def _digits(self, read: Read) -> list[Look]:
        """The decimal digits of the place that a value has among those of its input, the highest first."""
        looks = [Look(read, digit=digit) for digit in reversed(range(len(str(self.size[read] - 1))))]
        every = np.arange(len(self.index[read]))
        for look in looks:
            self._shows(look, every, self.index[read] // DIGIT**look.digit % DIGIT)
        self._counts(tuple(looks), every, self.index[read])
        return looks

    # --- splitting ---------------------------------------------------------------------------------------------------

    def split(self, part: Part, room: int) -> bool:
        """Replace one of the parts by easier ones, at most ``room`` more; False where nothing easier fits."""
        parts = self._spelled(part) or self._registers(part, room) or self._pieces(part, room)
        if parts is None:
            return False
        place = self.parts.index(part)
        self.parts[place : place + 1] = parts
        return True

    def _spelled(self, part: Part) -> list[Part] | None:
        """The same step with the digits of inputs of many values in place of these."""
        long = [look for look in part.looks if look.read and look.digit < 0 and self.size[look.read] > COMPUTABLE]
        if not long:
            return None
        looks = [new for look in part.looks for new in (self._digits(look.read) if look in long else [look])]  # type: ignore[arg-type]
        found = self._least(replace(part, looks=tuple(looks)))
        return [found] if len(found.looks) <= self.config.inputs else None

    def _registers(self, part: Part, room: int) -> list[Part] | None:
        """Steps that write what is needed of some looks, and the step that reads that in place of them."""
        seen_IR = self._seen(part.looks, part.at_I)
        _, first, at_M = np.unique(numbered(seen_IR), return_index=True, return_inverse=True)
        at_I = part.at_I[first]
        most, cost = len(part.looks), WORTH * len(first)
        best: tuple[tuple[Look, ...], Array] | None = None
        for chosen, class_M, share in self._candidates(part, at_I, seen_IR[first], part.label_I[first]):
            rest = [look for look in part.looks if look not in chosen]
            digits = len(symbols_of(class_M, int(class_M.max()) + 1))
            groups = len(np.unique(numbered(self._seen(chosen, at_I))))
            left = len(np.unique(numbered(np.column_stack([class_M, self._seen(rest, at_I)]))))
            narrow = len(rest) + digits <= max(self.config.inputs, most - 1)
            if narrow and left < len(first) and share * digits * groups + left < cost:
                cost, best = share * digits * groups + left, (chosen, class_M)
        if best is None:
            return None
        chosen, class_M = best
        class_I, looks, steps = class_M[at_M.ravel()], [], []
        for symbol_I in symbols_of(class_I, int(class_I.max()) + 1)[::-1]:
            look = self._written(symbol_I, part)
            if look is None:
                look = Look(register=self.registers)
                self.registers += 1
                self._shows(look, part.at_I, symbol_I)
                none_I = np.zeros_like(symbol_I)
                written = replace(part, looks=chosen, to=look.register, outcome_I=none_I, value_I=symbol_I)
                steps.append(self._least(written))
            looks.append(look)
        if len(looks) > 1:
            self._counts(tuple(looks), part.at_I, class_I)
        last = self._least(replace(part, looks=(*looks, *(look for look in part.looks if look not in chosen))))
        steps = [step for step in steps if Look(register=step.to) in last.looks]
        return [*steps, last] if len(steps) <= room else None

    def _candidates(
        self, part: Part, at_M: Array, seen_MR: Array, label_M: Array
    ) -> Iterator[tuple[tuple[Look, ...], Array, float]]:
        """Looks that may be replaced, by what, and what a configuration of them costs: less where they are counted."""
        looks = part.looks
        every = range(len(looks))

        def classes_of(places: Sequence[int]) -> Array | None:
            rest = [place for place in every if place not in places]
            return classes(numbered(seen_MR[:, places]), numbered(seen_MR[:, rest]), label_M)

        for size in range(1, min(len(looks), self.config.inputs + 1)):
            for places in combinations(every, size):
                class_M = classes_of(places)
                if class_M is not None and class_M.max() < numbered(seen_MR[:, places]).max():
                    yield tuple(looks[place] for place in places), class_M, 1.0
        known = [(own, number_Z[at_M]) for own, number_Z in self.numbers.items() if set(own) <= set(looks)]
        for (one, a_M), (two, b_M) in combinations(known, 2) if len(label_M) <= COUNTED else ():
            both = [place for place, look in enumerate(looks) if look in one or look in two]
            class_M = None if set(one) & set(two) else classes_of(both)
            if class_M is None:
                continue
            for how in ARITHMETIC:
                number_M = how(a_M, b_M)
                number_M = number_M - min(0, number_M.min())
                if number_M.max() >= MOST or not settled(number_M[:, None], class_M):
                    continue
                digits = [numbered(digit_M[:, None]) for digit_M in symbols_of(number_M, int(number_M.max()) + 1)]
                itself = len(both) == len(looks) and any((d == numbered(label_M[:, None])).all() for d in digits)
                if not itself:  # a digit of it is what the step computes already
                    yield tuple(looks[place] for place in both), number_M, KNOWN

    def _written(self, symbol_I: Array, part: Part) -> Look | None:
        """A register that has these symbols already when a step is done."""
        written = dict[int, list[Array]]()
        for earlier in self.parts[: self.parts.index(part)]:
            written.setdefault(earlier.to, []).append(earlier.at_I)
        for register, done in written.items():
            look = Look(register=register)
            if np.isin(part.at_I, np.concatenate(done)).all() and (self.column[look][part.at_I] == symbol_I).all():
                return look
        return None

    def _pieces(self, part: Part, room: int) -> list[Part] | None:
        """Two steps, each for half of the values of a look: that which leaves the fewest configurations to either."""
        found: list[tuple[int, int, int, list[Part]]] = []
        for look in part.looks:
            shown_I = self.column[look][part.at_I]
            values = np.unique(shown_I)
            halves = values[: len(values) // 2], values[len(values) // 2 :]
            if room and len(halves[0]):
                pair = [self._piece(part, look, half, np.isin(shown_I, half)) for half in halves]
                most = max(len(np.unique(numbered(self._seen(piece.looks, piece.at_I)))) for piece in pair)
                found.append((max(self.config.inputs, *(len(piece.looks) for piece in pair)), most, len(found), pair))
        return min(found)[-1] if found else None

    def _piece(self, part: Part, look: Look, half: Array, mine_I: npt.NDArray[np.bool_]) -> Part:
        when = (*part.when, (look, tuple(half.tolist())))
        at_I, outcome_I, value_I = part.at_I[mine_I], part.outcome_I[mine_I], part.value_I[mine_I]
        return self._least(replace(part, when=when, at_I=at_I, outcome_I=outcome_I, value_I=value_I))


def classes(group_M: Array, rest_M: Array, label_M: Array) -> Array | None:
    """class_M: groups that are alike whatever the rest is, in the order of their outcomes, then of what is computed.

    None where that is too much to look through.
    """
    groups, rests = int(group_M.max()) + 1, int(rest_M.max()) + 1
    if groups * rests > LARGEST:
        return None
    label_ST = np.full((groups, rests), -1)
    label_ST[group_M, rest_M] = label_M
    if (label_ST < 0).any():
        if groups > MERGED:
            return None
        label_ST = _merged(label_ST)
    outcome_ST = label_ST // (COMPUTABLE + 1)
    return np.unique(np.concatenate([outcome_ST, label_ST], 1), axis=0, return_inverse=True)[1].ravel()[group_M]


def _merged(label_ST: Array) -> Array:
    """Groups of which not everything is known (−1), each with what is known of all that it is put together with."""
    known: list[Array] = []
    place_S = np.zeros(len(label_ST), np.int64)
    for group in np.argsort(-(label_ST >= 0).sum(1), kind="stable").tolist():
        own_T = label_ST[group]
        fitting = (n for n, other_T in enumerate(known) if ((own_T < 0) | (other_T < 0) | (own_T == other_T)).all())
        place_S[group] = next(fitting, len(known))
        if place_S[group] == len(known):
            known.append(own_T)
        else:
            known[place_S[group]] = np.maximum(known[place_S[group]], own_T)
    return np.stack(known)[place_S]


def numbered(seen_IR: Array) -> Array:
    """Equal numbers from 0 for equal rows, in their order."""
    number_I = np.zeros(len(seen_IR), np.int64)
    for column_I in seen_IR.T:
        number_I = np.unique(number_I * 2**20 + column_I, return_inverse=True)[1].ravel()
    return number_I


def settled(seen_IR: Array, label_I: Array) -> bool:
    """Whether what is seen tells which label is right."""
    number_I = numbered(seen_IR)
    return int(number_I.max()) == int(numbered(np.stack([number_I, label_I], 1)).max())


def symbols_of(place_I: Array, radix: int) -> list[Array]:
    """Places among so many as symbols of the core: one, or decimal digits, the lowest first."""
    if radix <= COMPUTABLE:
        return [place_I]
    return [place_I // DIGIT**digit % DIGIT for digit in range(len(str(radix - 1)))]


def places_of(outcome: Outcome, value_I: Array) -> list[tuple[int, Array]]:
    """The slots that are computed, each with the place in its palette that values stand for."""
    slots = [slot for slot, argument in enumerate(outcome.arguments) if argument.how == COMPUTED]
    places = mixed_radix.digits(value_I, [outcome.arguments[slot].radix for slot in slots])
    return list(zip(slots, places, strict=True))
