"""The world interface: a batch of states that can be reset, observed and acted on.

A world object is immutable and holds the declaration; the states of a batch live in a :class:`State` that the
world makes and changes. Everything is a tensor on one device, so that a batch runs without Python per instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from envs.spec import WorldSpec
from envs.stepper import Action, Observation
from envs.support.lazy_torch import torch

Layout = Mapping[str, Sequence[int]]
"""How one instance begins: for each named part of the world (a row), the indices of the symbols laid into it."""

Given = Mapping[str, "torch.Tensor"]
"""Real-valued data laid into a batch, by the name of a channel that is constant over an episode; B first."""

S = TypeVar("S", bound="State")


class State(Protocol):
    """The states of a batch of B instances."""

    @property
    def batch(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def select(self: S, index_B: torch.Tensor) -> S:
        """Copies of the instances named by ``index_B`` (int64), in that order."""
        ...

    def spend(self, acts: int) -> None:
        """Count acts whose operations on tensors were carried out without a call of :meth:`World.act`."""
        ...


@runtime_checkable
class Pictured(Protocol):
    """A world that renders channels which are functions of fields (:attr:`envs.spec.WorldSpec.rendered`)."""

    def pictures(self, values_UF: torch.Tensor) -> torch.Tensor:
        """uint8 U × height × width × colours, on the CPU: the channel of each row of values of its fields.

        The same values always give the same picture.
        """
        ...


@runtime_checkable
class Scored(Protocol):
    """A world that says how well each instance does: ``scores`` are names, and whether more is better."""

    scores: Mapping[str, bool]

    def score(self, state: Any) -> Mapping[str, torch.Tensor]:
        """float32 B by name: what the last action brought each instance, or where it led.

        Differentiable with respect to the payloads since :meth:`detach` where the world is, and a graph is made.
        """
        ...

    def detach(self, state: Any) -> None:
        """Let the graph begin anew; nothing else changes."""
        ...


@runtime_checkable
class Ending(Protocol):
    """A world with true ends: nothing can be won or lost any more. A limit of steps is none."""

    def ended(self, state: Any) -> torch.Tensor:
        """bool B."""
        ...


class Conclusion(NamedTuple):
    """Whether a call would end an episode at once (bool B), and what it would then score (float32 B; else 0)."""

    ends_B: torch.Tensor
    score_B: torch.Tensor


@runtime_checkable
class Concluding(Protocol):
    """A world in which some calls end an episode, and that knows what each would score, which is never observed."""

    def conclusion(self, state: Any, action: Action) -> Conclusion:
        """Of an action, if it were taken now; changes nothing. Which calls end an episode is the same in all states
        before the end, limits of steps apart."""
        ...


@runtime_checkable
class Suggesting(Protocol):
    """A world that knows calls from which much can be learned, for exploration in training."""

    def suggest(self, state: Any) -> Action:
        """Legal: what could be tried now, by what may be unobserved; changes nothing."""
        ...


@runtime_checkable
class Privileged(Protocol):
    """A world that knows what no observation tells, for regret and for critics."""

    def value(self, state: Any, action: Action) -> torch.Tensor:
        """float32 B: the score expected of an action, taken now; where it only leads to a score, of what it decides.

        The mean over what is still to be drawn, so that regret, ``optimum - value``, is free of the noise of draws.
        """
        ...

    def optimum(self, state: Any) -> torch.Tensor:
        """float32 B: the largest value of any action."""
        ...


@dataclass(frozen=True)
class Episodes:
    """The time-major record of a rollout, a demonstration, a support set or a replay sample: T steps of B instances.

    Attributes:
        seen: T + 1 observations: before each action, and after the last one.
        actions: T of them; None where nothing was done, as in a set of examples.
        scores: by name, T × B: after each action (:class:`Scored`).
        live_TB: bool, whether the instance still went on when it acted; what follows an end counts for nothing.
        ended_TB: bool, whether it came to a true end by this action. A stretch that is cut ends nothing.
        row_BP: the row of each instance, where a learner acted.
        extras: what else was noted, by name, T × B × … (log-likelihoods, values, privileged ones …).
        first_step: how many steps lie before these.
    """

    seen: Sequence[Observation]
    actions: Sequence[Action] | None
    scores: Mapping[str, torch.Tensor]
    live_TB: torch.Tensor
    ended_TB: torch.Tensor
    row_BP: torch.Tensor | None = None
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)
    first_step: int = 0

    def __post_init__(self) -> None:
        shape = tuple(self.live_TB.shape)
        if len(self.seen) != shape[0] + 1 or (self.actions is not None and len(self.actions) != shape[0]):
            raise ValueError(f"episodes of {shape[0]} steps have one observation more, here are {len(self.seen)}")
        for name, score_TB in {**self.scores, "ended": self.ended_TB}.items():
            if tuple(score_TB.shape) != shape:
                raise ValueError(f"episodes of {shape[0]} steps and {shape[1]} instances: {name} has another shape")

    @property
    def steps(self) -> int:
        return len(self.live_TB)

    @property
    def batch(self) -> int:
        return self.live_TB.shape[1]


@runtime_checkable
class Demonstrated(Protocol):
    """A world that can show how a task is done."""

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """One demonstration a layout; those that are shorter than others are not live behind their ends."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A world whose ragged channels have at most so many lines, by name: Gymnasium's boxes have a fixed size."""

    @property
    def longest(self) -> Mapping[str, int]: ...


