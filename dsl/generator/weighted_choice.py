"""What decides while a program is drawn: random numbers, or what a caller puts in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from dsl.tasks.sampling import Random, integers

T = TypeVar("T")

BLOCK = 128
"""Numbers that are drawn together."""


class Chooser(Protocol):
    """Decides between numbered options."""

    def below(self, count: int) -> int:
        """A number from 0 up to, not with, ``count``."""
        ...

    def index(self, weights: Sequence[int]) -> int:
        """A number from 0 up to, not with, ``len(weights)``, as often as its weight says; one of weight 0 never."""
        ...


def pick(chooser: Chooser, options: Sequence[T]) -> T:
    """One of the options; there must be one."""
    return options[chooser.below(len(options))]


def pick_two(chooser: Chooser, options: Sequence[T]) -> tuple[T, T]:
    """Two different ones of the options; there must be two."""
    first = chooser.below(len(options))
    second = (first + 1 + chooser.below(len(options) - 1)) % len(options)
    return options[first], options[second]


def weighted(chooser: Chooser, options: Sequence[tuple[int, T]]) -> T:
    """One of the options, as often as the weight in front of it says."""
    return options[chooser.index([weight for weight, _ in options])][1]


class Dice:
    """Decides at random.

    Args:
        generator: the only source of randomness; numbers are taken from it in blocks of :data:`BLOCK`.
    """

    def __init__(self, generator: Random) -> None:
        self.generator = generator
        self.waiting: list[int] = []

    def below(self, count: int) -> int:
        if not self.waiting:
            self.waiting = integers(0, 2**31, (BLOCK,), self.generator).tolist()
        return self.waiting.pop() % count

    def index(self, weights: Sequence[int]) -> int:
        left = self.below(sum(weights))
        for number, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return number
        raise AssertionError("the weights are whole numbers from 0 on, of which one is more")
