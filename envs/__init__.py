"""Worlds: what a program acts in, declared as small integers."""

from envs.registry import KINDS, make, register
from envs.scratchpad.world import PadConfig, PadState, PointerConfig, RowConfig, Scratchpad
from envs.spec import BLANK, NONE, RETURN, SLOTS, Field, ProgramTable, Signature, Slot, SpecError, WorldSpec
from envs.world import Layout, State, World

__all__ = [
    "BLANK",
    "KINDS",
    "NONE",
    "RETURN",
    "SLOTS",
    "Field",
    "Layout",
    "PadConfig",
    "PadState",
    "PointerConfig",
    "ProgramTable",
    "RowConfig",
    "Scratchpad",
    "Signature",
    "Slot",
    "SpecError",
    "State",
    "World",
    "WorldSpec",
    "make",
    "register",
]