@runtime_checkable
class Aimed(Protocol):
    """A world whose observations say where it should go: a person can be shown what it would look like there."""

    def goal(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """obs_BF, int64, as they would be where each instance should end."""
        ...


@runtime_checkable
class Hosted(Protocol):
    """A world whose acts the host carries out, instance by instance: no graph can hold them."""

    hosted: Literal[True]


@runtime_checkable
class Audible(Protocol):
    """A world in which something is said, to be heard."""

    def heard(self, state: Any, instance: int = 0) -> Any:
        """What was said in one instance (:class:`envs.speech.reading.Speech`); None where nothing was."""
        ...


@runtime_checkable
class Drawn(Protocol):
    """A world that can be drawn as text."""

    def draw(self, state: Any, instance: int = 0, *, width: int = 100) -> str:
        """One instance for people, in lines of about ``width`` characters."""
        ...


class World(Protocol[S]):
    """A kind of world, configured. Implementations are final classes; wrap instead of overriding."""

    spec: WorldSpec

    def reset(self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu") -> S:
        """States in which the parts named in the layouts hold the given symbols, one instance a layout.

        Raises ``ValueError`` that names the instance, the part and the symbol for a layout that does not fit, and for
        given data that are no channel of an episode (:func:`check_given`).
        """
        ...

    def observe(self, state: S) -> Observation:
        """fields_BF, int64, each column within its field, and the channels. Changes nothing."""
        ...

    def act(self, state: S, action: Action, active_B: torch.Tensor) -> None:
        """Perform calls of primitives in place on the instances where ``active_B`` (bool) is true.

        Rows where ``active_B`` is false are ignored and may hold anything. A call outside the primitive's
        signature leaves its instance unchanged and is reported by :meth:`legal`, which the machine asks first.
        """
        ...

    def prepare(self, state: S, acts: int) -> bool:
        """Make room for so many acts: they then change the state's tensors in place, whatever they are, and need
        nothing of the host. True where a tensor was replaced. On a GPU those acts can be captured in a graph.
        """
        ...

    def legal(self, action: Action) -> torch.Tensor:
        """bool B: true where the row is a call of a primitive with arguments that it can carry out."""
        ...

    def read(self, state: S) -> list[dict[str, list[int]]]:
        """What a person finds in each instance: part name → symbols (indices), for results and drawings.

        A pad gives each row's content without the blanks around it, and for each pointer ``P`` the parts
        ``"under(P)"`` (one symbol) and ``"at(P)"`` (its column in the input).
        """
        ...

    def close(self, state: S) -> None:
        """Give back what a state holds outside of memory, such as processes; it is not used again."""
        ...


def check_given(spec: WorldSpec, given: Given | None, batch: int) -> None:
    """Raise ``ValueError`` for data that are no channel of an episode, or not those of so many instances."""
    known = [channel.name for channel in spec.channels if channel.per == "episode"]
    for name, data in (given or {}).items():
        if name not in known:
            can = f"it can be given {', '.join(known)}" if known else "nothing of the kind can be given to it"
            raise ValueError(f"world {spec.name} has no channel of an episode {name!r}; {can}")
        if len(data) != batch:
            raise ValueError(f"world {spec.name}: {name} is given for {len(data)} instances, and there are {batch}")
