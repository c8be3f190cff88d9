"""The whole state of a training run on disk, so that a run that was killed resumes to bit-identical parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from envs.support.atomic_files import remove_whole
from envs.support.typed_json import FormatError, is_version
from npi.core.base import tensors_digest
from npi.library.manifest import LibraryError
from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.training.loop import Checkpoint, State
from npi.training.ranks import ALONE, CPU, Parcel, Ranks

FORMAT = 4
"""Of the files of states."""

CHECKPOINT = "checkpoint.safetensors"
"""The file of a run's state, in its folder."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be resumed from; the message says why and what to do."""


@dataclass(frozen=True)
class Head:
    """The JSON of a state: its run and device, its facts, and the sha256 of each constant part, by name."""

    format: int
    identity: str
    device: str
    facts: Mapping[str, Any]
    constant: Mapping[str, str]


class FileCheckpoint(Checkpoint):
    """A run's state in one file, written whole; the first rank reads it and sends it to the others.

    What never changes (:attr:`~npi.training.loop.State.constant`) lies in files beside it, each written once.

    A state holds nothing about the number of ranks, so that any number of them resumes it.

    Args:
        identity: sha256 of the run's settings and data. A state of another one is refused, unless that run has ended
            and its library is ``written``.
        device: of the run, whose random numbers continue on a device of that type only.
        fresh: whether a state that is there is ignored.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: str,
        device: torch.device = CPU,
        ranks: Ranks = ALONE,
        fresh: bool = False,
        written: Callable[[], bool] = lambda: True,
    ) -> None:
        self.path, self.identity, self.device, self.ranks, self.fresh = path, identity, device, ranks, fresh
        self.written = written
        self._kept: dict[str, str] = {}  # digests of the constant parts that the last state has

    def save(self, state: State) -> None:
        """Write the state in place of the last one, which stays where writing fails."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensors, kept = dict(state.tensors), dict[str, str]()
        for name in state.constant:
            own = {key: tensors.pop(key) for key in state.tensors if key.startswith(f"{name}.")}
            if name not in self._kept:
                write_whole(self._file(name), tensors_bytes(own))
            kept[name] = self._kept.get(name) or tensors_digest(own)
        about = {"format": FORMAT, "identity": self.identity, "device": self.device.type, "facts": state.facts}
        write_whole(self.path, tensors_bytes(tensors, {**about, "constant": kept}))
        self._kept = kept
        for file in set(self.path.parent.glob("constant-*")) - {self._file(name) for name in kept}:
            file.unlink()

    def _file(self, name: str) -> Path:
        """Where a constant part of the state lies."""
        return self.path.parent / f"constant-{name}.safetensors"

    def load(self) -> State | None:
        """The state on every rank; None where there is none, or the run is to start anew.

        Raises:
            CheckpointError: for a damaged file, another format, or a run of other settings, data or device.
            FirstRankError: on the other ranks, where the first one raises that.
        """
        found = self.ranks.from_first(self._read)
        return None if found.about is None else State(dict(found.tensors), found.about)

    def _read(self) -> Parcel:
        if self.fresh or not self.path.exists():
            return Parcel()

        def check(about: Any) -> None:
            version = about.get("format") if isinstance(about, dict) else None
            if not is_version(version, FORMAT):
                raise LibraryError(f"{self.path} has format {version!r}, this engine reads {FORMAT}")

        try:
            tensors, about = read_tensors(self.path, Head, check)
        except LibraryError as error:
            raise CheckpointError(f"{error}; start anew with --fresh") from error
        except FormatError as error:
            raise self.wrong(error) from error
        if about.identity != self.identity:
            if about.facts.get("ended") and self.written():
                return Parcel()  # nothing is lost
            raise CheckpointError(
                f"{self.path} is of a run with other settings or data; repeat those to resume it (only --updates may "
                "change), or start anew with --fresh"
            )
        if about.device != self.device.type:
            raise CheckpointError(
                f"{self.path} is of a run on {about.device}, whose random numbers continue there only; use "
                f"--device {about.device}, or start anew with --fresh"
            )
        for name, digest in about.constant.items():
            if not re.fullmatch(r"[\w.-]+", name):
                raise self.wrong(FormatError(f"constant: {name!r} is no part of a state"))
            try:
                own, _ = read_tensors(self._file(name))
            except (OSError, ValueError) as error:
                raise CheckpointError(f"{error}; start anew with --fresh") from error
            if tensors_digest(own) != digest:
                raise CheckpointError(f"{self._file(name)} is of another state; start anew with --fresh")
            tensors |= own
        self._kept = dict(about.constant)
        return Parcel(tensors, about.facts)

    def wrong(self, error: Exception) -> CheckpointError:
        """For a state that is not one of this run."""
        return CheckpointError(f"{self.path} holds no state of this run ({error}); start anew with --fresh")

    def remove(self) -> None:
        """Delete the state and what else is kept in its folder: the run is over."""
        remove_whole(self.path.parent)
