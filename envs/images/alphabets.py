"""Alphabets that nobody has seen: a style, parts that its characters share, and characters made of them.

Loosely after the generative model of Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through
probabilistic program induction", section S2: a character is a few strokes of the pen, a stroke a few sub-strokes, and
strokes begin anywhere, at the start or the end of an earlier one, or along it. Its distributions there are fitted to
drawings; here a style is drawn for each alphabet, from ranges that are written below.

Lengths are in heights of a usual character. Points and steps of the pen are complex numbers, x to the right and y
down; headings are in radians from right towards down. Shape legend: ``P`` segments of a sub-stroke, ``M`` points of a
stroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np

from envs.images.characters import (
    DOT,
    MAX_SUBSTROKES,
    SEGMENTS,
    Character,
    Part,
    Stroke,
    Substroke,
    extents,
    is_dot,
    middle,
    path,
    placed,
    point_at,
)

KINDS = ("line", "arc", "hook", "loop", "wave", "corner", "dot")
KIND_WEIGHTS = np.array([0.44, 0.22, 0.08, 0.05, 0.05, 0.12, 0.04])
"""What sub-strokes are, in the mean of all alphabets."""

KIND_CONCENTRATION = 9.0
"""Of the Dirichlet distribution of an alphabet's weights around the mean ones."""

HEADINGS = np.radians([0, 0, 90, 90, 45, 135, 180, -45, -90])
"""Directions in which pens go often, for the palettes of alphabets, which all have the first and the third."""

RELATIONS = ("independent", "start", "end", "along", "bridge")
RELATION_WEIGHTS = np.array([0.27, 0.13, 0.12, 0.33, 0.15])
RELATION_CONCENTRATION = 8.0

EDITS = ("add", "remove", "change", "mirror", "move")
"""How a character that varies another one differs from it."""

PIXELS = 105
"""Of a side of the sheet that is drawn on, as published."""


@dataclass(frozen=True)
class StrokesConfig:
    """What alphabets and drawers do; every part can be switched off alone, and numbers scale what they name.

    Attributes:
        styles: alphabets differ in style; off, all have the mean one.
        shared_parts: characters of an alphabet are made of its parts; off, every stroke is new.
        variants: some characters differ from another one of their alphabet in one stroke.
        relations: strokes begin at the start or end of an earlier one or along it, or lead from one place of earlier
            ones to another; off, they begin anywhere.
        curvature: of arcs, hooks, loops and waves; 0: all are straight.
        max_strokes: of a character, 1 to 8.
        motor_noise: of the angles and lengths of sub-strokes, and of the path of the pen.
        placement: of where strokes begin.
        warp: of smooth deformations of a whole drawing.
        slant: of shear and rotation.
        scale: of size and proportions.
        translation: of the place on the sheet.
        smoothing: how much drawers round what they draw.
        pen: width of the line in pixels of a sheet of 105 x 105; published drawings have 4.9.

    Raises:
        ValueError: for a number that is negative or not finite, a pen of no width, and strokes beyond 1 to 8.
    """

    styles: bool = True
    shared_parts: bool = True
    variants: bool = True
    relations: bool = True
    curvature: float = 1.0
    max_strokes: int = 4
    motor_noise: float = 1.0
    placement: float = 1.0
    warp: float = 1.0
    slant: float = 1.0
    scale: float = 1.0
    translation: float = 1.0
    smoothing: float = 1.0
    pen: float = 4.9

    def __post_init__(self) -> None:
        for name in ("curvature", "motor_noise", "placement", "warp", "slant", "scale", "translation", "smoothing"):
            if not 0 <= getattr(self, name) <= 4:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 4, where 1 is usual and 0 is none")
        if not 0.5 <= self.pen <= 20:
            raise ValueError(f"pen is {self.pen} pixels; expected 0.5 to 20")
        if not 1 <= self.max_strokes <= 8:
            raise ValueError(f"max_strokes is {self.max_strokes}; expected 1 to 8")


@dataclass(frozen=True)
class Style:
    """What the characters of an alphabet have in common.

    Attributes:
        kind_weights: how often a sub-stroke is of each of :data:`KINDS`.
        relation_weights: how often a stroke has each of :data:`RELATIONS` to earlier ones.
        headings: directions that lines have.
        lengths: of sub-strokes, in heights of a character.
        grid: share of sub-strokes whose direction is one of the headings.
        roundness: share of joints of sub-strokes that keep the direction.
        more_strokes, more_substrokes: probability of each further stroke and sub-stroke.
        closing: share of strokes that come back to where they have been.
        repeats: share of strokes that are as the one before.
        share: share of strokes that are parts of the alphabet.
        variants: share of characters that vary another one.
        width: of characters, relative to their height.
        extent: the longer side of a usual character in pixels of the sheet.
        evenness: 1: all characters are of one size; 0: of the sizes that their strokes have.
    """

    kind_weights: np.ndarray
    relation_weights: np.ndarray
    headings: np.ndarray
    lengths: np.ndarray
    grid: float
    roundness: float
    more_strokes: float
    more_substrokes: float
    closing: float
    repeats: float
    share: float
    variants: float
    width: float
    extent: float
    evenness: float


