"""What can be asked about blocks on a table, and the right answers.

Shape legend: ``B`` instances, ``N`` blocks, ``Q`` questions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from envs.support.lazy_torch import torch

HEAVY = "heavy"
"""Which block is the one that was drawn as heavy (Denil et al. 2017)."""

ORDINALS = ("", "second ", "third ", "fourth ", "fifth ")


@dataclass(frozen=True)
class Question:
    """Of the masses of some blocks.

    Attributes:
        name: as program files have it.
        members: the blocks, by index from 0; none of :data:`HEAVY`.
        place: which block has this place by mass, 0 the heaviest; −1: another question.
        of: what place this block has, by index; −1: another question.
    """

    name: str
    members: tuple[int, ...] = ()
    place: int = -1
    of: int = -1


@lru_cache(maxsize=8)
def questions(blocks: int) -> tuple[Question, ...]:
    """All questions about so many blocks, in the order of their indices.

    The heavy one; for each group of at least two blocks which one has each place by mass; and for each block in the
    group its place, which is one more than how many of the group are heavier.
    """
    found = [Question(HEAVY)]
    groups = [members for size in range(blocks, 1, -1) for members in itertools.combinations(range(blocks), size)]
    for members in groups:
        named = "" if len(members) == blocks else f" of {listed(members)}"
        for place in range(len(members)):
            last = place == len(members) - 1
            found.append(Question(("lightest" if last else f"{ORDINALS[place]}heaviest") + named, members, place))
    for members in groups:
        named = "" if len(members) == blocks else f" among {listed(members)}"
        found += [Question(f"place of {of + 1}{named}", members, of=of) for of in members]
    return tuple(found)


def listed(members: Sequence[int]) -> str:
    """Blocks by number: ``1 2 4``."""
    return " ".join(str(1 + member) for member in members)


class RightAnswers:
    """The right answers to the questions about so many blocks, as indices from 0.

    Args:
        device: of the tables, and of what is asked.
    """

    def __init__(self, blocks: int, device: torch.device) -> None:
        asked = questions(blocks)
        member_QN = [[n in question.members for n in range(blocks)] for question in asked]
        self.member_QN = torch.tensor(member_QN, device=device)
        self.place_Q = torch.tensor([question.place for question in asked], device=device)
        self.of_Q = torch.tensor([question.of for question in asked], device=device)

    def __call__(self, question_B: torch.Tensor, mass_BN: torch.Tensor, heavy_B: torch.Tensor) -> torch.Tensor:
        """int64 B; ``heavy_B`` is the block that was drawn as heavy."""
        place_B, of_B = self.place_Q[question_B], self.of_Q[question_B]
        counted_BN = torch.where(self.member_QN[question_B], mass_BN, -torch.inf)
        block_BN = counted_BN.argsort(dim=1, descending=True, stable=True)
        placed_B = block_BN.gather(1, place_B.clamp(min=0)[:, None])[:, 0]
        own_B1 = mass_BN.gather(1, of_B.clamp(min=0)[:, None])
        rank_B = (counted_BN > own_B1).sum(1)
        return torch.where(place_B >= 0, placed_B, torch.where(of_B >= 0, rank_B, heavy_B))
