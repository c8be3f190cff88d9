"""Families of bandits (Wang et al. 2016, sections 3.1.1 to 3.1.4): how what each arm pays is drawn.

Shape legend: ``B`` instances, ``A`` arms. An arm pays an amount with a chance, and else nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch

FAMILIES = ("independent", "uniform", "easy", "medium", "hard", "restless", "informative", "drawn")
"""In the order of their indices; see docs/learning.md for what each is."""

PAIRS = {"easy": 0.1, "medium": 0.25, "hard": 0.4}
"""Dependent arms: what the worse one of two pays on average; the better one pays the rest to 1."""

TWO_ARMED = ("uniform", *PAIRS, "restless")
"""Families of two arms whose chances add up to 1."""

ELEVEN = 11
"""Arms of the family ``informative``: ten, one of which is the target, and one that tells which."""

TARGET_PAYS = 5.0

CASES = 6
"""Of a prior of the family ``drawn``."""

ARMS, PRIOR = 1, 2
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass
class Arms:
    """chance_BA float64, and amount_BA float32: what a pull pays when it pays."""

    chance_BA: torch.Tensor
    amount_BA: torch.Tensor


def families_of(arms: int) -> tuple[str, ...]:
    """The families that a bandit of so many arms can have."""
    found = [f for f in FAMILIES if (arms == 2 or f not in TWO_ARMED) and (arms == ELEVEN or f != "informative")]
    return tuple(found)


def draw_arms(
    episode_B: torch.Tensor, family_B: torch.Tensor, prior_B: torch.Tensor, *, arms: int, plain: float
) -> Arms:
    """The arms at the beginning of episodes of families (indices into :data:`FAMILIES`)."""
    number_A = torch.arange(arms, device=episode_B.device)
    drawn_BA = uniform(episode_B[:, None], ARMS, number_A)
    chance_BA, amount_BA = drawn_BA.clone(), torch.ones_like(drawn_BA, dtype=torch.float32)
    first_B = drawn_BA[:, 0]

    def put(family: str, chance_B: torch.Tensor) -> None:
        pair_B2 = torch.stack([chance_B, 1 - chance_B], 1)
        chance_BA.copy_(torch.where((family_B == FAMILIES.index(family))[:, None], pair_B2, chance_BA))

    if arms == 2:
        for family in ("uniform", "restless"):
            put(family, first_B)
        for family, low in PAIRS.items():
            put(family, low + (1 - 2 * low) * (first_B >= 0.5).double())
    if arms == ELEVEN:
        told_B1 = (family_B == FAMILIES.index("informative"))[:, None]
        chance_BA = torch.where(told_B1, 1.0, chance_BA)
        amount_BA = torch.where(told_B1, _told(first_B, number_A, plain), amount_BA)
    drawn_B1 = (family_B == FAMILIES.index("drawn"))[:, None]
    case_B = (uniform(episode_B, ARMS, arms) * CASES).long()
    return Arms(torch.where(drawn_B1, prior_case(prior_B, case_B, arms), chance_BA), amount_BA)


def _told(first_B: torch.Tensor, number_A: torch.Tensor, plain: float) -> torch.Tensor:
    """What the eleven arms pay: the target 5, the others ``plain``, the last one a tenth of the target's number."""
    target_B1 = (first_B[:, None] * (ELEVEN - 1)).long()
    tells_BA = torch.where(number_A == ELEVEN - 1, (target_B1 + 1).float() / 10, plain)
    return torch.where(number_A == target_B1, TARGET_PAYS, tells_BA)


def prior_case(prior_B: torch.Tensor, case_B: torch.Tensor, arms: int) -> torch.Tensor:
    """float64 B×A: the chances in one of the :data:`CASES` equally likely cases of a numbered prior."""
    number_A = torch.arange(arms, device=prior_B.device)
    return uniform(prior_B[:, None], PRIOR, case_B[:, None], number_A)
