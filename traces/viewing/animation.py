"""A run of a world with pictures as an animated one: what is seen, what is sought, and the programs that are running.

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
"""How long a still is shown, and the last one."""

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
    found, durations = io.BytesIO(), [STEP_MS] * len(rest) + [END_MS]
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
