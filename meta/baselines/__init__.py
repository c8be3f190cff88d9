"""Baseline agents of episodic worlds, from Thompson sampling to the Bayes optimum, and their rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.baselines.agent import rollout
    from meta.baselines.registry import lineup

__all__ = [
    "lineup",
    "rollout",
]

__getattr__, __dir__ = lazy(__name__)
