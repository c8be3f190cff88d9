"""NumPy archives (``.npz``) of users: plain arrays, of which nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from envs.support.user_files import read_file


def read_arrays(path: Path | str, limit: int) -> dict[str, np.ndarray]:
    """The arrays of an archive; no more memory is taken than its bytes fill.

    Args:
        limit: bytes of the file, and of each array in it.

    Raises:
        ValueError: for a file that is none, or larger; it names the file. OSError: where there is none.
    """
    data = read_file(path, limit)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {info.filename.removesuffix(".npy"): _array(archive, info, limit) for info in archive.infolist()}
    # A reader that is fed a broken file can fail in any way.
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: it cannot be read as a NumPy archive of plain arrays ({line})") from error


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> np.ndarray:
    if info.file_size > limit:
        raise ValueError(f"{info.filename} unpacks to {info.file_size:,} bytes; {limit:,} are allowed")
    file = io.BytesIO(archive.read(info))
    read_header: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError(f"{info.filename} has a header of an unknown version")
    shape, _, dtype = read_header(file)
    there, told = info.file_size - file.tell(), dtype.itemsize * int(np.prod(shape, dtype=object))
    if there != told:
        raise ValueError(f"{info.filename} has {there:,} bytes; its shape {shape} says {told:,}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
