"""The networks: encoders, the discrete core and the LSTM core, and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from npi.core.config import CoreConfig, TrainConfig
    from npi.core.initialisation import seeded_conv, seeded_linear

__all__ = [
    "CoreConfig",
    "TrainConfig",
    "seeded_conv",
    "seeded_linear",
]

__getattr__, __dir__ = lazy(__name__)
