"""Pictures of characters of alphabets that nobody has seen, drawn by many hands: as many as wanted, from a seed.

An alphabet is :mod:`envs.images.alphabets`, a drawer :mod:`envs.images.motor`, and what they leave on a sheet of 105 x
105 pixels :mod:`envs.images.pen`. Shape legend: ``C`` characters, ``B`` drawings, ``S`` pixels of a side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

import numpy as np

from envs.images.alphabets import PIXELS, StrokesConfig, Style, draw_character, draw_repertoire, draw_style
from envs.images.characters import Character, extents, placed
from envs.images.drawings import Drawings
from envs.images.motor import Design, designed, drawn
from envs.images.pen import ink
from envs.images.resizing import check_size, resized

MAX_PICTURES = 2_000_000

LIKENESSES = (0.92, 0.92, 0.92, 0.92, 0.96, 0.96, 0.99, 0.99, 1.01)
"""The cosine of the looks of two characters is below these, one for each time that as many are tried as are wanted."""

LOOK, LOOK_EXTENT, LOOK_PEN = 15, 80, 9
"""Pixels of a side at which characters are compared, and on the sheet the longer side of all of them, and the pen."""

MIN_CLEAR, MAX_RATIO, MAX_ASLANT, RARELY = 0.6, 2.0, 0.5, 0.08
"""The least area of ink beside length by width of the pen; the longer beside the shorter side that is still usual; the
correlation of x and y with which a third are kept; and the share of all that is kept whatever it looks like."""


def strokes(
    size: int = 32,
    *,
    alphabets: int = 30,
    characters: int = 30,
    drawers: int = 20,
    seed: int = 0,
    config: StrokesConfig | None = None,
) -> Drawings:
    """Alphabets of generated characters, each an own group, at ``size`` x ``size`` pixels.

    An alphabet depends on the seed, its number, how many characters and drawers there are and the settings, and not on
    how many alphabets there are.

    Args:
        alphabets, characters, drawers: how many; characters of each alphabet, and drawings of each character.
        seed: 0 or more.
        config: what the generator does; all of it by default.

    Raises:
        ValueError: for counts below 1, or more than :data:`MAX_PICTURES` pictures in all.
    """
    check_size(size)
    for name, number, least in (
        ("alphabets", alphabets, 1), ("characters", characters, 1), ("drawers", drawers, 1), ("seed", seed, 0),
    ):  # fmt: skip
        if number < least:
            raise ValueError(f"{name} is {number}; expected {least} or more")
    if alphabets * characters * drawers > MAX_PICTURES:
        raise ValueError(
            f"{alphabets} alphabets of {characters} characters by {drawers} drawers are "
            f"{alphabets * characters * drawers:,} pictures; {MAX_PICTURES:,} are allowed"
        )
    found = [
        _alphabet(np.random.default_rng([seed, number]), size, characters, drawers, config or StrokesConfig())
        for number in range(alphabets)
    ]
    classes = alphabets * characters
    return Drawings(
        np.concatenate(found),
        np.repeat(np.arange(classes), drawers),
        np.tile(np.arange(drawers), classes),
        np.repeat(np.arange(alphabets), characters),
        tuple(f"character{number:02}" for number in range(1, characters + 1)) * alphabets,
        tuple(f"alphabet{number:03}" for number in range(1, alphabets + 1)),
    )


generated_drawings = strokes
"""The same under a name that no module of the package has, for ``from envs.images import``."""


def _alphabet(rng: np.random.Generator, size: int, characters: int, drawers: int, config: StrokesConfig) -> np.ndarray:
    """The pictures of an alphabet, characters first, then drawers."""
    return pictures(*_trajectories(rng, characters, drawers, config), size, config)


def trajectories(
    *, alphabets: int, characters: int, drawers: int, seed: int = 0, config: StrokesConfig
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same drawings as paths of the pen, alphabet by alphabet: complex points, B x K x M+1, y down, and the
    segments of each stroke, B x K; characters first, then drawers."""
    for number in range(alphabets):
        yield _trajectories(np.random.default_rng([seed, number]), characters, drawers, config)


def _trajectories(
    rng: np.random.Generator, characters: int, drawers: int, config: StrokesConfig
) -> tuple[np.ndarray, np.ndarray]:
    style = draw_style(rng, config)
    design = designed_alphabet(rng, style, characters, config)
    return drawn(rng, design, drawers, config), np.repeat(design.segments_CK, drawers, 0)


