"""Learning to optimise by gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.optimisation.torch_optimizer import LearnedOptimizer

__all__ = [
    "LearnedOptimizer",
]

__getattr__, __dir__ = lazy(__name__)
