"""Worlds with real-valued channels and payloads, small enough that a learner trains in seconds.

Shape legend: ``B`` instances, ``L`` points of a support set, ``X`` numbers of a payload.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from envs.episodic.trials import EPISODE, EpisodeState, episode_number
from envs.settings import check_parts, laid_value
from envs.spec import NONE, Channel, Field, Signature, Slot, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.support.counter_rng import uniform
from envs.world import Episodes, Given, Layout, check_given

STEP = Field("STEP", tuple(map(str, range(10))))

CORNER = Field("CORNER", ("any", "east", "north", "west", "south"))
"""Where a pusher's goal is; anywhere by default."""

MAX_SUPPORT = 12


@dataclass
class SmallState(EpisodeState):
    """Of all of these worlds: steps so far, what was laid out, and where the last action led."""

    corner_B: torch.Tensor
    step_B: torch.Tensor
    place_BX: torch.Tensor
    score_B: torch.Tensor


class Small:
    """What they share: problems by the number of an episode, and a count of steps.

    Args:
        places: numbers of what an action moves.
    """

    score_name: str
    higher: bool
    ends = False

    def __init__(self, spec: WorldSpec, places: int) -> None:
        self.spec, self.places = spec, places
        self.scores = {self.score_name: self.higher}

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> SmallState:
        check_given(self.spec, given, len(layouts))
        rows = []
        for number, layout in enumerate(layouts):
            check_parts(self.spec, number, layout, self.spec.hidden)
            corner = laid_value(number, layout, CORNER, 0) if CORNER in self.spec.hidden else 0
            rows.append((episode_number(number, layout), corner))
        episode_B, corner_B = torch.tensor(rows, dtype=torch.int64, device=device).view(-1, 2).T.contiguous()
        zeros_B = torch.zeros_like(episode_B)
        return SmallState(episode_B, corner_B, zeros_B, self.place(episode_B), zeros_B.float())

    def place(self, episode_B: torch.Tensor) -> torch.Tensor:
        """Where an instance begins."""
        return numbers(episode_B, 1, self.places)

    def fields(self, state: SmallState) -> torch.Tensor:
        return state.step_B.clamp(max=STEP.size - 1)[:, None]

    def score(self, state: SmallState) -> dict[str, torch.Tensor]:
        return {self.score_name: state.score_B}

    def detach(self, state: SmallState) -> None:
        state.place_BX, state.score_B = state.place_BX.detach(), state.score_B.detach()

    def prepare(self, state: SmallState, acts: int) -> bool:
        return False

    def close(self, state: SmallState) -> None:
        pass

    def legal(self, action: Action) -> torch.Tensor:
        tokens = [slot.tokens for slot in self.spec.primitives[0].slots]
        allowed = torch.tensor([tokens[0]]) if tokens else torch.tensor([[0]])
        call_B4 = action.call_B4
        return (call_B4[:, 0] == 0) & (call_B4[:, 1:2] == allowed).any(1) & (call_B4[:, 2:] == 0).all(1)

    def read(self, state: SmallState) -> list[dict[str, list[int]]]:
        return [{STEP.name: [step]} for step in self.fields(state)[:, 0].tolist()]


class Points(Small):
    """Say on which side of a line a point lies, by some points whose side is known."""

    score_name, higher, ends = "right", True, True

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        channels = (
            Channel("support", (None, 3), per="episode"),
            Channel("query", (2,), low=-1.0, high=1.0, per="episode"),
        )
        answer = Signature("ANSWER", (Slot("side", (1, 2)),), "Say a side")
        tokens = (NONE, "below", "above")
        super().__init__(WorldSpec(name, "points", dict(config), (STEP,), tokens, (answer,), channels, (EPISODE,)), 2)

    def observe(self, state: SmallState) -> Observation:
        point_BL2 = numbers(state.episode_B, 2, 2 * MAX_SUPPORT).view(-1, MAX_SUPPORT, 2)
        lengths_B = 6 + state.episode_B % (MAX_SUPPORT - 5)
        support_BL3 = torch.cat([point_BL2, self._side(state, point_BL2)[..., None]], 2)
        support_BL3 = support_BL3 * (torch.arange(MAX_SUPPORT) < lengths_B[:, None])[..., None]
        channels = {"support": Ragged(support_BL3, lengths_B), "query": state.place_BX}
        return Observation(self.fields(state), channels)

    def act(self, state: SmallState, action: Action, active_B: torch.Tensor) -> None:
        right_B = (2 * action.call_B4[:, 1] - 3 == self._side(state, state.place_BX[:, None])[:, 0]).float()
        state.score_B = torch.where(active_B, right_B, state.score_B)
        state.step_B = state.step_B + active_B

    def ended(self, state: SmallState) -> torch.Tensor:
        return state.step_B > 0

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        state = self.reset(layouts)
        side_B = self._side(state, state.place_BX[:, None])[:, 0]
        call_B4 = torch.zeros(len(layouts), 4, dtype=torch.int64)
        call_B4[:, 1] = (side_B > 0).long() + 1
        return shown(self, state, [Action(call_B4)])

    def _side(self, state: SmallState, point_BL2: torch.Tensor) -> torch.Tensor:
        """-1 or 1."""
        angle_B1 = 6.2832 * uniform(state.episode_B, 3).float()[:, None]
        return (point_BL2[..., 0] * angle_B1.cos() + point_BL2[..., 1] * angle_B1.sin()).sign()


