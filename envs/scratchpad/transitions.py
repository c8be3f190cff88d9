"""What a primitive call can do to an observation, whatever the rest of the world holds.

A proof about a program must cover every input. It walks observations instead of worlds: after a call, each field can
have any value that some world allows. The answer may be too wide (then more is proved than needed), never too narrow.

An effect is a list of alternatives. An alternative applies where its guard holds, and says for each field that it
changes where the new value may come from; fields that it does not name stay. Fields change independently of each other,
so a combination may come out that no world shows: what :func:`rules_of` forbids is struck out.

Shape legend: ``M`` observations, ``F`` fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from envs.scratchpad import actions
from envs.scratchpad.actions import BY_NAME
from envs.scratchpad.config import ORDER, PadConfig, RowConfig
from envs.scratchpad.parts import PadPart, pads_of
from envs.spec import WorldSpec
from envs.support import mixed_radix
from envs.support.lazy_torch import torch

BEFORE, SAME, AFTER = range(len(ORDER))


@dataclass(frozen=True)
class Keep:
    """The field stays as it is."""


@dataclass(frozen=True)
class Set:
    """The field gets this value index."""

    value: int


@dataclass(frozen=True)
class Copy:
    """The field gets what another field held before the call."""

    field: int


@dataclass(frozen=True)
class Anything:
    """The field can get any of its values."""


@dataclass(frozen=True)
class When:
    """A source that there is only where another field held one of these values before the call."""

    field: int
    values: tuple[int, ...]
    source: Source


Source = Keep | Set | Copy | Anything | When
KEEP, ANYTHING = Keep(), Anything()


@dataclass(frozen=True)
class Alternative:
    """One way a call can go.

    Attributes:
        guard: (field, value) pairs that hold before the call.
        changes: for each field that may change, the sources of its new value, independent of the other fields'.
    """

    guard: tuple[tuple[int, int], ...] = ()
    changes: Mapping[int, tuple[Source, ...]] = field(default_factory=dict)


Effect = tuple[Alternative, ...]


@dataclass(frozen=True)
class Rule:
    """What every observation of a world obeys: these fields hold one of these combinations of values."""

    fields: tuple[int, ...]
    allowed: frozenset[tuple[int, ...]]


def effect_of(spec: WorldSpec, call: Sequence[int]) -> Effect:
    """The effect of a legal primitive call (four integers); for worlds that say nothing, every field may change.

    A part of joined worlds changes nothing of the others; those that are no scratchpads say nothing, all together.
    """
    pads = pads_of(spec)
    for pad in pads:
        if call[0] == pad.act:
            effect = _pad_effect(pad, pad.own_call(call))
            return (
                effect
                if spec.kind == pad.spec.kind
                else tuple(_moved(alternative, pad.fields) for alternative in effect)
            )
    of_pads = {index for pad in pads for index in pad.fields}
    return anything(index for index in range(len(spec.fields)) if index not in of_pads)


def _pad_effect(part: PadPart, call: Sequence[int]) -> Effect:
    pad = _Pad(part.config, part.spec)
    name, act, operand = (part.spec.tokens[token] for token in call[1:])
    action = BY_NAME[act]
    match action.moves, action.writes:
        case actions.STEP, _:
            return pad.move(name, action.step)
        case actions.COLUMN, _:
            return pad.halfway(name, operand) if action.halves else pad.to(name, operand)
        case actions.PLACE, _:
            return pad.follow(name, operand)
        case _, actions.SYMBOL:
            return pad.write(name, pad.row(name).values.index(operand))
        case _, actions.COLUMN:
            return pad.write(name, 0)
    return pad.swap(name, operand)


def _moved(alternative: Alternative, fields: Sequence[int]) -> Alternative:
    """The same of fields that have these indices in a whole."""
    guard = tuple((fields[index], value) for index, value in alternative.guard)
    changes = {
        fields[index]: tuple(_moved_source(source, fields) for source in sources)
        for index, sources in alternative.changes.items()
    }
    return Alternative(guard, changes)


def _moved_source(source: Source, fields: Sequence[int]) -> Source:
    match source:
        case Copy(index):
            return Copy(fields[index])
        case When(index, values, inner):
            return When(fields[index], values, _moved_source(inner, fields))
    return source


def rules_of(spec: WorldSpec) -> tuple[Rule, ...]:
    """What all observations of a world obey; nothing for worlds that say nothing."""
    return tuple(
        Rule(tuple(pad.fields[index] for index in rule.fields), rule.allowed)
        for pad in pads_of(spec)
        for rule in _Pad(pad.config, pad.spec).rules()
    )


class _Pad:
    """Fields of a pad by name, and what each action does to them."""

    def __init__(self, config: PadConfig, spec: WorldSpec) -> None:
        self.config = config
        self.pointers = {pointer.name: pointer for pointer in config.pointers}
        self.fields = {f.name: index for index, f in enumerate(spec.fields)}
        self.sizes = [f.size for f in spec.fields]

    def row(self, pointer: str) -> RowConfig:
        return self.config.row_of(self.pointers[pointer])

    def listed(self, pointer: str) -> bool:
        return not self.row(pointer).blank

    def on_row_of(self, pointer: str) -> list[tuple[str, int]]:
        """Pointers that see on this one's row, itself too, and their fields."""
        row = self.pointers[pointer].row
        return [(n, self.fields[n]) for n, p in self.pointers.items() if p.row == row and n in self.fields]

    def order(self, one: str, two: str) -> tuple[int, bool] | None:
        """The field that compares two pointers, and whether it names them the other way round."""
        if (one, two) in self.config.orders:
            return self.fields[f"order({one}, {two})"], False
        return (self.fields[f"order({two}, {one})"], True) if (two, one) in self.config.orders else None

    def compared(self, pointer: str) -> list[tuple[str, int, bool]]:
        """The pointers that this one is compared with, the fields, and whether these name them first."""
        found = [(other, self.order(pointer, other)) for other in self.pointers]
        return [(other, *o) for other, o in found if o is not None]

    def anywhere(self, pointer: str) -> dict[int, tuple[Source, ...]]:
        """The pointer has gone to no matter where."""
        names = [pointer, f"first({pointer})", f"last({pointer})"]
        fields = [self.fields[n] for n in names if n in self.fields]
        return dict.fromkeys([*fields, *(index for _, index, _ in self.compared(pointer))], (ANYTHING,))

    def move(self, pointer: str, step: int) -> Effect:
        changes = self.anywhere(pointer)
        right = {BEFORE: (BEFORE, SAME), SAME: (AFTER,), AFTER: (AFTER,)}
        left = {BEFORE: (BEFORE,), SAME: (BEFORE,), AFTER: (SAME, AFTER)}
        for _, index, flipped in self.compared(pointer):
            changes[index] = _turn(index, left if step < 0 else right, flipped)
        if not self.listed(pointer):
            return (Alternative(changes=changes),)
        towards, away = ("first", "last") if step < 0 else ("last", "first")
        end, back = self.fields[f"{towards}({pointer})"], self.fields[f"{away}({pointer})"]
        return Alternative(guard=((end, 1),)), Alternative(guard=((end, 0),), changes=changes | {back: (Set(0),)})

    def write(self, pointer: str, value: int) -> Effect:
        changes: dict[int, tuple[Source, ...]] = {}
        for other, index in self.on_row_of(pointer):
            on_it = self.where_together(other, pointer, Set(value))
            changes[index] = (Set(value),) if other == pointer else (*self.where_apart(other, [pointer]), *on_it)
        return (Alternative(changes=changes),)

    def swap(self, one: str, two: str) -> Effect:
        if one == two:
            return (Alternative(),)
        seen = dict(self.on_row_of(one))
        from_one: Source = Copy(seen[one]) if one in seen else ANYTHING
        from_two: Source = Copy(seen[two]) if two in seen else ANYTHING
        changes: dict[int, tuple[Source, ...]] = {}
        for other, index in seen.items():
            if other in (one, two):
                changes[index] = (from_two if other == one else from_one,)
            else:
                moved = *self.where_together(other, one, from_two), *self.where_together(other, two, from_one)
                changes[index] = (*self.where_apart(other, [one, two]), *moved)
        return (Alternative(changes=changes),)

    def where_together(self, one: str, two: str, source: Source) -> tuple[Source, ...]:
        """The source, where two pointers of a row can stand on the same cell: it shows the same to both."""
        order = self.order(one, two)
        if order is not None:
            return (When(order[0], (SAME,), source),)
        if one in self.fields and two in self.fields:
            a, b = self.fields[one], self.fields[two]
            return tuple(When(a, (v,), When(b, (v,), source)) for v in range(self.sizes[a]))
        return (source,)

    def where_apart(self, one: str, others: Sequence[str]) -> tuple[Source, ...]:
        """What is kept, where a pointer can stand on another cell than these."""
        source: Source = KEEP
        for other in others:
            order = self.order(one, other)
            if order is not None:
                source = When(order[0], (BEFORE, AFTER), source)
        return (source,)

    def to(self, pointer: str, goal: str) -> Effect:
        if pointer == goal:
            return (Alternative(),)
        changes = self.anywhere(pointer)
        same_row = self.pointers[pointer].row == self.pointers[goal].row
        if same_row:
            for name in ("{}", "first({})", "last({})"):
                mine, its = self.fields.get(name.format(pointer)), self.fields.get(name.format(goal))
                if mine is not None and its is not None:
                    changes[mine] = (Copy(its),)
        if same_row or not self.listed(pointer):  # a list could end before the goal
            for other, index, flipped in self.compared(pointer):
                changes[index] = self.as_compared(goal, other, flipped)
        return self.unless_there(pointer, goal, changes)

    def as_compared(self, goal: str, other: str, flipped: bool) -> tuple[Source, ...]:
        """How a pointer that stands where ``goal`` does lies to a third one."""
        if other == goal:
            return (Set(SAME),)
        order = self.order(goal, other)
        if order is None:
            return (ANYTHING,)
        return _turn(order[0], {v: (v,) for v in (BEFORE, SAME, AFTER)}, order[1], out=flipped)

    def halfway(self, pointer: str, goal: str) -> Effect:
        if pointer == goal:
            return (Alternative(),)
        changes, order = self.anywhere(pointer), self.order(pointer, goal)
        if order and (self.pointers[pointer].row == self.pointers[goal].row or not self.listed(pointer)):
            # Half of one column, rounded down: it stays where it is before its goal, and comes to it from after it.
            changes[order[0]] = _turn(order[0], {BEFORE: (BEFORE,), SAME: (SAME,), AFTER: (SAME, AFTER)}, order[1])
        return self.unless_there(pointer, goal, changes)

    def unless_there(self, pointer: str, goal: str, changes: Mapping[int, tuple[Source, ...]]) -> Effect:
        """Nothing changes where the pointer is seen to stand at its goal already."""
        order = self.order(pointer, goal)
        if order is None:
            return (Alternative(changes=changes),)
        goes = tuple(Alternative(guard=((order[0], value),), changes=changes) for value in (BEFORE, AFTER))
        return Alternative(guard=((order[0], SAME),)), *goes

    def follow(self, pointer: str, holder: str) -> Effect:
        if holder not in self.fields:
            return (Alternative(changes=self.anywhere(pointer)),)
        written = self.fields[holder]
        stays = Alternative(guard=((written, 1),))
        return stays, Alternative(guard=((written, 0),), changes=self.anywhere(pointer))

    def rules(self) -> Iterable[Rule]:
        """What pointers on one cell, at one end, and in a row of three show alike."""
        for one, two in combinations(self.pointers, 2):
            same_row = self.pointers[one].row == self.pointers[two].row
            order = self.order(one, two)
            if same_row:
                for name in ("{}", "first({})", "last({})"):
                    a, b = self.fields.get(name.format(one)), self.fields.get(name.format(two))
                    if a is not None and b is not None:
                        yield from self.alike(a, b, one, two, order)
            if order is not None and self.listed(one) and self.listed(two):
                yield from self.bounds(one, two, *order, same_row)
        yield from self.chains()

    def alike(self, a: int, b: int, one: str, two: str, order: tuple[int, bool] | None) -> Iterable[Rule]:
        """Two pointers of a row show the same where they are known to stand on the same cell."""
        pairs = [(x, y) for x, y in product(range(self.sizes[a]), range(self.sizes[b]))]
        if order is not None:
            yield _rule((order[0], a, b), ((o, *p) for o in range(3) for p in pairs if o != SAME or p[0] == p[1]))
        if self.listed(one):
            for end in ("first", "last"):
                ends = self.fields[f"{end}({one})"], self.fields[f"{end}({two})"]
                if a not in ends:
                    cases = product((0, 1), (0, 1), pairs)
                    yield _rule((*ends, a, b), ((x, y, *p) for x, y, p in cases if not x * y or p[0] == p[1]))

    def bounds(self, one: str, two: str, index: int, flipped: bool, same_row: bool) -> Iterable[Rule]:
        """No pointer is before the first cell of its list, nor after the last one."""
        for end in ("first", "last") if same_row else ("first",):
            ends = self.fields[f"{end}({one})"], self.fields[f"{end}({two})"]
            beyond = {"first": (AFTER, BEFORE), "last": (BEFORE, AFTER)}[end]  # what one at the end cannot be, two
            cases = product((0, 1), (0, 1), (BEFORE, SAME, AFTER))
            good = [(x, y, v) for x, y, v in cases if not (x and v == beyond[0]) and not (y and v == beyond[1])]
            yield _rule((*ends, index), ((x, y, AFTER - v if flipped else v) for x, y, v in good))

    def chains(self) -> Iterable[Rule]:
        """Of three pointers that are all compared, the columns can be put in a row."""
        for names in combinations(self.pointers, 3):
            orders = [self.order(a, b) for a, b in combinations(names, 2)]
            found = [o for o in orders if o is not None]
            if len(found) == 3:
                cases = set()
                for columns in product(range(3), repeat=3):
                    signs = [1 + (a > b) - (a < b) for a, b in combinations(columns, 2)]
                    cases.add(tuple(AFTER - s if o[1] else s for s, o in zip(signs, found, strict=True)))
                yield _rule(tuple(o[0] for o in found), cases)


