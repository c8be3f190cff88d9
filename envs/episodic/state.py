"""What the states of all worlds of trials share: episodes side by side, each with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from envs.support.lazy_torch import torch


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
