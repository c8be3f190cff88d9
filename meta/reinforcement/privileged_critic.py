"""A critic that is told in training what is never observed: the expected reward of each call (Pinto et al. 2018).

The policy does not depend on it, so the expected gradient is the same as with any other critic; but its values have
neither the noise of rewards nor that of which arms are good, and far fewer episodes show what an action changed.

Shape legend: ``K`` steps, ``B`` episodes, ``X`` outputs of the core, ``A`` calls to choose from.
"""

from __future__ import annotations

import torch
from torch import nn

from npi.core.initialisation import seeded_linear

UNITS = 64
"""Of each of two layers."""

MAX_CALLS = 32
"""Each costs a question to the world at each step."""

GAP_SCALE = 5.0
"""Gaps are scaled up, so that small ones are told apart."""


class PrivilegedCritic(nn.Module):
    """Values by the core's outputs and the calls' expected rewards; ``ValueError`` for a world of too many calls."""

    def __init__(self, world: str, calls: int, known: int, *, generator: torch.Generator) -> None:
        super().__init__()
        if calls > MAX_CALLS:
            raise ValueError(
                f"with privileged: 1 a critic is told of at most {MAX_CALLS} calls, and world {world} has {calls}; "
                "train with privileged: 0"
            )
        self.one = seeded_linear(known + 2 * calls, UNITS, generator=generator)
        self.two = seeded_linear(UNITS, UNITS, generator=generator)
        self.out = seeded_linear(UNITS, 1, generator=generator)

    def forward(self, known_KBX: torch.Tensor, call_value_KBA: torch.Tensor) -> torch.Tensor:
        """value_KB: the sum of rewards from here on."""
        gap_KBA = call_value_KBA - call_value_KBA.amax(2, keepdim=True)
        x = torch.cat([known_KBX, call_value_KBA, GAP_SCALE * gap_KBA], 2)
        return self.out(torch.relu(self.two(torch.relu(self.one(x))))).squeeze(2)
