"""A score beside its control, and how many standard errors lie between them.

Shape legend: ``B`` problems that none was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

ENOUGH = 5.0
"""Standard errors by which a row has to be better than its control."""


@dataclass(frozen=True)
class Comparison:
    """Means over problems.

    Attributes:
        score, control: of a row, and of what its claim is held against.
        error: the standard error of their difference. count: problems of each.
        higher: whether more is better.
    """

    score: float
    control: float
    error: float
    count: int
    higher: bool

    @property
    def multiple(self) -> float:
        """Standard errors by which the score is better than the control; 0 where all scores are alike."""
        better = self.score - self.control if self.higher else self.control - self.score
        return better / self.error if better else 0.0

    @property
    def reached(self) -> bool:
        """Whether that is :data:`ENOUGH`."""
        return self.multiple >= ENOUGH


def paired(score_B: torch.Tensor, control_B: torch.Tensor, *, higher: bool = True) -> Comparison:
    """Of the same problems in the same order: the error is that of the mean of differences."""
    difference_B = score_B.double() - control_B.double()
    return _comparison(score_B, control_B, mean_error(difference_B, _range(difference_B, torch.zeros(1))), higher)


def unpaired(score_B: torch.Tensor, control_B: torch.Tensor, *, higher: bool = True) -> Comparison:
    """Of problems apart: the errors of both means add in squares."""
    span = _range(score_B, control_B)
    error = (mean_error(score_B.double(), span) ** 2 + mean_error(control_B.double(), span) ** 2) ** 0.5
    return _comparison(score_B, control_B, error, higher)


def mean_error(value_B: torch.Tensor, span: float) -> float:
    """The standard error of a mean.

    Where all values are alike, the sample says nothing of its error. So two further values are counted as if seen, one
    half a range above and one half a range below the mean, as in Agresti and Coull's interval for shares (1998).

    Args:
        span: the range of values that can be expected, at least 0; 0 leaves the sample as it is.
    """
    count = len(value_B)
    squares = float(((value_B - value_B.mean()) ** 2).sum()) + 2 * (span / 2) ** 2
    return (squares / (count + 1)) ** 0.5 / count**0.5


def _range(*values: torch.Tensor) -> float:
    every = torch.cat([value.double() for value in values])
    return float(every.max() - every.min())


def _comparison(score_B: torch.Tensor, control_B: torch.Tensor, error: float, higher: bool) -> Comparison:
    return Comparison(float(score_B.double().mean()), float(control_B.double().mean()), error, len(score_B), higher)
