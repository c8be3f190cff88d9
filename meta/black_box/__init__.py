"""Learning to optimise without gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.black_box.ask_tell import Searcher
    from meta.black_box.optuna_sampler import NeuralSampler

__all__ = [
    "NeuralSampler",
    "Searcher",
]

__getattr__, __dir__ = lazy(__name__)
