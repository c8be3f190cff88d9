"""Worlds: what a program acts in, declared as small integers and real tensors."""

from envs.episodes import Episodes
from envs.registry import make, register_world, world_kinds
from envs.scratchpad.world import PadConfig, PadState, PointerConfig, RowConfig, Scratchpad
from envs.spec import BLANK, NONE, RETURN, SLOTS, Channel, Field, ProgramTable, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Draw, Observation, Ragged
from envs.world import Given, Layout, State, World, check_given

__all__ = [
    "BLANK",
    "NONE",
    "RETURN",
    "SLOTS",
    "Action",
    "Channel",
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
    "make",
    "register_world",
    "world_kinds",
]
