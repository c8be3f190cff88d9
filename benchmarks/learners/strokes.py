"""Generated alphabets beside Omniglot's: ``python -m benchmarks.learners.strokes BACKGROUND``.

``BACKGROUND`` is Omniglot's packed background set (:mod:`envs.images.packed`); the five alphabets on which cores are
tested are left out. Writes ``docs/results/strokes.md`` and the sheet beside it. Shape legend: ``N`` drawings, ``C``
classes, ``S`` pixels of a side.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from benchmarks.common import plain_arguments, write
from envs.images.drawings import Drawings
from envs.images.packed import SIDE, packed
from envs.images.strokes import strokes
from meta.few_shot.classic import inked, modified_hausdorff, nearest_hausdorff, nearest_pixels
from npi.reproduce.pages import Content

TEST = ("Bengali", "Futurama", "Gujarati", "Hebrew", "Sanskrit")

WAYS, EPISODES = 20, 100

PAIRS = 1000
"""Pairs of drawings of one character, and of two of an alphabet."""

ROWS, COLUMNS, HANDS = 12, 10, 2
"""Alphabets on the sheet, characters of each, drawings of each of these."""


def spread(value_N: np.ndarray, drawings: Drawings) -> float:
    """The standard deviation within a class."""
    mean_C = np.bincount(drawings.class_N, value_N) / drawings.pictures_C
    return float(np.sqrt(np.mean((value_N - mean_C[drawings.class_N]) ** 2)))


def sides(ink_NSS: np.ndarray) -> dict[str, np.ndarray]:
    """Width and height of what is inked, and its middle, in pixels."""
    found = {}
    for name, place, inked_NS in (("width", "x", ink_NSS.any(1)), ("height", "y", ink_NSS.any(2))):
        first_N, last_N = inked_NS.argmax(1), ink_NSS.shape[1] - 1 - inked_NS[:, ::-1].argmax(1)
        found[name], found[place] = (last_N - first_N + 1).astype(float), (first_N + last_N) / 2
    return found


def errors(drawings: Drawings, nearest: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Per cent of wrong answers among WAYS characters of an alphabet, one drawing of each being known."""
    rng, wrong = np.random.default_rng(0), 0
    large = [group for group in range(drawings.groups) if len(drawings.of_group(group)) >= WAYS]
    for _ in range(EPISODES):
        classes = rng.choice(drawings.of_group(rng.choice(large)), WAYS, replace=False)
        pairs_W2 = np.array([rng.choice(drawings.of_class(int(number)), 2, replace=False) for number in classes])
        support, query = (drawings.picture_NSS[place_W] for place_W in pairs_W2.T)
        wrong += np.count_nonzero(nearest(support, query) != np.arange(WAYS))
    return 100 * wrong / (EPISODES * WAYS)


def distances(drawings: Drawings) -> tuple[np.ndarray, np.ndarray]:
    """Modified Hausdorff distances in pixels: of two drawings of a character, and of two characters of an alphabet."""
    rng = np.random.default_rng(0)
    same, other = np.zeros((2, PAIRS))
    for pair in range(PAIRS):
        number = int(rng.integers(drawings.classes))
        group = drawings.of_group(int(drawings.group_C[number]))
        first, second = rng.choice(drawings.of_class(number), 2, replace=False)
        third = rng.choice(drawings.of_class(int(rng.choice(group[group != number]))))
        one, two, three = (inked(drawings.picture_NSS[place]) for place in (first, second, third))
        same[pair], other[pair] = modified_hausdorff(one, two), modified_hausdorff(one, three)
    return same, other


def figures(full: Drawings, small: Drawings) -> dict[str, str]:
    """What is compared, of drawings as they are published and at a working resolution."""
    ink_NSS = full.picture_NSS > 127
    side = sides(ink_NSS)
    same, other = distances(full)
    return {
        "inked, % of the sheet": f"{100 * ink_NSS.mean():.1f}",
        "width, height, pixels": f"{side['width'].mean():.0f}, {side['height'].mean():.0f}",
        "logarithm of width, of height: deviation within a character": (
            f"{spread(np.log(side['width']), full):.2f}, {spread(np.log(side['height']), full):.2f}"
        ),
        "middle, x and y: deviation within a character, pixels": (
            f"{spread(side['x'], full):.1f}, {spread(side['y'], full):.1f}"
        ),
        "modified Hausdorff distance of two drawings of a character, median": f"{np.median(same):.1f}",
        "of two characters of an alphabet": f"{np.median(other):.1f}",
        "the first is larger, % of pairs": f"{100 * np.mean(same[:, None] > other):.0f}",
        "nearest pixels wrong, %": f"{errors(small, nearest_pixels):.0f}",
        "nearest by modified Hausdorff distance wrong, %": f"{errors(small, nearest_hausdorff):.0f}",
    }


def sheet(drawings: Drawings) -> bytes:
    """Alphabets in rows, two drawings of each character beside each other, as a PNG."""
    rows = []
    for group in range(ROWS):
        places = [drawings.of_class(int(number))[:HANDS] for number in drawings.of_group(group)[:COLUMNS]]
        rows.append(np.concatenate([*drawings.picture_NSS[np.concatenate(places)]], 1))
    image = Image.fromarray(255 - np.concatenate(rows))
    file = io.BytesIO()
    image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.BOX).save(file, "PNG", optimize=True)
    return file.getvalue()


def rate() -> float:
    """Drawings made in a second of the processor's time, the best of several runs."""
    strokes(alphabets=1)
    best = 0.0
    for seed in range(5):
        began = time.process_time()
        best = max(best, len(strokes(alphabets=10, seed=seed)) / (time.process_time() - began))
    return best


def contents(real: Callable[[int], Drawings]) -> Mapping[str, Content | bytes]:
    """What the page says; ``real`` gives Omniglot's drawings at a resolution."""
    made = strokes(SIDE, seed=1)
    published, generated = figures(real(SIDE), real(32)), figures(made, strokes(32, seed=1))
    rows = [[name, published[name], generated[name]] for name in published]
    return {
        "rate": f"{rate():,.0f}",
        "statistics": [["", "Omniglot", "strokes"], *rows],
        "strokes.png": sheet(made),
    }


def main() -> None:
    """Measure both and write the page."""
    parser = plain_arguments(__doc__)
    parser.add_argument("background", metavar="BACKGROUND")
    options = parser.parse_args()
    write("strokes", contents(lambda size: packed(options.background, size).without(TEST)))


if __name__ == "__main__":
    main()
