"""What makes the registered environments of kinds of worlds."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.gym.env import WorldEnv
from envs.gym.interface import Draw
from envs.gym.vector import WorldVectorEnv
from envs.registry import make
from envs.world import Layout, World

MAX_EPISODE = 10**8
"""Episodes have numbers below it."""


def world_environment(kind: str, *, limit: int | None = None, render_mode: str | None = None, **more: Any) -> WorldEnv:
    """A world of a kind as an environment of flat actions.

    Args:
        limit: steps of an episode.
        more: ``layout``, parts that are laid out beside the episode's number, by name; ``pictures``; settings of the
            world, such as ``family="easy"`` of a bandit, by name or as ``settings={...}``.
    """
    world, layout, pictures = _world(kind, more)
    return WorldEnv(world, layout, limit=limit, flat=True, pictures=pictures, render_mode=render_mode)


def world_environments(
    kind: str, num_envs: int, *, limit: int | None = None, render_mode: str | None = None, **more: Any
) -> WorldVectorEnv:
    """The same, ``num_envs`` at once."""
    world, layout, pictures = _world(kind, more)
    return WorldVectorEnv(world, layout, num_envs, limit=limit, flat=True, pictures=pictures, render_mode=render_mode)


def _world(kind: str, more: dict[str, Any]) -> tuple[World[Any], Draw, bool]:
    laid: Layout = more.pop("layout", {})
    pictures = bool(more.pop("pictures", False))
    world = make(kind, kind, {**more.pop("settings", {}), **more})
    numbered = any(part.name == "EPISODE" for part in world.spec.hidden)

    def draw(generator: np.random.Generator) -> Layout:
        number = generator.integers(MAX_EPISODE)
        return {**({"EPISODE": [int(digit) for digit in str(number)]} if numbered else {}), **laid}

    return world, draw, pictures
