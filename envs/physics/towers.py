"""Towers (Denil et al. 2017, section 4.2): an agent pushes a tower until it can say of how many bodies it consists.

Five blocks are stacked to a tower. Random ones are welded to each other, which cannot be seen; every number of rigid
bodies is as likely. The agent pushes blocks by forces on their middles, or moves a fist; what then moves together tells
what is welded. An answer, 1 to 5, ends the experiment and pays 1 or −1, and so does the last step without one, which
pays −1. Time is paid for by a discount.

The paper asks how many bodies there are. Here what is asked is a hidden part, so that one world holds all questions
(:mod:`envs.physics.welds`). Each tower stands in a room of its own (:mod:`envs.physics.tower_room`), which the host
simulates; towers of a batch are moved one after the other.

Shape legend: ``B`` towers, ``N`` blocks, ``M`` numbers of an observation.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from envs.episodic.trials import EpisodeState, Trials, columns, digits, episode_number
from envs.physics.blocks import DISCOUNTS
from envs.physics.tower_drawing import drawing
from envs.physics.tower_room import RADIUS, Laws, Plan, Push, Room, block_height
from envs.physics.tower_settings import (
    ANSWER,
    BELOW,
    BOUND,
    CLEAR,
    DIRECT,
    DIRECTIONS,
    FIST,
    MOVE,
    VELOCITY,
    TowersConfig,
    declaration,
    side_token,
)
from envs.physics.welds import BLOCKS, drawn_ways, questions, right_answers, ways
from envs.settings import figure, laid_value, read_settings
from envs.spec import SLOTS, Field, WorldSpec
from envs.stepper import Action, Observation
from envs.support import mixed_radix
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch
from envs.world import Conclusion, Layout

OFFSETS, PLACE = 63, 64
"""What is drawn, as a part of the numbers that are mixed."""

UNITS = 10_000.0
"""Of an observation in a metre, and in a radian: tenths of millimetres and of milliradians."""

NEAREST, FARTHEST = 0.3, 0.8
"""Of a fist from the middle line of the tower at the beginning, in m."""


@dataclass
class TowersState(EpisodeState):
    """A batch of experiments.

    Attributes:
        episode_B, discount_B, question_B, way_B: int64, what was laid out: a number, and indices; the last of how the
            blocks are welded. correct_B: int64, the right answer, from 0.
        pose_BN3: float64, x and y (m) and angle (radians) of each block, start_BN3: before anything moved.
        fist_B2: float64, m.
        step_B: int64, steps so far. answer_B: the answer, 0 for none. last_B2: the last push, as fields tell it.
        ended_B: bool.
        paid_B: float32, what the last step paid. right_B: bool, of the answer.
        rooms: of the instances, in memory of the host.
    """

    discount_B: torch.Tensor
    question_B: torch.Tensor
    way_B: torch.Tensor
    correct_B: torch.Tensor
    pose_BN3: torch.Tensor
    start_BN3: torch.Tensor
    fist_B2: torch.Tensor
    step_B: torch.Tensor
    answer_B: torch.Tensor
    last_B2: torch.Tensor
    ended_B: torch.Tensor
    paid_B: torch.Tensor
    right_B: torch.Tensor
    rooms: list[Room] = field(default_factory=list)

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order."""
        index_B = index_B.to(self.device)
        parts = {name: part.index_select(0, index_B) for name, part in vars(self).items() if name != "rooms"}
        return type(self)(**parts, rooms=[self.rooms[b].copy() for b in index_B.tolist()])


