"""The settings of the puzzle box, and what it declares.

Shape legend: ``S`` steps of the task, ``L`` frames of a demonstration.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from envs.episodic.trials import EPISODE
from envs.settings import within
from envs.spec import NONE, Channel, Field, Signature, WorldSpec

KIND = "puzzle_box"

WORLD = "a puzzle box"

STEPS: Final = ("HIT", "PUSH", "TOP", "LIFT", "INSERT", "EXTRACT")
"""What is done to the box, in the order of Horner and Whiten (2005): hit the bolt, push the bolt, tool into the top
hole; lift the door, insert the tool, extract the reward."""

IRRELEVANT = 3
"""The first ones of :data:`STEPS`: the reward does not need them."""

FRAME = 2 + len(STEPS)
"""Numbers of a frame of a demonstration: where the hand is, and how far each step of the task has come."""

HAND, VELOCITY, SITES, BOX, DEMONSTRATION = "hand", "velocity", "sites", "box", "demonstration"
"""The channels."""

STEP, TRANSPARENT = "STEP", "TRANSPARENT"
"""Fields beside :data:`STEPS`: acts so far, and whether one can see into the box."""

FLAG = ("no", "yes")

SPLIT = Field("SPLIT", ("train", "validation", "test"))
"""The hidden part that says of which demonstrations an episode's is; no two splits share any."""

SHOWN = Field("SHOWN", ("yes", "no"))
"""The hidden part that says whether the demonstration is shown."""

WALLS = Field("WALLS", ("any", "opaque", "transparent"))
"""The hidden part that says what the box is made of; any: drawn for the layout."""

GRACE = 5
"""Acts after the end of a demonstration within which an imitation can come to its own."""


@dataclass(frozen=True)
class PuzzleBoxConfig:
    """The settings of ``puzzle_box(…)`` in a program file.

    Attributes:
        demonstrations: different ones in training: the number of an episode counts modulo it. Those for validation and
            for tests are no part of them.
        steps: acts of a demonstration at most.
        speed: of the hand, in its room's half widths an act. response: the share of the difference between its velocity
            and the one that is asked for which an act makes up.
        radius: of a site. dwell: acts in a row that end in a site for its step to be done.
        pace: of the demonstrator, as a share of what the hand can do. tremor: standard deviation of the noise in its
            commands. detours: the share of its ways that lead by another place. shuffled: the share of layouts in which
            irrelevant steps come in any order, anywhere before the reward; in the others they come first.
        lost: acts in a row with a likeness under 0.1 after which an imitation has lost its demonstration, which ends
            it; 0: it goes on.
    """

    demonstrations: int = 500
    steps: int = 80
    speed: float = 0.3
    response: float = 0.8
    radius: float = 0.15
    dwell: int = 2
    pace: float = 0.7
    tremor: float = 0.1
    detours: float = 0.5
    shuffled: float = 0.5
    lost: int = 10

    def __post_init__(self) -> None:
        ranges = {
            "demonstrations": (1, 10**9), "steps": (20, 1000), "speed": (0.01, 0.5), "response": (0.1, 1),
            "radius": (0.02, 0.2), "dwell": (1, 10), "pace": (0.1, 1), "tremor": (0, 1), "detours": (0, 1),
            "shuffled": (0, 1), "lost": (0, 1000),
        }  # fmt: skip
        for key, (low, high) in ranges.items():
            within(WORLD, key, getattr(self, key), low, high)

    @property
    def limit(self) -> int:
        """The largest number of an act that is shown."""
        return self.steps + GRACE


def declaration(name: str, config: PuzzleBoxConfig) -> WorldSpec:
    move = Signature("MOVE", (), "Move the hand for a moment", Channel("velocity", (2,), low=-1, high=1))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            *(Field(step, FLAG) for step in STEPS),
            Field(TRANSPARENT, FLAG),
            Field(STEP, tuple(map(str, range(config.limit + 1)))),
        ),
        tokens=(NONE,),
        primitives=(move,),
        channels=(
            Channel(HAND, (2,), low=-1, high=1),
            Channel(VELOCITY, (2,), low=-config.speed, high=config.speed),
            Channel(SITES, (len(STEPS), 2), low=-2, high=2),
            Channel(BOX, (len(STEPS),), low=0, high=1),
            Channel(DEMONSTRATION, (None, FRAME), low=-1, high=1, per="episode"),
        ),
        hidden=(EPISODE, SPLIT, SHOWN, WALLS),
    )
