"""Which agents stand beside a learner, family by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from envs.episodic.bandit import PAIRS, Bandit
from meta.baselines.agent import Agent, Oracle, Random
from meta.baselines.bandits import (
    Asks,
    CaseThompson,
    MirroredGreedy,
    MirroredThompson,
    Thompson,
    Ucb1,
    drawn_cases,
    informative_cases,
    pair_cases,
)
from meta.baselines.bayes_filter import Filtered
from meta.baselines.bayes_optimal import BayesOptimal
from meta.baselines.gittins import FiniteGittins, Gittins

KEEP = 0.98
"""What an agent that forgets keeps of what it counted, at each pull: the best of 0.8 to 0.99 for a drift of 0.05."""

Maker = Callable[[torch.Generator], Agent]
"""Makes an agent whose chance comes from a generator."""


def lineup(world: Bandit, family: str, *, prior: int = 0) -> dict[str, Maker]:
    """Agents by name, for a family of bandits; ``prior`` is the number of one that is ``drawn``.

    What an agent is told of the family stands in its name: Thompson, UCB1 and Gittins take arms for independent.
    """
    spec = world.spec
    found: dict[str, Maker] = {"random": lambda g: Random(spec, generator=g)}
    if family == "informative":
        cases = informative_cases(spec)
        told: Mapping[str, Maker] = {
            "Thompson, true prior": lambda g: CaseThompson(spec, cases, generator=g),
            "best": lambda g: Asks(spec),
        }
        return {**found, **told, "oracle": lambda g: Oracle(world)}
    found |= {
        "UCB1": lambda g: Ucb1(spec, generator=g),
        "Thompson": lambda g: Thompson(spec, generator=g),
        "Gittins": lambda g: Gittins(spec, generator=g),
        "Gittins, finite": lambda g: FiniteGittins(spec, generator=g),
    }
    return {**found, **_told(world, family, prior), "oracle": lambda g: Oracle(world)}


def _told(world: Bandit, family: str, prior: int) -> dict[str, Maker]:
    """Agents that know the family; ``best`` has the least mean regret that is possible."""
    spec = world.spec
    if family == "independent":
        found: dict[str, Maker] = {"Thompson, true prior": lambda g: Thompson(spec, generator=g)}
        return {**found, "best": lambda g: BayesOptimal(spec, generator=g)} if world.config.arms == 2 else found
    if family == "drawn":
        drawn = drawn_cases(spec, prior)
        return {"Thompson, true prior": lambda g: CaseThompson(spec, drawn, generator=g)}
    if family == "restless":
        return {
            "Thompson, forgets": lambda g: Thompson(spec, generator=g, keep=KEEP),
            "best": lambda g: Filtered(spec, generator=g),
        }
    greedy: Maker = lambda g: MirroredGreedy(spec, generator=g)  # noqa: E731
    if family in PAIRS:
        cases = pair_cases(spec, family)
        return {"Thompson, true prior": lambda g: CaseThompson(spec, cases, generator=g), "best": greedy}
    return {"Thompson, true prior": lambda g: MirroredThompson(spec, generator=g), "best": greedy}
