"""The motion of bodies on vertical lines above a floor, exact for forces that are constant over a step.

Shape legend: any shape, the same for all that is given.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.support.lazy_torch import torch


class Motion(NamedTuple):
    """Heights above the floor in m, and speeds in m/s, upwards."""

    height: torch.Tensor
    speed: torch.Tensor


def moved(motion: Motion, acceleration: torch.Tensor, seconds: float) -> Motion:
    """The motion after so many seconds of a constant acceleration (m/s², weight included).

    A body that comes down on the floor stays there, and leaves it again at once where its acceleration points upwards.
    """
    height, speed = motion
    rise = acceleration.clamp(min=0)
    landing = landing_time(motion, acceleration)
    after = (seconds - landing).clamp(min=0)
    landed = landing <= seconds
    free = Motion(height + seconds * (speed + seconds * acceleration / 2), speed + seconds * acceleration)
    return Motion(
        torch.where(landed, rise * after.square() / 2, free.height).clamp(min=0),
        torch.where(landed, rise * after, free.speed),
    )


def landing_time(motion: Motion, acceleration: torch.Tensor) -> torch.Tensor:
    """Seconds until the body is on the floor with no speed upwards; infinite where it never comes down.

    The root of ``h + v t + a t² / 2`` at which the body moves down, in the form that does not subtract like numbers.
    """
    height, speed = motion
    square = speed.square() - 2 * acceleration * height
    root = square.clamp(min=0).sqrt()
    down = 2 * height / (root - speed)
    up = (speed + root) / -acceleration
    found = torch.where(speed < 0, down, torch.where(acceleration < 0, up, torch.inf))
    return torch.where((square < 0) & (acceleration >= 0), torch.inf, found)
