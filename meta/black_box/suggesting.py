"""What Gaussian processes suggest to a core at a step, and what it reads of that.

Shape legend: ``B`` problems, ``D`` dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from meta.black_box.experience import Experience
from meta.black_box.history import History
from meta.black_box.posterior import Posterior
from meta.black_box.proposals import Suggestions, spread_evenly, suggested

FEWEST = 3
"""Results from which on a Gaussian process is asked."""

MAX_DEVIATIONS = 3.0
"""Values further from the best count as this far, and so do logarithms of improvements, in tens."""


@final
class Kept:
    """What Gaussian processes believe in the course of an episode, all of whose instances have as many results."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.posterior: Posterior | None = None

    def after(self, history: History) -> Posterior:
        """The beliefs with the results that came since the last time."""
        count = min(int(history.count_B1.max()), self.room)
        if self.posterior is None or self.posterior.count > count:
            B, _, D = history.point_BMD.shape
            self.posterior = Posterior(B, D, self.room, device=history.best_BD.device)
        for place in range(self.posterior.count, count):
            self.posterior.add(history.point_BMD[:, place], history.value_BM[:, place])
        return self.posterior

    def suggestions(
        self, row: Experience, history: History, pending: Sequence[torch.Tensor] = ()
    ) -> Suggestions | None:
        """What they suggest; nothing while there are too few results. ``pending``: see :class:`BlackBoxCore`."""
        if int(history.count_B1.max()) < FEWEST:
            return None
        posterior = self.after(history)
        with posterior.supposing(pending[: self.room - posterior.count]):
            return suggested(posterior, history.best_BD.detach(), row)


def suggested_each(row: Experience, history: History, room: int) -> Suggestions:
    """Suggestions where instances have other numbers of results: all of a number are asked together."""
    count_B = history.count_B1[:, 0].clamp(max=room).long()
    even_BD = spread_evenly(history.best_BD.shape[1], history.asked_B1[:, 0].long())
    parts = [part.clone() for part in ahead(None, even_BD)]
    for count in count_B.unique().tolist():
        if count < FEWEST:
            continue
        of_B = count_B == count
        beliefs = Posterior.of(history.point_BMD[of_B, :count], history.value_BM[of_B, :count])
        found = suggested(beliefs, history.best_BD[of_B].detach(), Experience(*(part[of_B] for part in row)))
        for part, new in zip(parts, found, strict=True):
            part[of_B] = new
    return Suggestions(*parts)


def ahead(found: Suggestions | None, even_BD: torch.Tensor) -> Suggestions:
    """Suggestions; where there are none, the next point of the sequence."""
    if found is not None:
        return found
    none_B = torch.zeros_like(even_BD[:, 0])
    return Suggestions(even_BD, even_BD, none_B, none_B, none_B + 1, none_B + 1)


def features(found: Suggestions) -> list[torch.Tensor]:
    """B × 1 each: what is expected, in a range about 1."""
    parts = [(found.log_gain_B / 10).clamp(-MAX_DEVIATIONS, 1), found.fall_B.clamp(-1, MAX_DEVIATIONS),
             found.unsure_B, found.length_B, found.length_B.clamp(min=1e-3).log()]  # fmt: skip
    return [part[:, None] for part in parts]
