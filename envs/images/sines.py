"""Sine waves that are known from a few points (Finn et al. 2017, section 5.1; Zintgraf et al. 2019, section 4.1).

The one-dimensional case of learning from a few examples: the support set has some points of a wave, and ``PREDICT``
says the value at further places, one after the other.

Shape legend: ``B`` instances, ``L`` points of a support set, ``Q`` places that are asked after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from envs.episodic.trials import EPISODE, EpisodeState, Trials, digits, episode_number
from envs.settings import read_settings, within
from envs.spec import NONE, Channel, Field, Signature, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

KIND = "sines"

SUPPORT, PLACE = "support", "place"
"""The channels: points (x and y) of the wave, and the x that is asked for."""

AMPLITUDE, PHASE, POINTS, PLACES = 61, 62, 63, 64
"""What is drawn, as a part of the numbers that are mixed."""

LOW, HIGH = -5.0, 5.0
"""Where x lies."""


@dataclass(frozen=True)
class SinesConfig:
    """The settings of ``sines(…)`` in a program file.

    Attributes:
        shots: L. queries: Q.
        weakest, strongest: bounds of the amplitude.
    """

    shots: int = 10
    queries: int = 10
    weakest: float = 0.1
    strongest: float = 5.0

    def __post_init__(self) -> None:
        within("sines", "shots", self.shots, 1, 1000)
        within("sines", "queries", self.queries, 1, 1000)
        within("sines", "strongest", self.strongest, 0, 1e6)
        within("sines", "weakest", self.weakest, 0, self.strongest)


@dataclass
class SinesState(EpisodeState):
    """A batch of waves.

    Attributes:
        step_B: int64, places that were asked. support_BL2: float32, points.
        place_BQ, wanted_BQ: float32, the places and the values there.
        said_B: float32, the last answer, which keeps a graph. wanted_B: what it should have been.
    """

    step_B: torch.Tensor
    support_BL2: torch.Tensor
    place_BQ: torch.Tensor
    wanted_BQ: torch.Tensor
    said_B: torch.Tensor
    wanted_B: torch.Tensor


class Sines(Trials[SinesState]):
    """The world (implements ``World[SinesState]``, ``Scored``, ``Ending``, ``Demonstrated``)."""

    scores: Mapping[str, bool] = MappingProxyType({"error": False})

    def __init__(self, name: str, config: SinesConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, SinesConfig) else read_settings(SinesConfig, config, KIND)
        self.spec = _spec(name, self.config)

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> SinesState:
        """Waves by their numbers.

        Args:
            given: ``support``, B × L × 2, in place of points of the wave.
        """
        state = super().reset(layouts, device=device)
        check_given(self.spec, given, len(layouts))
        if given:
            support_BL2 = given[SUPPORT].to(device).float()
            if tuple(support_BL2.shape[1:]) != (self.config.shots, 2):
                raise ValueError(
                    f"world {self.spec.name}: a support set of the shape {tuple(support_BL2.shape)} is given; give "
                    f"B x {self.config.shots} x 2"
                )
            state.support_BL2 = support_BL2
        return state

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return (episode_number(number, layout),)

    def begun(self, laid_BX: torch.Tensor) -> SinesState:
        episode_B1, config = laid_BX, self.config
        amplitude_B1 = config.weakest + (config.strongest - config.weakest) * uniform(episode_B1, AMPLITUDE)
        phase_B1 = math.pi * uniform(episode_B1, PHASE)

        def points(purpose: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
            place = torch.arange(count, device=laid_BX.device)
            x_BX = LOW + (HIGH - LOW) * uniform(episode_B1, purpose, place)
            return x_BX, amplitude_B1 * torch.sin(x_BX - phase_B1)

        support_BL2 = torch.stack(points(POINTS, config.shots), 2).float()
        place_BQ, wanted_BQ = (part.float() for part in points(PLACES, config.queries))
        episode_B = laid_BX[:, 0].contiguous()
        none_B = torch.zeros(len(laid_BX), device=laid_BX.device)
        return SinesState(
            episode_B, torch.zeros_like(episode_B), support_BL2, place_BQ, wanted_BQ, none_B, none_B.clone()
        )

    def observe(self, state: SinesState) -> Observation:
        step_B1 = state.step_B[:, None].clamp(max=self.config.queries - 1)
        left_B = (~self.ended(state)).long()
        place_B1 = state.place_BQ.gather(1, step_B1) * left_B[:, None]
        return Observation(left_B[:, None], {SUPPORT: state.support_BL2, PLACE: place_B1})

    def act(self, state: SinesState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action) & ~self.ended(state)
        said_B = torch.zeros_like(state.wanted_B) if action.payload_BX is None else action.payload_BX[:, 0]
        if action.given_B is not None:
            said_B = torch.where(action.given_B, said_B, 0.0)
        now_B = state.wanted_BQ.gather(1, state.step_B[:, None].clamp(max=self.config.queries - 1))[:, 0]
        if said_B.requires_grad or state.said_B.requires_grad:
            state.said_B = torch.where(acts_B, said_B, state.said_B)
        else:
            state.said_B.copy_(torch.where(acts_B, said_B, state.said_B))
        state.wanted_B.copy_(torch.where(acts_B, now_B, state.wanted_B))
        state.step_B.add_(acts_B.long())

    def ended(self, state: SinesState) -> torch.Tensor:
        return state.step_B >= self.config.queries

    def score(self, state: SinesState) -> dict[str, torch.Tensor]:
        """The squared error of the last answer."""
        error_B = (state.said_B - state.wanted_B).square()
        return {"error": error_B if torch.is_grad_enabled() else error_B.detach()}

    def detach(self, state: SinesState) -> None:
        state.said_B = state.said_B.detach().clone()

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The true value at each place."""
        state = self.reset(layouts, device=generator.device)
        seen, actions, everyone_B = [self.observe(state)], list[Action](), ~self.ended(state)
        for step in range(self.config.queries):
            call_B4 = torch.zeros(state.batch, 4, dtype=torch.int64, device=state.device)
            actions.append(Action(call_B4, state.wanted_BQ[:, step : step + 1]))
            self.act(state, actions[-1], everyone_B)
            seen.append(self.observe(state))
        live_TB = everyone_B.expand(self.config.queries, -1)
        ended_TB = live_TB.clone()
        ended_TB[:-1] = False
        return Episodes(seen, actions, {"error": torch.zeros(live_TB.shape, device=state.device)}, live_TB, ended_TB)

    def hidden(self, state: SinesState) -> Sequence[tuple[Sequence[int], ...]]:
        return [(digits(episode),) for episode in state.episode_B.tolist()]


def _spec(name: str, config: SinesConfig) -> WorldSpec:
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("ASKED", ("no", "yes")),),
        tokens=(NONE,),
        channels=(
            Channel(SUPPORT, (config.shots, 2), per="episode"), Channel(PLACE, (1,), low=LOW, high=HIGH),
        ),
        primitives=(Signature("PREDICT", (), "Say the value at the place that is asked for", Channel("value", (1,))),),
        hidden=(EPISODE,),
    )  # fmt: skip