def _rule(fields: tuple[int, ...], allowed: Iterable[tuple[int, ...]]) -> Rule:
    return Rule(fields, frozenset(allowed))


def _turn(
    index: int, to: Mapping[int, tuple[int, ...]], flipped: bool, *, out: bool | None = None
) -> tuple[Source, ...]:
    """A comparison that was ``v`` becomes one of ``to[v]``; ``flipped`` where the field names its pointers the other
    way round, ``out`` where the field that changes does (the same field by default)."""
    back = flipped if out is None else out
    pairs = [(AFTER - v if flipped else v, AFTER - w if back else w) for v, ways in to.items() for w in ways]
    return tuple(When(index, (v,), Set(w)) for v, w in pairs)


def allowed(spec: WorldSpec, effect: Effect, before_MF: torch.Tensor, after_MF: torch.Tensor) -> torch.Tensor:
    """bool M: whether the effect allows the second observation after the first, and no rule forbids it."""
    found = torch.zeros(len(before_MF), dtype=torch.bool)
    for alternative in effect:
        one = torch.ones(len(before_MF), dtype=torch.bool)
        for index, value in alternative.guard:
            one &= before_MF[:, index] == value
        for index in range(len(spec.fields)):
            sources = alternative.changes.get(index, (KEEP,))
            one &= torch.stack([_from(s, before_MF, index, after_MF[:, index]) for s in sources]).any(0)
        found |= one
    for rule in rules_of(spec):
        found &= obeys(rule, [f.size for f in spec.fields], after_MF)
    return found


