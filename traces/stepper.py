"""The plug that teacher, core, table and test script share; it stands in ``envs`` so that ``dsl`` can have it too."""

from __future__ import annotations

from envs.stepper import Action, Decision, Draw, Observation, Stepper

__all__ = ["Action", "Decision", "Draw", "Observation", "Stepper"]
