"""Chance that is a function: of an episode's number, of what is drawn, and of counters.

No generator has a state, so an episode is the same alone or in a batch, copied or replayed, and a draw costs the host
nothing. Numbers are mixed as in SplitMix64 (Steele, Lea and Flood 2014), in the whole numbers of tensors, so that the
same bits come out on every device.
"""

from __future__ import annotations

from statistics import NormalDist

from envs.support.lazy_torch import torch

GOLDEN = 0x9E3779B97F4A7C15 - 2**64
FIRST, SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
"""SplitMix64's constants, as signed numbers."""

BELL = 4096
"""Parts of equal chance into which the normal distribution is cut."""


def mixed(*parts: torch.Tensor | int) -> torch.Tensor:
    """int64: 64 bits for each combination of whole numbers; of the parts at least the first is a tensor."""
    found, *others = parts
    assert isinstance(found, torch.Tensor)
    return mixed_on(_mix(found + GOLDEN), *others)


def mixed_on(found: torch.Tensor, *parts: torch.Tensor | int) -> torch.Tensor:
    """int64: ``mixed(*before, *parts)``, where ``found`` is ``mixed(*before)``."""
    for part in parts:
        found = _mix((found ^ part) + GOLDEN)
    return found


def uniform(*parts: torch.Tensor | int) -> torch.Tensor:
    """float64, at least 0 and below 1."""
    return share(mixed(*parts))


def share(bits: torch.Tensor) -> torch.Tensor:
    """float64, at least 0 and below 1, of 64 bits."""
    return _right(bits, 11).double() * 2.0**-53


def below(count: int, *parts: torch.Tensor | int) -> torch.Tensor:
    """int64, 0 to ``count - 1``; counts are small beside 2**63."""
    return less(count, mixed(*parts))


def less(count: int, bits: torch.Tensor) -> torch.Tensor:
    """int64, 0 to ``count - 1``, of 64 bits."""
    return _right(bits, 1) % count


def bell() -> torch.Tensor:
    """float64: the middles of :data:`BELL` parts of the normal distribution, for :func:`below` to choose from."""
    normal = NormalDist()
    return torch.tensor([normal.inv_cdf((i + 0.5) / BELL) for i in range(BELL)], dtype=torch.float64)


def _mix(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _right(x, 30)) * FIRST
    x = (x ^ _right(x, 27)) * SECOND
    return x ^ _right(x, 31)


def _right(x: torch.Tensor, places: int) -> torch.Tensor:
    """A shift that brings in zeros."""
    return (x >> places) & ((1 << (64 - places)) - 1)
