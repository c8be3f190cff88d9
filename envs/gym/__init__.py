"""Worlds and tasks as Gymnasium environments: importing this registers ``npi/…`` (docs/gymnasium.md).

Gymnasium is needed for this package alone (``pip install 'npi-engine[gym]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.gym.registration import register_environments
from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from envs.gym.env import WorldEnv
    from envs.gym.vector import WorldVectorEnv

__all__ = ["WorldEnv", "WorldVectorEnv", "register_environments"]

__getattr__, __dir__ = lazy(__name__)

register_environments()
