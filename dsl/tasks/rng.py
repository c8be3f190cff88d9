"""Whole numbers at random, from a generator of torch (whose streams training has used from the start) or of numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.support.lazy_torch import torch

Numbers = npt.NDArray[np.int64]


def integers(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator | np.random.Generator) -> Numbers:
    """Numbers from ``low`` up to, not with, ``high``."""
    if isinstance(generator, np.random.Generator):
        return generator.integers(low, high, shape)
    return torch.randint(low, high, shape, generator=generator).numpy()


def shuffled(count: int, generator: torch.Generator | np.random.Generator) -> Numbers:
    """The numbers below ``count`` in random order."""
    if isinstance(generator, np.random.Generator):
        return generator.permutation(count)
    return torch.randperm(count, generator=generator).numpy()