class Towers(Trials[TowersState]):
    """The world (implements ``World[TowersState]``, ``Scored``, ``Ending``, ``Concluding``, ``Hosted``, ``Drawn``)."""

    hosted = True

    def __init__(self, name: str, config: TowersConfig | Mapping[str, Any]) -> None:
        read = config if isinstance(config, TowersConfig) else read_settings(TowersConfig, config, "a world of towers")
        self.config, self.laws = read, Laws(read.gravity, read.friction, read.strength)
        self.spec = declaration(name, read)
        self._allowed, self._slots = _allowed(self.spec), len(self.spec.primitives[MOVE].slots)

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:3]

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """``EPISODE`` is digits, the others are indices."""
        usual = DISCOUNTS.index(figure(self.config.discount)), questions().index(self.config.question)
        chosen = (laid_value(number, layout, part, index) for part, index in zip(self.parts[1:], usual, strict=True))
        return episode_number(number, layout), *chosen

    def begun(self, laid_BX: torch.Tensor) -> TowersState:
        return self.begin(*columns(laid_BX))

    def begin(self, episode_B: torch.Tensor, discount_B: torch.Tensor, question_B: torch.Tensor) -> TowersState:
        """Experiments by tensors: their numbers, and indices into ``DISCOUNTS`` and the questions."""
        way_B, none_B = drawn_ways(episode_B), torch.zeros_like(episode_B)
        correct_B = right_answers().to(episode_B.device)[way_B, question_B]
        rooms = [Room(self.laws, plan) for plan in self._plans(episode_B, way_B)]
        count, device = len(episode_B), episode_B.device
        pose_BN3, fist_B2 = (
            torch.zeros(count, *shape, dtype=torch.float64, device=device) for shape in ((BLOCKS, 3), (2,))
        )
        step_B, answer_B, last_B2 = none_B.clone(), none_B.clone(), none_B[:, None].repeat(1, 2)
        state = TowersState(
            episode_B, discount_B, question_B, way_B, correct_B, pose_BN3, pose_BN3, fist_B2,
            step_B, answer_B, last_B2, none_B.bool(), none_B.float(), none_B.bool(), rooms,
        )  # fmt: skip
        _measure(state, range(count))
        state.start_BN3 = state.pose_BN3.clone()
        return state

    def _plans(self, episode_B: torch.Tensor, way_B: torch.Tensor) -> list[Plan]:
        """How towers stand, and where the fist is: to one side of the tower, at any height up to its top."""
        number_N = torch.arange(BLOCKS, device=episode_B.device)
        offset_BN = self.config.offset * (2 * uniform(episode_B[:, None], OFFSETS, number_N) - 1)
        side_B = torch.where(uniform(episode_B, PLACE, 0) < 0.5, -1.0, 1.0)
        height_B = RADIUS + 0.01 + uniform(episode_B, PLACE, 1) * (block_height(BLOCKS - 1) - RADIUS)
        far_B = NEAREST + uniform(episode_B, PLACE, 2) * (FARTHEST - NEAREST)
        place_B2 = torch.stack([side_B * far_B, height_B], 1).tolist()
        fists = [None if self.config.actuator == DIRECT else (x, y) for x, y in place_B2]
        return [
            Plan(ways()[way], tuple(offsets), fist)
            for way, offsets, fist in zip(way_B.tolist(), offset_BN.tolist(), fists, strict=True)
        ]

    def observe(self, state: TowersState) -> Observation:
        """Poses as changes since the beginning, in tenths of millimetres and of milliradians."""
        framed = relative if self.config.frame == BELOW else unchanged
        found = {
            "stood": _whole(UNITS * state.start_BN3[:, :, 0]),
            "moved": _whole(UNITS * (framed(state.pose_BN3) - framed(state.start_BN3))),
            "time": (self.config.seconds * state.step_B[:, None]).float(),
        }
        if self.config.actuator != DIRECT:
            found["fist"] = _whole(UNITS * state.fist_B2)
        return Observation(torch.cat([state.answer_B[:, None], state.last_B2[:, : self._slots]], 1), found)

    def act(self, state: TowersState, action: Action, active_B: torch.Tensor) -> None:
        call_B4 = torch.where((active_B & self.legal(action))[:, None], action.call_B4, -1)
        clears_B = call_B4[:, 0] == CLEAR
        moves_B, answers_B = (~state.ended_B & (call_B4[:, 0] == callee) for callee in (MOVE, ANSWER))
        self._move(state, action, moves_B)
        self._clear(state, clears_B)
        right_B = call_B4[:, 1] - 1 == state.correct_B
        late_B = moves_B & (state.step_B == self.config.limit - 1)
        worth_B = self._worth(state)
        paid_B = torch.where(answers_B & right_B, worth_B, torch.where(answers_B | late_B, -worth_B, 0.0)).float()
        state.paid_B.copy_(torch.where(moves_B | answers_B | clears_B, paid_B, state.paid_B))
        state.right_B.copy_(torch.where(answers_B, right_B, state.right_B & ~clears_B))
        state.ended_B.copy_((state.ended_B | answers_B | late_B) & ~clears_B)
        state.answer_B.copy_(torch.where(answers_B, call_B4[:, 1], torch.where(clears_B, 0, state.answer_B)))
        last_B2 = torch.where(moves_B[:, None], self._values(call_B4[:, 1:3]), state.last_B2)
        state.last_B2.copy_(torch.where(clears_B[:, None], 0, last_B2))
        state.step_B.copy_(torch.where(clears_B, 0, state.step_B + (moves_B | answers_B).long()))

    def wait(self, state: TowersState, waits_B: torch.Tensor) -> None:
        """A step in which an observer does nothing; it is no call of the world."""
        waits_B = waits_B & ~state.ended_B
        where = waits_B.nonzero()[:, 0].tolist()
        for b in where:
            state.rooms[b].run(Push(self.config.substeps))
        _measure(state, where)
        state.step_B.add_(waits_B.long())

    def _move(self, state: TowersState, action: Action, moves_B: torch.Tensor) -> None:
        """Towers that are pushed, for one step; nothing moves while an answer is given."""
        where = moves_B.nonzero()[:, 0].tolist()
        for b, push in zip(where, self._pushes(action, where), strict=True):
            state.rooms[b].run(push)
        _measure(state, where)

    def _pushes(self, action: Action, where: Sequence[int]) -> list[Push]:
        """What actions do in a step."""
        config, substeps = self.config, self.config.substeps
        if config.actuator == VELOCITY:
            if action.payload_BX is None:
                return [Push(substeps)] * len(where)
            share_B2 = action.payload_BX[:, :2].detach().double().clamp(-1, 1)
            if action.given_B is not None:
                share_B2 = torch.where(action.given_B[:, None], share_B2, 0.0)
            return [Push(substeps, velocity=(x, y)) for x, y in (config.speed * share_B2[where]).tolist()]
        tokens = [[self.spec.tokens[token] for token in tokens] for tokens in action.call_B4[where, 1:3].tolist()]
        if config.actuator == FIST:
            sides = [DIRECTIONS[direction] for direction, _ in tokens]
            return [Push(substeps, velocity=(config.speed * x, config.speed * y)) for x, y in sides]
        return [
            Push(substeps, int(block) - 1, (config.push * DIRECTIONS[side][0], config.lift * DIRECTIONS[side][1]))
            for block, side in tokens
        ]

    def _values(self, tokens_B2: torch.Tensor) -> torch.Tensor:
        """Tokens as values of the fields that tell of the last push: blocks as they are, sides from 1."""
        return torch.where(tokens_B2 > BLOCKS, tokens_B2 - BLOCKS, tokens_B2)

    def _clear(self, state: TowersState, clears_B: torch.Tensor) -> None:
        """Towers as at the beginning."""
        where = clears_B.nonzero()[:, 0].tolist()
        for b in where:
            state.rooms[b] = Room(self.laws, state.rooms[b].plan)
        _measure(state, where)

    def legal(self, action: Action) -> torch.Tensor:
        call_B4, sizes = action.call_B4, self._allowed.shape
        inside_B4 = call_B4.clamp(min=0).minimum(torch.tensor(sizes, device=call_B4.device) - 1)
        place_B = mixed_radix.number(inside_B4.unbind(1), sizes)
        return (inside_B4 == call_B4).all(1) & self._allowed.to(call_B4.device).flatten()[place_B]

    def score(self, state: TowersState) -> dict[str, torch.Tensor]:
        """What the last step paid, discounted."""
        return {"reward": state.paid_B.clone()}

    def conclusion(self, state: TowersState, action: Action) -> Conclusion:
        answers_B = self.legal(action) & (action.call_B4[:, 0] == ANSWER) & ~state.ended_B
        worth_B = self._worth(state)
        right_B = action.call_B4[:, 1] - 1 == state.correct_B
        score_B = torch.where(answers_B, torch.where(right_B, worth_B, -worth_B), 0.0)
        return Conclusion(answers_B, score_B.float())

    def suggest(self, state: TowersState) -> Action:
        """The next block to the right, from above; a fist to where the tower's middle is, and so back and forth."""
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        if self.config.actuator == DIRECT:
            call_B4[:, 1], call_B4[:, 2] = BLOCKS - state.step_B % BLOCKS, side_token("right")
            return Action(call_B4)
        rightwards_B = state.fist_B2[:, 0] < state.pose_BN3[:, :, 0].mean(1)
        if self.config.actuator == VELOCITY:
            across_B = torch.where(rightwards_B, 1.0, -1.0)
            return Action(call_B4, torch.stack([across_B, torch.zeros_like(across_B)], 1))
        call_B4[:, 1] = torch.where(rightwards_B, side_token("right"), side_token("left"))
        return Action(call_B4)

    def ended(self, state: TowersState) -> torch.Tensor:
        return state.ended_B.clone()

    def hidden(self, state: TowersState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.discount_B, state.question_B, state.way_B], 1).tolist()
        right = [[int(right)] if answer else [] for right, answer in zip(state.right_B, state.answer_B, strict=True)]
        return [
            (digits(episode), [discount], [question], list(ways()[way]), answered)
            for (episode, discount, question, way), answered in zip(laid, right, strict=True)
        ]

    def draw(self, state: TowersState, instance: int = 0, *, width: int = 100) -> str:
        """The room from the side, what is asked, and the answer."""
        asked, answer = questions()[int(state.question_B[instance])], int(state.answer_B[instance])
        fist = None if self.config.actuator == DIRECT else tuple(state.fist_B2[instance].tolist())
        seconds = self.config.seconds * int(state.step_B[instance])
        caption = f"asked: {asked}; {seconds:.1f} s; answer: {answer or '-'}"
        return drawing(state.pose_BN3[instance].tolist(), fist, caption, width=width)

    def _worth(self, state: TowersState) -> torch.Tensor:
        """float64 B: what a right answer pays now."""
        discounts = torch.tensor(list(map(float, DISCOUNTS)), dtype=torch.float64, device=state.device)
        return discounts[state.discount_B] ** state.step_B


