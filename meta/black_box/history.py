"""What a core remembers of the queries of an episode, as hidden numbers.

Shape legend: ``B`` problems, ``D`` dimensions, ``M`` queries that are remembered, ``N`` so far, ``H`` hidden numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch

SCALARS = 7
"""Numbers of a history that are one of each problem."""


@dataclass(frozen=True)
class History:
    """The queries so far.

    Attributes:
        asked_B1: queries. count_B1: results.
        mean_B1, square_B1: mean of the values, and sum of their squared distances from it.
        best_B1, best_BD: the least value and its point; better_B1: 1 where the last result is the best.
        last_B1, last_BD: the last result's.
        point_BMD, value_BM: of the first M results.
    """

    asked_B1: torch.Tensor
    count_B1: torch.Tensor
    mean_B1: torch.Tensor
    square_B1: torch.Tensor
    best_B1: torch.Tensor
    better_B1: torch.Tensor
    last_B1: torch.Tensor
    best_BD: torch.Tensor
    last_BD: torch.Tensor
    value_BM: torch.Tensor
    point_BMD: torch.Tensor

    @staticmethod
    def width(dimensions: int, room: int) -> int:
        """Hidden numbers of a history."""
        return SCALARS + 2 * dimensions + room * (1 + dimensions)

    @classmethod
    def fresh(cls, problems: int, dimensions: int, room: int) -> Self:
        """Before the first query."""
        return cls.unpacked(torch.zeros(problems, cls.width(dimensions, room)), dimensions, room)

    @classmethod
    def unpacked(cls, hidden_BH: torch.Tensor, dimensions: int, room: int) -> Self:
        D, M = dimensions, room
        parts = list(hidden_BH.split([1] * SCALARS + [D, D, M, M * D], 1))
        parts[-1] = parts[-1].view(len(hidden_BH), M, D)
        return cls(*parts)

    def packed(self) -> torch.Tensor:
        return torch.cat([getattr(self, field.name).flatten(1) for field in fields(self)], 1)

    @property
    def deviation_B1(self) -> torch.Tensor:
        """Standard deviation of the values; 1 while there are none that differ."""
        variance_B1 = self.square_B1 / self.count_B1.clamp(min=1)
        return torch.where(variance_B1 > 0, variance_B1, 1.0).sqrt()

    def told(self, point_BD: torch.Tensor, value_B1: torch.Tensor, returned_B1: torch.Tensor) -> Self:
        """With one more result, where one came. What is remembered has no graph but the last result's."""
        first_B1 = self.count_B1 == 0
        better_B1 = returned_B1 & (first_B1 | (value_B1 < self.best_B1))
        count_B1 = self.count_B1 + returned_B1
        off_B1 = (value_B1 - self.mean_B1) * returned_B1
        mean_B1 = self.mean_B1 + off_B1 / count_B1.clamp(min=1)
        point_BMD, value_BM = self.point_BMD, self.value_BM
        if room := value_BM.shape[1]:
            kept_B1 = returned_B1 & (self.count_B1 < room)
            place_B1 = self.count_B1.long().clamp(max=room - 1)
            place_B1D = place_B1[:, :, None].expand(-1, 1, point_BD.shape[1])
            now_B1 = torch.where(kept_B1, value_B1.detach(), value_BM.gather(1, place_B1))
            now_B1D = torch.where(kept_B1[:, :, None], point_BD.detach()[:, None], point_BMD.gather(1, place_B1D))
            value_BM, point_BMD = value_BM.scatter(1, place_B1, now_B1), point_BMD.scatter(1, place_B1D, now_B1D)
        return replace(
            self,
            count_B1=count_B1,
            mean_B1=mean_B1,
            square_B1=self.square_B1 + off_B1 * (value_B1 - mean_B1),
            best_B1=torch.where(better_B1, value_B1, self.best_B1),
            better_B1=torch.where(returned_B1, better_B1.float(), self.better_B1),
            last_B1=torch.where(returned_B1, value_B1, self.last_B1),
            best_BD=torch.where(better_B1, point_BD, self.best_BD),
            last_BD=torch.where(returned_B1, point_BD, self.last_BD),
            value_BM=value_BM,
            point_BMD=point_BMD,
        )
