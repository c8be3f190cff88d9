"""The environments that Gymnasium makes by name, ``gymnasium.make("npi/Bandit-v0")``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium

ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Bandit": {"kind": "bandit", "limit": 100},
        "TwoStep": {"kind": "two_step", "limit": 200},
        "Harlow": {"kind": "harlow", "limit": 6},
        "Blocks": {"kind": "blocks", "limit": 100},
        "Towers": {"kind": "towers", "limit": 150},
        "Optimisee": {"kind": "optimisee", "limit": 100},
        "Reaching": {"kind": "reaching", "limit": 30},
        "Stacking": {"kind": "stacking", "limit": 300},
        "Pen": {"kind": "pen", "limit": 100},
        "PuzzleBox": {"kind": "puzzle_box", "limit": 85},
        "Images": {"kind": "images", "limit": 20},
        "Sines": {"kind": "sines", "limit": 20},
        "BlackBox": {"kind": "black_box", "limit": 100},
        "World": {},
    }
)
"""Worlds that score, by name: the kind, and the steps of an episode. ``World`` takes any ``kind``."""

TASK = "npi/Task-v0"
"""The environment of a task of a program file (:mod:`dsl.gym`)."""


def register_environments() -> None:
    """Register ``npi/…``; once more changes nothing."""
    made = "envs.gym.worlds"
    for name, kwargs in ENVIRONMENTS.items():
        _register(f"npi/{name}-v0", f"{made}:world_environment", f"{made}:world_environments", dict(kwargs))
    _register(TASK, "dsl.gym:task_environment", "dsl.gym:task_environments", {})


def _register(env_id: str, single: str, batch: str, kwargs: dict[str, Any]) -> None:
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, single, vector_entry_point=batch, kwargs=kwargs)
