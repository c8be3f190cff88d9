"""Harlow's task (Harlow 1949; Wang et al. 2016, section 3.2.2) on a line, in place of a room that is looked at.

Two objects lie left and right of the middle of the view. Looking to a side turns the view by one place; the object that
comes into the middle is chosen. One of the two objects always pays, and where it lies is drawn anew in each trial. With
``fixation`` a trial begins with a cross that must be brought into the middle first. The objects of an episode are new:
what can be learned once and for all is that the first trial tells which one pays.

An object is a code of bits. Codes are split into seen and unseen ones, by their numbers, so that a learner can be tried
on objects that it has never met. With ``pixels`` each has a picture, a function of its code, which a core sees in place
of the bits.

Shape legend: ``B`` instances, ``K`` bits of a code, ``T`` trials, ``U`` pictures asked for, of ``Y`` × ``X``
pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import figure, laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "harlow"

SIDES = ("LEFT", "RIGHT")

RULES = ("object", "side", "alternate", "avoid")
"""What pays: always the same object; always the same side; the objects in turn; the object that the first trial did not
reward, in all later ones."""

TURNS = Field("TURNS", ("0", "1"))
"""The hidden part that says of each trial whether the other side pays than the rule says."""

OBJECTS = ("seen", "unseen")

CROSS = 0.2
"""What the cross pays (Wang et al. 2016)."""

MAX_PICTURED_BITS = 12
"""Bits of a code where objects have pictures: those of a world are in a table."""

CROSSED, CHOOSING, OVER = 0, 1, 2
"""The phases of a trial, and the end of the episode."""

FIRST, SECOND, PLACES, CROSSES, GLYPH = 31, 32, 33, 34, 35
"""What is drawn, as a part of the numbers that are mixed."""


LOBES = (0, 2, 3, 4, 5, 6)
"""How many times the edge of a shape goes out and in."""

APART = 0.25
"""Of the circle of hues, how far a smaller shape and a stroke are at least from what lies below them."""

TOGETHER = 512
"""Pictures that are rendered at once."""


@dataclass(frozen=True)
class HarlowConfig:
    """The settings of ``harlow(…)`` in a program file.

    Attributes:
        trials: of an episode.
        reach: places from the middle of the view to an object, and to the cross.
        fixation: whether a trial begins with the cross (1) or not (0).
        bits: of an object's code. seen: how many of the codes are of seen objects; the others are unseen.
        pixels: along a side of an object's picture; 0 where bits are seen.
        rule: of an episode whose layout names none; one of :data:`RULES`.
    """

    trials: int = 6
    reach: int = 1
    fixation: int = 0
    bits: int = 11
    seen: int = 1024
    pixels: int = 0
    rule: str = "object"

    def __post_init__(self) -> None:
        for key, low, high in (("trials", 1, 100), ("reach", 1, 20), ("fixation", 0, 1), ("bits", 3, 20)):
            within("a harlow", key, getattr(self, key), low, high)
        one_of("a harlow", "rule", self.rule, RULES)
        if self.pixels:
            within("a harlow", "pixels", self.pixels, 8, 64)
            within("a harlow with pictures", "bits", self.bits, 3, MAX_PICTURED_BITS)
        if not 2 <= self.seen <= 2**self.bits - 2:
            raise SpecError(
                f"{self.seen} of {2**self.bits} objects are seen; at least 2 must be, and at least 2 must not: "
                "change seen or bits"
            )


@dataclass
class HarlowState(EpisodeState):
    """A batch of episodes, int64.

    Attributes:
        episode_B, unseen_B, rule_B: what was laid out: a number, 0 or 1, an index into :data:`RULES`.
        turned_BT: 1 in trials where the other side pays than the rule says.
        codes_B2: the two objects. trial_B: trials that are over. phase_B: of the present one.
        at_B: by how many places the view has turned, to the right.
        last_B: the side looked to last, from 1; 0 before. paid_B: what it brought, an index into :attr:`Harlow.pays`.
        right_BT: of each trial 0 while it is not over, 1 where the choice was wrong, 2 where it was right.
    """

    unseen_B: torch.Tensor
    rule_B: torch.Tensor
    turned_BT: torch.Tensor
    codes_B2: torch.Tensor
    trial_B: torch.Tensor
    phase_B: torch.Tensor
    at_B: torch.Tensor
    last_B: torch.Tensor
    paid_B: torch.Tensor
    right_BT: torch.Tensor


@dataclass(frozen=True)
class Looked:
    """What looking to sides leads to: where the view is then, whether the cross comes into the middle, whether an
    object does, and whether it is the one that pays."""

    at_B: torch.Tensor
    crossed_B: torch.Tensor
    chosen_B: torch.Tensor
    right_B: torch.Tensor


class Harlow(Trials[HarlowState]):
    """The world (``World[HarlowState]``, ``Scored``, ``Privileged``, ``Pictured``); see the head of this file."""

    pays = (0.0, 1.0, -1.0, CROSS)

    def __init__(self, name: str, config: HarlowConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, HarlowConfig) else read_settings(HarlowConfig, config, f"a {KIND}")
        self.spec = _spec(name, self.config)
        self._pays: dict[torch.device, torch.Tensor] = {}

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:4]

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """``TURNS`` is 0 or 1 for each trial, from the first; 0 for those behind the last."""
        turns, trials = list(layout.get(TURNS.name, [])), self.config.trials
        if len(turns) > trials or not all(value in (0, 1) for value in turns):
            raise ValueError(f"instance {number}: {TURNS.name} is {turns}; give at most {trials} numbers, 0 or 1 each")
        unseen = laid_value(number, layout, self.parts[1], 0)
        rule = laid_value(number, layout, self.parts[2], RULES.index(self.config.rule))
        return episode_number(number, layout), unseen, rule, *turns, *[0] * (trials - len(turns))

    def begun(self, laid_BX: torch.Tensor) -> HarlowState:
        episode_B, unseen_B, rule_B = columns(laid_BX[:, :3])
        return self.begin(episode_B, unseen_B, rule_B, laid_BX[:, 3:].contiguous())

    def begin(
        self,
        episode_B: torch.Tensor,
        unseen_B: torch.Tensor,
        rule_B: torch.Tensor,
        turned_BT: torch.Tensor | None = None,
    ) -> HarlowState:
        """Episodes by tensors: their numbers, whether their objects are unseen ones (0 or 1), their rules, and in which
        trials the other side pays (0 or 1)."""
        seen, codes = self.config.seen, 2**self.config.bits
        one_B, two_B = (
            torch.where(unseen_B == 1, below(codes - seen, episode_B, what), below(seen, episode_B, what))
            for what in (FIRST, SECOND)
        )
        count_B = torch.where(unseen_B == 1, codes - seen, seen)
        two_B = (one_B + 1 + two_B % (count_B - 1)) % count_B
        numbers_B2 = torch.stack([one_B, two_B], 1) + (unseen_B * seen)[:, None]
        none_B = torch.zeros_like(episode_B)
        trial_B, at_B, last_B, paid_B = (none_B.clone() for _ in range(4))
        phase_B = none_B + (CROSSED if self.config.fixation else CHOOSING)
        right_BT = none_B[:, None].repeat(1, self.config.trials)
        codes_B2 = scrambled(numbers_B2, self.config.bits)
        turned_BT = torch.zeros_like(right_BT) if turned_BT is None else turned_BT
        return HarlowState(
            episode_B, unseen_B, rule_B, turned_BT, codes_B2, trial_B, phase_B, at_B, last_B, paid_B, right_BT
        )  # fmt: skip

    def observe(self, state: HarlowState) -> Observation:
        cross_B = torch.where(state.phase_B == CROSSED, 1 + self._cross(state), 0)
        paid_B = torch.where(state.last_B > 0, 1 + state.paid_B, 0)
        shown_B11 = (state.phase_B == CHOOSING)[:, None, None]
        swapped_B1 = self._swapped(state)[:, None]
        codes_B2 = torch.where(swapped_B1 == 1, state.codes_B2.flip(1), state.codes_B2)
        place_K = torch.arange(self.config.bits, device=state.device)
        bits_B2K = torch.where(shown_B11, 1 + ((codes_B2[:, :, None] >> place_K) & 1), 0)
        at_B = state.at_B + self.config.reach
        front_B5 = torch.stack([at_B, cross_B, state.last_B, paid_B, state.trial_B], 1)
        return Observation(torch.cat([front_B5, bits_B2K.flatten(1)], 1))

    def act(self, state: HarlowState, action: Action, active_B: torch.Tensor) -> None:
        looks_B = active_B & self.legal(action)
        side_B = torch.where(looks_B, action.call_B4[:, 1], 1)
        look = self._look(state, side_B)
        ended_B = looks_B & look.chosen_B
        moved_B = torch.where(look.crossed_B | look.chosen_B, 0, look.at_B)
        trial_T = torch.arange(self.config.trials, device=state.device)
        here_BT = ended_B[:, None] & (trial_T == state.trial_B[:, None])
        state.right_BT.copy_(torch.where(here_BT, 1 + look.right_B.long()[:, None], state.right_BT))
        state.paid_B.copy_(torch.where(looks_B, _paid(look), state.paid_B))
        state.at_B.copy_(torch.where(looks_B, moved_B, state.at_B))
        state.last_B.copy_(torch.where(looks_B, side_B, state.last_B))
        state.trial_B.add_(ended_B.long())
        begun_B = torch.where(state.trial_B == self.config.trials, OVER, CROSSED if self.config.fixation else CHOOSING)
        after_B = torch.where(look.chosen_B, begun_B, torch.where(look.crossed_B, CHOOSING, state.phase_B))
        state.phase_B.copy_(torch.where(looks_B, after_B, state.phase_B))

    def score(self, state: HarlowState) -> dict[str, torch.Tensor]:
        return {"reward": self._amounts(state.device)[state.paid_B]}

    def value(self, state: HarlowState, action: Action) -> torch.Tensor:
        """What the look itself brings."""
        legal_B = self.legal(action)
        paid_B = _paid(self._look(state, torch.where(legal_B, action.call_B4[:, 1], 1)))
        return self._amounts(state.device)[torch.where(legal_B, paid_B, 0)]

    def optimum(self, state: HarlowState) -> torch.Tensor:
        sides = (torch.full_like(state.at_B, side) for side in (1, 2))
        left_B, right_B = (self._amounts(state.device)[_paid(self._look(state, side_B))] for side_B in sides)
        return torch.maximum(left_B, right_B)

    def hidden(self, state: HarlowState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.unseen_B, state.rule_B], 1).tolist()
        return [
            (digits(episode), [unseen], [rule], turned, [value - 1 for value in right if value])
            for (episode, unseen, rule), turned, right in zip(
                laid, state.turned_BT.tolist(), state.right_BT.tolist(), strict=True
            )
        ]

    def pictures(self, values_UF: torch.Tensor) -> torch.Tensor:
        """uint8 U×Y×X×3 of objects by the values of their bits; black where no object is seen."""
        picture_NYXC = _pictures(self.config.bits, self.config.pixels)
        bits_UK = values_UF.cpu() - 1
        code_U = (bits_UK.clamp(min=0) << torch.arange(self.config.bits)).sum(1)
        there_U = (bits_UK >= 0).all(1)
        return picture_NYXC[code_U] * there_U[:, None, None, None]

    def _look(self, state: HarlowState, side_B: torch.Tensor) -> Looked:
        reach = self.config.reach
        at_B = (state.at_B + 2 * side_B - 3).clamp(-reach, reach)
        arrived_B = at_B == reach * (2 * side_B - 3)
        crossed_B = arrived_B & (state.phase_B == CROSSED) & (side_B == 1 + self._cross(state))
        chosen_B = arrived_B & (state.phase_B == CHOOSING)
        at_B = torch.where(state.phase_B == OVER, state.at_B, at_B)
        return Looked(at_B, crossed_B, chosen_B, side_B == 1 + self._paying(state))

    def _cross(self, state: HarlowState) -> torch.Tensor:
        """The side of the cross, 0 or 1."""
        return below(2, state.episode_B, CROSSES, state.trial_B)

    def _swapped(self, state: HarlowState) -> torch.Tensor:
        """1 where the first object lies at the right."""
        return below(2, state.episode_B, PLACES, state.trial_B)

    def _paying(self, state: HarlowState) -> torch.Tensor:
        """The side that pays, 0 or 1, in the present trial. By ``object`` it is that of the first one."""
        object_B = self._swapped(state)
        side_B = below(2, state.episode_B, PLACES)
        found_B = torch.where(state.rule_B == RULES.index("side"), side_B, object_B)
        other_B = (state.rule_B == RULES.index("alternate")) & (state.trial_B % 2 == 1)
        other_B = other_B | ((state.rule_B == RULES.index("avoid")) & (state.trial_B > 0))
        now_B1 = state.trial_B[:, None].clamp(max=self.config.trials - 1)
        return torch.where(other_B, 1 - found_B, found_B) ^ state.turned_BT.gather(1, now_B1)[:, 0]

    def _amounts(self, device: torch.device) -> torch.Tensor:
        if device not in self._pays:
            self._pays[device] = torch.tensor(self.pays, device=device)
        return self._pays[device]


def _paid(look: Looked) -> torch.Tensor:
    """Index into :attr:`Harlow.pays`."""
    return torch.where(look.chosen_B, torch.where(look.right_B, 1, 2), torch.where(look.crossed_B, 3, 0))


@lru_cache(maxsize=4)
def _pictures(bits: int, pixels: int) -> torch.Tensor:
    """uint8 N×Y×X×3: those of all objects, by their codes."""
    return glyphs(torch.arange(1 << bits), pixels)


def scrambled(number: torch.Tensor, bits: int) -> torch.Tensor:
    """A permutation of the numbers of so many bits, so that neighbours look nothing alike."""
    mask = (1 << bits) - 1
    for odd in (0x2545F491, 0x9E3779B1, 0x85EBCA77):
        number = (number * odd + 0x1B873593) & mask
        number = number ^ (number >> (bits + 1) // 2)
    return number


def _spec(name: str, config: HarlowConfig) -> WorldSpec:
    pays = [f for i, f in enumerate(Harlow.pays) if config.fixation or i < 3]
    codes = tuple(Field(f"{side}{bit}", ("none", "0", "1")) for side in SIDES for bit in range(1, 1 + config.bits))
    sides = ((side, tuple(f"{side}{bit}" for bit in range(1, 1 + config.bits))) for side in SIDES)
    shown = (Channel(side, (config.pixels, config.pixels, 3), low=0, high=255, fields=names) for side, names in sides)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("AT", tuple(map(str, range(-config.reach, config.reach + 1)))),
            Field("CROSS", ("none", *SIDES)),
            Field("LAST", ("none", *SIDES)),
            Field("REWARD", ("none", *map(figure, pays))),
            Field("TRIAL", tuple(map(str, range(config.trials + 1)))),
            *codes,
        ),
        tokens=(NONE, *SIDES),
        channels=tuple(shown) if config.pixels else (),
        primitives=(Signature("LOOK", (Slot("side", (1, 2)),), "Turn the view to a side"),),
        hidden=(EPISODE, Field("OBJECTS", OBJECTS), Field("RULE", RULES), TURNS, Field("RIGHT", ("0", "1"))),
    )


def glyphs(number_U: torch.Tensor, pixels: int) -> torch.Tensor:
    """uint8 U×Y×X×3, on the CPU, each a function of its number: a ground, a lobed shape, a smaller one on it, and a
    stroke. An edge covers a share of each pixel that it crosses; no pixel of any is wholly black."""
    parts = [_rendered(part, pixels) for part in number_U.cpu().split(TOGETHER)]
    return torch.cat(parts) if parts else torch.zeros(0, pixels, pixels, 3, dtype=torch.uint8)


def _rendered(number_U: torch.Tensor, pixels: int) -> torch.Tensor:
    places = iter(range(10**6))
    chances: Iterator[torch.Tensor] = (uniform(number_U, GLYPH, place) for place in places)

    def between(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * next(chances)

    hue_U = between(0, 1)
    picture = _colour(between(0, 1), 0.6, between(0.15, 0.4))[:, None, None].expand(-1, pixels, pixels, -1)
    along = (torch.arange(pixels, dtype=torch.float64) + 0.5) * 2 / pixels - 1
    y_YX, x_YX = torch.meshgrid(along, along, indexing="ij")
    x_UYX, y_UYX = (axis_YX - between(-0.12, 0.12)[:, None, None] for axis_YX in (x_YX, y_YX))
    for size, shift in ((between(0.55, 0.85), 0.0), (between(0.2, 0.45), between(-0.25, 0.25))):
        lobes_U = torch.tensor(LOBES)[below(len(LOBES), number_U, GLYPH, next(places))]
        depth_U, turn_U = between(0.1, 0.35), between(0, 1)
        across_UYX, down_UYX = x_UYX - _wide(shift), y_UYX + _wide(shift)
        wave_UYX = (_wide(lobes_U) * torch.atan2(down_UYX, across_UYX) + _wide(2 * math.pi * turn_U)).cos()
        outside = torch.hypot(across_UYX, down_UYX) - _wide(size) * (1 + _wide(depth_U) * wave_UYX)
        picture = _over(picture, _colour(hue_U, 0.85, between(0.6, 1)), outside, pixels)
        hue_U = hue_U + between(APART, 1 - APART)
    angle_U, off_U, half_U = between(0, math.pi), between(-0.4, 0.4), between(0.05, 0.1)
    across = x_UYX * _wide(angle_U.sin()) + y_UYX * _wide(angle_U.cos()) - _wide(off_U)
    picture = _over(picture, _colour(hue_U, 0.5, between(0.7, 1)), across.abs() - _wide(half_U), pixels)
    return (picture * 255).round().to(torch.uint8)


def _over(picture: torch.Tensor, colour_UC: torch.Tensor, outside_UYX: torch.Tensor, pixels: int) -> torch.Tensor:
    """A part laid over a picture, by the share of each pixel that it covers; negative numbers are inside of it."""
    cover_UYX1 = (0.5 - outside_UYX * pixels / 2).clamp(0, 1)[..., None]
    return picture + cover_UYX1 * (colour_UC[:, None, None] - picture)


def _colour(hue_U: torch.Tensor, saturation: float, value_U: torch.Tensor) -> torch.Tensor:
    """Red, green and blue of a hue (a share of the circle), UC."""
    phase_UC = hue_U[:, None] * 6 + torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64)
    bent_UC = torch.minimum(phase_UC % 6, 4 - phase_UC % 6).clamp(0, 1)
    return value_U[:, None] * (1 - saturation * bent_UC)


def _wide(value: torch.Tensor | float) -> torch.Tensor:
    return torch.as_tensor(value)[..., None, None]
