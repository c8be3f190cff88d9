"""What a learner supplies; the engine does the rest: loops, freezing, checkpoints, progress, libraries.

A program with a signal (``maximise reward over 100 steps``) names the kind of its learner (``core "meta-rl"``).
Packages offer learners as entry points of the group ``npi.learners``, so that the engine imports none of them.

Shape legend: ``B`` instances of a batch, ``T`` steps, ``N`` rows, ``P`` parameters of a row, ``H`` hidden numbers,
``A`` calls to choose from, ``X`` payload.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import nn

from dsl.program import Program
from envs.settings import closest
from envs.spec import WorldSpec
from envs.stepper import Action, Observation
from envs.support.plugins import load, offered
from envs.world import Episodes, World
from npi.core.config import COUNT, POSITIVE, RATE, SIZE, Settings, at_least, setting

if TYPE_CHECKING:
    from npi.learners.objectives.base import LearnerObjective
    from npi.learners.tasks import Problems

GROUP = "npi.learners"
"""The group of entry points that learners are found by."""


@dataclass(frozen=True)
class LearnerConfig(Settings):
    """The shape of a learner's core; each learner has its own, made from this one.

    Attributes:
        kind: the learner's.
        row: P, parameters of a row.
    """

    what = "core setting"

    kind: str = ""
    row: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not SIZE.holds(self.row):  # also where a learner gives it another default
            raise ValueError(f"{self.what} row {SIZE.reason.format(self.row)}")


@dataclass(frozen=True)
class LearnerTraining(Settings):
    """How a core is trained with its rows, or rows beside a frozen core: what every objective needs.

    Attributes:
        seed: of weights, problems and exploration noise.
        updates: in each, a batch of every world is learned from. batch: its problems, shared out among the programs
            of the world.
        rate: peak learning rate of the core; it falls along a cosine. row_rate: of the rows.
        clip: the largest norm of what a world adds to a gradient.
        check_every: updates between checks, on ``problems`` fresh problems of each program.
        starts: rows that are tried side by side where one is learned.
    """

    what = "training setting"

    seed: int = 0
    updates: int = setting(1000, at_least(1))
    batch: int = setting(64, COUNT)
    rate: float = setting(3e-3, RATE)
    row_rate: float = setting(1e-2, RATE)
    clip: float = setting(1.0, POSITIVE)
    check_every: int = setting(50, at_least(1))
    problems: int = setting(128, COUNT)
    starts: int = setting(4, COUNT)


@dataclass(frozen=True, eq=False)
class TaskInput:
    """What a batch is to do: the world and its index in the core, row_BP, and the program's arguments_B3 (tokens)."""

    spec: WorldSpec
    world: int
    row_BP: torch.Tensor
    arguments_B3: torch.Tensor


class Draw(Protocol):
    """Random numbers of the instances of a batch (:class:`envs.stepper.Draw`; in training, of a generator)."""

    def uniform(self, count: int) -> torch.Tensor:
        """float32 B × count, at least 0 and below 1."""
        ...

    def normal(self, count: int) -> torch.Tensor:
        """float32 B × count, normally distributed."""
        ...

    def exponential(self, count: int) -> torch.Tensor:
        """float32 B × count, exponentially distributed with mean 1."""
        ...


def choice(weight_BA: torch.Tensor, draw: Draw | None) -> torch.Tensor:
    """int64 B: an index by weights, or of the largest weight where nothing is drawn.

    The least of exponential numbers over weights has its index by these weights.
    """
    return (weight_BA if draw is None else weight_BA / draw.exponential(weight_BA.shape[1])).argmax(1)


class StepOutput(NamedTuple):
    """What a core does once.

    Attributes:
        hidden_BH: float32, carried to the next step.
        extras: what else the objective reads of a step (log-likelihoods, values …), B first.
    """

    action: Action
    hidden_BH: torch.Tensor
    extras: Mapping[str, torch.Tensor] = {}


