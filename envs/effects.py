"""What a primitive call can do to an observation, whatever the rest of the world holds.

A proof about a program must cover every input. It walks observations instead of worlds: after a call, each field can
have any value that some world allows. The answer may be too wide (then more is proved than needed), never too narrow.

An effect is a list of alternatives. An alternative applies where its guard holds, and says for each field that it
changes where the new value may come from; fields that it does not name stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from envs.padconfig import PadConfig
from envs.spec import WorldSpec


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


Source = Keep | Set | Copy | Anything
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


def effect_of(spec: WorldSpec, call: Sequence[int]) -> Effect:
    """The effect of a legal primitive call (four integers); for worlds that say nothing, every field may change."""
    if spec.kind == "scratchpad":
        found = pad_effect(PadConfig.from_json(spec.config), spec, call)
        if found is not None:
            return found
    return (Alternative(changes=dict.fromkeys(range(len(spec.fields)), (ANYTHING,))),)


def pad_effect(config: PadConfig, spec: WorldSpec, call: Sequence[int]) -> Effect | None:
    """The effect of LEFT, RIGHT, WRITE and SWAP on a pad; ``None`` for another action."""
    pad = _Pad(config, spec)
    name, action, operand = (spec.tokens[token] for token in call[1:])
    if action in ("LEFT", "RIGHT"):
        return pad.move(name, action)
    if action == "WRITE":
        return pad.write(name, operand)
    if action == "SWAP":
        return pad.swap(name, operand)
    return None


class _Pad:
    """Fields of a pad by name."""

    def __init__(self, config: PadConfig, spec: WorldSpec) -> None:
        self.pointers = {pointer.name: pointer for pointer in config.pointers}
        self.rows = {row.name: row for row in config.rows}
        self.fields = {f.name: index for index, f in enumerate(spec.fields)}
        self.known = {*self.pointers, *(f"{edge}({p})" for p in self.pointers for edge in ("first", "last"))}

    def others(self, changes: dict[int, tuple[Source, ...]]) -> dict[int, tuple[Source, ...]]:
        """The changes, and anything for fields of a kind that is not described here."""
        return {i: (ANYTHING,) for name, i in self.fields.items() if name not in self.known} | changes

    def symbol(self, pointer: str) -> int | None:
        """The field of the symbol under a pointer; ``None`` for a counter."""
        return self.fields.get(pointer)

    def move(self, pointer: str, action: str) -> Effect:
        symbol = self.symbol(pointer)
        changes: dict[int, tuple[Source, ...]] = {} if symbol is None else {symbol: (ANYTHING,)}
        if self.rows[self.pointers[pointer].row].blank:
            return (Alternative(changes=self.others(changes)),)
        towards, away = ("first", "last") if action == "LEFT" else ("last", "first")
        end, back = self.fields[f"{towards}({pointer})"], self.fields[f"{away}({pointer})"]
        stays = Alternative(guard=((end, 1),), changes=self.others({}))
        moves = Alternative(guard=((end, 0),), changes=self.others(changes | {end: (ANYTHING,), back: (Set(0),)}))
        return stays, moves

    def write(self, pointer: str, symbol: str) -> Effect:
        row = self.rows[self.pointers[pointer].row]
        value = Set(row.values.index(symbol))
        changes: dict[int, tuple[Source, ...]] = {}
        for other, index in self.seen_on(row.name):
            changes[index] = (value,) if other == pointer else (KEEP, value)  # it may stand on the same cell
        return (Alternative(changes=self.others(changes)),)

    def swap(self, one: str, two: str) -> Effect:
        seen = dict(self.seen_on(self.pointers[one].row))
        from_one: Source = Copy(seen[one]) if one in seen else ANYTHING
        from_two: Source = Copy(seen[two]) if two in seen else ANYTHING
        changes: dict[int, tuple[Source, ...]] = {}
        for other, index in seen.items():
            if other == one:
                changes[index] = (from_two,)
            elif other == two:
                changes[index] = (from_one,)
            else:
                changes[index] = (KEEP, from_one, from_two)
        return (Alternative(changes=self.others(changes)),)

    def seen_on(self, row: str) -> list[tuple[str, int]]:
        return [(n, self.fields[n]) for n, p in self.pointers.items() if p.row == row and n in self.fields]


def next_observations(spec: WorldSpec, effect: Effect, observation: Sequence[int]) -> set[tuple[int, ...]]:
    """Every observation that the effect allows after this one. For tests and small worlds: it enumerates."""
    found: set[tuple[int, ...]] = set()
    for alternative in effect:
        if all(observation[index] == value for index, value in alternative.guard):
            choices = [_values(spec, alternative, observation, index) for index in range(len(spec.fields))]
            found |= set(product(*choices))
    return found


def _values(spec: WorldSpec, alternative: Alternative, observation: Sequence[int], index: int) -> list[int]:
    found: list[int] = []
    for source in alternative.changes.get(index, (KEEP,)):
        match source:
            case Keep():
                found.append(observation[index])
            case Set(value):
                found.append(value)
            case Copy(other):
                found.append(observation[other])
            case Anything():
                found += range(spec.fields[index].size)
    return found


def changed_fields(effects: Sequence[Effect]) -> set[int]:
    """The fields that any of the effects may change."""
    return {index for effect in effects for alternative in effect for index in alternative.changes}


def anything(fields: set[int]) -> Effect:
    """The effect after which these fields can hold any value and the others what they held."""
    return (Alternative(changes=dict.fromkeys(fields, (ANYTHING,))),)


def describe(spec: WorldSpec, observation: Mapping[int, int]) -> dict[str, Any]:
    """Field names and value names, for people."""
    return {spec.fields[i].name: spec.fields[i].values[v] for i, v in observation.items()}
