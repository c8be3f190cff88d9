"""What a learner supplies; the engine does the rest: loops, freezing, checkpoints, progress, libraries.

A program with a signal (``maximise reward over 100 steps``) names the kind of its learner (``core "meta-rl"``).
Packages offer learners as entry points of the group ``npi.learners``, so that the engine imports none of them.

Shape legend: ``B`` problems of a batch, ``K`` steps of a stretch, ``P`` numbers of a row, ``H`` hidden numbers, ``F``
observation fields, ``D`` parameters that are optimised.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from dsl.program import Program
from envs.spec import WorldSpec
from envs.world import World
from npi.core.config import Settings

GROUP = "npi.learners"
"""The group of entry points that learners are found by."""

SIGNALS = {("maximise", "reward"), ("minimise", "loss")}
"""The signals that the engine has loops for: aim and what it is of."""


@dataclass(frozen=True)
class HostedConfig(Settings):
    """The shape of a learner's core; each learner has its own, made from this one.

    Attributes:
        kind: the learner's.
        row: P, numbers of a row.
    """

    kind: str = ""
    row: int = 8


@dataclass(frozen=True)
class HostedTraining(Settings):
    """How the core of a learner is trained with its rows, or rows beside a frozen core.

    Attributes:
        seed: of weights, problems and luck.
        updates: in each, a batch of every world is learned from. batch: its problems, shared out among the programs
            of the world.
        twins: how often each problem of a batch is played, side by side, each time with other luck of exploring.
        carried: hidden numbers that all problems of a batch carry together, at most: worlds whose problems carry many
            have smaller batches. 0: any number.
        stretch: steps between two steps of the optimiser; what lies further back is not seen by the gradient. 0: all
            steps of the program.
        rate: peak learning rate of Adam; it falls along a cosine to a twentieth. row_rate: of the rows.
        clip: the largest norm of what a world adds to a gradient.
        check_every: updates between checks, on ``problems`` fresh problems of each program.
        starts: rows that are tried side by side where one is learned.
    """

    seed: int = 0
    updates: int = 1000
    batch: int = 64
    twins: int = 1
    carried: int = 0
    stretch: int = 0
    rate: float = 3e-3
    row_rate: float = 1e-2
    clip: float = 1.0
    check_every: int = 50
    problems: int = 128
    starts: int = 4

    def __post_init__(self) -> None:
        for name in ("updates", "batch", "twins", "check_every", "problems", "starts"):
            if getattr(self, name) < 1:
                raise ValueError(f"training setting {name} must be at least 1, it is {getattr(self, name)}")
        for name in ("rate", "row_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"training setting {name} must be positive, it is {getattr(self, name)}")
        for name, all_of_them in (("stretch", "all steps"), ("carried", "any number")):
            if getattr(self, name) < 0:
                value = getattr(self, name)
                raise ValueError(f"training setting {name} must be 0 ({all_of_them}) or more, it is {value}")


@dataclass(frozen=True)
class Asked:
    """What a batch is to do: the world's index in the core, row_BP, and the program's arguments_B3 (tokens)."""

    world: int
    row_BP: torch.Tensor
    arguments_B3: torch.Tensor


class Step(NamedTuple):
    """What a learner does once.

    Attributes:
        act: where there is a reward, call_B4 (int64, a call of a primitive); where there is a loss, step_BD, which is
            added to the parameters.
        hidden_BH: float32, carried to the next step.
        notes: what :meth:`Learner.loss` needs of this step later (log-probabilities, values …), B first.
        weighed_A4: calls whose worth the loss is told (:attr:`Roll.worth_KBA`), the same at each step; None: no calls.
    """

    act: torch.Tensor
    hidden_BH: torch.Tensor
    notes: Mapping[str, torch.Tensor]
    weighed_A4: torch.Tensor | None = None


@dataclass(frozen=True)
class Roll:
    """A stretch of steps of a batch, for :meth:`Learner.loss` and :meth:`Learner.judge`.

    Attributes:
        asked: what the batch was to do.
        seen: K tensors: what was observed before each act. acts: what was done.
        notes: of each step; name → K × B × ….
        signal_KB: the reward that each act brought, or the loss after it, with a graph while it is learned from.
        first_B: the loss before the first act of the stretch; zeros where there is a reward.
        begun: steps of the program before this stretch. ends: whether the program ends with it.
        twin_B: int64; the same number where a row plays the same problem (:attr:`HostedTraining.twins`).
        progress: the share of training that is over, for what a loss changes on the way; 1 outside of training.
        worth_KBA: what each weighed call was worth before each act (``Rewarded.worth`` in ``envs/world.py``), which no
            observation tells; None where no calls were weighed.
        regret_KB: how much more the best choice was worth than the one made; in worlds that reward, and only where the
            roll is judged.
    """

    asked: Asked
    seen: Sequence[torch.Tensor]
    acts: Sequence[torch.Tensor]
    notes: Mapping[str, torch.Tensor]
    signal_KB: torch.Tensor
    first_B: torch.Tensor
    begun: int
    ends: bool
    twin_B: torch.Tensor | None = None
    progress: float = 1.0
    worth_KBA: torch.Tensor | None = None
    regret_KB: torch.Tensor | None = None


class Learner(Protocol):
    """A kind of core that learns from a signal.

    Attributes:
        kind: what ``core "…"`` in a program file names.
        signal: ``"reward"`` or ``"loss"``.
        config: the class of its core's shape; made without arguments, it is the usual one.
        training: how it is usually trained. learning: how rows are usually learned beside its frozen core.
        anywhere: whether a frozen core can learn rows in worlds that it was not trained in.
    """

    kind: str
    signal: str
    config: type[HostedConfig]
    training: HostedTraining
    learning: HostedTraining
    anywhere: bool

    def admit(self, spec: WorldSpec) -> None:
        """Raise ``ValueError``, with the reason and a fix, for a world that its cores cannot act in."""
        ...

    def network(self, config: Any, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> nn.Module:
        """A core with random numbers, for programs in these worlds."""
        ...

    def width(self, net: nn.Module, world: World[Any]) -> int:
        """H in a world: how many hidden numbers a problem carries from step to step. They begin as zeros."""
        ...

    def step(
        self,
        net: nn.Module,
        asked: Asked,
        seen: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        generator: torch.Generator | None,
    ) -> Step:
        """Do something for each problem.

        Every layer should depend on the row, since all that a new program can be is said by it.

        Args:
            seen: where there is a reward, obs_BF (int64, as the world observes); where there is a loss, gradient_BD
                (float32, of each problem's loss by its parameters, without a graph).
            generator: of the luck of exploring; None where nothing is left to it (run, eval).
        """
        ...

    def loss(self, net: nn.Module, roll: Roll) -> torch.Tensor:
        """What is to fall (one number, with a graph to the core's numbers and the rows): the outer loss."""
        ...

    def judge(self, world: World[Any], roll: Roll) -> dict[str, torch.Tensor]:
        """Scores of whole programs, B each, by name; the first is the one that training shows and rows are chosen by.

        More is better where the signal is a reward, less where it is a loss.
        """
        ...


def steps_of(program: Program) -> int:
    """How long a program with a signal acts; ``ValueError`` where it does not say, or its signal is not known."""
    signal = program.signal
    assert signal is not None
    if (signal.aim, signal.what) not in SIGNALS:
        known = " or ".join(" ".join(pair) for pair in sorted(SIGNALS))
        raise ValueError(f"{program.name}: nothing learns to {signal.aim} {signal.what}; write {known}")
    if signal.steps is None:
        fix = f"{signal.aim} {signal.what} over 100 steps"
        raise ValueError(f"{program.name} does not say how long it acts; write, for example: {fix}")
    return signal.steps


_REGISTERED: dict[str, Learner] = {}


def register(learner: Learner) -> None:
    """Add a learner that no package offers; raises ``ValueError`` where another one has its kind."""
    if _REGISTERED.setdefault(learner.kind, learner) is not learner or learner.kind in _offered():
        raise ValueError(f"a learner of kind {learner.kind!r} is registered already; choose another name")


def learner_of(kind: str) -> Learner:
    """The learner of a kind; raises ``ValueError`` that names the closest one, and how learners are added."""
    if kind in _REGISTERED:
        return _REGISTERED[kind]
    offered = _offered()
    if kind not in offered:
        known = sorted({*_REGISTERED, *offered})
        close = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
        raise ValueError(f"no learner of kind {kind!r} is installed; {hint} (docs/learners.md says how to add one)")
    found: Learner = offered[kind].load()
    return found


@cache
def _offered() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}
