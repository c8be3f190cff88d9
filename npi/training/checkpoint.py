"""The whole state of a training run in one file, so that a run that was killed resumes to bit-identical parameters."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.training.loop import Checkpoint, State
from npi.training.ranks import ALONE, CPU, Parcel, Ranks

FORMAT = 2
"""Of the files of states."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be resumed from; the message says why and what to do."""


class FileCheckpoint(Checkpoint):
    """A run's state in one file, written whole; the first rank reads it and sends it to the others.

    A state holds nothing about the number of ranks, so that any number of them resumes it.

    Args:
        identity: sha256 of the run's settings and data.
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
    ) -> None:
        self.path, self.identity, self.device, self.ranks, self.fresh = path, identity, device, ranks, fresh

    def save(self, state: State) -> None:
        """Write the state in place of the last one, which stays where writing fails."""
        about = {"format": FORMAT, "identity": self.identity, "device": self.device.type, "facts": state.facts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, tensors_bytes(state.tensors, about))

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
        try:
            tensors, about = read_tensors(self.path)
        except ValueError as error:
            raise CheckpointError(f"{error}; start anew with --fresh") from error
        if about.get("format") != FORMAT:
            raise CheckpointError(
                f"{self.path} has format {about.get('format')}, this engine reads {FORMAT}; start anew with --fresh"
            )
        if about["identity"] != self.identity:
            raise CheckpointError(
                f"{self.path} is of a run with other settings or data; repeat those to resume it, or start anew with "
                "--fresh"
            )
        if about["device"] != self.device.type:
            raise CheckpointError(
                f"{self.path} is of a run on {about['device']}, whose random numbers continue there only; use "
                f"--device {about['device']}, or start anew with --fresh"
            )
        return Parcel(tensors, about["facts"])

    def remove(self) -> None:
        """Delete the state and what else is kept in its folder: the run is over."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
