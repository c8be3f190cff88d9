"""Settings of cores and of training, as typed data with defaults that work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

from envs.settings import closest


@dataclass(frozen=True)
class Limit:
    """What a setting may be, and the reason that users read, with a place for the value that it has."""

    holds: Callable[[Any], bool]
    reason: str


POSITIVE = Limit(lambda value: value > 0, "must be positive, it is {}")
SWITCH = Limit(lambda value: value in (0, 1), "is 0 or 1, it is {}")


def at_least(bound: int) -> Limit:
    return Limit(lambda value: value >= bound, f"must be at least {bound}, it is {{}}")


def within(low: int, high: int) -> Limit:
    return Limit(lambda value: low <= value <= high, f"must be at least {low} and at most {high}, it is {{}}")


SIZE = within(1, 2**14)
"""Units of a layer, or numbers of a row: a file may ask for them, and they are made before they are compared."""


COUNT = within(1, 10**6)
"""Things of a setting that are held in memory side by side: problems, rollouts, restarts."""


RATE = Limit(lambda value: 0 < value <= 100, "must be positive and at most 100, it is {}")
"""A learning rate."""


def share(largest: float = 1) -> Limit:
    return Limit(lambda value: 0 <= value <= largest, f"is a share from 0 to {largest}, it is {{}}")


def one_of(*names: str) -> Limit:
    return Limit(lambda value: value in names, f"{{!r}} is not known; choose {' or '.join(map(repr, names))}")


def setting(default: Any, limit: Limit) -> Any:
    """A field of :class:`Settings` with a limit."""
    return field(default=default, metadata={"limit": limit})


@dataclass(frozen=True)
class Settings:
    """Frozen settings that go to JSON and back; an unknown key is an error with the closest match.

    Raises ``ValueError`` for a value beyond the limit of its :func:`setting`.
    """

    what: ClassVar[str] = "setting"
    """What messages call one of them."""

    def __post_init__(self) -> None:
        for f in fields(self):
            limit, value = f.metadata.get("limit"), getattr(self, f.name)
            if limit is not None and not limit.holds(value):
                raise ValueError(f"{self.what} {f.name} {limit.reason.format(value)}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known:
                raise ValueError(f"{cls.__name__} has no setting {key!r}{closest(key, known)}")
        return cls(**data)


KINDS = ("discrete", "lstm")
"""The kinds of core that learn from traces by themselves."""

FORCED, LEARNED = "forced", "learned"
"""How a discrete core comes by its state: set to the code of the place in the text, or found by itself."""

BITS = Limit(lambda bits: 1 <= bits <= 16, "must be at least 1 and at most 16 (2**bits state codes), it is {}")


@dataclass(frozen=True)
class CoreConfig(Settings):
    """The shape of a core.

    Attributes:
        kind: ``"discrete"`` (state between steps of ``bits`` bits) or ``"lstm"`` (NPI section 3: 2 × 256).
        hidden: units of each layer (256 for the published LSTM).
        bits: state bits of a discrete core; unused by an LSTM. Training with forced states takes more where a program
            has more places than they tell apart.
        row: P, numbers in a program embedding.
        key: K, numbers in a program key.
        gates: whether a row chooses by hard gates which observation fields its program looks at (discrete cores).
    """

    what = "core"

    kind: str = setting("discrete", one_of(*KINDS))
    hidden: int = setting(128, SIZE)
    bits: int = setting(6, BITS)
    row: int = setting(64, SIZE)
    key: int = setting(32, SIZE)
    gates: bool = True

    @classmethod
    def published(cls) -> CoreConfig:
        """The sizes of NPI section 3.1 (embedding and key sizes are not stated there; these are usual ones)."""
        return cls(kind="lstm", hidden=256, bits=1, row=64, key=32, gates=False)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How a core is trained.

    Attributes:
        seed: of weights, sampling and noise.
        states: ``"forced"``: each step is learned by itself, the state before it set to the code of the place in the
            text (:mod:`npi.training.forced`); ``"learned"``: whole frames, in which the core finds a state by itself.
        updates: the most optimiser steps taken; training stops earlier when everything is solved.
        examples: different steps that an update takes at most, with forced states.
        questions: with forced states, different questions that an update asks about each picture that it shows
            (:mod:`npi.training.questions`); 0: pictures are asked what traces show, each for itself.
        frames: frames drawn in one update, shared out among the programs by their error, with learned states.
        rate: peak learning rate of AdamW, reached after ``warmup`` updates and then decayed to 5 % of itself.
        cut: a drawn frame longer than this many steps is cut to its beginning; 0 keeps all. What a discrete state
            does late in a frame it also does in a shorter one, so a loop needs few turns to be learned.
        noise: standard deviation of the noise on the state before its sign is taken, in training only.
        check_every: updates between checks of every unique frame and, where these are right, of the tasks.
        problems: validation problems drawn afresh at each check for each task, half of them of the largest size.
        stretch: that largest size is this multiple of the largest training size.
        clean: checks in a row that must find everything right before training is done.
        slack: in worlds that show pictures, the share of the frames that may be wrong, and of each task's problems five
            times that, when training is done; in all others nothing may be.
        certify: whether training goes on until every program is proved for every input (discrete cores).
        precision: ``"float32"`` or ``"bfloat16"`` (autocast of the matrix products).
        compile: use ``torch.compile`` for the core's steps.
    """

    what = "training setting"

    seed: int = 0
    states: str = setting(FORCED, one_of(FORCED, LEARNED))
    updates: int = setting(3000, at_least(1))
    examples: int = setting(2048, at_least(1))
    questions: int = setting(24, at_least(0))
    frames: int = setting(384, at_least(1))
    rate: float = setting(3e-3, RATE)
    warmup: int = 20
    decay: int = setting(1000, at_least(1))
    cut: int = 14
    noise: float = 0.5
    check_every: int = setting(25, at_least(1))
    problems: int = setting(1024, at_least(1))
    stretch: float = 1.0
    clean: int = setting(1, at_least(1))
    slack: float = setting(0.002, share(0.1))
    certify: bool = False
    precision: str = setting("float32", one_of("float32", "bfloat16"))
    compile: bool = False

    @classmethod
    def for_core(cls, core: CoreConfig, **changes: Any) -> TrainConfig:
        """Defaults that suit a kind of core: an LSTM needs longer frames, a lower rate and more updates."""
        if core.kind == "lstm":
            slow = {"cut": 24, "frames": 128, "rate": 1e-3, "noise": 0.0, "states": LEARNED, "warmup": 50}
            slow |= {"updates": 4000, "decay": 4000, "check_every": 250, "clean": 2}
            changes = slow | changes
        elif changes.get("states") == LEARNED:
            changes = {"check_every": 100, "warmup": 50} | changes
        return cls(**changes)