def _from(source: Source, before_MF: torch.Tensor, index: int, after_M: torch.Tensor) -> torch.Tensor:
    match source:
        case Keep():
            return after_M == before_MF[:, index]
        case Set(value):
            return after_M == value
        case Copy(other):
            return after_M == before_MF[:, other]
        case When(other, values, inner):
            return torch.isin(before_MF[:, other], torch.tensor(values)) & _from(inner, before_MF, index, after_M)
    return torch.ones_like(after_M, dtype=torch.bool)


def obeys(rule: Rule, sizes: Sequence[int], obs_MF: torch.Tensor) -> torch.Tensor:
    """bool M: whether observations obey a rule."""
    own = [sizes[index] for index in rule.fields]
    number_M = mixed_radix.number(obs_MF[:, list(rule.fields)].unbind(1), own)
    return torch.isin(number_M, torch.tensor(sorted(mixed_radix.number(case, own) for case in rule.allowed)))


def changed_fields(effects: Iterable[Effect]) -> set[int]:
    """The fields that any of the effects may change."""
    return {index for effect in effects for alternative in effect for index in alternative.changes}


def anything(fields: Iterable[int]) -> Effect:
    """The effect after which these fields can hold any value and the others what they held."""
    return (Alternative(changes=dict.fromkeys(fields, (ANYTHING,))),)
