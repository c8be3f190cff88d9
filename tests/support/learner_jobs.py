"""Jobs with learners for several processes (:mod:`tests.support.ranks`)."""

from pathlib import Path
from typing import Any

import torch

from dsl import loads
from envs import registry
from npi.jobs.learners import new_library, objective_of, usual_config
from npi.learners import interface
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.training.checkpoint import FileCheckpoint
from npi.training.loop import Progress, fit
from npi.training.ranks import Ranks
from tests.support import tiny_learner
from tests.support.small_learners import FILES, LEARNERS
from tests.support.small_worlds import KINDS
from tests.support.tiny_learner import EASY

UPDATES = 6
TRAINING = OnPolicyTraining(updates=UPDATES, batch=30, rollouts=2, rate=1e-2, check_every=2, problems=32, truncation=12)


def untrained(kind: str) -> tuple[Any, Library]:
    """A small learner, or the tiny one, and a fresh library of its program file."""
    learner: Any = {**LEARNERS, "tiny": tiny_learner.LEARNER}[kind]
    interface._REGISTERED[kind] = learner
    registry.KINDS.update(KINDS)
    programs = loads({**FILES, "tiny": EASY}[kind], path=f"{kind}.npi")
    return learner, new_library(usual_config(learner), training_tasks(programs), [programs], seed=0)


def objective(kind: str, **training: Any) -> LearnerObjective:
    """Of a small learner, or of the tiny one; fresh."""
    learner, library = untrained(kind)
    usual = TRAINING if kind == "tiny" else learner.training
    settings = type(usual)(**{**usual.to_json(), **training})
    return objective_of(library, training_tasks(library.sets[0]), settings)


def numbers(one: LearnerObjective) -> list[float]:
    """Every parameter that is moved."""
    return torch.cat([p.detach().flatten() for g in one.groups().values() for p in g.parameters]).tolist()


def training_learners(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Losses and parameters of an objective of each kind, stopped and resumed half way."""
    found = {}
    for kind in ("tiny", *FILES):
        losses: list[float] = []
        sizes: dict[str, Any] = {"updates": UPDATES, "batch": 30, "check_every": 2, "problems": 32}
        kept = FileCheckpoint(folder / f"{kind}-{ranks.count}" / "state", identity="x", ranks=ranks)

        def report(progress: Progress, losses: list[float] = losses) -> None:
            losses.append(progress.loss)

        for stop in (lambda losses=losses: len(losses) >= UPDATES // 2, lambda: False):
            one = objective(kind, **sizes)
            fit(one, schedule_of(one.training), ranks=ranks, checkpoint=kept, report=report, stop=stop)
        found[kind] = {"losses": losses, "numbers": numbers(one), "curve": one.curve}
    return found
