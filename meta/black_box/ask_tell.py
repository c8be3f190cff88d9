"""A searcher for any function of the unit cube: ask for a point, evaluate it, tell the value; least wins.

    search = Searcher.open(dimensions=3, seed=0)
    for _ in range(50):
        point = search.ask()
        search.tell(point, function(point))
    search.best

Several workers ask before results return, and tell them in any order. Nothing needs a gradient, and values may have any
scale. Where only some points can be chosen, ``choices`` are these, and each is asked for once.

Shape legend: ``D`` dimensions, ``P`` parameters of a row, ``U`` numbers of a coordinate's state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import torch

from envs.settings import within
from meta.black_box.choices import Choices
from meta.black_box.history import History
from meta.black_box.network import BlackBoxCore
from meta.black_box.suggesting import Kept
from npi.learners.core import LearnerProgramCore
from npi.library.library import Library

SHIPPED = Path(__file__).parent / "shipped"
"""The library that comes with the engine (``benchmarks/learners/shipped_searcher.py`` made it)."""

MAX_DIMENSIONS = 200
"""D of a searcher, at most."""

PLAIN = "plain.SEARCH"
"""Its row of zeros."""

USUAL = PLAIN
"""Its row for functions of which nothing is known."""


@dataclass(frozen=True)
class Result:
    """A point of the unit cube, D numbers, and its value."""

    point: tuple[float, ...]
    value: float


@final
class Searcher:
    """Runs one program of a searcher's core, one problem at a time.

    Args:
        net: the core. row_P: the program's row. dimensions: D.
        seed: swaps and mirrors the cube's axes, so that runs with other seeds ask at other points; None: as they are.
        choices: the points that can be asked for, K × D; a row that was learned from a table is for its own ones, in
            their order, and needs no seed.

    Attributes:
        results: as they were told. pending: points that were asked for and not told yet; they are taken for evaluated,
            with the values that are expected there.
    """

    def __init__(
        self,
        net: BlackBoxCore,
        row_P: torch.Tensor,
        dimensions: int,
        *,
        seed: int | None = None,
        choices: Sequence[Sequence[float]] | None = None,
    ) -> None:
        within("a searcher", "dimensions", dimensions, 1, MAX_DIMENSIONS)
        self._offered = [] if choices is None else [_checked(choice, dimensions) for choice in choices]
        if choices is not None and (seed is not None or not self._offered):
            raise ValueError("choices are at least one point, and are searched without a seed; leave it out")
        self._choices = Choices.of(torch.tensor(self._offered), net.config.components) if self._offered else None
        self.net, self.dimensions, self.results = net, dimensions, list[Result]()
        self._row_1P = row_P.detach()[None]
        self._state_1UD = torch.zeros(1, 2 * net.config.units, dimensions)
        self._history = History.fresh(1, dimensions, net.config.remembered)
        self._kept = Kept(net.config.room)
        self.pending = list[tuple[float, ...]]()
        self._axis_D = torch.arange(dimensions)
        self._mirrored_D = torch.zeros(dimensions, dtype=torch.bool)
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            self._axis_D = torch.randperm(dimensions, generator=generator)
            self._mirrored_D = torch.rand(dimensions, generator=generator) < 0.5

    @classmethod
    def open(
        cls,
        dimensions: int,
        *,
        library: Library | Path | str = SHIPPED,
        program: str = USUAL,
        seed: int | None = None,
        choices: Sequence[Sequence[float]] | None = None,
    ) -> Self:
        """The searcher that a program of a library is.

        Raises ``ValueError`` for a library whose core is no searcher's, and for a program that it does not have.
        """
        library = library if isinstance(library, Library) else Library.open(library)
        core = library.core
        if not isinstance(core, LearnerProgramCore) or not isinstance(core.net, BlackBoxCore):
            raise ValueError('the core of this library is no searcher; train one on programs with core "black-box"')
        index = library.memory.index(program)
        return cls(core.net, library.memory.embeddings_NP[index], dimensions, seed=seed, choices=choices)

    @property
    def best(self) -> Result:
        """The least value so far; ``ValueError`` before the first."""
        if not self.results:
            raise ValueError("no result was told yet; ask for a point, and tell its value")
        return min(self.results, key=lambda result: result.value)

    @torch.no_grad()
    def ask(self) -> tuple[float, ...]:
        """The next point to evaluate, D numbers from 0 to 1; ``ValueError`` where all choices were asked for."""
        waiting = [self._inward(point) for point in self.pending]
        found = self.net.suggestions(self._row_1P, self._history, self._choices, self._kept, waiting)
        next_1D, self._state_1UD, self._history = self.net.propose(self._row_1P, self._state_1UD, self._history, found)
        turned_D = torch.empty_like(next_1D[0])
        turned_D[self._axis_D] = next_1D[0]
        point = self._offer(tuple(torch.where(self._mirrored_D, 1 - turned_D, turned_D).tolist()))
        self.pending.append(point)
        return point

    @torch.no_grad()
    def tell(self, point: Sequence[float], value: float) -> None:
        """The value at a point, asked for or not; ``ValueError`` for one outside the cube, and for no number."""
        told = _checked(point, self.dimensions)
        if not math.isfinite(value):
            raise ValueError(f"the value at a point is a number, not {value}; for a failed one tell a large number")
        if told in self.pending:
            self.pending.remove(told)
        self.results.append(Result(told, float(value)))
        value_11, returned_11 = torch.tensor([[float(value)]]), torch.ones(1, 1, dtype=torch.bool)
        self._history = self._history.told(self._inward(told), value_11, returned_11)

    def _inward(self, point: Sequence[float]) -> torch.Tensor:
        """A point of the function as one of the core, 1 × D."""
        point_D = torch.tensor(point)
        return torch.where(self._mirrored_D, 1 - point_D, point_D)[self._axis_D][None]

    def _offer(self, point: tuple[float, ...]) -> tuple[float, ...]:
        """The point, or of some choices the nearest one that was not asked for."""
        if not self._offered:
            return point
        used = {result.point for result in self.results} | set(self.pending)
        left = [choice for choice in self._offered if choice not in used]
        if not left:
            raise ValueError(f"all {len(self._offered)} choices were asked for")
        return min(left, key=lambda choice: math.dist(choice, point))


def _checked(point: Sequence[float], dimensions: int) -> tuple[float, ...]:
    """A point of the cube, or ``ValueError``."""
    told = tuple(map(float, point))
    if len(told) != dimensions or not all(0 <= x <= 1 for x in told):
        raise ValueError(f"a point has {dimensions} numbers from 0 to 1, not {told}")
    return told
