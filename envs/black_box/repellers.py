"""A control problem with six parameters: two repellers steer a particle (after Hoffman, Brochu and de Freitas 2011, and
Chen et al. 2017).

The papers do not publish their constants; these are our own. A particle falls from rest at :data:`START` with friction;
each repeller pushes it away with a force of its strength times ``d / (d² + ε)``, d being the vector from the repeller
to the particle. On its way it is paid for being close to :data:`GOAL` and charged for being close to :data:`HAZARD`.
The six parameters are, for each repeller, x and y (the square from -1 to 1) and the strength (0 to 1). The best known
value is -5.50 (gradient descent from the best 60 of 20,000 random points; from 300 random ones, one in ten comes below
-5.36); the best of 100 random points is -3.9 on average.

Shape legend: ``B`` problems, ``R`` repellers.
"""

from __future__ import annotations

from envs.black_box.functions import constant
from envs.support.lazy_torch import torch

REPELLERS = 2

DIMENSIONS = 3 * REPELLERS

STEPS, INTERVAL = 50, 0.1
"""Of the simulation, and the time of one."""

START, GOAL, HAZARD = (0.0, 0.9), (0.5, 0.3), (0.2, -0.3)

GOAL_WIDTH, HAZARD_WIDTH = 0.5, 0.4
"""Standard deviations of the bells around them."""

GRAVITY, FRICTION, SOFTNESS = 1.0, 1.0, 0.05
"""The acceleration downwards, the deceleration by unit of velocity, and ε."""

PAY = 1.5
"""By unit of time, of the goal; the charge of the hazard is the same."""


def repelled(point_BD: torch.Tensor) -> torch.Tensor:
    """value_B: what was charged less what was paid, along the way of the particle (Euler's method, velocity first)."""
    repeller_BR3 = point_BD.unflatten(1, (REPELLERS, 3))
    place_BR2, strength_BR1 = 2 * repeller_BR3[:, :, :2] - 1, repeller_BR3[:, :, 2:]
    places = START, GOAL, HAZARD, (0.0, -GRAVITY)
    start_2, goal_2, hazard_2, fall_2 = (constant(part, point_BD.dtype, point_BD.device) for part in places)
    particle_B2, velocity_B2 = start_2.expand(len(point_BD), 2), torch.zeros_like(point_BD[:, :2])
    value_B = torch.zeros_like(point_BD[:, 0])
    for _ in range(STEPS):
        apart_BR2 = particle_B2[:, None] - place_BR2
        push_BR2 = strength_BR1 * apart_BR2 / (apart_BR2.square().sum(2, keepdim=True) + SOFTNESS)
        velocity_B2 = velocity_B2 + INTERVAL * (push_BR2.sum(1) + fall_2 - FRICTION * velocity_B2)
        particle_B2 = particle_B2 + INTERVAL * velocity_B2
        value_B = value_B + _bell(particle_B2 - hazard_2, HAZARD_WIDTH) - _bell(particle_B2 - goal_2, GOAL_WIDTH)
    return PAY * INTERVAL * value_B


def _bell(apart_B2: torch.Tensor, width: float) -> torch.Tensor:
    return (apart_B2.square().sum(1) / (-2 * width * width)).exp()