def pictures(point_BKM: np.ndarray, segments_BK: np.ndarray, size: int, config: StrokesConfig) -> np.ndarray:
    """uint8 pictures of drawings, B x S x S."""
    point_BKM2 = np.stack([point_BKM.real, point_BKM.imag], 3).astype(np.float32)
    points_BK = np.where(segments_BK > 0, segments_BK + 1, 0)
    return resized(ink(point_BKM2, points_BK, config.pen / 2, PIXELS), size)


def designed_alphabet(rng: np.random.Generator, style: Style, characters: int, config: StrokesConfig) -> Design:
    """Characters of one style, no two alike, in pixels."""
    repertoire = draw_repertoire(rng, style, config)
    kept: list[Character] = []
    seen_CV = np.zeros((0, LOOK**2))
    for likeness in LIKENESSES:
        if len(kept) == characters:
            break
        tried: list[Character] = []
        for _ in range(characters):
            tried.append(draw_character(rng, style, repertoire, kept + tried, config))
        look_CV = looks(tried)
        good_C = plausible(rng, tried, look_CV) | (likeness > 1)
        for character, look_V in zip(compress(tried, good_C), look_CV[good_C], strict=True):
            if len(kept) < characters and (likenesses(seen_CV, look_V) < likeness).all():
                kept.append(character)
                seen_CV = np.concatenate([seen_CV, look_V[None]])
    assert len(kept) == characters
    return designed(kept, scales(kept, style))


def looks(characters: Sequence[Character]) -> np.ndarray:
    """What characters look like whatever their size: the share of ink in each pixel, C x pixels."""
    exact = StrokesConfig(
        motor_noise=0, placement=0, warp=0, slant=0, scale=0, translation=0, smoothing=0, pen=LOOK_PEN
    )
    pixels_C = np.array([LOOK_EXTENT / max(0.1, *extents(np.concatenate(placed(one)))) for one in characters])
    design = designed(characters, pixels_C)
    seen = pictures(drawn(np.random.default_rng(0), design, 1, exact), design.segments_CK, LOOK, exact)
    return seen.reshape(len(characters), -1) / 255


def likenesses(seen_CV: np.ndarray, look_V: np.ndarray) -> np.ndarray:
    """The cosine of a look and each of others."""
    return seen_CV @ look_V / np.linalg.norm(look_V) / np.linalg.norm(seen_CV, axis=1)


def plausible(rng: np.random.Generator, characters: Sequence[Character], look_CV: np.ndarray) -> np.ndarray:
    """bool: whether a person would write each so: hardly ever one that is very long or all aslant, and no tangle."""
    found = []
    for character, ink_share in zip(characters, look_CV.mean(1), strict=True):
        paths = placed(character)
        points = np.concatenate(paths)
        short, long = sorted(extents(points))
        length = sum(np.abs(np.diff(path)).sum() for path in paths) * LOOK_EXTENT / max(0.1, long)
        clear = ink_share * PIXELS**2 / (LOOK_PEN * (length + LOOK_PEN))
        likely = min(1, (MAX_RATIO * short / long) ** 2) * np.exp(-((aslant(points) / MAX_ASLANT) ** 2)) + RARELY
        found.append(clear > MIN_CLEAR and rng.random() < likely)
    return np.array(found)


def aslant(point_M: np.ndarray) -> float:
    """The correlation of x and y: 1 for what leads down to the right, 0 for a cross, a circle, or an upright line."""
    from_middle = point_M - point_M.mean()
    x, y = from_middle.real, from_middle.imag
    thick = (0.02 * np.abs(from_middle).max()) ** 2
    return float((x * y).mean() / np.sqrt(((x * x).mean() + thick) * ((y * y).mean() + thick)))


def scales(characters: Sequence[Character], style: Style) -> np.ndarray:
    """Pixels of each character's unit of length: all of one size where the style is even, else by their strokes."""
    long_C = np.array([max(0.02, *extents(np.concatenate(placed(one)))) for one in characters])
    usual = np.exp(np.log(long_C).mean())
    return style.extent / usual * (usual / long_C.clip(0.25 * usual)) ** style.evenness
