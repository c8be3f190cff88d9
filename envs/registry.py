"""The kinds of worlds that a program file can name.

To add a kind: write a world (``envs/world.py``), check it with ``envs.conformance.check_world``, and add it here with
:func:`register`, or in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from envs.cars import world as cars
from envs.episodic import bandit, harlow, two_step
from envs.objectives import world as objectives
from envs.scratchpad import world as scratchpad
from envs.scratchpad.config import closest
from envs.world import World

Factory = Callable[[str, Mapping[str, Any]], World[Any]]
"""Makes a world from its name and its JSON-able settings."""

KINDS: dict[str, Factory] = {
    scratchpad.KIND: scratchpad.Scratchpad,
    cars.KIND: cars.Cars,
    bandit.KIND: bandit.Bandit,
    two_step.KIND: two_step.TwoStep,
    harlow.KIND: harlow.Harlow,
    objectives.KIND: objectives.Optimisee,
}
"""What ``world NAME is KIND`` can name."""


def make(kind: str, name: str, config: Mapping[str, Any]) -> World[Any]:
    """A world of a kind.

    Raises ``ValueError`` for a kind that is not registered, naming the closest one, and what the world raises for
    settings that it does not take (:class:`envs.spec.SpecError`, which is a ``ValueError``).
    """
    if kind not in KINDS:
        raise ValueError(f"world {name}: there is no kind of world {kind!r}{closest(kind, list(KINDS))}")
    return KINDS[kind](name, config)


def register(kind: str, factory: Factory) -> None:
    """Add a kind; raises ``ValueError`` where another one has its name."""
    if KINDS.setdefault(kind, factory) is not factory:
        raise ValueError(f"a kind of world {kind!r} is registered already; choose another name")
