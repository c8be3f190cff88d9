"""Few-shot learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.few_shot.classifier import FewShotClassifier

__all__ = [
    "FewShotClassifier",
]

__getattr__, __dir__ = lazy(__name__)
