"""Rows of digits as one number, and back: keys of configurations, and entries of tables with an axis for each read.

The last digit varies fastest, as in numpy's C order. Everything works on Python integers, numpy arrays and tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

MAX_KEYS = 2**62
"""Keys of 64-bit integers are made of digits with fewer combinations than this."""


def strides(sizes: Sequence[int]) -> tuple[int, ...]:
    """How much one step of each digit adds to the number."""
    return tuple(prod(sizes[place + 1 :]) for place in range(len(sizes)))


def number(digits: Iterable[Any], sizes: Iterable[int]) -> Any:
    """The numbers with these digits, one array a place; 0 where there is no digit."""
    found: Any = 0
    for digit, size in zip(digits, sizes, strict=True):
        found = found * size + digit
    return found


def digits(numbers: Any, sizes: Sequence[int]) -> list[Any]:
    """The digits of numbers, one array a place."""
    return [numbers // stride % size for stride, size in zip(strides(sizes), sizes, strict=True)]
