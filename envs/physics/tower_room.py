"""One tower in a closed room: rigid bodies in the plane, moved by pymunk (the extra ``physics``).

Blocks that are welded are shapes of one body. A tower is asleep until something touches it, so that nothing of it moves
before. A room is a function of what was done in it, to the last bit; so it is copied by doing all of it again.

Lengths are in m, masses in kg, forces in N, times in s; x points to the right and y upwards, and the tower stands on
the middle of the floor, which is at 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pymunk

SIDE, MASS = 0.2, 1.0
"""Of a block."""

SUBSTEP = 0.025
"""Of the simulation (Denil et al. 2017)."""

HALF_WIDTH, HEIGHT, THICK = 2.0, 3.0, 5.0
"""Of the room, and of its walls."""

RADIUS, FIST_MASS = 0.08, 1.0
"""Of the fist."""

SLOP = 0.001
"""By how much bodies that touch overlap, from the beginning on."""

REST = 0.5
"""For which bodies lie still before they fall asleep."""

ITERATIONS = 20
"""Of the solver, in each step of the simulation."""

FLOOR_FRICTION = 0.5
"""As a share of that of blocks."""

WALLS = (
    ((-HALF_WIDTH - THICK, -THICK), (HALF_WIDTH + THICK, -THICK)),
    ((-HALF_WIDTH - THICK, HEIGHT + THICK), (HALF_WIDTH + THICK, HEIGHT + THICK)),
    ((-HALF_WIDTH - THICK, -THICK), (-HALF_WIDTH - THICK, HEIGHT + THICK)),
    ((HALF_WIDTH + THICK, -THICK), (HALF_WIDTH + THICK, HEIGHT + THICK)),
)
"""Middle lines of floor, ceiling and walls."""


class Laws(NamedTuple):
    """What holds in a room: gravity (m/s²), the friction between two blocks, and the most force of the fist (N)."""

    gravity: float
    friction: float
    strength: float


class Plan(NamedTuple):
    """How a tower stands.

    Attributes:
        body: of each block from below, numbered from 0. offset: of each block's middle from the middle line.
        fist: where the fist is; None: there is none.
    """

    body: tuple[int, ...]
    offset: tuple[float, ...]
    fist: tuple[float, float] | None


class Push(NamedTuple):
    """What acts for some steps of the simulation: a force on the middle of a block, from 0 (−1: none), and the velocity
    that the fist is to have."""

    substeps: int
    block: int = -1
    force: tuple[float, float] = (0.0, 0.0)
    velocity: tuple[float, float] = (0.0, 0.0)


Pose = tuple[float, float, float]
"""x and y, and the angle in radians, against the clock."""


def block_height(block: int) -> float:
    """Of the middle of a block in a tower, from 0."""
    return (SIDE - SLOP) * (block + 0.5) - SLOP / 2


class Room:
    """A room with a tower, as it stands after some pushes."""

    def __init__(self, laws: Laws, plan: Plan, pushes: Iterable[Push] = ()) -> None:
        self.laws, self.plan, self.pushes = laws, plan, list[Push]()
        self.space = pymunk.Space()
        self.space.gravity = 0.0, -laws.gravity
        self.space.collision_slop, self.space.iterations = SLOP, ITERATIONS
        self.space.sleep_time_threshold = REST
        roughness = laws.friction**0.5
        walls = [pymunk.Segment(self.space.static_body, *ends, THICK) for ends in WALLS]
        self.bodies = [pymunk.Body() for _ in range(1 + max(plan.body))]
        self.middles = [(offset, block_height(block)) for block, offset in enumerate(plan.offset)]
        blocks = [_square(self.bodies[body], *middle) for body, middle in zip(plan.body, self.middles, strict=True)]
        for wall in walls:
            wall.friction = FLOOR_FRICTION * roughness
        for block in blocks:
            block.friction = roughness
        self.space.add(*walls, *self.bodies, *blocks)
        first, *others = self.bodies
        first.sleep()
        for body in others:
            body.sleep_with_group(first)
        self.fist = _fist(self.space, plan.fist, roughness) if plan.fist is not None else None
        for push in pushes:
            self.run(push)

    def run(self, push: Push) -> None:
        """So many steps of the simulation."""
        self.pushes.append(push)
        body = self.bodies[self.plan.body[push.block]] if push.block >= 0 else None
        for _ in range(push.substeps):
            if body is not None:
                body.apply_force_at_world_point(push.force, body.local_to_world(self.middles[push.block]))
            if self.fist is not None:
                self.fist.force = self._fist_force(self.fist, push.velocity)
            self.space.step(SUBSTEP)

    def placed(self) -> list[Pose]:
        """Of each block's body: where it has moved to from 0, and its angle."""
        found = [(*body.position, body.angle) for body in self.bodies]
        return [found[number] for number in self.plan.body]

    def fist_place(self) -> tuple[float, float]:
        """Of its middle; (0, 0) where there is none."""
        if self.fist is None:
            return 0.0, 0.0
        x, y = self.fist.position
        return x, y

    def copy(self) -> Room:
        """Another room in which the same was done."""
        return Room(self.laws, self.plan, self.pushes)

    def _fist_force(self, fist: pymunk.Body, velocity: Sequence[float]) -> tuple[float, float]:
        """What brings the fist to a velocity within a step of the simulation, if it is strong enough, and bears it."""
        rises = [FIST_MASS * (wanted - now) / SUBSTEP for wanted, now in zip(velocity, fist.velocity, strict=True)]
        size = (rises[0] ** 2 + rises[1] ** 2) ** 0.5
        share = min(1.0, self.laws.strength / size) if size else 0.0
        return share * rises[0], share * rises[1] + FIST_MASS * self.laws.gravity


def _square(body: pymunk.Body, x: float, y: float) -> pymunk.Poly:
    """A block as a shape of a body."""
    half = SIDE / 2
    corners = [(x + side * half, y + up * half) for side, up in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    block = pymunk.Poly(body, corners)
    block.mass = MASS
    return block


def _fist(space: pymunk.Space, place: tuple[float, float], roughness: float) -> pymunk.Body:
    """A disc that does not turn."""
    body = pymunk.Body(FIST_MASS, float("inf"))
    body.position = place
    disc = pymunk.Circle(body, RADIUS)
    disc.friction = roughness
    space.add(body, disc)
    return body
