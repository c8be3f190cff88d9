"""Drawers: what a hand makes of a character as it was designed.

A drawing differs from the design in the angles and lengths of its sub-strokes and the path of the pen, in where strokes
begin, in a smooth warp, and as a whole by slant, size, proportions and place; part of that is the drawer's in all
drawings. Points are complex numbers, x to the right and y down, in pixels of the sheet.

Shape legend: ``C`` characters, ``D`` drawers, ``B`` drawings, ``K`` strokes, ``Q`` sub-strokes of a stroke, ``M`` its
segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.images.alphabets import PIXELS, StrokesConfig
from envs.images.characters import MAX_SUBSTROKES, SEGMENTS, Character, path

PATH_ANGLE, PATH_LENGTH = 0.08, 0.14
"""Standard deviations of a sub-stroke's angle, in radians, and of the logarithm of its length."""

STEP_ANGLE, TREMOR = 0.08, 0.3
"""Standard deviations of the angle of a segment, in radians, and of each point in pixels."""

STROKE_ANGLE, STROKE_LENGTH = 0.05, 0.06
START, ALONG = 2.4, 0.07
"""Standard deviations of where a stroke begins: in pixels, and of the share of its parent."""

WAVES, WAVE_LENGTHS, WAVE_HEIGHT = 3, (35.0, 90.0), 1.4
"""Plane waves of a warp, their lengths and the standard deviation of their heights in pixels."""

SHEAR, TURN = (0.07, 0.06), (0.03, 0.03)
SIZE, PROPORTION = (0.09, 0.06), (0.04, 0.06)
PLACE = (3.0, 4.0)
"""Standard deviations of a drawer, and of a drawing of a drawer: shear, rotation in radians, logarithms of size and of
proportions, and the place of the middle in pixels."""

ROUNDINGS = 2
"""Passes of smoothing."""

MARGIN = 3.0
"""Pixels at the sheet's edge to which no point comes."""


@dataclass(frozen=True)
class Design:
    """Characters as arrays.

    Attributes:
        step_CKM: complex, steps of the pen in pixels; 0 beyond the last segment.
        segments_CK: how many segments each stroke has; 0: there is no such stroke.
        parent_CK: the stroke that each is attached to; -1: none.
        at_CK, own_CK: places along the parent and along itself, 0 to 1.
        offset_CK: complex, from the start of the first stroke, in pixels.
    """

    step_CKM: np.ndarray
    segments_CK: np.ndarray
    parent_CK: np.ndarray
    at_CK: np.ndarray
    own_CK: np.ndarray
    offset_CK: np.ndarray

    def of(self, class_B: np.ndarray) -> Design:
        """The design of each drawing."""
        arrays = (self.step_CKM, self.segments_CK, self.parent_CK, self.at_CK, self.own_CK, self.offset_CK)
        return Design(*(array[class_B] for array in arrays))


def designed(characters: Sequence[Character], pixels_C: np.ndarray) -> Design:
    """Characters as arrays, their lengths multiplied by so many pixels each."""
    count, strokes = len(characters), max(map(len, characters))
    found = Design(
        np.zeros((count, strokes, MAX_SUBSTROKES * SEGMENTS), complex),
        np.zeros((count, strokes), np.int64),
        np.full((count, strokes), -1),
        np.zeros((count, strokes)),
        np.zeros((count, strokes)),
        np.zeros((count, strokes), complex),
    )
    for c, character in enumerate(characters):
        for k, stroke in enumerate(character):
            step_M = np.diff(path(stroke.part)) * pixels_C[c]
            found.step_CKM[c, k, : len(step_M)] = step_M
            found.segments_CK[c, k] = len(step_M)
            found.parent_CK[c, k] = stroke.parent
            found.at_CK[c, k], found.own_CK[c, k] = stroke.at, stroke.own
            found.offset_CK[c, k] = stroke.offset * pixels_C[c]
    return found


def drawn(rng: np.random.Generator, design: Design, drawers: int, config: StrokesConfig) -> np.ndarray:
    """The points of each drawing, characters first, then drawers: complex, B x K x M+1; the last one repeats itself."""
    characters = len(design.segments_CK)
    each = design.of(np.repeat(np.arange(characters), drawers))
    hand = np.tile(np.arange(drawers), characters)
    path_BKM = _paths(rng, each, config)
    point_BKM = _placed(rng, each, path_BKM, config)
    rounding_D = rng.uniform(0, 1, drawers) * min(config.smoothing, 1.0)
    tremor_2BKM = rng.normal(0, TREMOR * config.motor_noise, (2, *point_BKM.shape))
    point_BKM = _smoothed(point_BKM + tremor_2BKM[0] + 1j * tremor_2BKM[1], rounding_D[hand][:, None, None])
    there_BK1 = (each.segments_CK > 0)[:, :, None]
    point_BKM = _warped(rng, _centred(point_BKM, there_BK1), config)
    return _on_the_sheet(rng, point_BKM, there_BK1, hand, drawers, config)


def _paths(rng: np.random.Generator, each: Design, config: StrokesConfig) -> np.ndarray:
    """The points of each stroke from its start, with noise of angles and lengths."""
    count, strokes, segments = each.step_CKM.shape
    noise = config.motor_noise
    angle_BKQ = rng.normal(0, PATH_ANGLE, (count, strokes, MAX_SUBSTROKES))
    length_BKQ = rng.normal(0, PATH_LENGTH, (count, strokes, MAX_SUBSTROKES))
    angle_BKQ += rng.normal(0, STROKE_ANGLE, (count, strokes, 1))
    length_BKQ += rng.normal(0, STROKE_LENGTH, (count, strokes, 1))
    change_BKM = np.repeat(length_BKQ + 1j * angle_BKQ, SEGMENTS, 2)
    change_BKM += 1j * rng.normal(0, STEP_ANGLE, (count, strokes, segments))
    point_BKM = np.zeros((count, strokes, segments + 1), complex)
    np.cumsum(each.step_CKM * np.exp(noise * change_BKM), axis=2, out=point_BKM[:, :, 1:])
    return point_BKM


