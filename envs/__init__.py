"""Worlds: what a program acts in, declared as small integers and real tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from envs.conformance import check_world
    from envs.registry import make, register_world, world_kinds
    from envs.scratchpad.world import PadConfig, PadState, PointerConfig, RowConfig, Scratchpad
    from envs.spec import (
        BLANK,
        NONE,
        RETURN,
        SLOTS,
        Channel,
        Field,
        ProgramTable,
        Signature,
        Slot,
        SpecError,
        WorldSpec,
    )
    from envs.stepper import Action, Decision, Draw, Observation, Ragged
    from envs.world import Episodes, Given, Layout, State, World, check_given

__all__ = [
    "BLANK",
    "NONE",
    "RETURN",
    "SLOTS",
    "Action",
    "Channel",
    "Decision",
    "Draw",
    "Episodes",
    "Field",
    "Given",
    "Layout",
    "Observation",
    "PadConfig",
    "PadState",
    "PointerConfig",
    "ProgramTable",
    "Ragged",
    "RowConfig",
    "Scratchpad",
    "Signature",
    "Slot",
    "SpecError",
    "State",
    "World",
    "WorldSpec",
    "check_given",
    "check_world",
    "make",
    "register_world",
    "world_kinds",
]

__getattr__, __dir__ = lazy(__name__)