class Pusher(Small):
    """Push a thing to a goal; with ``shown: 1`` the goal is observed."""

    score_name, higher = "closeness", True

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        place = Channel("place", (2,), unit="m")
        channels = (place, Channel("goal", (2,), per="episode")) if config.get("shown") else (place,)
        push = Signature("PUSH", (), "Push", Channel("force", (2,), unit="N"))
        hidden = (EPISODE, CORNER)
        super().__init__(WorldSpec(name, "pusher", dict(config), (STEP,), (NONE,), (push,), channels, hidden), 2)

    def observe(self, state: SmallState) -> Observation:
        goal = {"goal": self._goal(state)} if self.spec.config.get("shown") else {}
        return Observation(self.fields(state), {"place": state.place_BX, **goal})

    def act(self, state: SmallState, action: Action, active_B: torch.Tensor) -> None:
        state.place_BX = torch.where(active_B[:, None], state.place_BX + action.payload_BX, state.place_BX)
        state.score_B = torch.where(active_B, -(state.place_BX - self._goal(state)).norm(dim=1), state.score_B)
        state.step_B = state.step_B + active_B

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """One push to the goal, from a place that the generator draws."""
        state = self.reset(layouts)
        state.place_BX = 2 * torch.rand(len(layouts), 2, generator=generator) - 1
        call_B4 = torch.zeros(len(layouts), 4, dtype=torch.int64)
        return shown(self, state, [Action(call_B4, self._goal(state) - state.place_BX)])

    def _goal(self, state: SmallState) -> torch.Tensor:
        angle_B = (state.corner_B - 1) * 1.5708
        corner_B2 = torch.stack([angle_B.cos(), angle_B.sin()], 1)
        return torch.where(state.corner_B[:, None] > 0, corner_B2, numbers(state.episode_B, 4, 2))


class Curve(Small):
    """Ask for values of a parabola, to find where it is least, from its left on; values are differentiable."""

    score_name, higher = "value", False

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        ask = Signature("ASK", (), "Ask for the value at a place", Channel("place", (1,)))
        channels = Channel("asked", (1,)), Channel("value", (1,), low=0.0)
        super().__init__(WorldSpec(name, "curve", dict(config), (STEP,), (NONE,), (ask,), channels, (EPISODE,)), 1)

    def observe(self, state: SmallState) -> Observation:
        place_B1 = state.place_BX.detach()
        return Observation(self.fields(state), {"asked": place_B1, "value": self._value(state, place_B1)})

    def act(self, state: SmallState, action: Action, active_B: torch.Tensor) -> None:
        state.place_BX = torch.where(active_B[:, None], action.payload_BX, state.place_BX)
        state.score_B = torch.where(active_B, self._value(state, state.place_BX)[:, 0], state.score_B)
        state.step_B = state.step_B + active_B

    def _value(self, state: SmallState, place_B1: torch.Tensor) -> torch.Tensor:
        return (place_B1 - numbers(state.episode_B, 5, 1)).square()

    def place(self, episode_B: torch.Tensor) -> torch.Tensor:
        return -torch.ones(len(episode_B), 1)


def numbers(episode_B: torch.Tensor, what: int, count: int) -> torch.Tensor:
    """float32 B × count from -1 to 1, by the number of an episode and what they are for."""
    return 2 * uniform(episode_B[:, None], what, torch.arange(count)).float() - 1


def shown(world: Any, state: SmallState, actions: Sequence[Action]) -> Episodes:
    """Given actions in a world, as a demonstration."""
    everyone_B = torch.ones(state.batch, dtype=torch.bool)
    seen, scores = [world.observe(state)], []
    state = replace(state)
    for action in actions:
        world.act(state, action, everyone_B)
        scores.append(state.score_B)
        seen.append(world.observe(state))
    live_TB = everyone_B.expand(len(actions), -1)
    scored = {world.score_name: torch.stack(scores)}
    return Episodes(seen, actions, scored, live_TB, live_TB & world.ends)


KINDS = {"points": Points, "pusher": Pusher, "curve": Curve}
