"""Gates: which inputs a row's program sees in each code of the core's state, as masks of bits.

The inputs of a program are its state, the fields of the observation and its argument slots, in this order. The mask of
a code is one or more whole numbers below 2^24, which float32 holds exactly as it holds everything in a row.

Shape legend: ``S`` codes, ``I`` inputs, ``W`` words of a mask.
"""

from __future__ import annotations

import torch

from envs.spec import SLOTS, WorldSpec
from npi.program_memory import GATES


def inputs(spec: WorldSpec) -> int:
    """I: the state, the fields and the slots of a program of this world."""
    return 1 + len(spec.fields) + SLOTS


def words(spec: WorldSpec) -> int:
    """W of a world."""
    return -(-inputs(spec) // GATES)


def masks(seen_SI: torch.Tensor, count: int) -> torch.Tensor:
    """words_SW, W = ``count``, of what is seen (bool) in each code."""
    padded = torch.zeros(len(seen_SI), count * GATES, dtype=torch.float64)
    padded[:, : seen_SI.shape[1]] = seen_SI
    weight = 2.0 ** torch.arange(GATES, dtype=torch.float64)
    return (padded.view(len(seen_SI), count, GATES) * weight).sum(2).to(torch.float32)


def seen(words_BW: torch.Tensor, count: int) -> torch.Tensor:
    """seen_BI, I = ``count``: 1 for an input that is seen, else 0 (int64); any shape ``B``."""
    place = torch.arange(count, device=words_BW.device)
    return (words_BW.to(torch.int64)[..., place // GATES] >> (place % GATES)) & 1
