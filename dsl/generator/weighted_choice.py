"""What decides while a program is drawn: random numbers, or what a caller puts in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from dsl.tasks.rng import integers
from envs.support.lazy_torch import torch

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


class Dice:
    """Decides at random.

    Args:
        generator: the only source of randomness; numbers are taken from it in blocks of :data:`BLOCK`.
    """

    def __init__(self, generator: torch.Generator | np.random.Generator) -> None:
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
