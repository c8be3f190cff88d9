"""Files of pictures as ink on paper, whatever their format, colours, depth and polarity.

Reading the files is Pillow's work, which is needed for this alone (``pip install 'npi-engine[pictures]'``). What it
reads is material to check: formats are few, sizes bounded before pixels are unpacked, and every fault names the file.
"""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.images.resizing import resized

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF"}
"""Endings of names, and Pillow's names of what such files may be."""

FILE_BYTES = 16 << 20
"""Of a file of a picture."""

MAX_PIXELS = 4096 * 4096
"""Of a picture."""

MIN_CONTRAST = 24
"""Between ink and paper, of 255; below that there is no ink."""

CLEAR = 0.5
"""The evidence of light or dark paper beyond which a picture decides alone."""


@dataclass(frozen=True)
class Reading:
    """The picture of a file at its working resolution.

    Attributes:
        evidence: that its paper is lighter than its ink, from -1 (surely darker) to 1.
        dark_ink_SS, light_ink_SS: uint8, the ink where it is what is dark, or what is light; ``None`` for what the
            evidence rules out.
    """

    evidence: float
    dark_ink_SS: np.ndarray | None
    light_ink_SS: np.ndarray | None


def read_picture(name: str, data: bytes, size: int) -> Reading:
    """The picture of a file: transparency is paper, 16 bits become 8, and what is not square is padded with paper.

    Raises:
        ValueError: for a file that is empty, broken, too large, of another format, of several frames, or without ink;
            it names the file.
    """
    if not data:
        raise ValueError(f"{name}: an empty file; expected a picture ({', '.join(FORMATS)})")
    pillow = need_pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            light_HW = _unpacked(pillow, data)
    except _Refused as error:
        raise ValueError(f"{name}: {error}") from None
    # A decoder that is fed a broken file can fail in any way.
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        message = f"{name}: it cannot be read as a picture; it may be cut off or of another format ({line})"
        raise ValueError(message) from error
    if int(light_HW.max()) - int(light_HW.min()) < MIN_CONTRAST:
        raise ValueError(f"{name}: no ink, all of it is nearly one grey; leave it out or give another picture")
    return reading(light_HW, size)


def reading(light_HW: np.ndarray, size: int) -> Reading:
    """What pixels (uint8, 0 black to 255 white, not all alike) show."""
    evidence = light_paper(light_HW)
    return Reading(
        evidence,
        ink_of(255 - light_HW, size) if evidence >= -CLEAR else None,
        ink_of(light_HW, size) if evidence <= CLEAR else None,
    )


def light_paper(light_HW: np.ndarray) -> float:
    """The evidence that a picture's paper is lighter than its ink, from -1 to 1.

    It is the share of the border that is nearer to the lightest pixel than to the darkest, and that of all pixels, less
    1: a border may be inked, and a drawing may be fat, but hardly both.
    """
    light = light_HW > (int(light_HW.min()) + int(light_HW.max())) / 2
    border = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]])
    return float(border.mean() + light.mean() - 1)


def ink_of(ink_HW: np.ndarray, size: int) -> np.ndarray:
    """uint8, S x S: ink from 0, as most of the paper is, to 255, the strongest of the picture; padded to a square."""
    strongest = int(ink_HW.max())
    paper = int(np.median(ink_HW[ink_HW <= (int(ink_HW.min()) + strongest) / 2]))
    full_HW = (ink_HW.astype(np.float32) - paper).clip(0) * np.float32(255 / (strongest - paper))
    height, width = full_HW.shape
    side = max(height, width)
    square = np.zeros((1, side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[0, top : top + height, left : left + width] = np.rint(full_HW)
    return resized(square, size)[0]


def settled(classes: Sequence[Sequence[Reading]]) -> np.ndarray:
    """The pictures of all classes, N x S x S, each by the polarity that it shows itself.

    Those that do not show it clearly go by those of their class that do, and where none does by those of all classes.
    """
    everywhere = usual_evidence([one for members in classes for one in members])
    found = []
    for members in classes:
        usual = _clear_mean([one.evidence for one in members]) or everywhere
        found += [ink_picture(one, usual) for one in members]
    return np.stack(found)


def usual_evidence(readings: Sequence[Reading]) -> float:
    """The evidence of those that show it clearly, in the mean, and of all where none does."""
    evidence = [one.evidence for one in readings]
    return _clear_mean(evidence) or float(np.mean(evidence))


def ink_picture(one: Reading, usual: float) -> np.ndarray:
    """uint8, S x S: a picture by the polarity that it shows itself, or, where that is not clear, by what is usual."""
    dark_ink = (one.evidence if abs(one.evidence) > CLEAR else usual) >= 0
    picture_SS = one.dark_ink_SS if dark_ink else one.light_ink_SS
    assert picture_SS is not None
    return picture_SS


def _clear_mean(evidence: Sequence[float]) -> float:
    """The mean of what is clear; 0 where nothing is."""
    clear = [one for one in evidence if abs(one) > CLEAR]
    return float(np.mean(clear)) if clear else 0.0


class _Refused(ValueError):
    """What is wrong with a picture that can be read."""


def _unpacked(pillow: Any, data: bytes) -> np.ndarray:
    """uint8 pixels, 0 black to 255 white."""
    with pillow.open(io.BytesIO(data), formats=sorted(set(FORMATS.values()))) as image:
        width, height = image.size
        if not 0 < width * height <= MAX_PIXELS:
            raise _Refused(f"{width:,} x {height:,} pixels; {MAX_PIXELS:,} are allowed in all, give a smaller picture")
        if getattr(image, "n_frames", 1) > 1:
            raise _Refused(f"{image.n_frames} frames; expected a picture of one")
        upright = need_pillow("ImageOps").exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            return _eight_bits(np.asarray(upright))
        if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
            return _on_paper(upright.convert("RGBA"))
        return np.asarray(upright.convert("L"))


def _eight_bits(value_HW: np.ndarray) -> np.ndarray:
    if value_HW.min() < 0 or value_HW.max() > 65535 or not np.isfinite(value_HW).all():
        raise _Refused(f"values from {value_HW.min()} to {value_HW.max()}; expected 8 or 16 bits")
    return np.rint(value_HW / (257 if value_HW.max() > 255 else 1)).astype(np.uint8)


def _on_paper(image: Any) -> np.ndarray:
    """A picture with transparency, on paper that is light where what is opaque is dark, and dark where it is light."""
    light_HW = np.asarray(image.convert("L")).astype(np.float64)
    cover_HW = np.asarray(image)[:, :, 3] / 255
    if not cover_HW.any():
        raise _Refused("all of it is transparent; give a picture with ink")
    paper = 0 if np.average(light_HW, weights=cover_HW) > 127 else 255
    return np.rint(light_HW * cover_HW + paper * (1 - cover_HW)).astype(np.uint8)


def need_pillow(module: str = "Image") -> Any:
    """A module of Pillow; ``ValueError`` where it is not installed."""
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError:
        message = "pictures need Pillow, which is not installed: pip install 'npi-engine[pictures]'"
        raise ValueError(message) from None
