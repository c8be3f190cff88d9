"""Whole jobs with learners: train a core on program files with signals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import WorldSpec
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.interface import Learner, LearnerConfig, LearnerTraining
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.tasks import Problems, TrainingTask, learner_for, training_tasks
from npi.library.library import Library, check_texts
from npi.library.program_files import parsed
from npi.program_memory import RowInfo
from npi.training.checkpoint import FileCheckpoint
from npi.training.loop import Progress, fit
from npi.training.ranks import ALONE, Ranks

Reporter = Callable[[Progress], None]


@dataclass(frozen=True)
class TrainedLearner:
    """What training came to.

    Attributes:
        finished: whether all updates were taken, and the library written.
    """

    library: Library
    progress: Progress
    finished: bool

    @property
    def solved(self) -> bool:
        """Whether training is done, as other kinds of core say it: no score says that nothing is left to learn."""
        return self.finished


def files_of(paths: Sequence[Path | str | ProgramSet]) -> tuple[list[ProgramSet], Learner]:
    """Program files and the learner that all of them name; ``ValueError`` where they name several."""
    sets = [parsed(path) for path in paths]
    learners = {learner.kind: learner for learner in map(learner_for, sets)}
    if len(learners) != 1:
        raise ValueError(f"one core has one learner, and these files name {', '.join(learners)}; train them one by one")
    (learner,) = learners.values()
    return sets, learner


def train_learner(
    paths: Sequence[Path | str | ProgramSet],
    *,
    out: Path | str,
    config: LearnerConfig | None = None,
    training: LearnerTraining | None = None,
    ranks: Ranks = ALONE,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
    checked: Callable[[LearnerObjective, int], None] | None = None,
) -> TrainedLearner:
    """Train a learner's core with a row for each program of some files, and write the library to ``out``.

    The run's state is kept in ``<out>.training`` at every check; the same call resumes it, to the same numbers.

    Args:
        config, training: the learner's usual ones by default.
        ranks: processes that share out the problems of each batch; all give the same library, the first one writes it.
        fresh: start anew even where there is a state to resume.
        checked: given the objective and the number of updates at every check, for measurements.

    Raises:
        ValueError: for files that no learner can learn from. CheckpointError: for a state of another run in the way.
    """
    sets, learner = files_of(paths)
    check_texts(sets)
    config, training = config or usual_config(learner), training or learner.training
    tasks = [task for programs in sets for task in training_tasks(programs)]
    library = new_library(config, tasks, sets, seed=training.seed, device=ranks.device)
    objective = objective_of(library, tasks, training)
    identity = _identity(config, training, sets)
    checkpoint = FileCheckpoint(state_path(out), identity=identity, device=ranks.device, ranks=ranks, fresh=fresh)

    def each(progress: Progress) -> None:
        if checked is not None and progress.update % training.check_every == 0:
            checked(objective, progress.update)
        if report is not None:
            report(progress)

    schedule = schedule_of(training)
    progress = fit(objective, schedule, ranks=ranks, checkpoint=checkpoint, report=each, stop=stop)
    with torch.no_grad():
        library.memory.embeddings_NP.copy_(objective.rows_NP)
    finished = progress.ended(schedule)
    if finished and ranks.first:
        library.history.append(history_entry("trained", tasks, training, progress, curve=objective.curve))
        library.save(out)
        checkpoint.remove()
    return TrainedLearner(library, progress, finished)


def state_path(out: Path | str) -> Path:
    """Where the state of a run is kept whose library will be in ``out``."""
    return Path(out).with_name(Path(out).name + ".training") / "state.safetensors"


def objective_of(library: Library, tasks: Sequence[TrainingTask], training: LearnerTraining) -> LearnerObjective:
    """What trains a library's core with its rows, one for each task in order."""
    core = learner_program_core(library.core)
    worlds = tuple(library.world(task.world.spec) for task in tasks)
    problems = Problems(tuple(tasks), worlds)
    return core.learner.objective(core.net, library.memory.embeddings_NP, problems, training)


def usual_config(learner: Learner) -> LearnerConfig:
    """The usual shape of a learner's core."""
    return learner.config(kind=learner.kind)


def new_library(
    config: LearnerConfig,
    tasks: Sequence[TrainingTask],
    sets: Sequence[ProgramSet],
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> Library:
    """An untrained core with a row for each training task."""
    generator = torch.Generator().manual_seed(seed)
    worlds: dict[str, WorldSpec] = {}
    for task in tasks:
        worlds.setdefault(task.world.spec.digest, task.world.spec)
    core = LearnerProgramCore(config, list(worlds.values()), generator=generator)
    places = list(worlds)
    infos = [row_info(task, places.index(task.world.spec.digest), 0) for task in tasks]
    found = Library(core, core.memory(infos, generator=generator), list(sets))
    found.to(device)
    return found


def row_info(task: TrainingTask, world: int, generation: int) -> RowInfo:
    """What a library knows about the row of a program with a signal."""
    return RowInfo(
        task.name, world, generation, task.program.signature, primitive=False, source=task.programs.digest
    )  # fmt: skip


def _identity(config: LearnerConfig, training: LearnerTraining, sets: Sequence[ProgramSet]) -> str:
    """sha256 of all that a run's numbers depend on."""
    parts = [config.to_json(), training.to_json(), [programs.digest for programs in sets]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def history_entry(
    what: str, tasks: Sequence[TrainingTask], training: LearnerTraining, progress: Progress, **more: Any
) -> dict[str, Any]:
    """What a library's history says of a run."""
    return {
        what: [task.name for task in tasks],
        "from": sorted({Path(task.programs.path).name for task in tasks}),
        "settings": training.to_json(),
        "updates": progress.update,
        "scores": dict(progress.scores),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    }
