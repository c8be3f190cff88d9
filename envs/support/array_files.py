"""NumPy archives (``.npz``) of users: plain arrays, of which nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from envs.support.user_files import read_file
from envs.support.zip_files import read_part

SMALL = 64 << 20
"""Bytes that any archive may unpack to."""

PACKED = 100
"""Beyond :data:`SMALL`, how many times its own size an archive may unpack to: zeros pack a thousandfold."""


def read_arrays(path: Path | str, limit: int) -> dict[str, np.ndarray]:
    """The arrays of an archive; no more memory is taken than its bytes fill.

    Args:
        limit: bytes of the file, and of all arrays in it together.

    Raises:
        ValueError: for a file that is none, or larger; it names the file. OSError: where there is none.
    """
    data = read_file(path, limit)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = _checked(archive.infolist(), len(data), limit)
            return {info.filename.removesuffix(".npy"): _array(archive, info) for info in infos}
    # A reader that is fed a broken file can fail in any way.
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(
            f"{path}: it cannot be read as a NumPy archive of plain arrays ({line}); numpy.savez writes one"
        ) from error


def _checked(infos: list[zipfile.ZipInfo], packed: int, limit: int) -> list[zipfile.ZipInfo]:
    """The parts of an archive, once they are of different names and of a bounded size."""
    if len({info.filename.removesuffix(".npy") for info in infos}) < len(infos):
        raise ValueError("two arrays have one name")
    total, most = sum(info.file_size for info in infos), min(limit, max(SMALL, PACKED * packed))
    if total > most:
        raise ValueError(f"it unpacks to {total:,} bytes; {most:,} are allowed")
    return infos


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    file = io.BytesIO(read_part(archive, info))
    read_header: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError(f"{info.filename} has a header of an unknown version")
    shape, _, dtype = read_header(file)
    there, told = file.getbuffer().nbytes - file.tell(), dtype.itemsize * int(np.prod(shape, dtype=object))
    if there != told:
        raise ValueError(f"{info.filename} has {there:,} bytes; its shape {shape} says {told:,}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
