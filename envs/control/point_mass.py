"""A point mass in the plane that forces move; exact in steps of a tenth of a second.

With the force f (each number between -1 and 1), the velocity v and the position x:

    v ← v + DT · (ACCELERATION · f − DAMPING · v)        x ← x + DT · v

Walls at ±WALL stop it: there x stays, and that part of v is 0.

Shape legend: ``B`` instances; a body is (x, y, vx, vy).
"""

from __future__ import annotations

from envs.support.lazy_torch import torch

DT = 0.1
"""Seconds of a step."""

ACCELERATION, DAMPING = 4.0, 2.0
"""Of the full force, in units of length a second squared, and of velocity, a second; the largest speed is 2."""

WALL = 1.5
"""Where the plane ends, in units of length."""

STIFFNESS, BRAKE = 3.0, 1.2
"""Of the demonstrator, force a unit of length and a unit of speed: close to critically damped (0.98)."""


def moved(body_B4: torch.Tensor, force_B2: torch.Tensor, acceleration: float = ACCELERATION) -> torch.Tensor:
    """body_B4 a step later; differentiable."""
    place_B2, speed_B2 = body_B4.split(2, 1)
    speed_B2 = speed_B2 + DT * (acceleration * force_B2.clamp(-1, 1) - DAMPING * speed_B2)
    aimed_B2 = place_B2 + DT * speed_B2
    inside_B2 = aimed_B2.abs() <= WALL
    return torch.cat([aimed_B2.clamp(-WALL, WALL), torch.where(inside_B2, speed_B2, 0.0)], 1)


def towards(body_B4: torch.Tensor, goal_B2: torch.Tensor) -> torch.Tensor:
    """force_B2 of a demonstrator that goes to a place and stays there (proportional and derivative control)."""
    return (STIFFNESS * (goal_B2 - body_B4[:, :2]) - BRAKE * body_B4[:, 2:]).clamp(-1, 1)
