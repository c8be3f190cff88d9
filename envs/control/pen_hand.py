"""A pen that forces move over a sheet, and a hand that follows a path with it; exact in steps of a tenth of a second.

The pen is a point mass (:mod:`envs.control.point_mass`) with a larger acceleration. A hand that follows a path r knows
the force that keeps the pen on it, and adds what is proportional to how far the pen is off, and how much faster or
slower it is (feed-forward, proportional and derivative control):

    w(t) = (r(t) − r(t − 1)) / DT
    f = [ (w(t + 1) − (1 − DT · DAMPING) w(t)) / DT + STIFFNESS (r(t) − x) + BRAKE (w(t) − v) ] / ACCELERATION

Shape legend: ``B`` instances, ``L`` moments of a path, ``T`` steps; a body is (x, y, vx, vy, pen, clock).
"""

from __future__ import annotations

from typing import NamedTuple

from envs.control.pen_paths import UP, Paths
from envs.control.point_mass import DAMPING, DT, WALL, moved
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch

ACCELERATION = 12.0
"""Of the full force, in units of length a second squared."""

STIFFNESS, BRAKE = 16.0, 6.0
"""Acceleration a unit of length and a unit of speed; with the damping critically damped."""

SIZES = (0.5, 1.0)
"""The longer side of a drawing, in units of length."""

MARGIN = 0.2
"""Between a drawing and the walls."""

SIZE, PLACE = 141, 142
"""What is drawn, as a part of the numbers that are mixed."""


class Course(NamedTuple):
    """What a pen is to draw on its sheet: goal_BL2, and stroke_BL as in :class:`envs.control.pen_paths.Paths`."""

    goal_BL2: torch.Tensor
    stroke_BL: torch.Tensor


class Push(NamedTuple):
    """What is added to velocities, speed_B2, at the step step_B; -1: never."""

    step_B: torch.Tensor
    speed_B2: torch.Tensor


def sheets(seed_B: torch.Tensor, drawn: Paths) -> torch.Tensor:
    """sheet_B3: where the first point of each drawing lies, and how long its longer side is; all of it is inside."""
    axis_2 = torch.arange(2, device=seed_B.device)
    size_B1 = (SIZES[0] + (SIZES[1] - SIZES[0]) * uniform(seed_B[:, None], SIZE, axis_2[:1])).float()
    middle_B2 = (WALL - MARGIN - size_B1 / 2) * (2 * uniform(seed_B[:, None], PLACE, axis_2) - 1).float()
    return torch.cat([middle_B2 - size_B1 * drawn.middle_N2, size_B1], 1)


def course(sheet_B3: torch.Tensor, drawn: Paths) -> Course:
    """A path as it lies on a sheet."""
    return Course(sheet_B3[:, None, :2] + sheet_B3[:, None, 2:] * drawn.place_NL2, drawn.stroke_NL)


def first_body(sheet_B3: torch.Tensor) -> torch.Tensor:
    """body_B6: at rest at the first point, the pen up."""
    return torch.cat([sheet_B3[:, :2], sheet_B3.new_zeros(len(sheet_B3), 4)], 1)


def later(body_B6: torch.Tensor, act_B3: torch.Tensor, share: float) -> torch.Tensor:
    """A step later: pushed by a force, the pen down where the third number is above 0; the clock is ``share`` on."""
    mass_B4 = moved(body_B6[:, :4], act_B3[:, :2], ACCELERATION)
    down_B1 = (act_B3[:, 2:] > 0).to(body_B6.dtype)
    return torch.cat([mass_B4, down_B1, body_B6[:, 5:] + share], 1)


def pushed(body_B6: torch.Tensor, push: Push, step_B: torch.Tensor | int) -> torch.Tensor:
    """With the speed of a push, where there is one at this step."""
    speed_B2 = push.speed_B2 * (push.step_B == step_B)[:, None]
    return torch.cat([body_B6[:, :2], body_B6[:, 2:4] + speed_B2, body_B6[:, 4:]], 1)


class Guide(NamedTuple):
    """What a hand that follows a course knows of each step: the place and the velocity that the pen should have before
    it; ahead_BT2, the acceleration that keeps it on the course; pen_BT1, 1 where it draws, else -1."""

    goal_BT2: torch.Tensor
    speed_BT2: torch.Tensor
    ahead_BT2: torch.Tensor
    pen_BT1: torch.Tensor

    def at(self, step_B: torch.Tensor) -> Guide:
        """Of one step each, without a dimension of steps; behind the end, the last one."""
        row_B = torch.arange(len(step_B), device=step_B.device)
        return Guide(*(part[row_B, step_B.clamp(max=part.shape[1] - 1)] for part in self))


def guide(course: Course) -> Guide:
    """See the head of this file."""
    step_BT2 = course.goal_BL2.diff(dim=1) / DT
    speed_BT2 = torch.cat([torch.zeros_like(step_BT2[:, :1]), step_BT2[:, :-1]], 1)
    ahead_BT2 = (step_BT2 - (1 - DT * DAMPING) * speed_BT2) / DT
    pen_BT1 = torch.where(course.stroke_BL[:, 1:, None] == UP, -1.0, 1.0)
    return Guide(course.goal_BL2[:, :-1], speed_BT2, ahead_BT2, pen_BT1)


def followed(body_B6: torch.Tensor, now: Guide) -> torch.Tensor:
    """act_B3 of a hand that knows this of a step."""
    back_B2 = STIFFNESS * (now.goal_BT2 - body_B6[:, :2]) + BRAKE * (now.speed_BT2 - body_B6[:, 2:4])
    return torch.cat([((now.ahead_BT2 + back_B2) / ACCELERATION).clamp(-1, 1), now.pen_BT1], 1)


def demonstrated(
    sheet_B3: torch.Tensor, course: Course, push: Push | None, off_BT2: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Bodies and acts of a hand whose force is off by so much."""
    bodies, acts, T = [first_body(sheet_B3)], list[torch.Tensor](), off_BT2.shape[1]
    steps = zip(off_BT2.unbind(1), *(part.unbind(1) for part in guide(course)), strict=True)
    for t, (off_B2, *now) in enumerate(steps):
        act_B3 = followed(bodies[-1], Guide(*now))
        acts.append(torch.cat([(act_B3[:, :2] + off_B2).clamp(-1, 1), act_B3[:, 2:]], 1))
        body_B6 = bodies[-1] if push is None else pushed(bodies[-1], push, t)
        bodies.append(later(body_B6, acts[-1], 1 / T))
    return bodies, acts
