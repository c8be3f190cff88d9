"""What a world declares: its observation, its tokens and what can be called in it.

Small integers and declared real tensors cross the seams of the engine:

* an **observation** is a row of ``F`` integers, one a declared :class:`Field`, and the :class:`Channel` tensors;
* an **argument** is the index of a token in the world's vocabulary, token 0 being "none";
* a **call** is four integers ``(callee, argument, argument, argument)``, the callee an index into a
  :class:`ProgramTable` or :data:`RETURN`; an **action** is a call with the real payload that its primitive takes.

Shape legend, used in names across the engine: ``B`` batch (instances), ``F`` observation fields, ``X`` payload,
``S`` steps, ``T`` steps of one frame, ``H`` hidden numbers, ``N`` callables, ``P`` numbers in a program embedding.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from envs.support.typed_json import Number, typed

RETURN = -1
"""The callee of a call that ends its frame."""

GO_ON = -2
"""In decision tables, the callee of an entry that is not decided yet: look up its next node with the same inputs."""

UNKNOWN = -3
"""In decision tables, the callee of an entry that has not been filled."""

SLOTS = 3
"""Arguments of every call, as in NPI section 3.1 (a triple of integers); unused ones hold token 0."""

NONE = "-"
"""Token 0 of every vocabulary: no argument in this slot."""

BLANK = "blank"
"""The name of the symbol of an empty cell."""


class SpecError(ValueError):
    """A declaration that contradicts itself; the message says which part and how to fix it."""


@dataclass(frozen=True)
class Field:
    """One integer of an observation.

    ``values`` are the names of its values; the observed integer is an index into them.
    """

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Channel:
    """A declared real tensor: observed beside the fields, or taken by a primitive.

    Attributes:
        shape: of one instance's tensor. A leading ``None``: ragged, its length differs from instance to instance.
        low, high: bounds of its numbers, where there are any. unit: of measurement.
        per: ``"episode"`` where it is constant over an episode, such as a support set or a demonstration.
        fields: the fields that it is a function of. Cores read the channel in their place; teachers read the fields.
        parts: the shapes of the tensors that lie in it one after the other, flattened, where it consists of several.
    """

    name: str
    shape: tuple[int | None, ...]
    low: Number | None = None
    high: Number | None = None
    unit: str = ""
    per: Literal["step", "episode"] = "step"
    fields: tuple[str, ...] = ()
    parts: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        sizes = self.shape[1:] if self.ragged else self.shape
        if not all(size is not None and size > 0 for size in sizes):
            raise SpecError(f"channel {self.name} has the shape {self.shape}; only its first size can be None")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise SpecError(f"channel {self.name} reaches from {self.low} to {self.high}; exchange them")
        if self.parts and self.shape != (sum(map(math.prod, self.parts)),):
            raise SpecError(f"channel {self.name} has the shape {self.shape}; its parts have the shapes {self.parts}")

    @property
    def ragged(self) -> bool:
        return self.shape[:1] == (None,)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of one instance's tensor, of one row of it where it is ragged."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def size(self) -> int:
        return math.prod(self.sizes)

    def to_json(self) -> dict[str, Any]:
        """As JSON; digests of channels without parts do not depend on them."""
        return {name: value for name, value in asdict(self).items() if name != "parts" or value}


@dataclass(frozen=True)
class Slot:
    """One argument of a callable: its name and the tokens (indices into the vocabulary) it may hold."""

    name: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """A callable: name, at most three argument slots, what it does in a line, and the payload that it takes beside.

    A primitive with ``setup`` lays out what learned programs act in. Programs with bodies call it; it is not among the
    calls that a learner or an agent chooses from, and may begin anew what has ended.
    """

    name: str
    slots: tuple[Slot, ...] = ()
    doc: str = ""
    payload: Channel | None = None
    setup: bool = False


@dataclass(frozen=True)
class WorldSpec:
    """The declared face of a world, enough to rebuild it and to read its traces.

    Attributes:
        name, kind: as in the program file (``world NAME is KIND``).
        config: the JSON-able settings from which ``envs.make`` rebuilds the world.
        fields: the observation, in order.
        tokens: the argument vocabulary; ``tokens[0] == NONE``.
        primitives: what the world itself does when called.
        channels: what is observed beside the fields.
        hidden: parts that are laid out or read like a field of one or more values, and never observed, such as the
            number of an episode.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    fields: tuple[Field, ...]
    tokens: tuple[str, ...]
    primitives: tuple[Signature, ...]
    channels: tuple[Channel, ...] = ()
    hidden: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        if not self.tokens or self.tokens[0] != NONE:
            raise SpecError(f"world {self.name}: tokens must begin with {NONE!r}, they are {self.tokens[:3]!r}")
        for what, names in (
            ("field", [f.name for f in (*self.fields, *self.hidden)]),
            ("token", list(self.tokens)),
            ("primitive", [p.name for p in self.primitives]),
            ("channel", [c.name for c in self.channels]),
            ("field of a channel", [name for c in self.channels for name in c.fields]),
        ):
            check_distinct(names, f"world {self.name}: {what}")
        for signature in self.primitives:
            check_signature(signature, tokens=len(self.tokens))
        for channel in self.channels:
            for name in set(channel.fields) - {f.name for f in self.fields}:
                raise SpecError(f"world {self.name}: channel {channel.name} is a function of {name}, which is no field")

    @property
    def seen(self) -> tuple[int, ...]:
        """Indices of the fields that a core reads as they are: those that no channel stands for."""
        hidden = {name for channel in self.channels for name in channel.fields}
        return tuple(i for i, field in enumerate(self.fields) if field.name not in hidden)

    @property
    def rendered(self) -> tuple[Channel, ...]:
        """The channels that are functions of fields (:class:`envs.world.Pictured`)."""
        return tuple(channel for channel in self.channels if channel.fields)

    @property
    def payload_width(self) -> int:
        """X: numbers of the widest payload that a primitive takes; 0 where none takes any."""
        return max((p.payload.size for p in self.primitives if p.payload is not None), default=0)

    def token(self, name: str) -> int:
        """Index of a token, or ``KeyError``."""
        if name not in self.tokens:
            raise KeyError(f"world {self.name} has no token {name!r}")
        return self.tokens.index(name)

    def field(self, name: str) -> int:
        """Index of an observation field, or ``KeyError``."""
        names = [field.name for field in self.fields]
        if name not in names:
            raise KeyError(f"world {self.name} has no observation {name!r}")
        return names.index(name)

    def to_json(self) -> dict[str, Any]:
        found = asdict(self) | {"channels": [channel.to_json() for channel in self.channels]}
        for part in ("channels", "hidden"):
            if not found[part]:
                del found[part]  # digests of worlds without them do not depend on them
        return found | {"primitives": [signature_to_json(p) for p in self.primitives]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WorldSpec:
        """The inverse; :class:`envs.support.typed_json.FormatError` where it is of another form."""
        found: WorldSpec = typed(cls, data)
        return found

    @cached_property
    def digest(self) -> str:
        """sha256 of the declaration without its name: two worlds of one digest are interchangeable."""
        data = {key: value for key, value in self.to_json().items() if key != "name"}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ProgramTable:
    """Everything that can be called in one world, in the order of the ids that calls use.

    The first ids are the world's primitives, the following ones the programs.

    Attributes:
        programs: signatures; names are qualified by file, e.g. ``"addition.ADD"``.
        calls: for each program, the ids that its text calls (the "Calls" column of NPI table 2).
    """

    world: WorldSpec
    programs: tuple[Signature, ...]
    calls: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.calls) != len(self.programs):
            raise SpecError(f"{len(self.programs)} programs but {len(self.calls)} lists of calls")
        check_distinct([s.name for s in self.signatures], "in one program table")
        for signature in self.programs:
            check_signature(signature, tokens=len(self.world.tokens))

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self.world.primitives + self.programs

    @property
    def primitives(self) -> int:
        """How many ids are primitives."""
        return len(self.world.primitives)

    def __len__(self) -> int:
        return len(self.signatures)

    def id(self, name: str) -> int:
        """Id of a callable by its qualified name, or by its bare name where only one has it."""
        names = [s.name for s in self.signatures]
        if name in names:
            return names.index(name)
        found = [i for i, n in enumerate(names) if n.rpartition(".")[2] == name]
        if len(found) == 1:
            return found[0]
        reason = "there are several, give the qualified one" if found else "there is none"
        raise KeyError(f"no callable {name!r} in this table: {reason}")

    def to_json(self) -> dict[str, Any]:
        return {
            "world": self.world.to_json(),
            "programs": [signature_to_json(p) for p in self.programs],
            "calls": [list(c) for c in self.calls],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProgramTable:
        """The inverse; :class:`envs.support.typed_json.FormatError` where it is of another form."""
        found: ProgramTable = typed(cls, data)
        return found


def check_distinct(names: Sequence[str], what: str) -> None:
    """Raise :class:`SpecError` for a name that is there twice."""
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise SpecError(f"{what} {doubles[0]!r} is declared twice; rename one")


def check_signature(signature: Signature, *, tokens: int) -> None:
    """Raise :class:`SpecError` unless the slots fit a call and name tokens that exist."""
    if len(signature.slots) > SLOTS:
        raise SpecError(f"{signature.name} takes {len(signature.slots)} arguments; a call carries at most {SLOTS}")
    for slot in signature.slots:
        if not slot.tokens:
            raise SpecError(f"{signature.name}: argument {slot.name} allows no value")
        if min(slot.tokens) < 0 or max(slot.tokens) >= tokens:
            raise SpecError(f"{signature.name}: argument {slot.name} names a token outside 0..{tokens - 1}")


def signature_to_json(signature: Signature) -> dict[str, Any]:
    """A signature as JSON; its payload only where it has one, and ``setup`` where it is true."""
    found = asdict(signature)
    del found["payload"]
    if not signature.setup:
        del found["setup"]  # digests of worlds without do not depend on it
    return found if signature.payload is None else found | {"payload": signature.payload.to_json()}
