"""One training job on files: its state is kept beside the library, which is written when training has ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from envs.support.atomic_files import claimed, clear_unfinished
from npi.core.config import Settings
from npi.library.library import Library
from npi.library.manifest import LibraryError, is_collection, read_manifest
from npi.training.checkpoint import CHECKPOINT, FileCheckpoint
from npi.training.loop import Checkpoint, Objective, Progress, Schedule, State, fit, progress_of
from npi.training.ranks import ALONE, Parcel, Ranks
from npi.training.scalar_log import check_log, scalar_log

P = TypeVar("P")

Keep = Literal["never", "unsolved", "always"]


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
    """Where the state of a training run for this library is kept. Its folder is a library, too: that of the state."""
    return Path(out).with_name(Path(out).name + ".training") / CHECKPOINT


@contextmanager
def alone_in(out: Path | str, ranks: Ranks = ALONE) -> Iterator[None]:
    """A run that no other process writes a library beside, from its beginning to its end; ``ranks`` are of one run.

    Raises :class:`~envs.support.atomic_files.FolderInUseError` where one does.
    """
    with ExitStack() as stack:

        def begin() -> Parcel:
            if is_collection(Path(out)):
                raise LibraryError(f"{out} is a collection of several libraries; name another folder")
            stack.enter_context(claimed(out))
            state = checkpoint_path(out).parent
            clear_unfinished(state.parent, state.name)
            return Parcel()

        ranks.from_first(begin)
        yield


def identity_of(training: Settings, *parts: Any) -> str:
    """sha256 of all that makes a run another one: settings and data, or digests of them, as JSON.

    How many ``updates`` it takes at most does not: a run goes on where that is raised.
    """
    settings = {name: value for name, value in training.to_json().items() if name != "updates"}
    return hashlib.sha256(json.dumps([settings, *parts], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _BesideLibrary(Checkpoint):
    """A run's state with the library as it stands in the same folder: it can be run while training goes on."""

    file: FileCheckpoint
    library: Library
    entry: Callable[[Progress], Mapping[str, Any]]

    def save(self, state: State) -> None:
        self.file.save(state)
        told = dict(self.entry(progress_of(state.facts)))
        replace(self.library, history=[*self.library.history, told]).save(self.file.path.parent)

    def load(self) -> State | None:
        return self.file.load()

    def wrong(self, error: Exception) -> ValueError:
        return self.file.wrong(error)


class Run:
    """A training job of this ``identity``, for a library in ``out``.

    Its state is kept in ``<out>.training`` at checks and where it is stopped, with the library as it stands; the
    same call resumes it to bit-identical parameters.

    Args:
        ranks: the processes that train together; each makes the same calls, and the first one alone writes files.
        fresh: begin anew even where there is a state to resume.
        log: a folder for TensorBoard. settings: of the run, which stand in it.
        keep: whether the state stays beside the finished library: where it is not solved, so that more updates go on
            from there, or always, so that the same call ends at once.
    """

    def __init__(
        self,
        out: Path | str,
        identity: str,
        *,
        ranks: Ranks = ALONE,
        fresh: bool = False,
        keep: Keep = "never",
        log: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        check_log(log)
        self.out, self.ranks, self.keep, self.log, self.settings = Path(out), ranks, keep, log, settings or {}
        self.checkpoint = FileCheckpoint(
            checkpoint_path(out),
            identity=identity,
            device=ranks.device,
            ranks=ranks,
            fresh=fresh,
            written=self._written,
        )

    def _written(self) -> bool:
        """Whether the core of the last state is that of the library in ``out``."""
        try:
            state, out = (read_manifest(folder).core for folder in (self.checkpoint.path.parent, self.out))
        except LibraryError:
            return False
        return state == out

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
            ValueError: where a process has another identity, or other updates, than the first one.
            CheckpointError: for a state that cannot be resumed.
            LostRankError: where another process ends; the last state is kept.
        """
        if other := self.ranks.differing(f"{self.checkpoint.identity} {schedule.updates}"):
            raise ValueError(
                f"process {other[0]} has other settings, programs or traces than process 0; give all the same"
            )
        checkpoint = _BesideLibrary(self.checkpoint, library, entry)
        with scalar_log(self.log if self.ranks.first else None, objective, schedule, self.settings) as write:

            def each(progress: Progress) -> None:
                write(progress)
                if report is not None:
                    report(progress)

            progress = fit(objective, schedule, ranks=self.ranks, checkpoint=checkpoint, report=each, stop=stop)
        ended, said = progress.ended(schedule), dict(entry(progress))
        if ended:
            library.history.append(said)
            if self.ranks.first:
                library.save(self.out)
            if self.ranks.first and (self.keep == "never" or (self.keep == "unsolved" and progress.solved)):
                self.checkpoint.remove()
        self.ranks.wait()
        return TrainResult(library, progress, said, ended, progress.resumed, solved=ended)
