"""Omniglot's alphabets and generated ones, as training and tests take them.

Shape legend: ``N`` drawings, ``S`` pixels of a side, ``W`` ways, ``M`` drawings of each class in a batch, ``Q``
queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from envs.images.alphabets import StrokesConfig
from envs.images.drawings import Drawings
from envs.images.strokes import strokes

TEST = ("Bengali", "Futurama", "Gujarati", "Hebrew", "Sanskrit")
VALIDATION = ("Armenian", "Burmese_(Myanmar)", "Grantha", "N_Ko")
PIXELS = 64
"""S: what networks see is smaller; see there."""

EPISODES = 100
"""Test episodes of each alphabet; each asks for every class of it once."""

TEST_SEED = 99


@dataclass(frozen=True)
class Alphabet:
    """Drawings of one alphabet, float32 (ink is bright, 0 to 1), and the places of those of each class."""

    name: str
    drawing_NSS: torch.Tensor
    classes: tuple[torch.Tensor, ...]

    def episode(self, ways: int, drawings: int, generator: torch.Generator) -> torch.Tensor:
        """place_WM: some drawings of some classes; of all where there are fewer."""
        chosen = torch.randperm(len(self.classes), generator=generator)[:ways].tolist()
        return torch.stack([
            places[torch.randperm(len(places), generator=generator)[:drawings]]
            for places in (self.classes[number] for number in chosen)
        ])  # fmt: skip


def alphabets(drawings: Drawings, names: Sequence[str]) -> list[Alphabet]:
    """Those named, in that order."""
    found = []
    for name in names:
        own = drawings.select(groups=[name])
        classes = tuple(torch.from_numpy(own.of_class(number)) for number in range(own.classes))
        found.append(Alphabet(name, torch.from_numpy(own.picture_NSS).float() / 255, classes))
    return found


def together(test: Sequence[Alphabet]) -> Alphabet:
    """All classes of several alphabets as one."""
    first, classes = 0, list[torch.Tensor]()
    for alphabet in test:
        classes += [places + first for places in alphabet.classes]
        first += len(alphabet.drawing_NSS)
    return Alphabet("all", torch.cat([alphabet.drawing_NSS for alphabet in test]), tuple(classes))


@dataclass
class Known:
    """Alphabets that training draws from; larger ones more often, by the square root of their classes.

    Attributes:
        rows: how many alphabets have a row of their own.
    """

    alphabets: Sequence[Alphabet]

    @property
    def rows(self) -> int:
        return len(self.alphabets)

    def draw(self, generator: torch.Generator) -> tuple[int, Alphabet]:
        """An alphabet, and the number of its row."""
        share_A = torch.tensor([float(len(alphabet.classes)) for alphabet in self.alphabets]).sqrt()
        which = int(torch.multinomial(share_A, 1, generator=generator))
        return which, self.alphabets[which]


@dataclass
class Generated:
    """Generated alphabets, a new one in place of the oldest of ``kept`` with every fourth draw; all have one row.

    Attributes:
        renewed: whether there are new ones; else those of the beginning are all.
        first: the seed of the first alphabet; those of the engine's own data set are made from seed 0.
    """

    config: StrokesConfig = field(default_factory=StrokesConfig)
    kept: int = 40
    characters: int = 40
    drawers: int = 4
    renewed: bool = True
    first: int = 1_000_000
    rows: int = 1
    pool: list[Alphabet] = field(default_factory=list)
    drawn: int = 0

    def draw(self, generator: torch.Generator) -> tuple[int, Alphabet]:
        """An alphabet, and the number of its row, 0."""
        while len(self.pool) < self.kept:
            self.pool.append(self._alphabet(len(self.pool)))
        if self.renewed and self.drawn % 4 == 3:
            number = self.kept + self.drawn // 4
            self.pool[number % self.kept] = self._alphabet(number)
        self.drawn += 1
        return 0, self.pool[int(torch.randint(self.kept, (), generator=generator))]

    def _alphabet(self, number: int) -> Alphabet:
        made = strokes(
            PIXELS, alphabets=1, characters=self.characters, drawers=self.drawers, seed=self.first + number,
            config=self.config,
        )  # fmt: skip
        return alphabets(made, made.group_names)[0]


Source = Known | Generated
"""Where training has its alphabets."""

Answer = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From the places of a support set (W × shots) and of queries: the class that each query is said to be of."""


def error(alphabet: Alphabet, answer: Answer, *, ways: int, shots: int, episodes: int = EPISODES) -> float:
    """The share of wrong answers in %, each class asked for once in each episode."""
    generator, wrong, asked = torch.Generator().manual_seed(TEST_SEED), 0, 0
    for _ in range(episodes):
        place_WM = alphabet.episode(ways, shots + 1, generator)
        said_Q = answer(place_WM[:, :-1], place_WM[:, -1])
        wrong += int((said_Q != torch.arange(len(place_WM))).sum())
        asked += len(place_WM)
    return 100 * wrong / asked


def by_pictures(alphabet: Alphabet, nearest: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer:
    """Answers by the nearest picture."""

    def answer(support_W1: torch.Tensor, query_Q: torch.Tensor) -> torch.Tensor:
        picture_NSS = alphabet.drawing_NSS.numpy()
        return torch.from_numpy(nearest(picture_NSS[support_W1[:, 0]], picture_NSS[query_Q]))

    return answer