class LearnerCore(nn.Module, ABC):
    """The network of a learner. Every layer should depend on the row, which is all that makes a program."""

    config: Any
    samples: ClassVar[bool] = False
    """Whether actions are drawn at random when a program runs, too, and not in training alone."""
    constant_hidden: ClassVar[bool] = False
    """Whether hidden numbers stay along an episode as ``begin`` makes them, of the row, the arguments and channels that
    last an episode alone. When programs run, each episode is then encoded once, however often it is asked about."""

    @abstractmethod
    def hidden_size(self, spec: WorldSpec) -> int:
        """H in a world: how many numbers an instance carries from step to step."""

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """hidden_BH before the first step, zeros by default; encodes what lasts an episode, such as a support set."""
        return task.row_BP.new_zeros(len(task.row_BP), self.hidden_size(task.spec))

    @abstractmethod
    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        """The next action of each instance; without ``draw`` the likeliest one."""

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor | None:
        """float32 B: the log-likelihood of another action in that step; None where actions have none."""
        return None

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """T × B …, by name: the extras of each step along given episodes, and ``log_likelihood`` of their actions."""
        found: list[dict[str, torch.Tensor]] = []
        for t in range(episodes.steps):
            step = self.step(task, episodes.seen[t], hidden_BH)
            hidden_BH, extras = step.hidden_BH, dict(step.extras)
            if episodes.actions is not None:
                log_B = self.likelihood(step, episodes.actions[t])
                extras |= {} if log_B is None else {"log_likelihood": log_B}
            found.append(extras)
        return {name: torch.stack([extras[name] for extras in found]) for name in found[0]}

    def generate(
        self,
        task: TaskInput,
        seen: Observation,
        respond: Callable[[StepOutput], Observation],
        hidden_BH: torch.Tensor,
        steps: int,
        *,
        draw: Draw | None = None,
    ) -> tuple[list[Observation], list[StepOutput]]:
        """So many steps, and what was observed before each of them and after the last.

        A core can have a faster way to the same.

        Args:
            respond: what the world shows after an action.
        """
        observed, taken = [seen], list[StepOutput]()
        for _ in range(steps):
            taken.append(self.step(task, observed[-1], hidden_BH, draw=draw))
            hidden_BH = taken[-1].hidden_BH
            observed.append(respond(taken[-1]))
        return observed, taken

    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """The parameters that objectives move, by group: apart where one loss moves some of them only."""
        return {"core": list(self.parameters())}


class Learner(Protocol):
    """A kind of core, and how it learns.

    Attributes:
        kind: what ``core "…"`` in a program file names.
        signals: what its programs may say, such as ``("maximise", "reward")``.
        anywhere: whether a frozen core can learn rows in worlds that it was not trained in.
        config: the class of its core's shape; made without arguments, it is the usual one.
        training: how it is usually trained. learning: how rows are usually learned beside its frozen core.
    """

    @property
    def kind(self) -> str: ...

    @property
    def signals(self) -> tuple[tuple[str, str], ...]: ...

    @property
    def anywhere(self) -> bool: ...

    @property
    def config(self) -> type[LearnerConfig]: ...

    @property
    def training(self) -> LearnerTraining: ...

    @property
    def learning(self) -> LearnerTraining: ...

    def admit(self, spec: WorldSpec) -> None:
        """Raise ``ValueError``, with the reason and a fix, for a world that its cores cannot act in."""
        ...

    def core(self, config: Any, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> LearnerCore:
        """A core with random parameters, for programs in these worlds."""
        ...

    def objective(self, core: Any, rows_NP: torch.Tensor, problems: Problems, training: Any) -> LearnerObjective:
        """Trains rows, and those parameters of the core that need a gradient (:mod:`npi.learners.objectives`).

        Args:
            rows_NP: ``problems.copies`` rows for each task.
        """
        ...

    def infer_row(self, core: Any, evidence: Episodes) -> torch.Tensor | None:
        """row_BP from a demonstration or a support set, differentiable; None where rows are learned by gradient."""
        ...

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """Scores of whole programs, B each, by name; the first is the one that training shows and rows are chosen by.

        More is better of that one, unless the program says ``minimise``.
        """
        ...


@runtime_checkable
class Predicting(Protocol):
    """A learner whose programs are judged by how likely they find what a world demonstrates, step by step.

    Nothing that they do changes what they see next, so all steps are computed at once (:meth:`LearnerCore.unroll`).
    """

    predicts: Literal[True]


def steps_of(program: Program) -> int:
    """How long a program with a signal acts at most; ``ValueError`` where it does not say."""
    signal = program.signal
    assert signal is not None
    if signal.steps is None:
        fix = f"{signal.aim} {signal.what} over 100 steps"
        raise ValueError(f"{program.name} does not say how long it acts; write, for example: {fix}")
    return signal.steps


_REGISTERED: dict[str, Learner] = {}


def register_learner(learner: Learner) -> None:
    """Add a learner that no package offers; raises ``ValueError`` where another one has its kind."""
    if _REGISTERED.setdefault(learner.kind, learner) is not learner or learner.kind in offered(GROUP):
        raise ValueError(f"a learner of kind {learner.kind!r} is registered already; choose another name")


def learner_of(kind: str) -> Learner:
    """The learner of a kind; raises ``ValueError`` that names the closest one, and how learners are added."""
    packages = offered(GROUP)
    if kind in _REGISTERED:
        return _REGISTERED[kind]
    if kind not in packages:
        hint = closest(kind, sorted({*_REGISTERED, *packages}))
        raise ValueError(f"no learner of kind {kind!r} is installed{hint} (docs/learners.md says how to add one)")
    found: Learner = load(packages[kind])
    return found
