"""A critic that says how likely each return is (Bellemare et al. 2017, C51; Barth-Maron et al. 2018, D4PG).

Critics are scaffolding: they train a policy and go with the training.

Shape legend: ``M`` transitions, ``I`` inputs, ``X`` payload, ``P`` parameters of a row, ``A`` atoms.
"""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from envs.stepper import Observation
from meta.mimic.network import FEATURE_SIZE, FORCES, FRAME_SIZE, MimicConfig, Perceptron, inputs
from npi.core.initialisation import seeded_linear

ATOMS = 51
"""Values from 0 to 1 whose probabilities a critic says; returns are scaled so that they lie there."""


@final
class Critic(nn.Module):
    """The distribution of what an act brings, for all programs, which are told apart by their rows."""

    def __init__(self, config: MimicConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        sizes = FEATURE_SIZE + config.frames * FRAME_SIZE + FORCES + config.row
        self.body = Perceptron(sizes, config, generator=generator)
        self.head = seeded_linear(config.units, ATOMS, generator=generator)
        self.register_buffer("atom_A", torch.linspace(0, 1, ATOMS))

    atom_A: torch.Tensor

    def forward(self, row_MP: torch.Tensor, kept: Observation, force_MX: torch.Tensor) -> torch.Tensor:
        """The logarithms of the atoms' probabilities, M × A."""
        out_MA: torch.Tensor = self.head(self.body(torch.cat([inputs(kept), force_MX, row_MP], 1)))
        return out_MA.log_softmax(1)

    def value(self, row_MP: torch.Tensor, kept: Observation, force_MX: torch.Tensor) -> torch.Tensor:
        """The mean return, float32 M."""
        return self(row_MP, kept, force_MX).exp() @ self.atom_A


def projected(later_MA: torch.Tensor, won_M: torch.Tensor, discount_M: torch.Tensor) -> torch.Tensor:
    """Probabilities of ``won + discount · z`` on the atoms, M × A, where those of z are given (C51, algorithm 1).

    What lies between two atoms is shared among them by its distances; what lies beyond the last one is that one's.
    """
    count = later_MA.shape[1]
    atom_A = torch.linspace(0, 1, count, device=later_MA.device)
    place_MA = (won_M[:, None] + discount_M[:, None] * atom_A).clamp(0, 1) * (count - 1)
    low_MA = place_MA.floor().clamp(max=count - 2)
    up_MA = place_MA - low_MA
    index_MA = low_MA.long()
    found_MA = torch.zeros_like(later_MA).scatter_add_(1, index_MA, later_MA * (1 - up_MA))
    return found_MA.scatter_add_(1, index_MA + 1, later_MA * up_MA)
