"""Pictures as PNG files, by the standard library alone: a page needs nothing else to be installed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture, height × width × channels."""

COLOURS = {1: 0, 3: 2, 4: 6}
"""PNG's number for so many channels: grey, red-green-blue, the same with opacity."""


def png(pixels_HWC: Pixels) -> bytes:
    """The file of a picture; ``ValueError`` for one that is not uint8 with 1, 3 or 4 channels."""
    if pixels_HWC.dtype != np.uint8 or pixels_HWC.ndim != 3 or pixels_HWC.shape[2] not in COLOURS:
        found = f"{pixels_HWC.dtype} {pixels_HWC.shape}"
        raise ValueError(f"a picture is {found}; it has to be uint8, height × width × 1, 3 or 4")
    height, width, channels = pixels_HWC.shape
    unfiltered = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with the number of its filter
    unfiltered[:, 1:] = pixels_HWC.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
