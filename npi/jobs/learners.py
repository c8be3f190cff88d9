"""Train a learner's core on program files with signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import WorldSpec
from npi.jobs.run import Run, TrainResult, alone_in, identity_of
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.interface import Learner, LearnerConfig, LearnerTraining
from npi.learners.learn_rows import history_entry, row_info
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.tasks import Problems, TrainingTask, learner_for, training_tasks
from npi.library.library import Library, check_texts
from npi.library.program_files import parsed
from npi.training.loop import Progress, Reporter
from npi.training.ranks import ALONE, Ranks


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
    log: Path | None = None,
    fresh: bool = False,
    checked: Callable[[LearnerObjective, int], None] | None = None,
) -> TrainResult[Progress]:
    """Train a learner's core with a row for each program of some files, and write the library to ``out``.

    The run's state is kept in ``<out>.training`` at checks; the same call resumes it, to the same numbers.

    Args:
        config, training: the learner's usual ones by default.
        ranks: processes that share out the problems of each batch; all give the same library, the first one writes it.
        log: a folder for TensorBoard.
        fresh: start anew even where there is a state to resume.
        checked: given the objective and the number of updates at every check, for measurements.

    Raises:
        ValueError: for files that no learner can learn from. CheckpointError: for a state of another run in the way.
    """
    sets, learner = files_of(paths)
    check_texts(sets)
    config, training = config or usual_config(learner), training or learner.training
    tasks = [task for programs in sets for task in training_tasks(programs)]
    with alone_in(out, ranks):
        library = new_library(config, tasks, sets, seed=training.seed, device=ranks.device)
        objective = objective_of(library, tasks, training)
        library.memory.embeddings_NP = objective.rows_NP
        identity = identity_of(training, config.to_json(), [programs.digest for programs in sets])

        def each(progress: Progress) -> None:
            if checked is not None and progress.update % training.check_every == 0:
                checked(objective, progress.update)
            if report is not None:
                report(progress)

        def entry(progress: Progress) -> Mapping[str, Any]:
            return history_entry("trained", tasks, training, progress) | {"curve": objective.curve}

        settings = config.to_json() | training.to_json()
        run = Run(out, identity, ranks=ranks, fresh=fresh, log=log, settings=settings)
        return run.train(library, objective, schedule_of(training), entry, report=each, stop=stop)


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
