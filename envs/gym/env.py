"""Any world as a Gymnasium environment, one instance at a time.

An action is one call, ``(primitive, token, token, token)``, or with ``flat`` the number of one; an observation is the
world's, a row of F integers, with its real-valued channels where it has some.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from envs.gym.interface import RENDER_MODES, Draw, Goal, Interface, Reading, Start, check_render_mode, started
from envs.world import World


class WorldEnv(gymnasium.Env[Any, Any]):
    """A single instance of a world.

    Args:
        world: of any kind.
        layout: draws the layout of an episode from the environment's own random numbers (``self.np_random``), or a pair
            of a layout and the episode's own goal.
        goal: whether a reading is the one sought; the step that reaches it ends the episode, rewarded with 1 more.
        limit: steps after which an episode is truncated; none for ``None``.
        flat: an action is the number of a call, and ``info["action_mask"]`` (int8) says which the world can carry out.
        pictures: channels that are functions of fields are observed, too.
        render_mode: ``"ansi"`` or ``"rgb_array"``: the world's pictures, else the text.

    The reward is what the world scores, negative where less is better. ``info["legal"]`` says whether the world could
    carry out the action. One that it could not carry out changes nothing and has reward 0.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012  (declared so by Gymnasium)

    def __init__(
        self,
        world: World[Any],
        layout: Draw,
        *,
        goal: Goal | None = None,
        limit: int | None = None,
        flat: bool = False,
        pictures: bool = False,
        render_mode: str | None = None,
    ) -> None:
        check_limit(limit)
        check_render_mode(render_mode)
        self.world, self.interface = world, Interface(world, flat=flat, pictures=pictures)
        self.observation_space = self.interface.observation_space
        self.action_space = self.interface.action_space
        self.render_mode = render_mode
        self._layout, self._common_goal, self._limit = layout, goal, limit
        self._goal = goal
        self._steps = 0
        self._state: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; ``options={"layout": ...}`` sets the layout instead of drawing it."""
        super().reset(seed=seed)
        unknown = set(options or {}) - {"layout"}
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)[0]!r}; the one option is 'layout'")
        start = started(self._layout, self._common_goal, self.np_random) if not options else Start(
            options["layout"], self._common_goal
        )  # fmt: skip
        self._state, self._goal = self.world.reset([start.layout]), start.goal
        self._steps = 0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Perform one call. Raises ``ValueError`` for an action outside the space, and before the first reset."""
        if self._state is None:
            raise ValueError("step before reset; call reset first")
        if not self.action_space.contains(action) and not self.action_space.contains(
            np.asarray(action, self.action_space.dtype)
        ):
            raise ValueError(f"action {action!r} is outside {self.action_space}")
        (legal,), (reward,) = self.interface.act(self._state, self.interface.action(one(action)))
        self._steps += 1
        reached = bool(legal) and self._goal is not None and self._goal(self.read())
        ended = reached or bool(self.interface.ended(self._state)[0])
        truncated = self._limit is not None and self._steps >= self._limit
        return self._observation(), float(reward + reached), ended, truncated, {"legal": bool(legal), **self._info()}

    def render(self) -> Any:
        """The instance as text or as pixels, by ``render_mode``; None without one."""
        if self.render_mode is None or self._state is None:
            return None
        return self.interface.render(self._state, 0, self.render_mode)

    def read(self) -> Reading:
        return self.world.read(self._state)[0]

    def close(self) -> None:
        """Give back what the instance holds."""
        if self._state is not None:
            self.world.close(self._state)
        self._state = None

    def _observation(self) -> Any:
        parts = {name: part[0] for name, part in self.interface.observe(self._state).items()}
        return self.interface.formed(parts)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.interface.mask_A.copy()} if self.interface.flat else {}


def check_limit(limit: int | None) -> None:
    """Raise ``ValueError`` for a limit of no steps."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; give the number of steps of an episode, at least 1, or None")


def one(action: Any) -> Any:
    """An action as a batch of one."""
    return {name: np.asarray(part)[None] for name, part in action.items()} if isinstance(action, dict) else (
        np.asarray(action)[None]
    )  # fmt: skip
