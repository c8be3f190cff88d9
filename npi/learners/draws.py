"""Random numbers of a training batch, from a generator.

Shape legend: ``B`` instances of this rank's share, of a batch of ``W``.
"""

from __future__ import annotations

import torch


class GeneratorDraw:
    """Implements :class:`npi.learners.interface.Draw`; an instance has the same numbers on any number of ranks.

    Args:
        whole: W. index_B: the places of the instances in the whole batch.
    """

    def __init__(self, generator: torch.Generator, whole: int, index_B: torch.Tensor) -> None:
        self.generator, self.whole = generator, whole
        self.index_B = index_B if len(index_B) < whole else None

    def uniform(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).uniform_(generator=self.generator))

    def normal(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).normal_(generator=self.generator))

    def exponential(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).exponential_(generator=self.generator))

    def _empty(self, count: int) -> torch.Tensor:
        return torch.empty(self.whole, count, device=self.generator.device)

    def _share(self, number_WX: torch.Tensor) -> torch.Tensor:
        return number_WX if self.index_B is None else number_WX[self.index_B]
