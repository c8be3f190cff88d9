"""Agents of bandits: those that count what each arm paid (Thompson sampling, UCB1), and those that know the prior.

Shape legend: ``B`` episodes, ``A`` arms, ``C`` cases of a prior, ``R`` what a pull can pay, ``G`` chances on a
grid.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist

import torch

from envs.episodic.bandit import CASES as PRIOR_CASES
from envs.episodic.bandit import ELEVEN, PAIRS, TARGET_PAYS, prior_case
from envs.spec import WorldSpec
from envs.world import State
from meta.baselines.agent import choices, drawn, largest

GRID = 101
"""Chances of the first of two restless arms that are told apart."""


class Counting(ABC):
    """An agent that counts what each arm paid: wins_BA and losses_BA, float64, where a pull pays 1 or 0.

    Args:
        keep: by how much each count is multiplied before each pull; less than 1 forgets.
    """

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator, keep: float = 1.0) -> None:
        self.spec, self.generator, self.keep, self.arms = spec, generator, keep, choices(spec)
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        self.amount_R = torch.tensor([0.0, *map(float, spec.fields[self.paid].values[1:])], dtype=torch.float64)

    def begin(self, state: State) -> None:
        self.wins_BA = torch.zeros(state.batch, self.arms, dtype=torch.float64, device=state.device)
        self.losses_BA = self.wins_BA.clone()

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """Count what the last pull paid, and choose."""
        last_B1 = obs_BF[:, self.last, None]
        paid_B1 = self.amount_R.to(obs_BF.device)[obs_BF[:, self.paid, None]]
        pulled_B1 = (last_B1 > 0).double()
        at_B1 = (last_B1 - 1).clamp(min=0)
        if self.keep < 1:
            self.wins_BA *= self.keep
            self.losses_BA *= self.keep
        self.wins_BA.scatter_add_(1, at_B1, pulled_B1 * paid_B1)
        self.losses_BA.scatter_add_(1, at_B1, pulled_B1 * (1 - paid_B1))
        return 1 + self.choose(obs_BF)

    @abstractmethod
    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """int64 B: the index of an arm, by the counts."""

    def mirrored(self) -> tuple[torch.Tensor, torch.Tensor]:
        """How often something spoke for the first of two arms whose chances add up to 1, and how often against it."""
        wins_BA, losses_BA = self.wins_BA, self.losses_BA
        return wins_BA[:, 0] + losses_BA[:, 1], losses_BA[:, 0] + wins_BA[:, 1]


class Thompson(Counting):
    """Thompson sampling (1933): pulls each arm as often as it is the best, by what was seen; arms are independent.

    With ``keep`` below 1 what was seen counts less and less, for arms that change (Raj and Kalyani 2017).
    """

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        return beta(1 + self.wins_BA, 1 + self.losses_BA, self.generator).argmax(1)


class MirroredThompson(Counting):
    """Thompson sampling that knows of two arms that their chances add up to 1, the first uniform between 0 and 1."""

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        for_B, against_B = self.mirrored()
        return (beta(1 + for_B, 1 + against_B, self.generator) < 0.5).long()


class MirroredGreedy(Counting):
    """The Bayes-optimal agent where the chances of two arms add up to 1: each pull tells the same about both, so that
    nothing is gained by exploring, and the arm that is better by what was seen is pulled."""

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        return largest(torch.stack(self.mirrored(), 1), self.generator)


class Ucb1(Counting):
    """UCB1 (Auer et al. 2002): the arm with the largest ``mean + sqrt(2 ln t / pulls)``; each arm is pulled first."""

    def choose(self, obs_BF: torch.Tensor) -> torch.Tensor:
        pulls_BA = self.wins_BA + self.losses_BA
        log_B1 = pulls_BA.sum(1, keepdim=True).clamp(min=1).log()
        bound_BA = self.wins_BA / pulls_BA + (2 * log_B1 / pulls_BA).sqrt()
        return largest(torch.where(pulls_BA > 0, bound_BA, math.inf), self.generator)


@dataclass(frozen=True)
class Cases:
    """A prior of finitely many cases, each as likely.

    Attributes:
        likely_CAR: the chance that an arm pays each of what a pull can pay (the values of REWARD behind "none").
        mean_CA: what it pays on average.
    """

    likely_CAR: torch.Tensor
    mean_CA: torch.Tensor


def chances_known(spec: WorldSpec, chance_CA: torch.Tensor) -> Cases:
    """Cases in which each arm pays 1 with a chance."""
    pays = tuple(map(float, spec.fields[spec.field("REWARD")].values[1:]))
    likely_CAR = torch.zeros(*chance_CA.shape, len(pays), dtype=torch.float64)
    likely_CAR[:, :, pays.index(0.0)], likely_CAR[:, :, pays.index(1.0)] = 1 - chance_CA, chance_CA
    return Cases(likely_CAR, chance_CA)


def pair_cases(spec: WorldSpec, family: str) -> Cases:
    """``easy``, ``medium``, ``hard``: either arm is the better one."""
    low = PAIRS[family]
    return chances_known(spec, torch.tensor([[low, 1 - low], [1 - low, low]], dtype=torch.float64))


def drawn_cases(spec: WorldSpec, prior: int) -> Cases:
    """``drawn``: those of a numbered prior."""
    case_C = torch.arange(PRIOR_CASES)
    return chances_known(spec, prior_case(torch.full_like(case_C, prior), case_C, choices(spec)))


def informative_cases(spec: WorldSpec) -> Cases:
    """``informative``: each of ten arms can be the target."""
    pays = torch.tensor(list(map(float, spec.fields[spec.field("REWARD")].values[1:])), dtype=torch.float64)
    mean_CA = torch.full((ELEVEN - 1, ELEVEN), float(spec.config["plain"]), dtype=torch.float64)
    mean_CA[:, -1] = torch.arange(1, ELEVEN) / 10
    mean_CA.fill_diagonal_(TARGET_PAYS)
    nearest_CA = (mean_CA[..., None] - pays).abs().argmin(-1)
    return Cases(torch.nn.functional.one_hot(nearest_CA, len(pays)).double(), mean_CA)


class CaseThompson:
    """Thompson sampling with a true prior of finitely many cases: draws one by what was seen, pulls its best arm."""

    def __init__(self, spec: WorldSpec, cases: Cases, *, generator: torch.Generator) -> None:
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        self.log_ARC = cases.likely_CAR.log().permute(1, 2, 0).contiguous()
        self.best_CA = (cases.mean_CA == cases.mean_CA.max(1, keepdim=True).values).double()
        self.generator = generator

    def begin(self, state: State) -> None:
        shape = state.batch, self.log_ARC.shape[2]
        self.log_BC = torch.zeros(shape, dtype=torch.float64, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        last_B, paid_B = obs_BF[:, self.last], obs_BF[:, self.paid]
        found_BC = self.log_ARC.to(obs_BF.device)[(last_B - 1).clamp(min=0), (paid_B - 1).clamp(min=0)]
        self.log_BC = self.log_BC + torch.where((last_B > 0)[:, None], found_BC, 0.0)
        case_B = drawn(self.log_BC.softmax(1), self.generator)
        return 1 + drawn(self.best_CA.to(obs_BF.device)[case_B], self.generator)


class Asks:
    """The best agent of the eleven arms over five pulls: asks the one that tells, then pulls the target."""

    def __init__(self, spec: WorldSpec) -> None:
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        pays = [0.0, *map(float, spec.fields[self.paid].values[1:])]
        self.target_R = torch.tensor([round(10 * amount) for amount in pays])

    def begin(self, state: State) -> None:
        self.target_B = torch.full((state.batch,), ELEVEN, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        told_B = obs_BF[:, self.last] == ELEVEN
        self.target_B = torch.where(told_B, self.target_R.to(obs_BF.device)[obs_BF[:, self.paid]], self.target_B)
        return self.target_B


class Filtered:
    """The best agent of restless arms, whose chances add up to 1 while the first one walks.

    Keeps how likely each chance of the first arm is by what was seen, and pulls the arm that pays more on average.

    A pull tells the same about both arms and changes neither, so nothing is gained by exploring, and this is the
    Bayes-optimal agent, to the width of the grid.
    """

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        self.chance_G = (torch.arange(GRID) + 0.5) / GRID
        self.moves_GG = walk(float(spec.config["drift"]))
        self.generator = generator

    def begin(self, state: State) -> None:
        self.likely_BG = torch.full((state.batch, GRID), 1 / GRID, device=state.device)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        chance_G, moves_GG = self.chance_G.to(obs_BF.device), self.moves_GG.to(obs_BF.device)
        for_first_B = (obs_BF[:, self.last] == 1) == (obs_BF[:, self.paid] == 2)
        told_BG = torch.where(for_first_B[:, None], chance_G, 1 - chance_G)
        found_BG = (self.likely_BG * told_BG) @ moves_GG
        found_BG = found_BG / found_BG.sum(1, keepdim=True)
        self.likely_BG = torch.where((obs_BF[:, self.last] > 0)[:, None], found_BG, self.likely_BG)
        mean_B = self.likely_BG @ chance_G
        even_B = (mean_B - 0.5).abs() < 1e-6
        return 1 + largest(
            torch.stack([torch.where(even_B, 0.5, mean_B), torch.where(even_B, 0.5, 1 - mean_B)], 1), self.generator
        )


def walk(drift: float) -> torch.Tensor:
    """float32 G×G: how often a chance becomes another in one pull; the walk comes back from 0 and 1."""
    if drift == 0:
        return torch.eye(GRID)
    normal = NormalDist(0, drift)
    edges = [normal.cdf((step - 0.5) / GRID) for step in range(-GRID, GRID + 2)]
    moves_GG = torch.zeros(GRID, GRID, dtype=torch.float64)
    for start in range(GRID):
        for step in range(-GRID, GRID + 1):
            there = start + step
            there = -1 - there if there < 0 else 2 * GRID - 1 - there if there >= GRID else there
            if 0 <= there < GRID:
                moves_GG[start, there] += edges[step + GRID + 1] - edges[step + GRID]
    return (moves_GG / moves_GG.sum(1, keepdim=True)).float()


def beta(for_BA: torch.Tensor, against_BA: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draws from beta distributions, as shares of two gamma ones."""
    one_BA, two_BA = (torch._standard_gamma(part, generator) for part in (for_BA, against_BA))
    return one_BA / (one_BA + two_BA)
