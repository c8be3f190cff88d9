"""A batch of instances of a world as one Gymnasium vector environment: one call of the world a step, whatever B is.

Instances whose episodes began at the same step share a batch of the world; so there are as many batches as there are
such steps among the running episodes, which is one where all episodes are of one length.

Shape legend: ``B`` instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from envs.gym.env import check_limit
from envs.gym.interface import RENDER_MODES, Array, Draw, Goal, Interface, Start, check_render_mode, started
from envs.world import World


@dataclass
class Group:
    """A batch of the world, and the instances (int64) that it holds."""

    state: Any
    instances: Array


class WorldVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """B instances of a world, each with random numbers of its own; as :class:`envs.gym.WorldEnv` B times.

    The step after an episode's end begins the next one: its action is not heard, and its reward is 0
    (``AutoresetMode.NEXT_STEP``). ``infos["legal"]`` is bool B; with ``flat``, ``infos["action_mask"]`` is B × calls.

    Args:
        num_envs: B. The others are those of :class:`envs.gym.WorldEnv`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": list(RENDER_MODES)}  # noqa: RUF012

    def __init__(
        self,
        world: World[Any],
        layout: Draw,
        num_envs: int,
        *,
        goal: Goal | None = None,
        limit: int | None = None,
        flat: bool = False,
        pictures: bool = False,
        render_mode: str | None = None,
    ) -> None:
        check_limit(limit)
        check_render_mode(render_mode)
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; give at least 1")
        self.world, self.interface, self.num_envs = world, Interface(world, flat=flat, pictures=pictures), num_envs
        self.single_observation_space = self.interface.observation_space
        self.single_action_space = self.interface.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = render_mode
        self._layout, self._goal, self._limit = layout, goal, limit
        self._randoms = [np.random.default_rng() for _ in range(num_envs)]
        self._groups: list[Group] = []
        self._starts: list[Start] = []
        self._steps_B = np.zeros(num_envs, np.int64)
        self._over_B = np.zeros(num_envs, bool)
        self._seen: dict[str, Array] = {}

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every instance; with a number, instance b has the seed ``seed + b``."""
        if options:
            raise ValueError(f"unknown option {next(iter(options))!r}; there are none")
        if seed is None or isinstance(seed, int):
            seeds: list[int | None] = [None if seed is None else seed + b for b in range(self.num_envs)]
        else:
            seeds = list(seed)
        for b, own in enumerate(seeds):
            if own is not None:
                self._randoms[b] = gymnasium.utils.seeding.np_random(own)[0]
        self._close_groups()
        self._starts = [Start({}, None)] * self.num_envs
        self._begin(np.arange(self.num_envs))
        return self._observation(), self._infos(np.ones(self.num_envs, bool), began=True)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Perform one call in each instance; ``ValueError`` for actions outside the space, and before a reset."""
        if not self._groups:
            raise ValueError("step before reset; call reset first")
        if not self.action_space.contains(actions):
            raise ValueError(f"actions {actions!r} are outside {self.action_space}")
        B = self.num_envs
        legal_B, reward_B, ended_B = np.ones(B, bool), np.zeros(B), np.zeros(B, bool)
        acting = [group for group in map(self._running, self._groups) if group is not None]
        self._groups = acting.copy()
        began = np.flatnonzero(self._over_B)
        for group in acting:
            own = group.instances
            chosen = {k: v[own] for k, v in actions.items()} if isinstance(actions, dict) else actions[own]
            legal_B[own], reward_B[own] = self.interface.act(group.state, self.interface.action(chosen))
            ended_B[own] = self.interface.ended(group.state)
            self._steps_B[own] += 1
            self._reach(group, legal_B, reward_B, ended_B)
            self._show(group)
        if len(began):
            self._begin(began)
        cut_B = self._steps_B >= self._limit if self._limit is not None else np.zeros(B, bool)
        self._over_B = ended_B | cut_B
        return self._observation(), reward_B, ended_B, cut_B, self._infos(legal_B)

    def render(self) -> tuple[Any, ...] | None:
        """Each instance as text or as pixels, by ``render_mode``; None without one."""
        if self.render_mode is None:
            return None
        found: dict[int, Any] = {}
        for group in self._groups:
            for place, b in enumerate(group.instances.tolist()):
                found[b] = self.interface.render(group.state, place, self.render_mode)
        return tuple(found[b] for b in sorted(found))

    def close_extras(self, **kwargs: Any) -> None:
        """Give back what the instances hold."""
        self._close_groups()

    def _close_groups(self) -> None:
        for group in self._groups:
            self.world.close(group.state)
        self._groups = []

    def _running(self, group: Group) -> Group | None:
        """What of a group goes on; None where nothing does."""
        kept = np.flatnonzero(~self._over_B[group.instances])
        if len(kept) == len(group.instances):
            return group
        left = Group(group.state.select(torch.from_numpy(kept)), group.instances[kept]) if len(kept) else None
        self.world.close(group.state)
        return left

    def _begin(self, instances: Array) -> None:
        for b in instances.tolist():
            self._starts[b] = started(self._layout, self._goal, self._randoms[b])
        group = Group(self.world.reset([self._starts[b].layout for b in instances.tolist()]), instances)
        self._groups.append(group)
        self._steps_B[instances], self._over_B[instances] = 0, False
        self._show(group)

    def _reach(self, group: Group, legal_B: Array, reward_B: Array, ended_B: Array) -> None:
        """Ends and rewards of goals."""
        goals = [self._starts[b].goal for b in group.instances.tolist()]
        if any(goal is not None for goal in goals):
            for b, goal, reading in zip(group.instances.tolist(), goals, self.world.read(group.state), strict=True):
                if goal is not None and legal_B[b] and goal(reading):
                    reward_B[b] += 1
                    ended_B[b] = True

    def _show(self, group: Group) -> None:
        for name, part in self.interface.observe(group.state).items():
            if name not in self._seen:
                self._seen[name] = np.zeros((self.num_envs, *part.shape[1:]), part.dtype)
            self._seen[name][group.instances] = part

    def _observation(self) -> Any:
        return self.interface.formed({name: part.copy() for name, part in self._seen.items()})

    def _infos(self, legal_B: Array, *, began: bool = False) -> dict[str, Any]:
        infos: dict[str, Any] = {} if began else {"legal": legal_B}
        if self.interface.flat:
            infos["action_mask"] = np.tile(self.interface.mask_A, (self.num_envs, 1))
        return infos
