"""A run of a world as an animated picture: what is seen, what is sought, and the programs that are running.

What a world that has no pictures draws as text is one: each character has a cell of its own.

Pillow is needed for this file alone; it comes with Matplotlib (``pip install 'npi-engine[pictures]'``).
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traces.viewing.states import Pixels

SIDE = 256
"""Pixels along a picture's longer side, about: each pixel of the world becomes a square of whole pixels."""

MAX_STILLS = 1000
"""An animation holds the beginning of a run that is longer."""

STEP_MS, END_MS = 600, 2500
"""How long a still is shown at most, and the last one."""

WHOLE_MS, LEAST_MS = 12_000, 40
"""Of runs of many calls: how long all stills are shown, and each at least."""

CELL_WIDTH, CELL_HEIGHT = 8, 14
"""Of a character of a drawing, in pixels."""

MARGIN, LETTER = 16, 16
PAGE, INK, SOFT, GOOD, BAD = "#f6f7f9", "#1b2130", "#656e80", "#16794c", "#c4320a"


@dataclass(frozen=True)
class Still:
    """One moment of a run.

    Attributes:
        pictures: by caption, from left to right; of each still the same ones, in the same sizes.
        way: the programs that are running and what they call now, the outermost first; empty at the end.
        lines: what else is to be said. end: how the run ended; empty before. right: whether that is good.
    """

    pictures: Mapping[str, Pixels]
    way: tuple[str, ...]
    lines: tuple[str, ...]
    end: str = ""
    right: bool = True


def pillow() -> Any:
    """The library; a ``ValueError`` names the extra where it is missing."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        message = "an animated picture needs Pillow, which is not installed: pip install 'npi-engine[pictures]'"
        raise ValueError(message) from None


def animation(stills: Sequence[Still]) -> bytes:
    """The GIF of at least one still; it begins anew when it has ended."""
    first, *rest = stills
    each = max(LEAST_MS, min(STEP_MS, WHOLE_MS // len(stills)))
    found, durations = io.BytesIO(), [each] * len(rest) + [END_MS]
    frame(first).save(found, "GIF", save_all=True, append_images=map(frame, rest), duration=durations, loop=0)
    return found.getvalue()


def frame(still: Still) -> Any:
    """One still as a Pillow image with its own 256 colours."""
    image = pillow()
    pen_of, font_of = importlib.import_module("PIL.ImageDraw"), importlib.import_module("PIL.ImageFont")
    shown = {caption: image.fromarray(enlarged(pixels)) for caption, pixels in still.pictures.items()}
    wide = sum(each.width for each in shown.values()) + MARGIN * (len(shown) + 1)
    high = max(each.height for each in shown.values())
    below = LETTER + 8  # the pitch of lines
    lines = 1 + len(still.lines)
    drawn = image.new("RGB", (wide, MARGIN + below + high + 10 + lines * below + MARGIN // 2), PAGE)
    pen, font = pen_of.Draw(drawn), font_of.load_default(LETTER)
    x = MARGIN
    for caption, each in shown.items():
        pen.text((x, MARGIN - 4), caption, fill=SOFT, font=font)
        drawn.paste(each, (x, MARGIN + below - 4))
        x += each.width + MARGIN
    way = fitted(still.way, wide - 2 * MARGIN, lambda text: float(pen.textlength(text, font=font)))
    colour = INK if not still.end else GOOD if still.right else BAD
    for number, line in enumerate((still.end or way, *still.lines)):
        y = MARGIN + below + high + 10 + number * below
        pen.text((MARGIN, y), line, fill=SOFT if number else colour, font=font)
    return drawn.quantize(256, dither=image.Dither.NONE)


def text_pictures(drawings: Sequence[Sequence[str]]) -> list[Pixels]:
    """Drawings in lines of text as pictures of one size; those of fewer lines stand at the bottom."""
    rows, columns = max(map(len, drawings)), max(len(line) for lines in drawings for line in lines)
    font = importlib.import_module("PIL.ImageFont").load_default(CELL_HEIGHT - 2)
    found, kept = [], dict[str, Pixels]()
    for lines in drawings:
        pixels = np.full((rows * CELL_HEIGHT, columns * CELL_WIDTH, 1), 255, np.uint8)
        for row, line in enumerate(lines, rows - len(lines)):
            for column, letter in enumerate(line):
                if letter != " ":
                    top, left = row * CELL_HEIGHT, column * CELL_WIDTH
                    if letter not in kept:
                        kept[letter] = _letter(letter, font)
                    pixels[top : top + CELL_HEIGHT, left : left + CELL_WIDTH] = kept[letter]
        found.append(pixels)
    return found


def _letter(letter: str, font: Any) -> Pixels:
    """A character in the middle of its cell."""
    cell = pillow().new("L", (CELL_WIDTH, CELL_HEIGHT), 255)
    pen = importlib.import_module("PIL.ImageDraw").Draw(cell)
    left, _, right, _ = pen.textbbox((0, 0), letter, font=font)
    pen.text(((CELL_WIDTH - right - left) / 2, -1), letter, fill=0, font=font)
    return np.asarray(cell)[:, :, None]


def enlarged(pixels_HWC: Pixels) -> Pixels:
    """Each pixel as a square; grey as red, green and blue."""
    times = max(1, round(SIDE / max(pixels_HWC.shape[:2])))
    colours_HW3 = pixels_HWC[:, :, :3] if pixels_HWC.shape[2] >= 3 else pixels_HWC[:, :, :1].repeat(3, 2)
    return np.ascontiguousarray(colours_HW3.repeat(times, 0).repeat(times, 1))


def fitted(way: Sequence[str], width: float, measure: Any) -> str:
    """``GOTO > HGOTO > ACT(LEFT)``; of what is too long for the width, the first one and as many of the last as fit."""
    words = list(way)
    while len(words) > 2 and measure(" > ".join(words)) > width:
        words = [words[0], "…", *words[3 if words[1] == "…" else 2 :]]
    return " > ".join(words)
