"""Rows of bandit families: a core of meta-reinforcement learning whose layers a row conditions in one of four ways."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch

from benchmarks.learners.bandit_rows import ARMS, HELD, STEPS, TRAINED, TRAINING
from benchmarks.learners.conditioning.modes import Conditioner
from dsl import loads
from meta.reinforcement.learner import LEARNER
from meta.reinforcement.network import ActorCritic, Conditioning
from meta.reinforcement.program_files.bandit_priors import program_file
from npi.learners.interface import TaskInput
from npi.learners.objectives.base import schedule_of
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.tasks import Problems, training_tasks
from npi.reproduce.ledger import Result
from npi.training.loop import fit, frozen

TRAIN = replace(TRAINING, updates=500, batch=192)
LEARN = OnPolicyTraining(updates=150, batch=256, rollouts=4, row_rate=3e-2, problems=1024, check_every=50)

PROBLEMS = 1000
"""Of each prior, by which rows are judged; no training draws them."""


def conditioned(core: ActorCritic, mode: str, generator: torch.Generator) -> ActorCritic:
    """The core with another conditioning; of its recurrent weights only modulation changes the gain."""
    H = core.config.hidden
    scale = (core.config.row / 3) ** 0.5 * core.config.row**-0.5  # that of a linear layer's first weights
    core.condition = torch.nn.Linear(1, 1)  # not used
    core.conditioner = Conditioner(mode, core.config.row, [H, 4 * H, H], scale=scale, generator=generator)
    core.conditioning = partial(_conditioning, core)  # type: ignore[method-assign]
    return core


def _conditioning(core: ActorCritic, task: TaskInput) -> Conditioning:
    seen, gates, heads = core.conditioner(task.row_BP)
    H, B = core.config.hidden, len(task.row_BP)
    gates = gates._replace(factor=gates.factor.expand(B, 4 * H))
    return Conditioning(core.adapter(task).values(), seen, gates, heads)


def run(mode: str, seed: int) -> Result:
    """Mean reward of 20 pulls on eight priors that are new, under the mean row and under learned rows."""
    generator = torch.Generator().manual_seed(seed)
    tasks = training_tasks(loads(program_file(TRAINED, arms=ARMS, steps=STEPS), path="trained.npi"))
    held = training_tasks(loads(program_file(HELD, arms=ARMS, steps=STEPS), path="held.npi"))
    core = LEARNER.core(LEARNER.config(), [tasks[0].world.spec], generator=generator)
    assert isinstance(core, ActorCritic)
    core = conditioned(core, mode, generator)
    began = time.process_time()
    rows_NP = 0.1 * torch.randn(len(tasks), core.config.row, generator=generator)
    problems = Problems(tuple(tasks), (0,) * len(tasks))
    objective = LEARNER.objective(core, rows_NP, problems, replace(TRAIN, seed=seed))
    fit(objective, schedule_of(TRAIN))
    seconds = time.process_time() - began
    mean_P = objective.rows_NP.detach().mean(0)
    with frozen(core):
        new = LEARNER.objective(
            core, mean_P.expand(len(held), -1), Problems(tuple(held), (0,) * len(held)), replace(LEARN, seed=seed)
        )
        before = float(new.row_scores(7, PROBLEMS).mean())
        fit(new, schedule_of(LEARN))
        after = float(new.row_scores(7, PROBLEMS).mean())
    trained = float(objective.row_scores(7, PROBLEMS).mean())
    parameters = sum(weight.numel() for weight in core.conditioner.parameters())
    return {"CPU seconds": seconds, "parameters": parameters, "trained": trained, "mean row": before, "learned": after}
