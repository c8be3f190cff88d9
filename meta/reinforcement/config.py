"""The shape of a core of meta-reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass

from npi.core.config import SIZE, SWITCH, setting
from npi.learners.interface import LearnerConfig


@dataclass(frozen=True)
class MetaRLConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        hidden: H units, each of which carries two numbers.
        object_memory: 1: alike objects at several places have one encoder, and are recognised; 0: their fields are
            encoded as all others are.
        sums: 1: encoded observations are also added up over the episode, and the sums' logarithms are an input.
        privileged: 1: in training, values are those of a critic that is told the expected reward of each call.
        object_slots: 1: in a world of alike objects each has a recurrent state of ``hidden`` units, with shared weights
            (:mod:`meta.reinforcement.object_slots`); the three settings above are of no use then.
    """

    kind: str = "meta-rl"
    row: int = setting(8, SIZE)
    hidden: int = setting(32, SIZE)
    object_memory: int = setting(1, SWITCH)
    sums: int = setting(0, SWITCH)
    privileged: int = setting(0, SWITCH)
    object_slots: int = setting(0, SWITCH)
