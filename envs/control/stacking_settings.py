"""The settings of block stacking, and what it declares.

Shape legend: ``K`` blocks, ``L`` moments of a demonstration.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from envs.control.demonstrations import BODY, OBJECTS, Sizes, channel_of
from envs.control.stacking_hand import CEILING
from envs.control.stacking_skills import SKILL
from envs.control.stacking_tasks import LETTERS, MAX_BLOCKS, MAX_STAGES, SPLIT
from envs.episodic.trials import EPISODE
from envs.settings import one_of, within
from envs.spec import NONE, Channel, Field, Signature, WorldSpec

KIND = "stacking"

TASK = Field("TASK", EPISODE.values)
"""The hidden part that says which task of its split it is, by the decimal digits of its number, counted from 1; 0: one
drawn for the episode."""

DONE, TOWER = Field("DONE", ("no", "yes")), "TOWER"
"""Hidden parts that are read: whether all is done, and the letters of the highest tower, from the table upwards."""

SIZES = Sizes(body=3, object=2, payload=3)
"""A body is the gripper's place and whether it is closed (1, else 0); an object is a block's place."""


@dataclass(frozen=True)
class StackingConfig:
    """The settings of ``stacking(…)`` in a program file.

    Attributes:
        blocks, stages: the most of a task; those with more are left out.
        demonstrations: different ones in training, each of a task in two layouts: the number of an episode counts
            modulo it. Those of other splits are no part of them.
        steps: of a demonstration at most. noise: standard deviation of what the demonstrator's velocity is off by, in
            parts of the full speed.
        shown: whether a demonstration is observed. actions: whether it tells the demonstrator's actions.
    """

    blocks: int = 8
    stages: int = 9
    demonstrations: int = 2000
    steps: int = 300
    noise: float = 0.1
    shown: str = "yes"
    actions: str = "yes"

    def __post_init__(self) -> None:
        within(KIND, "blocks", self.blocks, 2, MAX_BLOCKS)
        within(KIND, "stages", self.stages, 1, MAX_STAGES)
        within(KIND, "demonstrations", self.demonstrations, 1, 5000)
        within(KIND, "steps", self.steps, 1, 1000)
        within(KIND, "noise", self.noise, 0, 1)
        one_of(KIND, "shown", self.shown, ("yes", "no"))
        one_of(KIND, "actions", self.actions, ("yes", "no"))

    @property
    def counts(self) -> Field:
        """The hidden part that says how many stages the task has that is drawn."""
        return Field("STAGES", ("any", *map(str, range(1, self.stages + 1))))

    @property
    def about(self) -> Field:
        """The hidden part that says which block a skill is about."""
        return Field("BLOCK", ("drawn", *LETTERS[: self.blocks]))


def declaration(name: str, config: StackingConfig) -> WorldSpec:
    letters = tuple(LETTERS[: config.blocks])
    shown = (channel_of(SIZES, config.blocks, CEILING),) if config.shown == "yes" else ()
    grip = Channel("motion", (3,), low=-1, high=1)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("HELD", ("none", *letters)),),
        tokens=(NONE, *letters),
        primitives=(Signature("MOVE", (), "Move the gripper for a moment, open or closed", grip),),
        channels=(
            Channel(BODY, (SIZES.body,), low=-CEILING, high=CEILING),
            Channel(OBJECTS, (None, SIZES.object), low=-CEILING, high=CEILING),
            *shown,
        ),
        hidden=(EPISODE, TASK, SPLIT, config.counts, SKILL, config.about, DONE, Field(TOWER, letters)),
    )