MEAN_STYLE = Style(
    kind_weights=KIND_WEIGHTS,
    relation_weights=RELATION_WEIGHTS,
    headings=HEADINGS,
    lengths=np.array([0.9, 0.55, 0.3]),
    grid=0.6,
    roundness=0.4,
    more_strokes=0.45,
    more_substrokes=0.5,
    closing=0.15,
    repeats=0.17,
    share=0.6,
    variants=0.25,
    width=0.9,
    extent=62.0,
    evenness=0.6,
)


def draw_style(rng: np.random.Generator, config: StrokesConfig) -> Style:
    """The style of an alphabet; the mean one where styles are off."""
    if not config.styles:
        return MEAN_STYLE
    palette = np.concatenate([HEADINGS[[0, 2]], rng.choice(HEADINGS, rng.integers(1, 5))]) + rng.normal(0, 0.08)
    return Style(
        kind_weights=rng.dirichlet(KIND_WEIGHTS * KIND_CONCENTRATION),
        relation_weights=rng.dirichlet(RELATION_WEIGHTS * RELATION_CONCENTRATION),
        headings=np.where(rng.random(len(palette)) < 0.15, rng.uniform(-pi, pi, len(palette)), palette),
        lengths=MEAN_STYLE.lengths * np.exp(rng.normal(0, 0.15, 3)),
        grid=rng.beta(1.5, 1),
        roundness=rng.beta(1, 1.5),
        more_strokes=rng.uniform(0.1, 0.85),
        more_substrokes=rng.uniform(0.2, 0.85),
        closing=rng.uniform(0, 0.3),
        repeats=rng.uniform(0, 0.35),
        share=rng.beta(3, 2),
        variants=rng.uniform(0, 0.5),
        width=np.exp(rng.normal(-0.12, 0.22)),
        extent=rng.uniform(50, 75),
        evenness=rng.uniform(0.3, 0.9),
    )


def draw_substroke(rng: np.random.Generator, style: Style, config: StrokesConfig) -> Substroke:
    """A primitive curve of an alphabet's style."""
    kind = KINDS[rng.choice(len(KINDS), p=style.kind_weights)]
    heading = rng.choice(style.headings) if rng.random() < style.grid else rng.uniform(-pi / 2, pi)
    length = rng.choice(style.lengths) * np.exp(rng.normal(0, 0.12))
    turn_P = _turns(rng, kind, config.curvature)
    if kind in ("hook", "loop", "wave"):
        length *= 1.25
    if kind == "dot":
        length = DOT
    heading_P = heading + np.cumsum(turn_P)
    if kind == "arc":  # its chord, and not its start, has the heading
        heading_P -= turn_P.sum() / 2
    return Substroke(np.exp(1j * heading_P) * (length / SEGMENTS), bool(rng.random() < style.roundness))


def _turns(rng: np.random.Generator, kind: str, curvature: float) -> np.ndarray:
    """By how much the pen turns before each segment, in radians."""
    turn_P = np.zeros(SEGMENTS)
    side = rng.choice([-1, 1])
    if kind == "line":
        turn_P[1:] = rng.normal(0, 0.02)
    elif kind == "arc":
        turn_P[1:] = side * rng.uniform(0.9, 3.6) / (SEGMENTS - 1)
    elif kind == "hook":
        turn_P[-3:] = side * rng.uniform(1.4, 3.6) / 3
    elif kind == "loop":
        turn_P[1:] = side * rng.uniform(5.2, 6.6) / (SEGMENTS - 1)
    elif kind == "wave":
        turn_P[1:] = np.repeat([side, -side], [3, 4]) * rng.uniform(1.5, 4.5) / (SEGMENTS - 1)
    elif kind == "corner":
        turn_P[rng.integers(2, SEGMENTS - 1)] = side * rng.uniform(1.0, 2.4)
        return turn_P
    return turn_P * curvature


@dataclass(frozen=True)
class Repertoire:
    """The parts of an alphabet, and how often each is taken."""

    substrokes: Sequence[Substroke]
    parts: Sequence[Part]
    part_weights: np.ndarray


def draw_repertoire(rng: np.random.Generator, style: Style, config: StrokesConfig) -> Repertoire:
    """Some sub-strokes, and some strokes that are made of them."""
    substrokes = [draw_substroke(rng, style, config) for _ in range(rng.integers(6, 15))]
    parts = [_composed(rng, style, substrokes) for _ in range(rng.integers(5, 15))]
    return Repertoire(substrokes, parts, rng.dirichlet(np.full(len(parts), 1.5)))


