"""Agents of bandits that count what each arm paid: Thompson sampling, UCB1, and those that know the prior.

Shape legend: ``B`` episodes, ``A`` arms, ``C`` cases of a prior, ``R`` what a pull can pay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from envs.episodic.bandit import CASES as PRIOR_CASES
from envs.episodic.bandit import ELEVEN, PAIRS, TARGET_PAYS, prior_case
from envs.spec import WorldSpec
from envs.world import State
from meta.baselines.agent import choices, drawn, largest


class Tally:
    """Counts of what was seen: wins_BA and losses_BA, float64, where a pull pays 1 or 0.

    Args:
        keep: by how much each count is multiplied before each pull; less than 1 forgets.
    """

    def __init__(self, spec: WorldSpec, keep: float = 1.0) -> None:
        self.arms, self.keep = choices(spec), keep
        self.last, self.paid = spec.field("LAST"), spec.field("REWARD")
        self.amount_R = torch.tensor([0.0, *map(float, spec.fields[self.paid].values[1:])], dtype=torch.float64)

    def begin(self, state: State) -> None:
        self.wins_BA = torch.zeros(state.batch, self.arms, dtype=torch.float64, device=state.device)
        self.losses_BA = self.wins_BA.clone()

    def see(self, obs_BF: torch.Tensor) -> None:
        """Count what the last pull paid."""
        last_B1 = obs_BF[:, self.last, None]
        paid_B1 = self.amount_R.to(obs_BF.device)[obs_BF[:, self.paid, None]]
        pulled_B1 = (last_B1 > 0).double()
        at_B1 = (last_B1 - 1).clamp(min=0)
        if self.keep < 1:
            self.wins_BA *= self.keep
            self.losses_BA *= self.keep
        self.wins_BA.scatter_add_(1, at_B1, pulled_B1 * paid_B1)
        self.losses_BA.scatter_add_(1, at_B1, pulled_B1 * (1 - paid_B1))


class Thompson:
    """Thompson sampling (1933): pulls each arm as often as it is the best, by what was seen; arms are independent.

    With ``keep`` below 1 what was seen counts less and less, for arms that change (Raj and Kalyani 2017).
    """

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator, keep: float = 1.0) -> None:
        self.tally, self.generator = Tally(spec, keep), generator

    def begin(self, state: State) -> None:
        self.tally.begin(state)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        self.tally.see(obs_BF)
        return 1 + beta(1 + self.tally.wins_BA, 1 + self.tally.losses_BA, self.generator).argmax(1)


class MirroredThompson:
    """Thompson sampling that knows of two arms that their chances add up to 1, the first uniform between 0 and 1."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.tally, self.generator = Tally(spec), generator

    def begin(self, state: State) -> None:
        self.tally.begin(state)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        self.tally.see(obs_BF)
        for_B, against_B = mirrored(self.tally)
        return 1 + (beta(1 + for_B, 1 + against_B, self.generator) < 0.5).long()


class MirroredGreedy:
    """The Bayes-optimal agent where the chances of two arms add up to 1: each pull tells the same about both, so that
    nothing is gained by exploring, and the arm that is better by what was seen is pulled."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator) -> None:
        self.tally, self.generator = Tally(spec), generator

    def begin(self, state: State) -> None:
        self.tally.begin(state)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        self.tally.see(obs_BF)
        return 1 + largest(torch.stack(mirrored(self.tally), 1), self.generator)


def mirrored(tally: Tally) -> tuple[torch.Tensor, torch.Tensor]:
    """How often something spoke for the first of two arms whose chances add up to 1, and how often against it."""
    wins_BA, losses_BA = tally.wins_BA, tally.losses_BA
    return wins_BA[:, 0] + losses_BA[:, 1], losses_BA[:, 0] + wins_BA[:, 1]


class Ucb1:
    """UCB1 (Auer et al. 2002): the arm with the largest ``mean + sqrt(2 ln t / pulls)``; each arm is pulled first."""

    def __init__(self, spec: WorldSpec, *, generator: torch.Generator, width: float = 2.0) -> None:
        self.tally, self.generator, self.width = Tally(spec), generator, width

    def begin(self, state: State) -> None:
        self.tally.begin(state)

    def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
        self.tally.see(obs_BF)
        pulls_BA = self.tally.wins_BA + self.tally.losses_BA
        log_B1 = pulls_BA.sum(1, keepdim=True).clamp(min=1).log()
        bound_BA = self.tally.wins_BA / pulls_BA + (self.width * log_B1 / pulls_BA).sqrt()
        return 1 + largest(torch.where(pulls_BA > 0, bound_BA, math.inf), self.generator)


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


def beta(for_BA: torch.Tensor, against_BA: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draws from beta distributions, as shares of two gamma ones."""
    one_BA, two_BA = (torch._standard_gamma(part, generator) for part in (for_BA, against_BA))
    return one_BA / (one_BA + two_BA)
