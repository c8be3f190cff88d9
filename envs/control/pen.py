"""A pen that draws: strokes of people, or of generated alphabets, as a demonstration draws them elsewhere.

``DRAW`` takes a force and whether the pen is on the sheet (:mod:`envs.control.pen_hand`). A demonstration was made of
the same drawing on another sheet, which lies elsewhere and is larger or smaller; nothing else that is observed of a
scene tells what is to be drawn. In half of the episodes something pushes the pen once. An episode is over after as many
steps as a demonstration has.

Whether a drawing is right is judged in the end (:mod:`envs.control.pen_paths`): by the warped distance of all moments
from the path, in parts of the drawing's longer side, and by the order of its strokes.

Drawings of the splits have neither alphabets nor drawers in common. Without a payload, as programs with bodies call it,
``DRAW`` lifts the pen, and pushes nothing.

Shape legend: ``B`` instances, ``L`` moments, ``D`` numbers of each, ``T`` moments of a trail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from envs.control.demonstrations import (
    BODY,
    DEMONSTRATION,
    OBJECTS,
    Demonstration,
    Sizes,
    channel_of,
    given_lines,
    packed,
    unpacked,
)
from envs.control.pen_drawing import pen_drawing
from envs.control.pen_hand import Course, Push, course, demonstrated, first_body, followed, guide, later, pushed, sheets
from envs.control.pen_paths import Paths, paths, strokes_in_order, strokes_of, warped_distance
from envs.control.pen_strokes import SPLITS, PenDrawings, pen_drawings, split_numbers
from envs.control.point_mass import WALL
from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, one_of, read_settings, within
from envs.spec import NONE, SLOTS, Channel, Field, Signature, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.support.counter_rng import below, mixed, uniform
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

KIND = "pen"

DRAWING = Field("DRAWING", EPISODE.values)
"""The hidden part that says which drawing of its split it is, by the decimal digits of its number, counted from 1; 0:
one drawn for the episode."""

SPLIT, PUSH = Field("SPLIT", SPLITS), Field("PUSH", ("drawn", "no", "yes"))

DRAWN = Field("DRAWN", ("no", "yes"))
"""The hidden part that is read: whether the drawing is finished, and right."""

NEAR = 0.1
"""How far off a drawing that is right may be, in parts of its longer side."""

SLOWEST, EARLIEST, LATEST = 0.5, 0.2, 0.8
"""The least speed of a push in parts of the largest, and the shares of an episode between which it comes."""

OTHER_SHEET, OWN_SHEET, CHOSEN, PUSHES, WHEN, SPEED, TURN, NOISE = range(151, 159)
"""What is drawn, as a part of the numbers that are mixed."""

LARGEST = 20.0
"""No number of a body is larger: walls stand at 1.5, and no force keeps a speed above 6."""

SIZES = Sizes(body=6, object=3, payload=3)
"""A body is the pen's place and velocity, whether it is down (1, else 0), and the share of the episode that is over.
The one object is the sheet: where the first point of the drawing belongs, and how long its longer side is."""


@dataclass(frozen=True)
class PenConfig:
    """The settings of ``pen(…)`` in a program file.

    Attributes:
        data: ``strokes``, or a name that is bound to a folder or zip when a command is run.
        alphabets: how many are generated, of ``strokes``. division: the seed that says which alphabets and drawers are
            in which split.
        steps: of a demonstration and of an episode, each of 0.1 s.
        noise: standard deviation of what the demonstrator's force is off by.
        push: the largest speed of a push, in units of length a second; 0: there is none.
        shown: whether a demonstration is observed. actions: whether it tells the demonstrator's acts.
    """

    data: str = "strokes"
    alphabets: int = 10
    division: int = 0
    steps: int = 100
    noise: float = 0.03
    push: float = 1.0
    shown: str = "yes"
    actions: str = "yes"

    def __post_init__(self) -> None:
        within(KIND, "alphabets", self.alphabets, 1, 100)
        within(KIND, "division", self.division, 0, 10**6)
        within(KIND, "steps", self.steps, 20, 1000)
        within(KIND, "noise", self.noise, 0, 1)
        within(KIND, "push", self.push, 0, 5)
        one_of(KIND, "shown", self.shown, ("yes", "no"))
        one_of(KIND, "actions", self.actions, ("yes", "no"))


@dataclass
class PenState(EpisodeState):
    """A batch of sheets.

    Attributes:
        asked_B, split_B, push_B: int64, what was laid out beside the episode. drawing_B: the drawing's number in the
            data.
        sheet_B3, body_B6: see :data:`SIZES`. step_B: int64, acts so far.
        push_step_B, push_speed_B2: see :class:`envs.control.pen_hand.Push`.
        goal_BL2, stroke_BL: the path, see :class:`envs.control.pen_hand.Course`.
        trail_BT3: float32, where the pen was after each act, and whether it was down on the way there.
        line_BLD: float32, the demonstration. length_B: int64, its moments.
    """

    asked_B: torch.Tensor
    split_B: torch.Tensor
    push_B: torch.Tensor
    drawing_B: torch.Tensor
    sheet_B3: torch.Tensor
    body_B6: torch.Tensor
    step_B: torch.Tensor
    push_step_B: torch.Tensor
    push_speed_B2: torch.Tensor
    goal_BL2: torch.Tensor
    stroke_BL: torch.Tensor
    trail_BT3: torch.Tensor
    line_BLD: torch.Tensor
    length_B: torch.Tensor

    @property
    def course(self) -> Course:
        return Course(self.goal_BL2, self.stroke_BL)

    @property
    def push(self) -> Push:
        return Push(self.push_step_B, self.push_speed_B2)


class Pen(Trials[PenState]):
    """The world (implements ``World[PenState]``, ``Scored``, ``Ending``, ``Demonstrated``, ``Suggesting``, ``Drawn``
    and ``Bounded``)."""

    scores: Mapping[str, bool] = MappingProxyType({"success": True, "order": True, "error": False})

    def __init__(self, name: str, config: PenConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, PenConfig) else read_settings(PenConfig, config, KIND)
        self.spec = _spec(name, self.config)

    @cached_property
    def drawings(self) -> PenDrawings:
        """The data; read when something is drawn of them for the first time."""
        return pen_drawings(self.config.data, self.config.alphabets)

    @cached_property
    def numbers(self) -> list[torch.Tensor]:
        """Of each split, int64 numbers of its drawings."""
        found = split_numbers(self.drawings, self.config.division)
        return [torch.from_numpy(found[split]) for split in SPLITS]

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:-1]

    @property
    def longest(self) -> Mapping[str, int]:
        """Lines of the ragged channels (``Bounded``)."""
        return {OBJECTS: 1, DEMONSTRATION: self.config.steps + 1}

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> PenState:
        """Sheets by the numbers of episodes.

        Args:
            given: ``demonstration``, B × L × D, in place of that of the data.
        """
        state = super().reset(layouts, device=device)
        check_given(self.spec, given, len(layouts))
        if given and OBJECTS in given:
            raise ValueError(f"world {self.spec.name}: sheets are drawn and cannot be given; give {DEMONSTRATION}")
        if given:
            held = given_lines(self.spec, given, SIZES, 1)
            state.line_BLD, state.length_B = held.padded_BLX.to(device), held.lengths_B.to(device)
        return state

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        episode, asked = (episode_number(number, layout, part.name) for part in (EPISODE, DRAWING))
        split, push = laid_value(number, layout, SPLIT, 0), laid_value(number, layout, PUSH, 0)
        if asked > len(self.numbers[split]):
            raise ValueError(
                f"instance {number}: DRAWING is {asked}; the split {SPLITS[split]!r} has {len(self.numbers[split])}"
            )
        return episode, asked, split, push

    def begun(self, laid_BX: torch.Tensor) -> PenState:
        episode_B, asked_B, split_B, push_B = columns(laid_BX)
        drawing_B = self._chosen(episode_B, asked_B, split_B)
        drawn = paths(self.drawings, self.config.steps).of(drawing_B)
        sheet_B3 = sheets(mixed(episode_B, OWN_SHEET), drawn)
        laid, push = course(sheet_B3, drawn), self._push(episode_B, push_B)
        body_B6, none_B = first_body(sheet_B3), torch.zeros_like(episode_B)
        trail_BT3 = torch.cat([sheet_B3[:, :2], torch.zeros_like(sheet_B3[:, 2:])], 1)[:, None]
        state = PenState(
            episode_B, asked_B, split_B, push_B, drawing_B, sheet_B3, body_B6, none_B, *push, *laid,
            trail_BT3.repeat(1, self.config.steps + 1, 1), body_B6.new_zeros(len(episode_B), 1, 0), none_B.clone(),
        )  # fmt: skip
        if self.config.shown == "yes":
            shown = packed(self._shown(mixed(episode_B, OTHER_SHEET), drawn))
            state.line_BLD, state.length_B = shown.padded_BLX, shown.lengths_B
        return state

    def _chosen(self, episode_B: torch.Tensor, asked_B: torch.Tensor, split_B: torch.Tensor) -> torch.Tensor:
        """int64 B: the drawings' numbers in the data."""
        found_B, chance_B = torch.zeros_like(episode_B), below(2**30, mixed(episode_B, CHOSEN))
        for split, number_N in enumerate(self.numbers):
            index_B = torch.where(asked_B > 0, asked_B - 1, chance_B % len(number_N)).clamp(max=len(number_N) - 1)
            found_B = torch.where(split_B == split, number_N.to(found_B.device)[index_B], found_B)
        return found_B

    def _push(self, episode_B: torch.Tensor, push_B: torch.Tensor) -> Push:
        yes, drawn = PUSH.values.index("yes"), PUSH.values.index("drawn")
        comes_B = (push_B == yes) | ((push_B == drawn) & (uniform(episode_B, PUSHES) < 0.5))
        first, last = (round(share * self.config.steps) for share in (EARLIEST, LATEST))
        step_B = torch.where(comes_B, first + below(last - first, episode_B, WHEN), -1)
        speed_B = self.config.push * (SLOWEST + (1 - SLOWEST) * uniform(episode_B, SPEED))
        turn_B = 2 * torch.pi * uniform(episode_B, TURN)
        return Push(step_B, (speed_B * torch.stack([turn_B.cos(), turn_B.sin()])).T.float().contiguous())

    def _shown(self, seed_B: torch.Tensor, drawn: Paths) -> Demonstration:
        """The same drawing, on another sheet."""
        sheet_B3 = sheets(seed_B, drawn)
        step_T1 = torch.arange(self.config.steps, device=seed_B.device)[:, None]
        axis_2 = torch.arange(2, device=seed_B.device)
        chance_BT2 = uniform(seed_B[:, None, None], NOISE, step_T1, axis_2).clamp(min=2.0**-54)
        off_BT2 = self.config.noise * torch.special.ndtri(chance_BT2).float()
        bodies, acts = demonstrated(sheet_B3, course(sheet_B3, drawn), None, off_BT2)
        act_BLX, tells = torch.stack([*acts, torch.zeros_like(acts[0])], 1), self.config.actions == "yes"
        one_B = torch.ones_like(seed_B)
        objects_BLKF = sheet_B3[:, None, None].expand(-1, len(bodies), -1, -1)
        told_B = torch.full_like(seed_B, tells, dtype=torch.bool)
        return Demonstration(torch.stack(bodies, 1), objects_BLKF, one_B, act_BLX * tells, told_B, one_B * len(bodies))

    def observe(self, state: PenState) -> Observation:
        return self._observed(state, state.body_B6.clone())

    def _observed(self, state: PenState, body_B6: torch.Tensor) -> Observation:
        one_B = torch.ones_like(state.step_B)
        channels: dict[str, torch.Tensor | Ragged] = {BODY: body_B6, OBJECTS: Ragged(state.sheet_B3[:, None], one_B)}
        if self.config.shown == "yes":
            channels[DEMONSTRATION] = Ragged(state.line_BLD, state.length_B)
        return Observation((body_B6[:, 4:5] > 0).long(), channels)

    def act(self, state: PenState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action) & ~self.ended(state)
        act_B3 = torch.zeros_like(state.sheet_B3) if action.payload_BX is None else action.payload_BX[:, :3].detach()
        if action.given_B is not None:
            act_B3 = torch.where(action.given_B[:, None], act_B3, 0.0)
        after_B6 = later(pushed(state.body_B6, state.push, state.step_B), act_B3, 1 / self.config.steps)
        state.body_B6.copy_(torch.where(acts_B[:, None], after_B6, state.body_B6))
        state.step_B += acts_B
        index_B11 = state.step_B[:, None, None].expand(-1, 1, 3)
        now_B3 = torch.cat([state.body_B6[:, :2], state.body_B6[:, 4:5]], 1)
        held_B3 = state.trail_BT3.gather(1, index_B11)[:, 0]
        state.trail_BT3.scatter_(1, index_B11, torch.where(acts_B[:, None], now_B3, held_B3)[:, None])

    def ended(self, state: PenState) -> torch.Tensor:
        """As many acts are over as a demonstration has."""
        return state.step_B >= self.config.steps

    def score(self, state: PenState) -> dict[str, torch.Tensor]:
        """In the end: whether the drawing is right, the share of its strokes that were drawn in their turn, and how far
        off it is. Zeros before."""
        over_B, zero_B = self.ended(state), state.body_B6.new_zeros(state.batch)
        if not bool(over_B.any()):
            return {name: zero_B.clone() for name in self.scores}
        return {name: score_B * over_B for name, score_B in judged(state.trail_BT3, state).items()}

    def suggest(self, state: PenState) -> Action:
        """What the demonstrator would do, without its noise."""
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        return Action(call_B4, followed(state.body_B6, guide(state.course).at(state.step_B)))

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The demonstrator on these sheets, pushed where the pen is; its force is off by noise."""
        state, T = self.reset(layouts, device=generator.device), self.config.steps
        off_BT2 = self.config.noise * torch.randn(state.batch, T, 2, generator=generator, device=state.device)
        bodies, acts = demonstrated(state.sheet_B3, state.course, state.push, off_BT2)
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        live_TB = torch.ones(T, state.batch, dtype=torch.bool, device=state.device)
        trail_BT3 = torch.stack([torch.cat([body_B6[:, :2], body_B6[:, 4:5]], 1) for body_B6 in bodies], 1)
        last_T = torch.arange(T, device=state.device) == T - 1
        scores = {name: last_T[:, None] * score_B for name, score_B in judged(trail_BT3, state).items()}
        actions = [Action(call_B4, act_B3) for act_B3 in acts]
        seen = [self._observed(state, body_B6) for body_B6 in bodies]
        return Episodes(seen, actions, scores, live_TB, live_TB & last_T[:, None])

    def hidden(self, state: PenState) -> Sequence[tuple[Sequence[int], ...]]:
        done_B = self.score(state)["success"].long()
        parts = state.episode_B, state.asked_B, state.split_B, state.push_B, done_B
        return [
            (digits(episode), digits(asked), [split], [push], [done])
            for episode, asked, split, push, done in torch.stack(parts, 1).tolist()
        ]

    def draw(self, state: PenState, instance: int = 0, *, width: int = 100) -> str:
        """What is demonstrated, and what has been drawn so far; strokes by their numbers."""
        trail_T3 = state.trail_BT3[instance, : int(state.step_B[instance]) + 1].tolist()
        shown_T3: list[list[float]] = []
        if self.config.shown == "yes":
            held = Ragged(state.line_BLD[instance : instance + 1], state.length_B[instance : instance + 1])
            body_L6 = unpacked(held, SIZES).body_BLS[0, : int(held.lengths_B[0])]
            shown_T3 = body_L6[:, [0, 1, 4]].tolist()
        return pen_drawing(trail_T3, shown_T3, width)


def judged(trail_BT3: torch.Tensor, state: PenState) -> dict[str, torch.Tensor]:
    """The scores of whole trails, B each."""
    size_B = state.sheet_B3[:, 2]
    place_BT2, drawn_BT = trail_BT3[..., :2], strokes_of(trail_BT3[..., 2] > 0)
    error_B = warped_distance(place_BT2, state.goal_BL2) / size_B
    order_B = strokes_in_order(place_BT2, drawn_BT, state.goal_BL2, state.stroke_BL)
    right_B = (error_B < NEAR) & (order_B == 1)
    return {"success": right_B.float(), "order": order_B, "error": error_B}


def _spec(name: str, config: PenConfig) -> WorldSpec:
    shown = (channel_of(SIZES, 1, LARGEST),) if config.shown == "yes" else ()
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("PEN", ("up", "down")),),
        tokens=(NONE,),
        primitives=(
            Signature("DRAW", (), "Push the pen for a tenth of a second", Channel("act", (3,), low=-1, high=1)),
        ),
        channels=(
            Channel(BODY, (SIZES.body,), low=-LARGEST, high=LARGEST),
            Channel(OBJECTS, (None, SIZES.object), low=-2 * WALL, high=2 * WALL, per="episode"),
            *shown,
        ),
        hidden=(EPISODE, DRAWING, SPLIT, PUSH, DRAWN),
    )
