"""The plug that teacher, core, table and test script share.

One step of one frame, for a batch (NPI section 3, equations 1–4): what is observed, which program runs with which
arguments, and the frame's hidden state go in; an action (or a return) and the next hidden state come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol

from envs.support.counter_rng import mixed, mixed_on
from envs.support.lazy_torch import torch


class Ragged(NamedTuple):
    """A channel whose length differs from instance to instance: padded_BLX, and lengths_B (int64)."""

    padded_BLX: torch.Tensor
    lengths_B: torch.Tensor


Channels = Mapping[str, "torch.Tensor | Ragged"]
"""Real tensors by the name of their channel, B first."""

NO_CHANNELS: Channels = MappingProxyType({})


class LazyChannels(Mapping[str, "torch.Tensor | Ragged"]):
    """Channels that are computed, by name, when they are first read: what nobody reads costs nothing."""

    def __init__(self, compute: Mapping[str, Callable[[], torch.Tensor | Ragged]]) -> None:
        self._compute = compute
        self._held: dict[str, torch.Tensor | Ragged] = {}

    def __getitem__(self, name: str) -> torch.Tensor | Ragged:
        if name not in self._held:
            self._held[name] = self._compute[name]()
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._compute)

    def __len__(self) -> int:
        return len(self._compute)


class Observation(NamedTuple):
    """What a world shows: fields_BF (int64), and its channels by name."""

    fields_BF: torch.Tensor
    channels: Channels = NO_CHANNELS

    def select(self, index_B: torch.Tensor) -> Observation:
        """Of the instances named, in that order; lazy channels stay lazy."""
        compute = {name: partial(_selected, self.channels, name, index_B) for name in self.channels}
        lazy = isinstance(self.channels, LazyChannels)
        chosen: Channels = LazyChannels(compute) if lazy else {name: find() for name, find in compute.items()}
        return Observation(self.fields_BF[index_B], chosen)


def _selected(channels: Channels, name: str, index_B: torch.Tensor) -> torch.Tensor | Ragged:
    held = channels[name]
    return Ragged(*(part[index_B] for part in held)) if isinstance(held, Ragged) else held[index_B]


class Action(NamedTuple):
    """call_B4 (int64: callee or RETURN, three tokens), and what the callee takes beside its tokens.

    ``payload_BX`` (float32) is as wide as the widest payload of the world, flattened; a narrower one fills its front.
    Programs with bodies give none; ``given_B`` (bool) says which instances give one where some do and some do not.
    """

    call_B4: torch.Tensor
    payload_BX: torch.Tensor | None = None
    given_B: torch.Tensor | None = None

    def select(self, index_B: torch.Tensor) -> Action:
        return Action(self.call_B4[index_B], *(None if part is None else part[index_B] for part in self[1:]))


class Decision(NamedTuple):
    """The next action of a frame, or its return, and the frame's next hidden state, hidden_BH."""

    action: Action
    hidden_BH: torch.Tensor

    @property
    def call_B4(self) -> torch.Tensor:
        return self.action.call_B4


class Draw:
    """Counter-based random numbers of one step: a function of (seed, instance, step) alone.

    The same instance has the same numbers alone and in a batch. Numbers that are asked for one after the other differ.

    Args:
        seed: of the run. instance_B: int64, the instances' numbers in it. step: of the run.
    """

    def __init__(self, seed: int, instance_B: torch.Tensor, step: int) -> None:
        self.seed = seed
        self._bits_B = mixed(instance_B, seed, step)
        self._given = 0

    def select(self, index_B: torch.Tensor) -> Draw:
        """The same numbers, of the instances named."""
        found = copy(self)
        found._bits_B = self._bits_B[index_B]
        return found

    def uniform(self, count: int) -> torch.Tensor:
        """float32 B × count, at least 0 and below 1."""
        return (self._next(count).bitwise_and(2**24 - 1)).float() * 2.0**-24

    def normal(self, count: int) -> torch.Tensor:
        """float32 B × count, normally distributed."""
        middle = (self._next(count).bitwise_and(2**52 - 1)).double() * 2.0**-52 + 2.0**-53
        return torch.special.ndtri(middle).float()

    def exponential(self, count: int) -> torch.Tensor:
        """float32 B × count, exponentially distributed with mean 1."""
        return -torch.log1p(-self.uniform(count))

    def _next(self, count: int) -> torch.Tensor:
        place = torch.arange(self._given, self._given + count, device=self._bits_B.device)
        self._given += count
        return mixed_on(self._bits_B[:, None], place)


class Stepper(Protocol):
    """Anything that can decide a frame's next action.

    Attributes:
        width: H, how many numbers a frame carries from step to step. Every frame begins with H zeros (h ← 0).
        dtype: of those numbers; int64 for a teacher or a table, a float type for a network.
    """

    width: int
    dtype: torch.dtype

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """Decide for every instance.

        Args:
            program_B: ids of the table that the stepper was made for.
            ended_B: bool, where the world has come to a true end (:class:`envs.world.Ending`): learned programs return.
                Of joined worlds, B x parts (:meth:`envs.product.Product.ended_parts`).
            draw: of steppers whose actions are random; without it they take the likeliest.
        """
        ...
