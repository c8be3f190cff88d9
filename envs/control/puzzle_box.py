"""A puzzle box with three steps that its reward needs, and three that it does not (Horner and Whiten 2005).

A hand moves in a plane; a step of the task is done where the hand stays at its site for some acts. For the reward the
door is lifted, the tool inserted and the reward extracted, in this order. A demonstrator does all six steps, with
detours. Where its hand is and what becomes of the box is seen of it; its acts are not. The box is opaque or
transparent, which is observed and changes nothing in what can be done.

``MOVE`` takes the velocity that is wanted; without one, as programs with bodies call it, the hand comes to rest.

Shape legend: ``B`` instances, ``S`` steps of the task, ``L`` frames of a demonstration, ``D`` numbers of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from envs.control.puzzle_box_drawing import drawing
from envs.control.puzzle_box_hand import Body, Scene, Shown, demonstrated, moved, scenes
from envs.control.puzzle_box_settings import (
    BOX,
    DEMONSTRATION,
    FRAME,
    GRACE,
    HAND,
    IRRELEVANT,
    SHOWN,
    SITES,
    SPLIT,
    VELOCITY,
    WALLS,
    WORLD,
    PuzzleBoxConfig,
    declaration,
)
from envs.episodic.trials import EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, read_settings
from envs.spec import SLOTS
from envs.stepper import Action, Observation, Ragged
from envs.support.lazy_torch import torch
from envs.world import Episodes, Layout

BODY_SIGMA, OBJECT_SIGMA = 0.3, 0.7
"""σ of the likeness to a demonstration: of the hand's place, and of the state of the box. Le Paine et al. (2018) do not
publish theirs."""

MAX_KEPT = 5000
"""Demonstrations of training that are kept in memory."""

LOST = 0.1
"""A likeness below which an imitation is off its demonstration."""


@dataclass
class PuzzleBoxState(EpisodeState):
    """A batch of boxes.

    Attributes:
        split_B, shown_B, walls_B: int64, indices of the hidden parts. transparent_B: bool.
        site_BS2, hand_B2, velocity_B2: float32. progress_BS: float32, of each step from 0 to 1.
        frame_BLD, length_B: the demonstration. command_BT2: what the demonstrator wanted, for an oracle.
        step_B: int64, acts so far. low_B: int64, acts in a row with a low likeness. ended_B: bool.
        reward_B, likeness_B, irrelevant_B, acted_B: float32, the scores of the last act.
    """

    split_B: torch.Tensor
    shown_B: torch.Tensor
    walls_B: torch.Tensor
    transparent_B: torch.Tensor
    site_BS2: torch.Tensor
    hand_B2: torch.Tensor
    velocity_B2: torch.Tensor
    progress_BS: torch.Tensor
    frame_BLD: torch.Tensor
    length_B: torch.Tensor
    command_BT2: torch.Tensor
    step_B: torch.Tensor
    low_B: torch.Tensor
    ended_B: torch.Tensor
    reward_B: torch.Tensor
    likeness_B: torch.Tensor
    irrelevant_B: torch.Tensor
    acted_B: torch.Tensor

    @property
    def body(self) -> Body:
        return Body(self.hand_B2, self.velocity_B2, self.progress_BS)


class PuzzleBox(Trials[PuzzleBoxState]):
    """The world (implements ``World[PuzzleBoxState]``, ``Scored``, ``Ending``, ``Demonstrated``, ``Drawn`` and
    ``Bounded``)."""

    scores: Mapping[str, bool] = MappingProxyType(
        {"reward": True, "likeness": True, "irrelevant": False, "steps": False}
    )

    def __init__(self, name: str, config: PuzzleBoxConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, PuzzleBoxConfig) else read_settings(PuzzleBoxConfig, config, WORLD)
        self.spec = declaration(name, self.config)
        self._kept: dict[torch.device, Shown] = {}

    @property
    def longest(self) -> Mapping[str, int]:
        """Lines of the ragged channel (``Bounded``)."""
        return {DEMONSTRATION: self.config.steps + 1}

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """``EPISODE`` is digits, the others are indices."""
        return episode_number(number, layout), *(laid_value(number, layout, part, 0) for part in (SPLIT, SHOWN, WALLS))

    def begun(self, laid_BX: torch.Tensor) -> PuzzleBoxState:
        return self.begin(*columns(laid_BX))

    def begin(
        self, episode_B: torch.Tensor, split_B: torch.Tensor, shown_B: torch.Tensor, walls_B: torch.Tensor
    ) -> PuzzleBoxState:
        """Boxes by tensors: the numbers of episodes, and indices of the other hidden parts."""
        number_B = torch.where(split_B == 0, episode_B % self.config.demonstrations, episode_B)
        scene = scenes(number_B, split_B)
        shown = self._shown(number_B, split_B, scene)
        transparent_B = torch.where(walls_B == 0, scene.transparent_B, walls_B == WALLS.values.index("transparent"))
        still_B2, none_B = torch.zeros_like(scene.start_B2), torch.zeros_like(episode_B)
        progress_BS = torch.zeros_like(scene.site_BS2[..., 0])
        step_B, low_B = none_B.clone(), none_B.clone()
        scores = (none_B.float() for _ in range(4))
        return PuzzleBoxState(
            episode_B, split_B, shown_B, walls_B, transparent_B, scene.site_BS2, scene.start_B2, still_B2,
            progress_BS, shown.frame_BLD, shown.length_B, shown.command_BT2, step_B, low_B, none_B.bool(), *scores,
        )  # fmt: skip

    def _shown(self, number_B: torch.Tensor, split_B: torch.Tensor, scene: Scene) -> Shown:
        """The demonstrations of layouts; those of training are made once where they are few."""
        if self.config.demonstrations > MAX_KEPT or bool((split_B > 0).any()):
            return demonstrated(self.config, scene)
        if number_B.device not in self._kept:
            number_N = torch.arange(self.config.demonstrations, device=number_B.device)
            self._kept[number_B.device] = demonstrated(self.config, scenes(number_N, torch.zeros_like(number_N)))
        return Shown(*(part[number_B] for part in self._kept[number_B.device]))

    def observe(self, state: PuzzleBoxState) -> Observation:
        done_BS = state.progress_BS == 1
        fields_BF = torch.cat([done_BS.long(), state.transparent_B[:, None].long(), state.step_B[:, None]], 1)
        seen_B = state.shown_B == 0
        channels: dict[str, torch.Tensor | Ragged] = {
            HAND: state.hand_B2.clone(),
            VELOCITY: state.velocity_B2.clone(),
            SITES: state.site_BS2 - state.hand_B2[:, None],
            BOX: state.progress_BS.clone(),
            DEMONSTRATION: Ragged(state.frame_BLD * seen_B[:, None, None], state.length_B * seen_B),
        }
        return Observation(fields_BF, channels)

    def act(self, state: PuzzleBoxState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action) & ~state.ended_B
        after = moved(self.config, state.body, self._command(state, action, acts_B), state.site_BS2)
        done_BS = (after.progress_BS == 1) & (state.progress_BS < 1)
        step_B = state.step_B + 1
        likeness_B = likeness(after, frame_at(state.frame_BLD, state.length_B, step_B))
        follows_B = step_B < state.length_B
        low_B = torch.where((likeness_B < LOST) & follows_B, state.low_B + 1, 0)
        lost_B = low_B >= self.config.lost if self.config.lost else torch.zeros_like(acts_B)
        over_B = (step_B >= state.length_B - 1 + GRACE) | lost_B
        found = {
            "hand_B2": after.hand_B2, "velocity_B2": after.velocity_B2, "progress_BS": after.progress_BS,
            "step_B": step_B, "low_B": low_B, "reward_B": done_BS[:, -1].float(),
            "likeness_B": likeness_B * follows_B, "irrelevant_B": done_BS[:, :IRRELEVANT].float().sum(1),
            "acted_B": torch.ones_like(likeness_B), "ended_B": done_BS[:, -1] | (over_B & (state.shown_B == 0)),
        }  # fmt: skip
        for name, part in found.items():
            held = getattr(state, name)
            held.copy_(torch.where(acts_B.view(-1, *[1] * (held.dim() - 1)), part, held))
        idle_B = active_B & self.legal(action) & ~acts_B
        for held in (state.reward_B, state.likeness_B, state.irrelevant_B, state.acted_B):
            held.masked_fill_(idle_B, 0.0)

    def _command(self, state: PuzzleBoxState, action: Action, acts_B: torch.Tensor) -> torch.Tensor:
        if action.payload_BX is None:
            return torch.zeros_like(state.hand_B2)
        gives_B = acts_B if action.given_B is None else acts_B & action.given_B
        return torch.where(gives_B[:, None], action.payload_BX[:, :2], 0.0).clamp(-1, 1)

    def score(self, state: PuzzleBoxState) -> dict[str, torch.Tensor]:
        """Of the last act: the reward; how like the demonstration's next frame what came of it is; irrelevant steps
        that it finished; 1 for the act itself."""
        parts = state.reward_B, state.likeness_B, state.irrelevant_B, state.acted_B
        return {name: part_B.clone() for name, part_B in zip(self.scores, parts, strict=True)}

    def ended(self, state: PuzzleBoxState) -> torch.Tensor:
        """The reward is out; where a demonstration is shown, also that it is over, or was lost."""
        return state.ended_B.clone()

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The demonstrations of layouts with the demonstrator's acts, for an oracle; they are functions of the layouts,
        so nothing is drawn. They are on the device of the generator."""
        state = self.reset(layouts, device=generator.device)
        everyone_B = torch.ones_like(state.ended_B)
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        seen, actions, live = [self.observe(state)], list[Action](), [everyone_B]
        scores: dict[str, list[torch.Tensor]] = {name: [] for name in self.scores}
        for command_B2 in state.command_BT2.unbind(1):
            actions.append(Action(call_B4, command_B2))
            self.act(state, actions[-1], everyone_B)
            seen.append(self.observe(state))
            live.append(~state.ended_B)
            for name, score_B in self.score(state).items():
                scores[name].append(score_B)
        live_JB = torch.stack(live)
        stacked = {name: torch.stack(parts) for name, parts in scores.items()}
        return Episodes(seen, actions, stacked, live_JB[:-1], live_JB[:-1] & ~live_JB[1:])

    def hidden(self, state: PuzzleBoxState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.split_B, state.shown_B, state.walls_B], 1).tolist()
        return [(digits(episode), *([index] for index in others)) for episode, *others in laid]

    def draw(self, state: PuzzleBoxState, instance: int = 0, *, width: int = 100) -> str:
        """The plane with sites, the hand, and where the demonstrator's hand is now where it is shown."""
        ghost_2 = None
        if SHOWN.values[int(state.shown_B[instance])] == "yes":
            ghost_2 = frame_at(state.frame_BLD, state.length_B, state.step_B)[instance, :2].tolist()
        return drawing(
            state.site_BS2[instance].tolist(), state.progress_BS[instance].tolist(), state.hand_B2[instance].tolist(),
            ghost_2, int(state.step_B[instance]),
        )  # fmt: skip


def frame_at(frame_BLD: torch.Tensor, length_B: torch.Tensor, place_B: torch.Tensor) -> torch.Tensor:
    """frame_BD at these places of demonstrations, the last one behind their ends."""
    at_B = torch.minimum(place_B, (length_B - 1).clamp(min=0))
    return frame_BLD.gather(1, at_B[:, None, None].expand(-1, 1, FRAME))[:, 0]


def likeness(body: Body, frame_BD: torch.Tensor) -> torch.Tensor:
    """½ exp(−‖Δobject‖²/σ²) + ½ exp(−‖Δbody‖²/σ²), the reward of imitation of Le Paine et al. (2018), section 3."""
    away_B = (body.hand_B2 - frame_BD[:, :2]).square().sum(1)
    other_B = (body.progress_BS - frame_BD[:, 2:]).square().sum(1)
    return 0.5 * torch.exp(-other_B / OBJECT_SIGMA**2) + 0.5 * torch.exp(-away_B / BODY_SIGMA**2)