def _placed(rng: np.random.Generator, each: Design, path_BKM: np.ndarray, config: StrokesConfig) -> np.ndarray:
    """The points of each drawing, where strokes begin by their relations, with noise."""
    count, strokes, _ = path_BKM.shape
    noise = config.placement
    slip_BK = noise * START * (rng.normal(size=(count, strokes)) + 1j * rng.normal(size=(count, strokes)))
    at_BK = (each.at_CK + noise * ALONG * rng.normal(size=(count, strokes)) * (each.at_CK % 1 > 0)).clip(0, 1)
    found = path_BKM.copy()
    for k in range(strokes):
        free_B = each.offset_CK[:, k]
        own_B = points_at(path_BKM[:, k], each.own_CK[:, k] * each.segments_CK[:, k])
        parent_B = each.parent_CK[:, k]
        drawing_B = np.arange(count)
        parent_BM = found[drawing_B, parent_B]
        place_B = points_at(parent_BM, at_BK[:, k] * each.segments_CK[drawing_B, parent_B])
        found[:, k] += (np.where(parent_B >= 0, place_B - own_B, free_B) + slip_BK[:, k])[:, None]
    return found


def points_at(path_BM: np.ndarray, segment_B: np.ndarray) -> np.ndarray:
    """The point after so many segments of each path, between its points where that is not whole."""
    row_B = np.arange(len(path_BM))
    low_B = np.minimum(segment_B.astype(np.int64), path_BM.shape[1] - 2)
    low, high = path_BM[row_B, low_B], path_BM[row_B, low_B + 1]
    return low + (segment_B - low_B) * (high - low)


def _smoothed(point_BKM: np.ndarray, rounding_B11: np.ndarray) -> np.ndarray:
    """Corners rounded: each point moves towards the middle of its neighbours."""
    for _ in range(ROUNDINGS):
        middle = (point_BKM[:, :, :-2] + point_BKM[:, :, 2:]) / 2
        inner = point_BKM[:, :, 1:-1]
        point_BKM = np.concatenate(
            [point_BKM[:, :, :1], inner + rounding_B11 * (middle - inner), point_BKM[:, :, -1:]], 2
        )
    return point_BKM


def _warped(rng: np.random.Generator, point_BKM: np.ndarray, config: StrokesConfig) -> np.ndarray:
    """Every drawing moved by plane waves of random direction, length and height."""
    shape = (WAVES, len(point_BKM), 1, 1)
    wave = np.exp(1j * rng.uniform(0, 2 * np.pi, shape)) * (2 * np.pi / rng.uniform(*WAVE_LENGTHS, shape))
    phase = rng.uniform(0, 2 * np.pi, shape)
    height = rng.normal(0, WAVE_HEIGHT, shape) + 1j * rng.normal(0, WAVE_HEIGHT, shape)
    moved = point_BKM.copy()
    for w, p, h in zip(wave, phase, height, strict=True):
        moved += config.warp * h * np.sin(point_BKM.real * w.real + point_BKM.imag * w.imag + p)
    return moved


def _centred(point_BKM: np.ndarray, there_BK1: np.ndarray) -> np.ndarray:
    low, high = box(point_BKM, there_BK1)
    return point_BKM - ((low + high) / 2)[:, None, None]


def box(point_BKM: np.ndarray, there_BK1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upper left and the lower right corner of each drawing, of the strokes that are there."""
    low, high = [], []
    for part in (point_BKM.real, point_BKM.imag):
        low.append(np.where(there_BK1, part, np.inf).min((1, 2)))
        high.append(np.where(there_BK1, part, -np.inf).max((1, 2)))
    return low[0] + 1j * low[1], high[0] + 1j * high[1]


def _on_the_sheet(
    rng: np.random.Generator,
    point_BKM: np.ndarray,
    there_BK1: np.ndarray,
    hand: np.ndarray,
    drawers: int,
    config: StrokesConfig,
) -> np.ndarray:
    """Slant, size and proportions, then a place on the sheet, all of a drawing inside."""

    def normal(spread: tuple[float, float], by: float) -> np.ndarray:
        """Of each drawing: what its drawer always does, and more."""
        always, more = spread
        both = rng.normal(0, always, drawers)[hand] + rng.normal(0, more, len(hand))
        return by * both[:, None, None]

    size, proportion = np.exp(normal(SIZE, config.scale)), np.exp(normal(PROPORTION, config.scale))
    x = point_BKM.real * size * proportion - point_BKM.imag * normal(SHEAR, config.slant)
    turned = (x + 1j * point_BKM.imag * size / proportion) * np.exp(1j * normal(TURN, config.slant))
    centred = _centred(turned, there_BK1)
    _, high = box(centred, there_BK1)
    half = PIXELS / 2 - MARGIN
    fit_B = np.minimum(1, half / np.maximum(np.maximum(high.real, high.imag), 1e-9))
    room = half - fit_B * high.real, half - fit_B * high.imag
    place = normal(PLACE, config.translation)[:, 0, 0], normal(PLACE, config.translation)[:, 0, 0]
    x_B, y_B = (np.clip(at, -left, left) for at, left in zip(place, room, strict=True))
    return centred * fit_B[:, None, None] + (PIXELS / 2 * (1 + 1j) + x_B + 1j * y_B)[:, None, None]
