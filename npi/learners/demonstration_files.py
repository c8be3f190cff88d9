"""Demonstrations in files: ``.npz``, and the format of Minari (HDF5 of Gymnasium's episodes; the extra
``demonstrations``).

A ``.npz`` holds one demonstration of T steps: an array for each channel that the world observes, by its name, with
T + 1 lines where it changes from step to step; ``actions``, T × X, unless only states are known. An HDF5 file holds
groups ``episode_0``, ``episode_1`` …, each with the same arrays in the group ``observations`` and with ``actions``,
``rewards``, ``terminations`` and ``truncations``; channels that last an episode may have one line or T + 1.

A channel that itself holds a demonstration is not kept.

Shape legend: ``B`` demonstrations, ``T`` steps, ``X`` payload.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from envs.spec import SLOTS, Channel, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.support.array_files import read_arrays
from envs.support.atomic_files import write_whole
from envs.support.hdf5_files import need_h5py, read_episodes
from envs.world import Episodes

MAX_BYTES = 256 << 20
"""Of a file."""

HDF5_ENDINGS = (".hdf5", ".h5")

LARGEST = 1_000_000
"""Of a number: no world shows what is beyond."""

MAX_LINES = 10_000
"""Of an array of a demonstration."""

NONE: Mapping[str, int] = MappingProxyType({})

LEFT_OUT = "demonstration"
"""The channel that is no part of what is demonstrated."""

Arrays = Mapping[str, np.ndarray]
"""A demonstration: channels by name, and ``actions``."""


def read_demonstrations(path: Path | str, spec: WorldSpec, longest: Mapping[str, int] = NONE) -> Episodes:
    """The demonstrations of a file, for a world.

    Args:
        longest: the most lines of ragged channels, by name.

    Raises ``ValueError`` for a file of another form, and where it does not have what the world observes.
    """
    path = Path(path)
    if path.is_dir():  # a data set of Minari
        path = path / "data" / "main_data.hdf5"
    if path.suffix in HDF5_ENDINGS:
        names = [channel.name for channel in kept_channels(spec)]
        shown: Sequence[Arrays] = read_episodes(path, names, MAX_BYTES)
    else:
        shown = [read_arrays(path, MAX_BYTES)]
    if not shown:
        raise ValueError(f"{path} holds no episode; a demonstration is a group such as episode_0")
    told = {"actions" in arrays for arrays in shown}
    if len(told) == 2:
        raise ValueError(f"{path}: some episodes have actions and some have none; keep them in files of their own")
    checked = [_checked(arrays, spec, f"{path}") for arrays in shown]
    for arrays in checked:
        _check_lines(arrays, spec, longest, f"{path}")
    return _episodes(checked, spec)


def write_demonstrations(path: Path | str, episodes: Episodes, spec: WorldSpec) -> None:
    """Write episodes to a ``.npz``, which holds one, or to an HDF5 file as Minari's.

    Raises ``ValueError`` for another ending, and for several demonstrations in a ``.npz``.
    """
    path = Path(path)
    if path.suffix in HDF5_ENDINGS:
        write_whole(path, _hdf5([_arrays(episodes, spec, b, lasting=False) for b in range(episodes.batch)]))
    elif path.suffix == ".npz":
        if episodes.batch != 1:
            raise ValueError(f"{path} can hold one demonstration and not {episodes.batch}; name a file .hdf5")
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **_arrays(episodes, spec, 0, lasting=True))
        write_whole(path, content.getvalue())
    else:
        raise ValueError(f"{path}: demonstrations are kept in .npz or in .hdf5; choose one of these endings")


def kept_channels(spec: WorldSpec) -> list[Channel]:
    """The channels that a file holds."""
    return [channel for channel in spec.channels if channel.name != LEFT_OUT and not channel.fields]


def _checked(arrays: Arrays, spec: WorldSpec, path: str) -> dict[str, np.ndarray]:
    """The arrays that the world knows, as float32: of each channel T + 1 lines, or one of what lasts an episode."""
    channels = {channel.name: channel for channel in kept_channels(spec)}
    for name in channels.keys() - arrays.keys():
        raise ValueError(
            f"{path} has no {name!r}, which world {spec.name} observes; it has {', '.join(sorted(arrays))}"
        )
    found: dict[str, np.ndarray] = {}
    for name in (*channels, *(["actions"] if "actions" in arrays else [])):
        array = arrays[name]
        with np.errstate(over="ignore"):
            found[name] = array.astype(np.float32) if array.ndim and array.dtype.kind in "fiub" else np.array(np.nan)
        if not (np.abs(found[name]) <= LARGEST).all():
            raise ValueError(
                f"{path}: {name!r} must be an array of finite numbers, up to {LARGEST:,}; its type is {array.dtype}, "
                f"its shape {array.shape}"
            )
    moments = {len(found[name]) for name, channel in channels.items() if channel.per == "step"}
    if len(moments) != 1 or not 2 <= min(moments) <= MAX_LINES:
        raise ValueError(
            f"{path}: channels have {sorted(moments)} lines; give one and the same number, 2 at least and "
            f"{MAX_LINES:,} at most"
        )
    count = moments.pop()
    for name, channel in channels.items():
        if channel.per == "episode" and found[name].ndim == len(channel.shape) + 1 and len(found[name]):
            found[name] = found[name][0]
        size = found[name].shape[0 if channel.per == "episode" else 1 :]
        if len(size) != len(channel.shape) or any(
            a is not None and a != b for a, b in zip(channel.shape, size, strict=True)
        ):
            raise ValueError(f"{path}: {name!r} has lines of the shape {size}, and the world's have {channel.shape}")
    if "actions" in found and found["actions"].shape != (count - 1, spec.payload_width):
        raise ValueError(
            f"{path}: actions have the shape {found['actions'].shape}; with {count} observations of world {spec.name} "
            f"it must be {(count - 1, spec.payload_width)}"
        )
    return found


def _check_lines(arrays: Arrays, spec: WorldSpec, longest: Mapping[str, int], path: str) -> None:
    """``ValueError`` for a ragged channel of no line, or of more than there can be."""
    for channel in kept_channels(spec):
        most = longest.get(channel.name, MAX_LINES)
        lines = arrays[channel.name].shape[0 if channel.per == "episode" else 1]
        if channel.ragged and not 1 <= lines <= most:
            raise ValueError(f"{path}: {channel.name!r} has {lines:,} lines; world {spec.name} shows 1 to {most:,}")


def _episodes(shown: Sequence[Arrays], spec: WorldSpec) -> Episodes:
    """As a batch; behind the end of one its last observation stays."""
    channels = kept_channels(spec)
    step = next(channel.name for channel in channels if channel.per == "step")
    last_B = [len(arrays[step]) - 1 for arrays in shown]
    none_BF = torch.zeros(len(shown), len(spec.fields), dtype=torch.int64)
    seen = [
        Observation(none_BF, {channel.name: _part(channel, shown, t, last_B) for channel in channels})
        for t in range(max(last_B) + 1)
    ]
    live_TB = torch.arange(max(last_B))[:, None] < torch.tensor(last_B)
    actions = None
    if "actions" in shown[0]:
        call_B4 = torch.zeros(len(shown), 1 + SLOTS, dtype=torch.int64)
        rows = [
            [a["actions"][min(t, last - 1)] for a, last in zip(shown, last_B, strict=True)] for t in range(max(last_B))
        ]
        actions = [Action(call_B4, torch.from_numpy(np.stack(row))) for row in rows]
    return Episodes(seen, actions, {}, live_TB, torch.zeros_like(live_TB))


def _part(channel: Channel, shown: Sequence[Arrays], t: int, last_B: Sequence[int]) -> torch.Tensor | Ragged:
    held = [arrays[channel.name] for arrays in shown]
    if channel.per == "step":
        held = [array[min(t, last)] for array, last in zip(held, last_B, strict=True)]
    parts = [torch.from_numpy(np.ascontiguousarray(array)) for array in held]
    if not channel.ragged:
        return torch.stack(parts)
    padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    return Ragged(padded, torch.tensor([len(part) for part in parts]))


def _arrays(episodes: Episodes, spec: WorldSpec, b: int, *, lasting: bool) -> dict[str, np.ndarray]:
    """One demonstration; what lasts an episode once, unless every step is to have it."""
    steps = int(episodes.live_TB[:, b].sum())
    found = {}
    for channel in kept_channels(spec):
        lines = [_line(seen.channels[channel.name], b) for seen in episodes.seen[: steps + 1]]
        found[channel.name] = lines[0] if channel.per == "episode" and lasting else np.stack(lines)
    if episodes.actions is not None:
        found["actions"] = np.stack([_payload(action, b, spec) for action in episodes.actions[:steps]])
    return found


def _line(held: torch.Tensor | Ragged, b: int) -> np.ndarray:
    part = held.padded_BLX[b, : int(held.lengths_B[b])] if isinstance(held, Ragged) else held[b]
    line: np.ndarray = part.detach().cpu().numpy()
    return line


def _payload(action: Action, b: int, spec: WorldSpec) -> np.ndarray:
    if action.payload_BX is None:
        return np.zeros(spec.payload_width, np.float32)
    payload: np.ndarray = action.payload_BX[b].detach().cpu().numpy()
    return payload


def _hdf5(shown: Sequence[Arrays]) -> bytes:
    """Minari's layout: https://minari.farama.org/content/dataset_standards."""
    content = io.BytesIO()
    with need_h5py().File(content, "w") as held:
        for number, arrays in enumerate(shown):
            group = held.create_group(f"episode_{number}")
            observed = group.create_group("observations")
            for name, array in arrays.items():
                (group if name == "actions" else observed).create_dataset(name, data=array)
            steps = len(next(iter(observed.values()))) - 1
            ends = np.arange(steps) == steps - 1
            parts = {"rewards": np.zeros(steps), "terminations": np.zeros(steps, bool), "truncations": ends}
            for name, array in parts.items():
                group.create_dataset(name, data=array)
            group.attrs.update({"id": number, "total_steps": steps})
        held.attrs.update({"total_episodes": len(shown), "total_steps": sum(len(g["rewards"]) for g in held.values())})
    return content.getvalue()
