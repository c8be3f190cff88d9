"""Whole jobs with learners: train a core on program files with signals, and learn new ones as rows beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import WorldSpec
from npi.learners.core import HostedCore, hosted
from npi.learners.interface import HostedConfig, HostedTraining, Learner
from npi.learners.programs import Lesson, learner_for, lessons_of
from npi.learners.trainer import HostedTrainer, Report
from npi.library.library import Library, check_texts
from npi.library.program_files import parsed
from npi.library.tensor_files import tensors_bytes, write_whole
from npi.program_memory import RowInfo
from npi.training.checkpoint import read_state

Reporter = Callable[[Report], None]


@dataclass(frozen=True)
class HostedResult:
    """What training came to.

    Attributes:
        resumed: whether it resumed from an interrupted run. finished: whether all updates were taken, and the library
            written.
    """

    library: Library
    report: Report
    resumed: bool
    finished: bool


def files_of(paths: Sequence[Path | str | ProgramSet]) -> tuple[list[ProgramSet], Learner]:
    """Program files and the learner that all of them name; ``ValueError`` where they name several."""
    sets = [parsed(path) for path in paths]
    learners = {learner.kind: learner for learner in map(learner_for, sets)}
    if len(learners) != 1:
        raise ValueError(f"one core has one learner, and these files name {', '.join(learners)}; train them one by one")
    (learner,) = learners.values()
    return sets, learner


def train_hosted(
    paths: Sequence[Path | str | ProgramSet],
    *,
    out: Path | str,
    config: HostedConfig | None = None,
    training: HostedTraining | None = None,
    device: torch.device | str = "cpu",
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
    keep: Callable[[HostedTrainer], None] | None = None,
) -> HostedResult:
    """Train a learner's core with a row for each program of some files, and write the library to ``out``.

    The run's state is kept in ``<out>.training`` at every check; the same call resumes, to the same numbers.

    Args:
        config, training: the learner's usual ones by default.
        fresh: begin anew even where there is a state to go on from.
        keep: given the trainer after every check, for measurements.

    Raises:
        ValueError: for files that no learner can learn from. CheckpointError: for a state of another run in the way.
    """
    sets, learner = files_of(paths)
    config, training = config or usual_config(learner), training or learner.training
    check_texts(sets)
    lessons = [lesson for programs in sets for lesson in lessons_of(programs)]
    library = new_library(config, lessons, sets, seed=training.seed, device=device)
    core = hosted(library.core)
    worlds = [library.world(lesson.world.spec) for lesson in lessons]
    trainer = HostedTrainer(learner, core.net, library.memory.embeddings_NP, lessons, worlds, training)
    identity = _identity(config, training, sets)
    path = Path(out).with_name(Path(out).name + ".training") / "state.safetensors"
    if fresh:
        shutil.rmtree(path.parent, ignore_errors=True)
    resumed = path.exists()
    if resumed:
        trainer.restore(*read_state(path, identity, "settings or programs"))

    def each(found: Report) -> None:
        if found.update % training.check_every == 0:
            _write(trainer, path, identity)
            if keep is not None:
                keep(trainer)
        if report is not None:
            report(found)

    final = trainer.run(report=each, stop=stop)
    with torch.no_grad():
        library.memory.embeddings_NP.copy_(trainer.rows_NP)
    finished = final.update >= training.updates
    if finished:
        library.history.append(history_entry("trained", lessons, training, final, curve=trainer.curve))
        library.save(out)
        shutil.rmtree(path.parent, ignore_errors=True)
    else:
        _write(trainer, path, identity)
    return HostedResult(library, final, resumed, finished)


def usual_config(learner: Learner) -> HostedConfig:
    """The usual shape of a learner's core."""
    return learner.config(kind=learner.kind)


def new_library(
    config: HostedConfig,
    lessons: Sequence[Lesson],
    sets: Sequence[ProgramSet],
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> Library:
    """An untrained core with a row for each lesson."""
    generator = torch.Generator().manual_seed(seed)
    worlds: dict[str, WorldSpec] = {}
    for lesson in lessons:
        worlds.setdefault(lesson.world.spec.digest, lesson.world.spec)
    core = HostedCore(config, list(worlds.values()), generator=generator)
    places = list(worlds)
    infos = [row_info(lesson, places.index(lesson.world.spec.digest), 0) for lesson in lessons]
    found = Library(core, core.memory(infos, generator=generator), list(sets))
    found.to(device)
    return found


def row_info(lesson: Lesson, world: int, generation: int) -> RowInfo:
    """What a library knows about the row of a program with a signal."""
    return RowInfo(
        lesson.name, world, generation, lesson.program.signature, primitive=False, source=lesson.programs.digest
    )  # fmt: skip


def _identity(config: HostedConfig, training: HostedTraining, sets: Sequence[ProgramSet]) -> str:
    """sha256 of all that a run's numbers depend on."""
    told = [config.to_json(), training.to_json(), [programs.digest for programs in sets]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def history_entry(
    what: str, lessons: Sequence[Lesson], training: HostedTraining, report: Report, **more: Any
) -> dict[str, Any]:
    """What a library's history says of a run."""
    return {
        what: [lesson.name for lesson in lessons],
        "from": sorted({Path(lesson.programs.path).name for lesson in lessons}),
        "settings": training.to_json(),
        "updates": report.update,
        "scores": dict(report.scores),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    }


def _write(trainer: HostedTrainer, path: Path, identity: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors, about = trainer.state()
    write_whole(path, tensors_bytes(tensors, {**about, "identity": identity}))
