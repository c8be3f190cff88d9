"""A critic that knows in training what no player sees: what each call is worth (Pinto et al. 2018).

What is done does not depend on it, so the expected gradient is the same as with any other critic; but whether arms were
lucky, and which of them are good, is no surprise to it, and far fewer episodes tell what an act changed.

Shape legend: ``K`` steps, ``B`` episodes, ``X`` numbers that the core holds, ``A`` calls to choose from.
"""

from __future__ import annotations

import torch
from torch import nn

from npi.core.initialisation import seeded_linear

UNITS = 64
"""Of each of two layers."""

MOST = 32
"""Calls that are weighed at most: each costs a question to the world at each step."""

SHARP = 5.0
"""By how much gaps are shown larger than they are, so that small ones are told apart."""


class Insight(nn.Module):
    """Values of what the core holds and of what it cannot know; ``ValueError`` for a world of too many calls."""

    def __init__(self, world: str, calls: int, known: int, *, generator: torch.Generator) -> None:
        super().__init__()
        if calls > MOST:
            raise ValueError(
                f"with insight: 1 each call is weighed at each step, at most {MOST} of them, and world {world} has "
                f"{calls}; train with insight: 0"
            )
        self.one = seeded_linear(known + 2 * calls, UNITS, generator=generator)
        self.two = seeded_linear(UNITS, UNITS, generator=generator)
        self.out = seeded_linear(UNITS, 1, generator=generator)

    def forward(self, known_KBX: torch.Tensor, worth_KBA: torch.Tensor) -> torch.Tensor:
        """value_KB: the sum of what acts bring from here on."""
        gap_KBA = worth_KBA - worth_KBA.amax(2, keepdim=True)
        told = torch.cat([known_KBX, worth_KBA, SHARP * gap_KBA], 2)
        return self.out(torch.relu(self.two(torch.relu(self.one(told))))).squeeze(2)


def brought(worth_KBA: torch.Tensor, chosen_KB: torch.Tensor, *, regret: bool) -> torch.Tensor:
    """brought_KB: what each act was worth, which in the mean over what was still to be drawn is its reward; with
    ``regret``, by how much that is less than what the best call was worth."""
    worth_KB = worth_KBA.gather(2, chosen_KB[..., None])[..., 0]
    return worth_KB - worth_KBA.amax(2) if regret else worth_KB
