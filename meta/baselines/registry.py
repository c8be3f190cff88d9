"""Which agents stand beside a learner, family by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from envs.episodic.bandit import PAIRS, Bandit
from meta.baselines.agent import Agent, Oracle, Random
from meta.baselines.bandits import (
    Asks,
    CaseThompson,
    Filtered,
    MirroredGreedy,
    MirroredThompson,
    Thompson,
    Ucb1,
    drawn_cases,
    informative_cases,
    pair_cases,
)
from meta.baselines.bayes_optimal import BayesOptimal
from meta.baselines.gittins import FiniteGittins, Gittins

KEEP = 0.98
"""What an agent that forgets keeps of what it counted, at each pull: the best of 0.8 to 0.99 for a drift of 0.05."""

Maker = Callable[[torch.Generator], Agent]
"""Makes an agent whose chance comes from a generator."""


def by(agent: Callable[..., Agent], *told: Any, **more: Any) -> Maker:
    """Makes an agent of what it is told."""
    return lambda generator: agent(*told, generator=generator, **more)


def lineup(world: Bandit, family: str, *, prior: int = 0) -> dict[str, Maker]:
    """Agents by name, for a family of bandits; ``prior`` is the number of one that is ``drawn``.

    What an agent is told of the family stands in its name: Thompson, UCB1 and Gittins take arms for independent.
    """
    spec = world.spec
    independent = {"UCB1": Ucb1, "Thompson": Thompson, "Gittins": Gittins, "Gittins, finite": FiniteGittins}
    found = {"random": by(Random, spec)}
    if family != "informative":
        found |= {name: by(agent, spec) for name, agent in independent.items()}
    return {**found, **_told(world, family, prior), "oracle": lambda generator: Oracle(world)}


def _told(world: Bandit, family: str, prior: int) -> dict[str, Maker]:
    """Agents that know the family; ``best`` has the least mean regret that is possible."""
    spec, best = world.spec, by(MirroredGreedy, world.spec)
    if family == "informative":
        cases = by(CaseThompson, spec, informative_cases(spec))
        return {"Thompson, true prior": cases, "best": lambda generator: Asks(spec)}
    if family == "independent":
        found = {"Thompson, true prior": by(Thompson, spec)}
        return {**found, "best": by(BayesOptimal, spec)} if world.config.arms == 2 else found
    if family == "drawn":
        return {"Thompson, true prior": by(CaseThompson, spec, drawn_cases(spec, prior))}
    if family == "restless":
        return {"Thompson, forgets": by(Thompson, spec, keep=KEEP), "best": by(Filtered, spec)}
    if family in PAIRS:
        return {"Thompson, true prior": by(CaseThompson, spec, pair_cases(spec, family)), "best": best}
    return {"Thompson, true prior": by(MirroredThompson, spec), "best": best}
