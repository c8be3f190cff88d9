"""The settings of towers, and what they declare.

Shape legend: ``N`` blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from envs.episodic.trials import EPISODE
from envs.physics.blocks import DISCOUNTS
from envs.physics.tower_room import SUBSTEP
from envs.physics.welds import BLOCKS, BODIES, questions
from envs.settings import figure, one_of, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec

KIND = "towers"

DIRECT, FIST, VELOCITY = "direct", "fist", "velocity"
"""Forces on blocks; a fist that moves in four directions; one of any velocity."""

STEPS = {DIRECT: 150, FIST: 100, VELOCITY: 100}
"""Of an experiment (Denil et al. 2017)."""

DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, 1.0), "down": (0.0, -1.0)}

NUMBERS = tuple(str(1 + number) for number in range(BLOCKS))

LASTS = {
    DIRECT: (Field("BLOCK", ("none", *NUMBERS)), Field("SIDE", ("none", *DIRECTIONS))),
    FIST: (Field("SIDE", ("none", *DIRECTIONS)),),
    VELOCITY: (),
}
"""What of the last push is observed, by the actuator."""

MOVE, ANSWER, CLEAR = 0, 1, 2
"""The primitives; the first one is ``PUSH`` where forces act on blocks."""

BOUND = 100_000
"""Of observed lengths and angles: 10 m, and 10 radians."""

BELOW, ROOM = "below", "room"
"""In what frame the pose of a block is told: that of the block below it, and that of the room."""


@dataclass(frozen=True)
class TowersConfig:
    """The settings of ``towers(…)`` in a program file.

    Attributes:
        actuator: ``direct``, ``fist`` or ``velocity``. steps: of an experiment; 0: as in the paper, 150 or 100.
        discount, question: of an episode whose layout names none.
        push, lift: forces on a block sideways, and up or down, in N. speed: the largest of the fist, in m/s.
        strength: the largest force of the fist, in N. friction: between blocks; half of it between a block and a wall.
        offset: the largest of a block from the middle line, in m. gravity: in m/s². seconds: of a step.
        frame: in which poses are observed: ``below``, of each block relative to the one below it, or ``room``.
    """

    actuator: str = DIRECT
    steps: int = 0
    discount: float = 0.99
    question: str = BODIES
    push: float = 25.0
    lift: float = 60.0
    speed: float = 1.0
    strength: float = 100.0
    friction: float = 0.36
    offset: float = 0.02
    gravity: float = 9.81
    seconds: float = 0.1
    frame: str = BELOW

    def __post_init__(self) -> None:
        what = "a world of towers"
        one_of(what, "actuator", self.actuator, list(STEPS))
        one_of(what, "discount", figure(self.discount), DISCOUNTS)
        one_of(what, "question", self.question, questions())
        one_of(what, "frame", self.frame, (BELOW, ROOM))
        ranges = {"steps": (0, 1000), "push": (0, 1000), "lift": (0, 1000), "speed": (0.01, 10), "strength": (1, 1000)}
        for key, (low, high) in {**ranges, "friction": (0, 1), "offset": (0, 0.04), "gravity": (0, 100)}.items():
            within(what, key, getattr(self, key), low, high)
        within(what, "seconds", self.seconds, SUBSTEP, 1)
        if not math.isclose(self.substeps * SUBSTEP, self.seconds):
            raise SpecError(f"a step of {self.seconds} s is no multiple of {SUBSTEP} s, the step of the simulation")

    @property
    def limit(self) -> int:
        """Steps of an experiment."""
        return self.steps or STEPS[self.actuator]

    @property
    def substeps(self) -> int:
        """Of the simulation, in a step."""
        return round(self.seconds / SUBSTEP)


def side_token(side: str) -> int:
    """The token of a direction, in worlds that have them."""
    return 1 + BLOCKS + list(DIRECTIONS).index(side)


def _primitive(actuator: str, tokens: Sequence[str]) -> Signature:
    """What moves things."""
    blocks, sides = (tuple(tokens.index(name) for name in names) for names in (NUMBERS, DIRECTIONS))
    if actuator == DIRECT:
        return Signature("PUSH", (Slot("block", blocks), Slot("side", sides)), "Push the middle of a block for a step")
    if actuator == FIST:
        return Signature("MOVE", (Slot("side", sides),), "Move the fist for a step")
    payload = Channel("velocity", (2,), low=-1, high=1, unit="of the largest speed")
    return Signature("MOVE", (), "Move the fist for a step, with a velocity to the right and upwards", payload)


def declaration(name: str, config: TowersConfig) -> WorldSpec:
    tokens = (NONE, *NUMBERS, *(DIRECTIONS if config.actuator != VELOCITY else ()))
    if config.actuator == VELOCITY:
        primitive = _primitive(VELOCITY, (*tokens, *DIRECTIONS))
    else:
        primitive = _primitive(config.actuator, tokens)
    numbers = (Slot("number", tuple(map(tokens.index, NUMBERS))),)
    fist = (Channel("fist", (2,), low=-BOUND, high=BOUND, unit="0.1 mm"),) if config.actuator != DIRECT else ()
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("ANSWERED", ("none", *NUMBERS)), *LASTS[config.actuator]),
        tokens=tokens,
        primitives=(
            primitive,
            Signature("ANSWER", numbers, "Answer the question, which ends the experiment"),
            Signature("CLEAR", (), "Stack the tower anew and forget the answer, for another question", setup=True),
        ),
        channels=(
            Channel("stood", (BLOCKS,), low=-BOUND, high=BOUND, unit="0.1 mm", per="episode"),
            Channel("moved", (BLOCKS, 3), low=-BOUND, high=BOUND, unit="0.1 mm, 0.1 mm, 0.1 mrad"),
            Channel("time", (1,), low=0, high=config.seconds * (config.limit + 1), unit="s"),
            *fist,
        ),
        hidden=(
            EPISODE,
            Field("DISCOUNT", DISCOUNTS),
            Field("QUESTION", questions()),
            Field("BODY", NUMBERS),
            Field("RIGHT", ("0", "1")),
        ),
    )
