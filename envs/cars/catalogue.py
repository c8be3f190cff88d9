"""Collections of cars that are named, not stored: seed, split and number say which car it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.cars.mesh import Mesh
from envs.cars.shapes import mesh
from envs.cars.styles import STYLES, Car, check_style, draw_car

SPLITS = ("seen", "unseen", "novel")
"""``seen``: to learn from. ``unseen``: other cars of the same styles. ``novel``: cars of styles that are held out."""

MAX_SEED = 2**31
"""Seeds and numbers lie below."""


@dataclass(frozen=True)
class Collection:
    """Endless rows of cars, one for each split; the same seed has the same cars.

    The random numbers of a car are seeded by (seed, split, number), so no two splits or numbers share them.
    ``held_out`` are the styles of ``novel``, which ``seen`` and ``unseen`` do not have.
    """

    seed: int = 0
    held_out: tuple[str, ...] = ("coupe", "pickup")

    def __post_init__(self) -> None:
        if not 0 <= self.seed < MAX_SEED:
            raise ValueError(f"the seed is {self.seed}; it has to be 0 to {MAX_SEED - 1}")
        for style in self.held_out:
            check_style(style)
        if len(set(self.held_out)) != len(self.held_out):
            raise ValueError(f"a held-out style is named twice: {', '.join(self.held_out)}")
        if len(self.held_out) == len(STYLES):
            raise ValueError("all styles are held out; leave one at least")

    def styles(self, split: str) -> tuple[str, ...]:
        """The styles of a split; car ``n`` is of style ``n % len(styles)``."""
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
        return tuple(style for style in STYLES if (style in self.held_out) == (split == "novel"))

    def car(self, split: str, number: int) -> Car:
        """Car ``number`` of a split, from 0."""
        styles = self.styles(split)
        if not styles:
            raise ValueError("no style is held out, so there are no novel cars; name some in held_out")
        if not 0 <= number < MAX_SEED:
            raise ValueError(f"the number of a car is {number}; it has to be 0 to {MAX_SEED - 1}")
        generator = np.random.default_rng([self.seed, SPLITS.index(split), number])
        return draw_car(styles[number % len(styles)], generator)

    def mesh(self, split: str, number: int) -> Mesh:
        """The surface of car ``number`` of a split."""
        return mesh(self.car(split, number))
