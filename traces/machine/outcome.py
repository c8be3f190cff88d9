"""What a run may use, how it is watched, and how it ended.

Shapes: ``B`` instances still in the batch, ``F`` observation fields, ``K`` steps of a chunk, ``N`` instances that the
run began with.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch

from envs.world import State, World

S = TypeVar("S", bound=State)


class Status(IntEnum):
    """How the run of an instance ended. An overrun is an outcome, not an error."""

    DONE = 0
    """The first program returned."""
    STEPS = 1
    """Still running when the budget of steps was spent."""
    DEPTH = 2
    """A call would have gone deeper than the budget allows."""
    ILLEGAL = 3
    """The stepper made a call that cannot be carried out; see :attr:`Outcome.refused_N4`."""
    ENDLESS = 4
    """It never ends: it came back to what it was (:func:`traces.machine.compiled_kernel.repeats`). Lockstep runs on."""


MAX_STEPS = 10_000_000


@dataclass(frozen=True)
class Budget:
    """What a run may use.

    Attributes:
        steps: decisions of one instance (calls and returns). Where none are given, the inputs say how many
            (:func:`traces.machine.stopped.by_size`), and :data:`MAX_STEPS` where the machine knows no inputs.
        depth: frames on one stack.
        stack_bytes: memory of all stacks together, which is the limit where it allows less than ``depth``.
    """

    steps: int | None = None
    depth: int = 10_000
    stack_bytes: int = 2**31

    def __post_init__(self) -> None:
        if self.most_steps < 1 or self.depth < 1:
            raise ValueError(f"a budget needs at least one step and a depth of one, it has {self.steps}, {self.depth}")

    @property
    def most_steps(self) -> int:
        return MAX_STEPS if self.steps is None else self.steps


class Watcher(Protocol):
    """What a recorder is to the machine."""

    def begin(self, program_N: torch.Tensor, arguments_N3: torch.Tensor) -> None: ...

    def chunk(
        self, origin_B: torch.Tensor, running_KB: torch.Tensor, obs_KBF: torch.Tensor, call_KB4: torch.Tensor
    ) -> None:
        """K more steps; ``origin_B`` names the instances, rows count where ``running_KB`` is true."""
        ...

    def end(self, status_N: torch.Tensor) -> None: ...


class Chunk(NamedTuple):
    """What happened in K steps: where each stack's top was (below ``B``: stopped), what was decided and seen."""

    top_KB: torch.Tensor
    change_KB: torch.Tensor
    call_KB4: torch.Tensor
    obs_KBF: torch.Tensor | None

    @property
    def running_KB(self) -> torch.Tensor:
        return self.top_KB >= self.top_KB.shape[1]


class Stopped(NamedTuple):
    """The stack of an instance that was stopped, the first frame first: frame_D4 (program, arguments), hidden_DH."""

    instance: int
    frame_D4: torch.Tensor
    hidden_DH: torch.Tensor


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """The end of a run; everything but ``parts`` in the order of the instances given.

    Attributes:
        status_N: int64, a :class:`Status` each.
        steps_N: int64, decisions made: calls of programs and primitives, and returns.
        depth_N: int64, the most frames that were on the stack.
        refused_N4: int64, the call that ended an instance of status ILLEGAL; zeros elsewhere.
        parts: final states, each with the indices of its instances (a batch shrinks as instances end).
        stopped: the stack of an instance that took too many steps or frames, or never ends; None where there is none.
    """

    status_N: torch.Tensor
    steps_N: torch.Tensor
    depth_N: torch.Tensor
    refused_N4: torch.Tensor
    parts: tuple[tuple[torch.Tensor, S], ...]
    stopped: Stopped | None = None

    @property
    def state(self) -> S:
        """The final states as one, in order. Raises ``ValueError`` where the batch was shrunk on the way."""
        if len(self.parts) > 1:
            raise ValueError("the batch was shrunk while it ran: use read(world), or run with compact=False")
        return self.parts[0][1]

    def read(self, world: World[S]) -> list[dict[str, list[int]]]:
        """What ``world.read`` finds in each final state, in the order of the instances."""
        readings: list[dict[str, list[int]]] = [{} for _ in range(len(self.status_N))]
        for origin_B, state in self.parts:
            for instance, reading in zip(origin_B.tolist(), world.read(state), strict=True):
                readings[instance] = reading
        return readings
