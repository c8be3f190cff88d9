"""Which blocks of a tower are welded to each other, what can be asked about it, and the right answers.

Shape legend: ``B`` towers, ``N`` blocks, ``W`` ways to weld them, ``Q`` questions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

from envs.support.counter_rng import below
from envs.support.lazy_torch import torch

BLOCKS = 5
"""N."""

BODIES = "bodies"
"""How many rigid bodies the whole tower consists of (Denil et al. 2017)."""

COUNT, WAY = 61, 62
"""What is drawn, as a part of the numbers that are mixed."""


def partitions(blocks: int) -> Iterator[tuple[int, ...]]:
    """The body of each block, for each way to weld them; bodies are numbered from 0 as blocks from below meet them."""
    if blocks == 0:
        yield ()
        return
    for below_it in partitions(blocks - 1):
        for body in range(1 + max(below_it, default=-1) + 1):
            yield (*below_it, body)


@cache
def ways() -> tuple[tuple[int, ...], ...]:
    """W: all ways to weld the blocks, those of fewer bodies first."""
    return tuple(sorted(partitions(BLOCKS), key=lambda way: (max(way), way)))


@cache
def members() -> tuple[tuple[int, ...], ...]:
    """Q: for each question the blocks that it is about, from 0: all of them, then every other group of at least two."""
    return tuple(group for size in range(BLOCKS, 1, -1) for group in itertools.combinations(range(BLOCKS), size))


@cache
def questions() -> tuple[str, ...]:
    """Q: how many bodies there are, and of how many bodies some of the blocks are parts."""
    return tuple(question_of(group) for group in members())


def question_of(group: Sequence[int]) -> str:
    """``bodies among 1 4``; of two blocks the answer is 1 where they are welded to each other, else 2."""
    return BODIES if len(group) == BLOCKS else f"{BODIES} among {' '.join(str(1 + block) for block in group)}"


def drawn_ways(episode_B: torch.Tensor) -> torch.Tensor:
    """int64 B: for each episode an index into :func:`ways`; every number of bodies is as likely, and so is every way
    among those of as many."""
    count_B = below(BLOCKS, episode_B, COUNT)
    way_B = torch.zeros_like(episode_B)
    for count in range(BLOCKS):
        places = [place for place, way in enumerate(ways()) if max(way) == count]
        way_B = torch.where(count_B == count, places[0] + below(len(places), episode_B, WAY), way_B)
    return way_B


@cache
def right_answers() -> torch.Tensor:
    """int64 W × Q: how many bodies the blocks asked about are parts of, less one."""
    return torch.tensor([[len({way[block] for block in group}) - 1 for group in members()] for way in ways()])
