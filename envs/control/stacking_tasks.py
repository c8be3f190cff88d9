"""Tasks of block stacking, written as in Duan et al. (2017, section 4): ``ab cde``: a on b, and c on d on e.

A task is built tower by tower as it is written, each from the bottom; a stage is one block put onto another. Tasks are
drawn once and for all, and no two splits have one that comes to the same towers among as many blocks.

Shape legend: ``N`` tasks, ``S`` stages.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from envs.spec import Field
from envs.support.lazy_torch import torch

MAX_BLOCKS = 10

LETTERS = string.ascii_lowercase[:MAX_BLOCKS]

MAX_STAGES = MAX_BLOCKS - 1

USUAL_BLOCKS, MORE_BLOCKS = range(2, 9), range(9, 11)
"""How many blocks there are in scenes of training, and in those that test other counts."""

SPLIT = Field("SPLIT", ("train", "validation", "test", "more"))
"""The hidden part that says of which tasks and layouts an episode's are; ``more``: among 9 or 10 blocks."""

COUNTS = (140, 20, 43, 40)
"""Tasks of each split; 140 and 43 as in the paper."""

SEED = 1703


class StackingTask(NamedTuple):
    """What is to be built (``ab cde``), and how many blocks there are; the others stay where they are."""

    name: str
    blocks: int

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The stages in order: which block is put onto which one."""
        towers = [[LETTERS.index(letter) for letter in tower] for tower in self.name.split()]
        return [pair for tower in towers for pair in list(pairwise(tower))[::-1]]

    @property
    def stages(self) -> int:
        return len(self.pairs)

    @property
    def outcome(self) -> tuple[frozenset[str], int]:
        """The same for tasks that come to the same."""
        return frozenset(self.name.split()), self.blocks


@cache
def split_tasks(split: str) -> tuple[StackingTask, ...]:
    """The tasks of a split, as many of each number of stages as it allows."""
    return _all_tasks()[split]


@cache
def _all_tasks() -> dict[str, tuple[StackingTask, ...]]:
    drawn, known = random.Random(SEED), set[tuple[frozenset[str], int]]()
    found = {}
    for split, count in zip(SPLIT.values, COUNTS, strict=True):
        blocks = MORE_BLOCKS if split == "more" else USUAL_BLOCKS
        found[split] = tuple(_distinct(drawn, blocks, count, known))
    return found


def _distinct(
    drawn: random.Random, blocks: range, count: int, known: set[tuple[frozenset[str], int]]
) -> Iterator[StackingTask]:
    """So many tasks that are not known yet; their numbers of stages go round."""
    for number in range(count):
        stages = 1 + number % (blocks[-1] - 1)
        task = _drawn(drawn, drawn.choice([size for size in blocks if size > stages]), stages)
        while task.outcome in known:
            task = _drawn(drawn, drawn.choice([size for size in blocks if size > stages]), stages)
        known.add(task.outcome)
        yield task


def _drawn(drawn: random.Random, blocks: int, stages: int) -> StackingTask:
    """Letters in any order, cut into as many towers as make so many stages."""
    letters = "".join(drawn.sample(LETTERS[:blocks], blocks))
    cuts = sorted(drawn.sample(range(1, blocks), blocks - stages - 1))
    towers = [letters[a:b] for a, b in zip([0, *cuts], [*cuts, blocks], strict=True)]
    return StackingTask(" ".join(tower for tower in towers if len(tower) > 1), blocks)


class TaskTable(NamedTuple):
    """Tasks as tensors, int64.

    Attributes:
        top_NS, under_NS: blocks of each stage; -1 behind the last one.
        stages_N, blocks_N: how many there are.
    """

    top_NS: torch.Tensor
    under_NS: torch.Tensor
    stages_N: torch.Tensor
    blocks_N: torch.Tensor


def table(tasks: Sequence[StackingTask]) -> TaskTable:
    """Tasks as tensors."""
    padded = [task.pairs + [(-1, -1)] * (MAX_STAGES - task.stages) for task in tasks]
    pairs_NS2 = torch.tensor(padded, dtype=torch.int64).view(len(tasks), MAX_STAGES, 2)
    stages_N, blocks_N = ([getattr(task, part) for task in tasks] for part in ("stages", "blocks"))
    return TaskTable(pairs_NS2[..., 0], pairs_NS2[..., 1], torch.tensor(stages_N), torch.tensor(blocks_N))
