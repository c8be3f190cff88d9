"""Gymnasium environments of a user's, small enough to be computed by hand; importing this registers them."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Aim(gymnasium.Env[dict[str, Any], np.ndarray]):
    """Hit a place on a line that is seen, from -2 to 4; it pays minus the distance, and ends with a hit from 3 on."""

    def __init__(self) -> None:
        place = spaces.Box(np.array([-2.0]), np.array([4.0]), dtype=np.float64)
        self.observation_space = spaces.Dict({"place": place, "side": spaces.Discrete(2, start=-1)})
        self.action_space = spaces.Box(-2.0, 4.0, (1,), np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        return self._drawn(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        distance = float(abs(action[0] - self.place))
        hit = distance < 0.1 and self.place > 3
        return self._drawn(), -distance, hit, False, {}

    def _drawn(self) -> dict[str, Any]:
        self.place = self.np_random.uniform(-2, 4)
        return {"place": np.array([self.place]), "side": np.int64(-1 if self.place < 0 else 0)}


class Many(gymnasium.Env[Any, Any]):
    """Spaces that a world does not take; never stepped."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space


gymnasium.register("Aim-v0", Aim)