def _composed(rng: np.random.Generator, style: Style, substrokes: Sequence[Substroke]) -> Part:
    """A stroke of some sub-strokes: fewer in alphabets of many strokes, and of many turns rather than straight on."""
    count = 1 + rng.binomial(MAX_SUBSTROKES - 2, style.more_substrokes * (1 - 0.6 * style.more_strokes))
    part: Part = (substrokes[int(rng.integers(len(substrokes)))],)
    if is_dot(part):
        return part
    while len(part) < count:
        more = [(*part, substrokes[number]) for number in rng.integers(len(substrokes), size=3)]
        part = min(more, key=lambda one: _spread(path(one)))
    if count == 1 or rng.random() >= style.closing:
        return part
    path_M = path(part)
    back = point_at(path_M, rng.choice([0.0, rng.uniform(0, 0.5)])) - path_M[-1]
    return (*part, Substroke(np.full(SEGMENTS, back / SEGMENTS), False))


def _spread(path_M: np.ndarray) -> float:
    """How far a path leads in one direction, beside its length."""
    return max(extents(path_M)) / np.abs(np.diff(path_M)).sum()


def draw_part(
    rng: np.random.Generator, style: Style, repertoire: Repertoire, earlier: Character, config: StrokesConfig
) -> Part:
    """What a stroke looks like: that of the stroke before, a part of the alphabet, or new."""
    if not config.shared_parts:
        return _composed(rng, style, [draw_substroke(rng, style, config) for _ in range(MAX_SUBSTROKES)])
    if earlier and rng.random() < style.repeats:
        return earlier[-1].part
    if rng.random() < style.share:
        return repertoire.parts[rng.choice(len(repertoire.parts), p=repertoire.part_weights)]
    return _composed(rng, style, repertoire.substrokes)


def attached(rng: np.random.Generator, part: Part, earlier: Character, style: Style, config: StrokesConfig) -> Stroke:
    """A stroke of this part, placed by a relation to earlier ones."""
    if not earlier:
        return Stroke(part)
    free = is_dot(part) or not config.relations
    kind = "independent" if free else RELATIONS[rng.choice(len(RELATIONS), p=style.relation_weights)]
    parent = int(rng.integers(len(earlier)))
    if kind == "start":
        return Stroke(part, parent, 0.0, float(rng.random() < 0.2))
    if kind == "end":
        return Stroke(part, parent, 1.0, 0.0)
    if kind == "along":
        own = rng.choice([0.0, 1.0, rng.uniform(0.25, 0.75)], p=[0.55, 0.15, 0.3])
        return Stroke(part, parent, rng.uniform(0.15, 0.85), own)
    if kind == "bridge":
        return _bridge(rng, part, parent, earlier)
    there = np.concatenate(placed(earlier))
    away = rng.normal(0, 0.4 * style.width) + 1j * rng.normal(0, 0.4)
    return Stroke(part, offset=middle(there) + away - middle(path(part)))


def _bridge(rng: np.random.Generator, part: Part, parent: int, earlier: Character) -> Stroke:
    """A stroke from a place of its parent to one of some stroke, turned and scaled to fit; else as it is."""
    at, to = rng.choice([0.0, 1.0, *rng.uniform(0, 1, 2)], 2)
    there = placed(earlier)
    gap = point_at(there[rng.integers(len(earlier))], to) - point_at(there[parent], at)
    path_M = path(part)
    if abs(path_M[-1]) < 0.5 * np.abs(path_M).max() or not 0.3 < abs(gap) / abs(path_M[-1]) < 2:
        return Stroke(part, parent, at)
    return Stroke(tuple(replace(one, step_P=one.step_P * (gap / path_M[-1])) for one in part), parent, at)


def draw_character(
    rng: np.random.Generator,
    style: Style,
    repertoire: Repertoire,
    earlier: Sequence[Character],
    config: StrokesConfig,
) -> Character:
    """A new character of an alphabet, or one that varies an earlier one in a stroke."""
    if config.variants and earlier and rng.random() < style.variants:
        return varied(rng, earlier[int(rng.integers(len(earlier)))], style, repertoire, config)
    found: Character = ()
    for _ in range(1 + rng.binomial(config.max_strokes - 1, style.more_strokes)):
        found += (attached(rng, draw_part(rng, style, repertoire, found, config), found, style, config),)
    return found


def varied(
    rng: np.random.Generator, base: Character, style: Style, repertoire: Repertoire, config: StrokesConfig
) -> Character:
    """A character that differs from another one in a stroke, or is its mirror image."""
    edit = EDITS[rng.integers(len(EDITS))]
    rest, last = base[:-1], base[-1]
    if edit == "mirror":
        by = rng.choice([-1, 1])
        return tuple(_mirrored(stroke, by) for stroke in base)
    if edit == "add" and len(base) < config.max_strokes:
        return (*base, attached(rng, draw_part(rng, style, repertoire, base, config), base, style, config))
    if edit == "remove" and rest:
        return rest
    if edit == "move" and rest:
        return (*rest, attached(rng, last.part, rest, style, config))
    part = draw_part(rng, style, repertoire, rest, config)
    return (*rest, attached(rng, part, rest, style, config) if is_dot(part) else replace(last, part=part))


def _mirrored(stroke: Stroke, by: int) -> Stroke:
    """Left and right changed over (1), or up and down (-1)."""
    part = tuple(replace(one, step_P=-by * one.step_P.conj()) for one in stroke.part)
    return replace(stroke, part=part, offset=-by * stroke.offset.conjugate())
