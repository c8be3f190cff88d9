"""The one training loop: gradients of an objective's losses, clipped one by one and summed; a step of the optimisers.

Frames of a core, rows beside a frozen core, codes of the universal core, learners of programs with a signal: whatever
is trained is an :class:`Objective`, and ``optimizer.step`` is called in this module alone. Several processes give the
numbers of one: each computes its share of every loss, and gradients are summed before they are clipped.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import nn

from envs.support.typed_json import FormatError, typed
from npi.library.tensor_files import check_tensors, shapes_of
from npi.training.optimisers import ADAM, ADAMW, SPARSE_ADAM
from npi.training.ranks import ALONE, Ranks

SAVING = 0.05
"""The share of a run's time that may go into keeping its state; its first state is always kept."""

LOGGER = logging.getLogger("npi.training")
"""Told of every check."""

MAX_TOLD = 8
"""Scores that a line of the log names."""


@dataclass(frozen=True)
class Group:
    """Parameters that one optimiser moves.

    Attributes:
        rate: the peak learning rate; the schedule multiplies it.
        optimiser: Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), or Adam for sparse gradients.
        clipped: whether these gradients count towards the norm that is clipped.
    """

    parameters: Sequence[nn.Parameter]
    rate: float
    optimiser: Literal["adam", "adamw", "sparse_adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clipped: bool = True

    def optimizer(self) -> torch.optim.Optimizer:
        """A fresh optimiser of these parameters."""
        given: dict[str, Any] = {"lr": self.rate, "betas": self.betas}
        if self.optimiser == "sparse_adam":
            return SPARSE_ADAM(list(self.parameters), **given)
        given["weight_decay"] = self.weight_decay
        if self.optimiser == "adamw":
            return ADAMW(self.parameters, **given, fused=True)
        return ADAM(self.parameters, **given)


@dataclass(frozen=True)
class Loss:
    """One scalar with a graph, and the groups that it moves (all of them by default): a critic apart from its actor."""

    value: torch.Tensor
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What a check found: scores by name (of a program, say), and whether training is done."""

    scores: Mapping[str, float] = field(default_factory=dict)
    solved: bool = False


class State(NamedTuple):
    """What a run's next update depends on, as tensors and JSON-able facts.

    Attributes:
        constant: beginnings of names whose tensors never change, such as shards of a replay memory: kept once.
    """

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]
    constant: tuple[str, ...] = ()


class Objective(ABC):
    """What is trained: parameters, losses of an update, a check. A context manager, since it may hold processes."""

    @abstractmethod
    def groups(self) -> Mapping[str, Group]:
        """The parameters that move, by name of their group; always the same ones, in the same order."""

    @abstractmethod
    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        """The losses of one update: one item an optimiser step, several where back-propagation is truncated.

        The losses of an item (one a world, say) are asked for one after the other, each clipped by itself, and their
        gradients summed; what stands behind a ``yield`` runs after the step. Everything drawn depends on ``update`` and
        the objective's seed or state alone. Of several ranks, each yields its share: values and gradients are summed.
        """

    @abstractmethod
    def evaluate(self, update: int) -> Evaluation:
        """Check what was learned, on data that no update draws. Says the same on every rank."""

    def scalars(self, progress: Progress) -> Mapping[str, float]:
        """Where training stands, beside the loss, as curves by name: the scores of the last check."""
        return {f"score/{name}": score for name, score in progress.scores.items()}

    def state_dict(self) -> State:
        """What :meth:`losses` depends on beside the parameters: generators, a curriculum, a replay memory."""
        return State({}, {})

    def load_state_dict(self, state: State) -> None:
        """The inverse of :meth:`state_dict`, before the first update."""
        assert not state.tensors, "an objective with a state has to take it back"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of processes and files."""
        return


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """The parameters of a module get no gradients inside."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        updates: at most. check_every: updates between checks; the last update is followed by one, too.
        share: the learning rate of an update (counted from 0) as a share of its peak.
        clip: the largest norm of the gradient of a loss.
    """

    updates: int
    check_every: int
    share: Callable[[int], float] = lambda update: 1.0
    clip: float = 1.0


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        update: updates taken. loss: mean of the last update's losses. scores: of the last check.
        seconds: CPU seconds of this process, those before a resume included.
        solved: whether a check said that training is done. resumed: whether it resumed from a checkpoint.
        rates: the learning rate of each group in the last update.
    """

    update: int = 0
    loss: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    solved: bool = False
    resumed: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    def ended(self, schedule: Schedule) -> bool:
        """Whether nothing is left to do: solved, or the updates are spent."""
        return self.solved or self.update >= schedule.updates


Reporter = Callable[[Progress], None]
"""Called after updates."""


class Checkpoint(ABC):
    """Where a run's state is kept (:class:`npi.training.checkpoint.FileCheckpoint`)."""

    @abstractmethod
    def save(self, state: State) -> None:
        """Keep a state, in place of the last one."""

    @abstractmethod
    def load(self) -> State | None:
        """The state that was kept; None where there is none."""

    def wrong(self, error: Exception) -> ValueError:
        """What is raised where the state that was kept is not one of this run."""
        return ValueError(f"the state that was kept is none of this run ({error}); start anew")


def fit(
    objective: Objective,
    schedule: Schedule,
    *,
    ranks: Ranks = ALONE,
    checkpoint: Checkpoint | None = None,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train until a check says that it is done, the updates are spent, or ``stop()`` on any rank.

    With a checkpoint the run resumes from the state that it holds, to bit-identical parameters, and keeps its state at
    checks, where keeping takes at most :data:`SAVING` of the time, and when it is stopped or ends.

    Args:
        report: called after each update, on the first rank.

    Raises:
        FloatingPointError: where a loss is not finite.
    """
    with objective:
        descent, progress = Descent(objective.groups(), schedule, ranks), Progress()
        begun, saving = time.monotonic(), 0.0
        if checkpoint is not None:
            progress = resume(checkpoint, objective, descent)
        while not progress.ended(schedule) and not ranks.any(stop()):
            began = time.process_time()
            progress.loss = descent.update(objective, progress.update)
            progress.update, progress.rates = progress.update + 1, descent.rates
            due = progress.update % schedule.check_every == 0 or progress.update == schedule.updates
            if due:
                found = objective.evaluate(progress.update)
                progress.scores, progress.solved = found.scores, found.solved
            progress.seconds += time.process_time() - began
            if due and ranks.first:
                LOGGER.info("%s", told(objective, schedule, progress))
            due = due and (saving <= SAVING * (time.monotonic() - begun) or progress.ended(schedule))
            if due and checkpoint is not None and ranks.first:
                before = time.monotonic()
                checkpoint.save(state_of(objective, descent, progress))
                saving += time.monotonic() - before
            if report is not None and ranks.first:
                report(progress)
        if checkpoint is not None and ranks.first and not progress.ended(schedule):
            checkpoint.save(state_of(objective, descent, progress))
    return progress


def told(objective: Objective, schedule: Schedule, progress: Progress) -> str:
    """Where training stands after a check, in a line."""
    scores = [f"{name} {score:.4g}" for name, score in objective.scalars(progress).items()]
    more = [f"and {len(scores) - MAX_TOLD} more"] if len(scores) > MAX_TOLD else []
    parts = [f"update {progress.update} of {schedule.updates}: loss {progress.loss:.4g}", *scores[:MAX_TOLD], *more]
    return ", ".join([*parts, *["solved"] * progress.solved])


MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
"""What Adam remembers of a parameter."""


class Descent:
    """The optimisers of an objective's groups, and one update of them."""

    def __init__(self, groups: Mapping[str, Group], schedule: Schedule, ranks: Ranks = ALONE) -> None:
        self.groups, self.schedule, self.ranks = groups, schedule, ranks
        self.optimizers = {name: group.optimizer() for name, group in groups.items()}
        self.rates: dict[str, float] = {}

    def update(self, objective: Objective, update: int) -> float:
        """Every optimiser step of an update; the mean of its losses."""
        share = self.schedule.share(update)
        self.rates = {name: group.rate * share for name, group in self.groups.items()}
        for name, optimizer in self.optimizers.items():
            for settings in optimizer.param_groups:
                settings["lr"] = self.rates[name]
        values: list[float] = []
        for losses in objective.losses(update, self.ranks):
            values += self.step(losses)
        mean = sum(values) / max(1, len(values))
        if not math.isfinite(mean):
            peak = max(group.rate for group in self.groups.values())
            raise FloatingPointError(
                f"the loss became {mean} at update {update}; lower the learning rate ({peak}), or clip more"
            )
        return mean

    def step(self, losses: Iterable[Loss]) -> list[float]:
        """One optimiser step along the sum of the losses' gradients, each clipped by itself; the losses' values.

        Were losses of several worlds to take turns instead, several steps in a row would be one world's, and Adam's
        memory would move the rows of the others.
        """
        sums: dict[nn.Parameter, torch.Tensor] = {}
        values: list[float] = []
        for loss in losses:
            names = self.groups.keys() if loss.groups is None else loss.groups
            moved = [p for name in names for p in self.groups[name].parameters if p.requires_grad]
            gradients, value = self._gradients(loss.value, moved)
            self._clip(names, gradients)
            for parameter, gradient in gradients.items():
                sums[parameter] = sums[parameter] + gradient if parameter in sums else gradient
            values.append(value)
        if values:
            for name, optimizer in self.optimizers.items():
                for parameter in self.groups[name].parameters:
                    parameter.grad = sums.get(parameter)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        return values

    def _gradients(
        self, loss: torch.Tensor, moved: Sequence[nn.Parameter]
    ) -> tuple[dict[nn.Parameter, torch.Tensor], float]:
        """The gradients of a loss by each parameter that it reaches, and its value, summed over the ranks."""
        found = torch.autograd.grad(loss, moved, allow_unused=True)
        if self.ranks.alone:
            return {p: _laid_out(p, g) for p, g in zip(moved, found, strict=True) if g is not None}, loss.item()
        dense = [torch.zeros_like(p) if g is None else g.to_dense() for p, g in zip(moved, found, strict=True)]
        reached = torch.tensor([g is not None for g in found] + [True]).to(dense[0])
        reached[-1] = loss.detach()
        whole = self.ranks.sum(torch.cat([*(g.flatten() for g in dense), reached]))
        *parts, reached = whole.split([*(p.numel() for p in moved), len(reached)])
        summed = {p: part.view_as(p) for p, part, some in zip(moved, parts, reached[:-1].tolist(), strict=True) if some}
        for group in self.groups.values():
            if group.optimiser == "sparse_adam":
                summed |= {p: summed[p].to_sparse(1) for p in group.parameters if p in summed}
        return summed, float(reached[-1])

    def _clip(self, names: Iterable[str], gradients: dict[nn.Parameter, torch.Tensor]) -> None:
        clipped = {p for name in names if self.groups[name].clipped for p in self.groups[name].parameters}
        held = [gradient for parameter, gradient in gradients.items() if parameter in clipped]
        if held:
            norm = nn.utils.get_total_norm(held)
            scale = (self.schedule.clip / (norm + 1e-6)).clamp(max=1.0)
            for parameter in gradients.keys() & clipped:
                gradients[parameter] = gradients[parameter] * scale

    def state_dict(self) -> State:
        """What the optimisers remember."""
        tensors = {
            f"{name}.{number}.{key}": torch.as_tensor(value)
            for name, optimizer in self.optimizers.items()
            for number, held in optimizer.state_dict()["state"].items()
            for key, value in held.items()
        }
        return State(tensors, {})

    def load_state_dict(self, state: State) -> None:
        """The inverse of :meth:`state_dict`."""
        for name, optimizer in self.optimizers.items():
            held: dict[int, dict[str, Any]] = {}
            parameters = self.groups[name].parameters
            for key, tensor in part(state.tensors, f"{name}.").items():
                number, what = key.split(".")
                shape = () if what == "step" else parameters[range(len(parameters))[int(number)]].shape
                check_tensors({key: tensor}, {key: (tensor.dtype if what == "step" else torch.float32, shape)})
                if what not in MOMENTS:
                    raise FormatError(f"optimiser.{name}.{key} is nothing that an optimiser remembers")
                counts = what == "step" and isinstance(optimizer, torch.optim.SparseAdam)  # in plain numbers
                held.setdefault(int(number), {})[what] = int(tensor) if counts else tensor
            if any(found.keys() != MOMENTS for found in held.values()):
                raise FormatError(f"optimiser.{name} is not all that an optimiser remembers")
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": held, "param_groups": groups})


def _laid_out(parameter: nn.Parameter, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient with the strides of its parameter: fused optimisers go over both in the order of memory."""
    if gradient.is_sparse or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def state_of(objective: Objective, descent: Descent, progress: Progress) -> State:
    """Everything that the next update depends on, as one state."""
    tensors = {f"parameters.{name}": parameter.detach() for name, parameter in parameters_of(objective).items()}
    own, optimisers = objective.state_dict(), descent.state_dict()
    tensors |= {f"objective.{name}": tensor for name, tensor in own.tensors.items()}
    tensors |= {f"optimiser.{name}": tensor for name, tensor in optimisers.tensors.items()}
    facts = {
        "update": progress.update,
        "loss": progress.loss if math.isfinite(progress.loss) else None,
        "scores": {name: x if math.isfinite(x) else None for name, x in progress.scores.items()},
        "seconds": progress.seconds,
        "solved": progress.solved,
        "ended": progress.ended(descent.schedule),
        "objective": own.facts,
    }
    return State(tensors, facts, tuple(f"objective.{name}" for name in own.constant))


def resume(checkpoint: Checkpoint, objective: Objective, descent: Descent) -> Progress:
    """Stand where the run of a checkpoint stood, where there is one."""
    state = checkpoint.load()
    if state is None:
        return Progress()
    tensors = state.tensors
    try:
        facts: Facts = typed(Facts, state.facts)
        parameters = parameters_of(objective)
        check_tensors(part(tensors, "parameters."), shapes_of(parameters))
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[f"parameters.{name}"])
        objective.load_state_dict(State(part(tensors, "objective."), dict(facts.objective)))
        descent.load_state_dict(State(part(tensors, "optimiser."), {}))
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError) as error:
        raise checkpoint.wrong(error) from error
    return progress_of(state.facts)


@dataclass(frozen=True)
class Facts:
    """What a state tells of its run (see :class:`Progress`); null for a number that is not finite."""

    update: int
    loss: float | None
    scores: Mapping[str, float | None]
    seconds: float
    solved: bool
    ended: bool
    objective: Mapping[str, Any]


def parameters_of(objective: Objective) -> dict[str, nn.Parameter]:
    """What moves, by group and number."""
    groups = objective.groups().items()
    return {f"{name}.{number}": one for name, group in groups for number, one in enumerate(group.parameters)}


def progress_of(told: Mapping[str, Any]) -> Progress:
    """Where the run of a state's facts stood."""
    facts: Facts = typed(Facts, told)
    loss, *scores = (math.nan if x is None else x for x in (facts.loss, *facts.scores.values()))
    return Progress(
        facts.update, loss, dict(zip(facts.scores, scores, strict=True)), facts.seconds, facts.solved, resumed=True
    )


def part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
