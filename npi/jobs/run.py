"""One training job on files: its state is kept beside the library, which is written when training has ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from npi.library.library import Library
from npi.training.checkpoint import FileCheckpoint
from npi.training.loop import Objective, Progress, Schedule, fit
from npi.training.ranks import ALONE, Ranks

P = TypeVar("P")


@dataclass(frozen=True)
class TrainResult(Generic[P]):
    """What training came to.

    Attributes:
        library: the core and its rows; it is written where training ended.
        report: where training stood at the end.
        entry: what the library's history says of it.
        ended: solved, or out of updates; otherwise it was stopped. resumed: whether it resumed from a checkpoint.
        solved: whether a check found nothing wrong; a core whose checks never say so is solved where training ended.
        frames: the different frames of each program, where it was trained on frames.
    """

    library: Library
    report: P
    entry: Mapping[str, Any]
    ended: bool
    resumed: bool
    solved: bool
    frames: dict[str, int] = field(default_factory=dict)


def checkpoint_path(out: Path | str) -> Path:
    """Where the state of a training run for this library is kept."""
    return Path(out).with_name(Path(out).name + ".training") / "checkpoint.safetensors"


def identity_of(*parts: Any) -> str:
    """sha256 of all that a run's parameters depend on: settings and data, or digests of them, as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Run:
    """A training job of this ``identity``, for a library in ``out``.

    Its state is kept in ``<out>.training`` at every check and where it is stopped; the same call resumes it to
    bit-identical parameters.

    Args:
        ranks: the processes that train together; each makes the same calls, and the first one alone writes files.
        fresh: begin anew even where there is a state to resume.
        keep_state: keep the state beside the finished library, so that the same call ends at once.

    Raises:
        ValueError: where a process has another identity than the first one.
    """

    def __init__(
        self, out: Path | str, identity: str, *, ranks: Ranks = ALONE, fresh: bool = False, keep_state: bool = False
    ) -> None:
        if other := ranks.differing(identity):
            raise ValueError(
                f"process {other[0]} has other settings, programs or traces than process 0; give all the same"
            )
        self.out, self.ranks, self.keep_state = Path(out), ranks, keep_state
        self.checkpoint = FileCheckpoint(
            checkpoint_path(out), identity=identity, device=ranks.device, ranks=ranks, fresh=fresh
        )

    def train(
        self,
        library: Library,
        objective: Objective,
        schedule: Schedule,
        entry: Callable[[Progress], Mapping[str, Any]],
        *,
        report: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> TrainResult[Progress]:
        """Train the library's core; where training ends, solved or out of updates, the library is written.

        Args:
            entry: what the library's history says of the run.
            report: called after each update, on the first rank.
            stop: asked after every update; true, on any rank, keeps the state and returns.

        Raises:
            CheckpointError: for a state that cannot be resumed.
            LostRankError: where another process ends; the state of the last check is kept.
        """
        progress = fit(objective, schedule, ranks=self.ranks, checkpoint=self.checkpoint, report=report, stop=stop)
        ended, said = progress.ended(schedule), dict(entry(progress))
        if ended:
            library.history.append(said)
            if self.ranks.first:
                library.save(self.out)
            if self.ranks.first and not self.keep_state:
                self.checkpoint.remove()
        self.ranks.wait()
        return TrainResult(library, progress, said, ended, progress.resumed, solved=ended)
