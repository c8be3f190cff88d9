"""The whole state of a training run in one file, so that a run that was killed goes on to bit-identical numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.training.curriculum import Curriculum, WorldFrames
from npi.training.loop import Checkpoint, State
from npi.training.ranks import ALONE, CPU, Parcel, Ranks
from npi.training.trainer import Progress, Trainer, Validation
from traces.recording.unique_frames import FrameSet

FORMAT = 2
_COLUMNS = ("program_M", "arguments_M3", "start_M", "length_M", "count_M", "origin_M3", "obs_SF", "call_S4")


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


def save_checkpoint(trainer: Trainer, path: Path, *, identity: str) -> None:
    """Write everything that the next update depends on; ``identity`` names the run's settings and data."""
    tensors = {f"core.{k}": v for k, v in trainer.core.state_dict().items()}
    tensors |= {f"rows.{k}": v for k, v in trainer.memory.state_dict().items()}
    for number, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
    tensors["generator"] = trainer.generator.get_state()
    tensors["noise"] = trainer.noise.get_state()
    curriculum = trainer.curriculum
    for number, hard in enumerate(curriculum.hard):
        tensors[f"hard.{number}"] = hard
    for number, source in enumerate(curriculum.sources[trainer.given :]):
        tensors |= {f"mined.{number}.{name}": getattr(source.frames, name) for name in _COLUMNS}
    validation = trainer.validation
    about = {
        "format": FORMAT,
        "identity": identity,
        "device": trainer.noise.device.type,
        "progress": asdict(trainer.progress),
        "loss": trainer.loss,
        "errors": [lesson.error for lesson in curriculum.lessons],
        "mined": [source.world for source in curriculum.sources[trainer.given :]],
        "wrong": trainer.wrong,
        "validation": None if validation is None else [validation.problems, validation.solved],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, tensors_bytes(tensors, about))


def load_checkpoint(trainer: Trainer, path: Path, *, identity: str) -> None:
    """Put a fresh trainer of the same settings and data where the checkpoint's run stopped.

    Raises :class:`CheckpointError` for a damaged file, another format, or a run of other settings, data or device.
    """
    restore(trainer, read_checkpoint(path, identity=identity, device=trainer.noise.device))


def resume(trainer: Trainer, path: Path, *, identity: str, fresh: bool, ranks: Ranks) -> bool:
    """Go on, on all ranks, from the checkpoint that the first one has; False where it has none, or is to begin anew.

    A state holds nothing about the number of ranks, so that any number goes on from it. Raises like
    :func:`load_checkpoint`.
    """

    def look() -> Parcel:
        if fresh or not path.exists():
            return Parcel()
        return read_checkpoint(path, identity=identity, device=trainer.noise.device)

    state = ranks.from_first(look)
    if state.about is not None:
        restore(trainer, state)
    return state.about is not None


def read_checkpoint(path: Path, *, identity: str, device: torch.device) -> Parcel:
    """A checkpoint's tensors and facts. Raises :class:`CheckpointError` as :func:`load_checkpoint` does."""
    try:
        tensors, about = read_tensors(path)
    except ValueError as error:
        raise CheckpointError(f"{error}; start anew with --fresh") from error
    if about.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {about.get('format')}, this engine reads {FORMAT}; use --fresh")
    if about["identity"] != identity:
        raise CheckpointError(
            f"{path} is of a run with other settings, programs or traces; repeat those to go on with it, or start "
            "anew with --fresh"
        )
    if about["device"] != device.type:
        raise CheckpointError(
            f"{path} is of a run on {about['device']}, whose random numbers go on there only; use --device "
            f"{about['device']}, or start anew with --fresh"
        )
    return Parcel(tensors, about)


def read_state(path: Path, identity: str, what: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and facts of a run's state, whose facts hold its identity.

    Raises :class:`CheckpointError` for a damaged file, and for a run with another identity, of other ``what``.
    """
    try:
        tensors, about = read_tensors(path)
    except ValueError as error:
        raise CheckpointError(f"{error}; start anew with --fresh") from error
    if about.get("identity") != identity:
        raise CheckpointError(
            f"{path} is of a run with other {what}; repeat those to go on with it, or start anew with --fresh"
        )
    return tensors, about


def restore(trainer: Trainer, state: Parcel) -> None:
    """Put a fresh trainer of the same settings and data where a run stood."""
    tensors, about = state.tensors, state.about
    trainer.core.load_state_dict(_part(tensors, "core."))
    trainer.memory.load_state_dict(_part(tensors, "rows."))
    _restore_adam(trainer.optimizer, _part(tensors, "adam."))
    trainer.generator.set_state(tensors["generator"])
    trainer.noise.set_state(tensors["noise"])
    trainer.progress = Progress(**about["progress"])
    trainer.loss, trainer.wrong = about["loss"], about["wrong"]
    trainer.validation = None if about["validation"] is None else Validation(*about["validation"])
    _restore_curriculum(trainer, tensors, about)


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_adam(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".")
        state.setdefault(int(number), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def _restore_curriculum(trainer: Trainer, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    sources = trainer.curriculum.sources[: trainer.given]
    for number, world in enumerate(about["mined"]):
        columns = _part(tensors, f"mined.{number}.")
        table = next(s.frames.table for s in sources if s.world == world)
        sources.append(WorldFrames(world, FrameSet(table, **columns)))
    trainer.curriculum = Curriculum(sources, frames=trainer.config.frames, cut=trainer.config.cut)
    for lesson, error in zip(trainer.curriculum.lessons, about["errors"], strict=True):
        lesson.error = error
    trainer.curriculum.hard = [tensors[f"hard.{number}"] for number in range(len(sources))]
