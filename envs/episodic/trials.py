"""What all worlds of trials share: episodes side by side, each with a number; one primitive; layouts and readings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Self, TypeVar

from envs.settings import check_parts
from envs.spec import Field, WorldSpec
from envs.stepper import Action, Observation
from envs.support.lazy_torch import torch
from envs.world import Given, Layout, check_given

EPISODE = Field("EPISODE", tuple(map(str, range(10))))
"""The hidden part that holds an episode's number: decimal digits, the most significant first."""

REWARD: Mapping[str, bool] = MappingProxyType({"reward": True})
"""The scores of a world that rewards."""

MAX_DIGITS = 18
"""Of an episode's number, which is held in 64 bits."""


@dataclass
class EpisodeState:
    """A batch of episodes; every field of it, and of what is made from it, is a tensor with B rows.

    Attributes:
        episode_B: int64, the episodes' numbers.
    """

    episode_B: torch.Tensor

    @property
    def batch(self) -> int:
        return len(self.episode_B)

    @property
    def device(self) -> torch.device:
        return self.episode_B.device

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order."""
        index_B = index_B.to(self.device)
        return type(self)(**{name: part.index_select(0, index_B) for name, part in vars(self).items()})

    def spend(self, acts: int) -> None:
        """What counts acts is a tensor."""


S = TypeVar("S", bound=EpisodeState)


class Trials(ABC, Generic[S]):
    """A world of trials, whose hidden parts alone are laid out, and whose one primitive takes an option or nothing.

    Attributes:
        scores: see :class:`envs.world.Scored`.
    """

    spec: WorldSpec
    scores = REWARD

    def reset(self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu") -> S:
        """Episodes by their hidden parts: ``EPISODE`` as the digits of a number, others as an index.

        Raises ``ValueError`` for a part that cannot be laid out, and for what it cannot hold.
        """
        check_given(self.spec, given, len(layouts))
        for number, layout in enumerate(layouts):
            check_parts(self.spec, number, layout, self.parts)
        rows = [self.laid(number, layout) for number, layout in enumerate(layouts)]
        return self.begun(torch.tensor(rows, dtype=torch.int64, device=device).view(len(rows), len(self.laid(0, {}))))

    @property
    def parts(self) -> tuple[Field, ...]:
        """What can be laid out."""
        return self.spec.hidden

    @abstractmethod
    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """What the layout of an instance says of its hidden parts; ``number`` is for errors."""

    @abstractmethod
    def begun(self, laid_BX: torch.Tensor) -> S:
        """Episodes of which :meth:`laid` says this."""

    @abstractmethod
    def hidden(self, state: S) -> Sequence[tuple[Sequence[int], ...]]:
        """What each instance's hidden parts hold, in the order of the declaration."""

    @abstractmethod
    def observe(self, state: S) -> Observation: ...

    def prepare(self, state: S, acts: int) -> bool:
        """Acts change the state in place, however many there are."""
        return False

    def legal(self, action: Action) -> torch.Tensor:
        call_B4, slots = action.call_B4, self.spec.primitives[0].slots
        low, high = (1, len(slots[0].tokens)) if slots else (0, 0)
        return (call_B4[:, 0] == 0) & (call_B4[:, 1] >= low) & (call_B4[:, 1] <= high) & (call_B4[:, 2:] == 0).all(1)

    def detach(self, state: S) -> None:
        """No score has a graph."""

    def read(self, state: S) -> list[dict[str, list[int]]]:
        names = [field.name for field in self.spec.fields], [part.name for part in self.spec.hidden]
        return [
            {name: [value] for name, value in zip(names[0], seen, strict=True)}
            | {name: list(held) for name, held in zip(names[1], hidden, strict=True)}
            for seen, hidden in zip(self.observe(state).fields_BF.tolist(), self.hidden(state), strict=True)
        ]

    def close(self, state: S) -> None:
        """Nothing is held."""


def episode_number(number: int, layout: Layout, part: str = EPISODE.name) -> int:
    """The number whose digits a layout gives a hidden part; 0 without. ``number`` is the instance's, for errors."""
    laid = list(layout.get(part, [0]))
    if not 1 <= len(laid) <= MAX_DIGITS or not all(0 <= digit < 10 for digit in laid):
        raise ValueError(f"instance {number}: {part} is {laid}; give 1 to {MAX_DIGITS} decimal digits")
    return int("".join(map(str, laid)))


def digits(number: int) -> list[int]:
    """A number as the part :data:`EPISODE` of a layout."""
    return list(map(int, str(number)))


def columns(laid_BX: torch.Tensor) -> list[torch.Tensor]:
    """The columns of a table, each in memory of its own."""
    return [part.contiguous() for part in laid_BX.unbind(1)]
