"""Cores of learners as stages of recipes: trained and kept on disk, and copies of them that are fine-tuned."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.common import RUNS, finished
from npi.learners.core import HostedCore
from npi.learners.interface import HostedConfig, HostedTraining
from npi.learners.jobs import train_hosted
from npi.learners.programs import Lesson
from npi.learners.trainer import HostedTrainer, Report
from npi.library.library import Library


def trained_core(
    name: str,
    files: Sequence[Path],
    training: HostedTraining,
    *,
    config: HostedConfig | None = None,
    report: Callable[[Report], None] | None = None,
) -> tuple[Library, float]:
    """The library of a core that was trained on some files, and the CPU seconds that this took.

    A stage, ``runs/<name>/train.json``; the library lies beside it.
    """
    out = RUNS / name / "library"

    def train() -> dict[str, Any]:
        out.parent.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        train_hosted(files, out=out, config=config, training=training, report=report, fresh=True)
        return {"seconds": time.process_time() - began}

    found = finished(f"{name}/train", train, training=training.to_json())
    return Library.open(out), found["seconds"]


def written(path: Path, text: str) -> Path:
    """A program file with this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fine_tuned(
    core: HostedCore, old_NP: torch.Tensor, lessons: Sequence[Lesson], training: HostedTraining
) -> tuple[nn.Module, torch.Tensor]:
    """A copy of the core's network, all of whose parameters are trained on one lesson, and the lesson's row.

    It begins from the mean of the old rows or the old row, whichever does best as it is.
    """
    net, begin_NP = copy.deepcopy(core.net), torch.cat([old_NP.mean(0, keepdim=True), old_NP])
    judge = HostedTrainer(core.learner, net, begin_NP, lessons, [0], training, frozen=True, copies=len(begin_NP))
    best = int(judge.judged(turn=1).argmax())
    trainer = HostedTrainer(core.learner, net, begin_NP[best : best + 1], lessons, [0], training)
    trainer.run()
    return net, trainer.rows_NP[0]
