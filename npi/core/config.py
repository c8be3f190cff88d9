"""Settings of cores and of training, as typed data with defaults that work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from envs.settings import closest


@dataclass(frozen=True)
class Settings:
    """Frozen settings that go to JSON and back; an unknown key is an error with the closest match."""

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


@dataclass(frozen=True)
class CoreConfig(Settings):
    """The shape of a core.

    Attributes:
        kind: ``"discrete"`` (state between steps of ``bits`` bits) or ``"lstm"`` (NPI section 3: 2 × 256).
        hidden: units of each layer (256 for the published LSTM).
        bits: state bits of a discrete core; unused by an LSTM.
        row: P, numbers in a program embedding.
        key: K, numbers in a program key.
        gates: whether a row chooses by hard gates which observation fields its program looks at (discrete cores).
    """

    kind: str = "discrete"
    hidden: int = 128
    bits: int = 6
    row: int = 64
    key: int = 32
    gates: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"core kind {self.kind!r} is not known; choose 'discrete' or 'lstm'")
        for name in ("hidden", "bits", "row", "key"):
            if getattr(self, name) < 1:
                raise ValueError(f"core {name} must be at least 1, it is {getattr(self, name)}")
        if self.bits > 16:
            raise ValueError(f"core bits must be at most 16 (2**bits state codes), they are {self.bits}")

    @classmethod
    def published(cls) -> CoreConfig:
        """The sizes of NPI section 3.1 (embedding and key sizes are not stated there; these are usual ones)."""
        return cls(kind="lstm", hidden=256, bits=1, row=64, key=32, gates=False)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How a core is trained.

    Attributes:
        seed: of weights, sampling and noise.
        updates: the most optimiser steps taken; training stops earlier when everything is solved.
        frames: frames drawn in one update, shared out among the programs by their error.
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
        compile: use ``torch.compile`` for the core's unrolled steps.
    """

    seed: int = 0
    updates: int = 3000
    frames: int = 384
    rate: float = 3e-3
    warmup: int = 50
    decay: int = 600
    cut: int = 14
    noise: float = 0.5
    check_every: int = 100
    problems: int = 1024
    stretch: float = 1.0
    clean: int = 1
    slack: float = 0.002
    certify: bool = False
    precision: str = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("updates", "frames", "check_every", "decay", "problems", "clean"):
            if getattr(self, name) < 1:
                raise ValueError(f"training setting {name} must be at least 1, it is {getattr(self, name)}")
        if self.rate <= 0:
            raise ValueError(f"the learning rate must be positive, it is {self.rate}")
        if not 0 <= self.slack <= 0.1:
            raise ValueError(f"training setting slack is a share from 0 to 0.1, it is {self.slack}")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision {self.precision!r} is not known; choose 'float32' or 'bfloat16'")

    @classmethod
    def for_core(cls, core: CoreConfig, **changes: Any) -> TrainConfig:
        """Defaults that suit a kind of core: an LSTM needs longer frames, a lower rate and more updates."""
        if core.kind == "lstm":
            slow = {"cut": 24, "frames": 128, "rate": 1e-3, "noise": 0.0}
            slow |= {"updates": 4000, "decay": 4000, "check_every": 250, "clean": 2}
            changes = slow | changes
        return cls(**changes)
