"""Cores of learners as stages of recipes: trained and kept on disk, and copies of them that are fine-tuned."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RUNS, finished
from npi.jobs.learners import train_learner
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerConfig, LearnerCore, LearnerTraining
from npi.learners.objectives.base import schedule_of
from npi.learners.tasks import Problems, TrainingTask
from npi.library.library import Library
from npi.training.loop import Progress, fit


def trained_core(
    name: str,
    files: Sequence[Path],
    training: LearnerTraining,
    *,
    config: LearnerConfig | None = None,
    report: Callable[[Progress], None] | None = None,
) -> tuple[Library, float]:
    """The library of a core that was trained on some files, and the CPU seconds that this took.

    A stage, ``runs/<name>/train.json``; the library lies beside it.
    """
    out = RUNS / name / "library"

    def train() -> dict[str, Any]:
        out.parent.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        train_learner(files, out=out, config=config, training=training, report=report, fresh=True)
        return {"seconds": time.process_time() - began}

    found = finished(f"{name}/train", train, training=training.to_json())
    return Library.open(out), found["seconds"]


def written(path: Path, text: str) -> Path:
    """A program file with this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fine_tuned(
    core: LearnerProgramCore, old_NP: torch.Tensor, tasks: Sequence[TrainingTask], training: LearnerTraining
) -> tuple[LearnerCore, torch.Tensor]:
    """A copy of the core's network, all of whose parameters are trained on one task, and the task's row.

    It begins from the mean of the old rows or the old row, whichever does best as it is.
    """
    net, start_NP = copy.deepcopy(core.net), torch.cat([old_NP.mean(0, keepdim=True), old_NP])
    judge = core.learner.objective(net, start_NP, Problems(tuple(tasks), (0,), copies=len(start_NP)), training)
    best = int(judge.row_scores(1).argmax())
    objective = core.learner.objective(net, start_NP[best : best + 1], Problems(tuple(tasks), (0,)), training)
    fit(objective, schedule_of(training))
    return net, objective.rows_NP.detach()[0]
