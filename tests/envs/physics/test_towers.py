"""Towers: their physics beside closed forms, welds in plain Python, what is paid and when, and that a tower is a function
of its number and of what was done to it."""

from typing import Any

import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits

CONFIGS: list[dict[str, Any]] = [
    {},
    {"actuator": "fist", "steps": 9, "question": "bodies among 1 4"},
    {"actuator": "velocity", "discount": 1, "seconds": 0.05},
    {"push": 5, "lift": 200, "friction": 0, "seconds": 0.2},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_world_keeps_its_promises(config: dict[str, Any]) -> None:
    world = make("towers", "tower", config)
    other = {"EPISODE": digits(10**17), "DISCOUNT": [2], "QUESTION": [len(world.spec.hidden[2].values) - 1]}
    layouts = [{}, {"EPISODE": digits(17)}, other, {"EPISODE": [0, 1, 7], "DISCOUNT": [0]}]
    check_world(world, layouts, generator=torch.Generator().manual_seed(3))
