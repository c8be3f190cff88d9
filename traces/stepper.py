"""The plug that teacher, core, table and test script share; it stands in ``envs`` so that ``dsl`` can have it too."""

from __future__ import annotations

from envs.stepper import Attentive, Decision, Stepper

__all__ = ["Attentive", "Decision", "Stepper"]