def relative(pose_BN3: torch.Tensor) -> torch.Tensor:
    """Poses of blocks relative to the one below, the lowest one as it is: of rigid bodies they do not change."""
    lower, upper = pose_BN3[:, :-1], pose_BN3[:, 1:]
    across, up, turned = (upper - lower).unbind(2)
    cos, sin = lower[:, :, 2].cos(), lower[:, :, 2].sin()
    return torch.cat([pose_BN3[:, :1], torch.stack([cos * across + sin * up, cos * up - sin * across, turned], 2)], 1)


def unchanged(pose_BN3: torch.Tensor) -> torch.Tensor:
    """Poses in the room."""
    return pose_BN3


def _whole(part: torch.Tensor) -> torch.Tensor:
    """float32, rounded to whole numbers, within bounds."""
    return part.round().clamp(-BOUND, BOUND).float()


def _measure(state: TowersState, where: Sequence[int]) -> None:
    """Read where blocks and fists are."""
    if not where:
        return
    index, real = (
        torch.tensor(where, device=state.device),
        partial(torch.tensor, dtype=torch.float64, device=state.device),
    )
    placed_BN3 = real([state.rooms[b].placed() for b in where])
    middle_BN2 = real([state.rooms[b].middles for b in where])
    across, up = middle_BN2.unbind(2)
    x, y, angle = placed_BN3.unbind(2)
    cos, sin = angle.cos(), angle.sin()
    state.pose_BN3[index] = torch.stack([x + cos * across - sin * up, y + sin * across + cos * up, angle], 2)
    state.fist_B2[index] = real([state.rooms[b].fist_place() for b in where])


def _allowed(spec: WorldSpec) -> torch.Tensor:
    """bool, primitives × tokens × tokens × tokens."""
    V = len(spec.tokens)
    found = torch.zeros(len(spec.primitives), V, V, V, dtype=torch.bool)
    for number, primitive in enumerate(spec.primitives):
        taken = [slot.tokens for slot in primitive.slots] + [(0,)] * (SLOTS - len(primitive.slots))
        for tokens in itertools.product(*taken):
            found[(number, *tokens)] = True
    return found
