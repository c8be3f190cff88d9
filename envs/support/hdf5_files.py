"""HDF5 files of users (the extra ``demonstrations``): plain arrays that lie in the file itself.

The format has links to other files, arrays whose bytes lie in other files, or are made of other arrays, and arrays that
are large without a byte of their own. None of these is followed or read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.support.user_files import read_file

EPISODE = re.compile(r"episode_([0-9]{1,9})")

PLAIN = "fiub"
"""Kinds of numbers, as numpy names them."""


def need_h5py() -> Any:
    """h5py; ``ValueError`` where it is not installed."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ValueError("files of Minari need h5py: pip install 'npi-engine[demonstrations]'") from error
    return h5py


def read_episodes(path: Path | str, names: Sequence[str], limit: int) -> list[dict[str, np.ndarray]]:
    """The episodes of a file in the layout of Minari, by number: arrays of ``observations``, and ``actions`` where they
    are.

    Args:
        names: of observations. limit: bytes of the file, and of all that is read of it.

    Raises:
        ValueError: for a file of another form, or larger; it names the file. OSError: where there is none.
    """
    h5py = need_h5py()
    content = read_file(path, limit)
    left = limit
    try:
        with h5py.File(io.BytesIO(content), "r") as held:
            found = []
            for name in sorted((name for name in held if _number(name) >= 0), key=_number):
                parts = _parts(h5py, held, name, names)
                left -= sum(part.size * part.dtype.itemsize for part in parts.values())
                if left < 0:
                    raise ValueError(f"its arrays have more than {limit:,} bytes, the most that is read")
                found.append({name: np.asarray(part[()]) for name, part in parts.items()})
            return found
    # A reader that is fed a broken file can fail in any way.
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no HDF5 file of episodes as Minari writes them ({line})") from error


def _parts(h5py: Any, held: Any, episode: str, names: Sequence[str]) -> dict[str, Any]:
    """The data sets of an episode that are named, and its actions, if it has some."""
    group = _member(h5py, held, episode)
    observed = _member(h5py, group, "observations") if isinstance(group, h5py.Group) else None
    if not isinstance(observed, h5py.Group):
        raise ValueError(f"{episode} is no group with a group of observations")
    for name in names:
        if name not in observed:
            raise ValueError(f"{episode} has no {name!r}, which the world observes; it has {', '.join(observed)}")
    places = [(observed, name) for name in names] + [(group, "actions")] * ("actions" in group)
    return {name: _plain(h5py, _member(h5py, place, name)) for place, name in places}


def _plain(h5py: Any, part: Any) -> Any:
    """A data set of numbers that has its bytes in the file."""
    if not isinstance(part, h5py.Dataset) or part.shape is None or part.dtype.kind not in PLAIN:
        raise ValueError(f"{part.name} is no array of numbers")
    if part.is_virtual or part.external is not None:
        raise ValueError(f"{part.name} lies in another file or array; copy it into this one")
    return part


def _member(h5py: Any, group: Any, name: str) -> Any:
    """What lies in a group, unless it is a link to somewhere else."""
    if name in group and not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link; copy what it leads to")
    return group[name]


def _number(name: str) -> int:
    """That of an episode; -1 for what is none."""
    found = EPISODE.fullmatch(name)
    return -1 if found is None else int(found[1])
