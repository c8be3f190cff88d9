"""Programs with a learning signal: what a learner supplies, its training, its rows, its conformance kit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from npi.learners.conformance import check_learner
    from npi.learners.demonstration_files import read_demonstrations, write_demonstrations
    from npi.learners.evaluate import TaskScore, score_task
    from npi.learners.inner import adapt
    from npi.learners.interface import (
        Learner,
        LearnerConfig,
        LearnerCore,
        LearnerTraining,
        Predicting,
        StepOutput,
        TaskInput,
        choice,
        register_learner,
    )
    from npi.learners.objectives.base import LearnerObjective
    from npi.learners.objectives.imitation import Cloning, CloningTraining
    from npi.learners.objectives.likelihood import Imitation, Supervised
    from npi.learners.objectives.on_policy import OnPolicy, OnPolicyTraining
    from npi.learners.objectives.replay import Replay, ReplayTraining, ValuedCore
    from npi.learners.objectives.search import Search, SearchTraining
    from npi.learners.objectives.unrolled import Unrolled, UnrolledTraining

__all__ = [
    "Cloning",
    "CloningTraining",
    "Imitation",
    "Learner",
    "LearnerConfig",
    "LearnerCore",
    "LearnerObjective",
    "LearnerTraining",
    "OnPolicy",
    "OnPolicyTraining",
    "Predicting",
    "Replay",
    "ReplayTraining",
    "Search",
    "SearchTraining",
    "StepOutput",
    "Supervised",
    "TaskInput",
    "TaskScore",
    "Unrolled",
    "UnrolledTraining",
    "ValuedCore",
    "adapt",
    "check_learner",
    "choice",
    "read_demonstrations",
    "register_learner",
    "score_task",
    "write_demonstrations",
]

__getattr__, __dir__ = lazy(__name__)
