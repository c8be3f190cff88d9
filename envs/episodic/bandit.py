"""Bandits: arms that pay with chances that nobody tells (Wang et al. 2016, section 3.1).

A core sees the last arm, what it paid, and the number of the trial. The number of the episode, its family and its prior
are hidden parts: one world holds them all, so that a core can learn on some and be tried on others. So is what is
wanted, more or less, which turns rewards round but not what is observed; a program is told by an argument.

Shape legend: ``B`` instances, ``A`` arms, ``R`` what a pull can pay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import figure, laid_value, one_of, read_settings, within
from envs.spec import NONE, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import BELL, bell, less, mixed, mixed_on, share, uniform
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "bandit"

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

WANTED = ("more", "less")
"""What an episode can want of its pulls."""

ARMS, PRIOR, PULLS, DRIFTS = 1, 2, 11, 12
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass(frozen=True)
class BanditConfig:
    """The settings of ``bandit(…)`` in a program file.

    Attributes:
        arms: how many.
        family: of an episode whose layout names none; one of :data:`FAMILIES`.
        steps: the largest trial number that is shown.
        drift: of ``restless``: standard deviation of how much a chance changes with each pull.
        plain: of ``informative``: what an arm pays that neither tells nor is the target.
    """

    arms: int = 2
    family: str = "independent"
    steps: int = 100
    drift: float = 0.05
    plain: float = 1.0

    def __post_init__(self) -> None:
        within("a bandit", "arms", self.arms, 2, 1000)
        one_of("a bandit", "family", self.family, FAMILIES)
        within("a bandit", "steps", self.steps, 1, 10_000)
        within("a bandit", "drift", self.drift, 0, 0.5)
        within("a bandit", "plain", self.plain, 0, TARGET_PAYS)
        if self.family not in families_of(self.arms):
            arms = ELEVEN if self.family == "informative" else 2
            raise SpecError(f"the family {self.family} has {arms} arms, and the bandit {self.arms}; write arms: {arms}")


@dataclass
class BanditState(EpisodeState):
    """A batch of episodes.

    Attributes:
        episode_B, family_B, prior_B, wanted_B: int64, what was laid out; indices into ``FAMILIES``, ``WANTED``.
        chance_BA, amount_BA: what each arm pays now (float64, float32).
        trial_B: int64, pulls so far. last_B: the arm of the last one, from 1; 0 before it.
        paid_B: float32, what it paid.
        pulls_B, drifts_B: int64, the episode's number mixed with what is drawn; every pull's luck goes on from there.
    """

    family_B: torch.Tensor
    prior_B: torch.Tensor
    wanted_B: torch.Tensor
    chance_BA: torch.Tensor
    amount_BA: torch.Tensor
    trial_B: torch.Tensor
    last_B: torch.Tensor
    paid_B: torch.Tensor
    pulls_B: torch.Tensor
    drifts_B: torch.Tensor


class Bandit(Trials[BanditState]):
    """The world (implements ``World[BanditState]``, ``Scored``, ``Privileged``); see the head of this file."""

    def __init__(self, name: str, config: BanditConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, BanditConfig) else read_settings(BanditConfig, config, f"a {KIND}")
        self.families = families_of(self.config.arms)
        self.pays = _pays(self.config)
        self.spec = _spec(name, self.config, self.families, self.pays)
        self._tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """``EPISODE`` and ``PRIOR`` are digits, ``FAMILY`` and ``WANTED`` indices."""
        _, family, prior, wanted = self.spec.hidden
        chosen = self.families[laid_value(number, layout, family, self.families.index(self.config.family))]
        told = episode_number(number, layout), episode_number(number, layout, prior.name)
        return told[0], FAMILIES.index(chosen), told[1], laid_value(number, layout, wanted, 0)

    def begun(self, laid_BX: torch.Tensor) -> BanditState:
        return self.begin(*columns(laid_BX))

    def begin(
        self,
        episode_B: torch.Tensor,
        family_B: torch.Tensor,
        prior_B: torch.Tensor,
        wanted_B: torch.Tensor | None = None,
    ) -> BanditState:
        """Episodes by tensors: their numbers, families (indices into ``FAMILIES``), priors; more is wanted, or less."""
        arms = draw_arms(episode_B, family_B, prior_B, arms=self.config.arms, plain=self.config.plain)
        none_B = torch.zeros_like(episode_B)
        drawn = arms.chance_BA, arms.amount_BA
        wanted_B = none_B.clone() if wanted_B is None else wanted_B
        seen = none_B, none_B.clone(), none_B.float()
        begun = mixed(episode_B, PULLS), mixed(episode_B, DRIFTS)
        return BanditState(episode_B, family_B, prior_B, wanted_B, *drawn, *seen, *begun)

    def observe(self, state: BanditState) -> Observation:
        pays_R, _ = self._on(state.device)
        nearest_B = (state.paid_B[:, None] - pays_R).abs().argmin(1)
        paid_B = torch.where(state.last_B > 0, 1 + nearest_B, 0)
        return Observation(torch.stack([state.last_B, paid_B, state.trial_B.clamp(max=self.config.steps)], 1))

    def act(self, state: BanditState, action: Action, active_B: torch.Tensor) -> None:
        pulled_B = active_B & self.legal(action)
        arm_B = torch.where(pulled_B, action.call_B4[:, 1], 1) - 1
        luck_B = share(mixed_on(state.pulls_B, state.trial_B, arm_B))
        chance_B, amount_B = (part.gather(1, arm_B[:, None])[:, 0] for part in (state.chance_BA, state.amount_BA))
        paid_B = torch.where(luck_B < chance_B, amount_B, 0.0)
        self._drift(state, pulled_B)
        state.paid_B.copy_(torch.where(pulled_B, paid_B, state.paid_B))
        state.last_B.copy_(torch.where(pulled_B, arm_B + 1, state.last_B))
        state.trial_B.add_(pulled_B.long())

    def _drift(self, state: BanditState, pulled_B: torch.Tensor) -> None:
        """The first chance of restless arms walks, and comes back from 0 and 1; the second is what is left to 1."""
        if self.config.arms != 2:
            return
        _, bell_N = self._on(state.device)
        step_B = bell_N[less(BELL, mixed_on(state.drifts_B, state.trial_B))] * self.config.drift
        first_B = 1 - (1 - (state.chance_BA[:, 0] + step_B).abs()).abs()
        walks_B1 = (pulled_B & (state.family_B == FAMILIES.index("restless")))[:, None]
        state.chance_BA.copy_(torch.where(walks_B1, torch.stack([first_B, 1 - first_B], 1), state.chance_BA))

    def prepare(self, state: BanditState, acts: int) -> bool:
        self._on(state.device)
        return False

    def score(self, state: BanditState) -> dict[str, torch.Tensor]:
        """What the last pull paid; where less is wanted, what it cost."""
        return {"reward": state.paid_B * (1 - 2 * state.wanted_B)}

    def value(self, state: BanditState, action: Action) -> torch.Tensor:
        """What the arm brings on average; 0 of a call that is none."""
        legal_B = self.legal(action)
        arm_B = torch.where(legal_B, action.call_B4[:, 1], 1) - 1
        return torch.where(legal_B, _values(state).gather(1, arm_B[:, None])[:, 0], 0.0)

    def optimum(self, state: BanditState) -> torch.Tensor:
        return _values(state).max(1).values

    def hidden(self, state: BanditState) -> Sequence[tuple[Sequence[int], ...]]:
        parts = torch.stack([state.episode_B, state.family_B, state.prior_B, state.wanted_B], 1)
        return [
            (digits(episode), [self.families.index(FAMILIES[family])], digits(prior), [wanted])
            for episode, family, prior, wanted in parts.tolist()
        ]

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """pays_R, float32, and the normal distribution's parts, on a device."""
        if device not in self._tables:
            self._tables[device] = torch.tensor(self.pays, device=device), bell().to(device)
        return self._tables[device]


def _values(state: BanditState) -> torch.Tensor:
    return state.chance_BA.float() * state.amount_BA * (1 - 2 * state.wanted_B[:, None])


def _pays(config: BanditConfig) -> tuple[float, ...]:
    """What a pull can pay, ascending."""
    if config.arms != ELEVEN:
        return 0.0, 1.0
    return tuple(sorted({0.0, TARGET_PAYS, config.plain, *(n / 10 for n in range(1, ELEVEN))}))


def _spec(name: str, config: BanditConfig, families: tuple[str, ...], pays: tuple[float, ...]) -> WorldSpec:
    arms = tuple(map(str, range(1, 1 + config.arms)))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("LAST", ("none", *arms)),
            Field("REWARD", ("none", *map(figure, pays))),
            Field("TRIAL", tuple(map(str, range(config.steps + 1)))),
        ),
        tokens=(NONE, *arms, *WANTED),
        primitives=(Signature("PULL", (Slot("arm", tuple(range(1, 1 + config.arms))),), "Pull an arm"),),
        hidden=(EPISODE, Field("FAMILY", families), Field("PRIOR", EPISODE.values), Field("WANTED", WANTED)),
    )


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
