"""Any world as a Gymnasium environment, one instance at a time.

An action is one call, ``(primitive, token, token, token)``; an observation is the world's, a row of F integers.
Gymnasium is needed for this file alone (``pip install 'npi-engine[gym]'``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from envs.spec import SLOTS
from envs.stepper import Action
from envs.world import Layout, World

Reading = Mapping[str, list[int]]
"""What :meth:`envs.world.World.read` gives for one instance."""


class WorldEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A single instance of a world.

    Args:
        world: of any kind.
        layout: draws the layout of an episode from the environment's own random numbers (``self.np_random``).
        goal: whether a reading is the one sought; the step that reaches it ends the episode with reward 1. Without
            one every reward is 0.
        limit: steps after which an episode is truncated; none for ``None``.

    ``info["legal"]`` says whether the world could carry out the action. One that it could not carry out changes
    nothing and has reward 0.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (declared so by Gymnasium)

    def __init__(
        self,
        world: World[Any],
        layout: Callable[[np.random.Generator], Layout],
        *,
        goal: Callable[[Reading], bool] | None = None,
        limit: int | None = None,
    ) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}; give the number of steps of an episode, at least 1, or None")
        spec = world.spec
        self.world = world
        self.observation_space = spaces.MultiDiscrete([field.size for field in spec.fields])
        self.action_space = spaces.MultiDiscrete([len(spec.primitives)] + [len(spec.tokens)] * SLOTS)
        self._layout = layout
        self._goal = goal
        self._limit = limit
        self._steps = 0
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; ``options={"layout": ...}`` sets the layout instead of drawing it."""
        super().reset(seed=seed)
        unknown = set(options or {}) - {"layout"}
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)[0]!r}; the one option is 'layout'")
        layout = options["layout"] if options else self._layout(self.np_random)
        self._state = self.world.reset([layout])
        self._steps = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Perform one call. Raises ``ValueError`` for an action outside the space, and before the first reset."""
        if self._state is None:
            raise ValueError("step before reset; call reset first")
        if not self.action_space.contains(np.asarray(action, self.action_space.dtype)):
            raise ValueError(f"action {action!r} is outside {self.action_space}")
        call_14 = torch.as_tensor(np.asarray(action, np.int64)).view(1, 1 + SLOTS)
        legal_1 = self.world.legal(Action(call_14))
        self.world.act(self._state, Action(call_14), legal_1)
        self._steps += 1
        legal = bool(legal_1)
        reached = legal and self._goal is not None and self._goal(self.read())
        truncated = self._limit is not None and self._steps >= self._limit
        return self._observation(), float(reached), reached, truncated, {"legal": legal}

    def read(self) -> Reading:
        return self.world.read(self._state)[0]

    def _observation(self) -> np.ndarray:
        return self.world.observe(self._state).fields_BF[0].numpy()
