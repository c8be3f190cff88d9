"""Learning to experiment (Denil et al. 2017, section 4.1, Which is Heavier): poke blocks, then say which is heavy.

Shape legend: ``B`` experiments.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from dsl import loads
from envs.physics.blocks import BETAS, DISCOUNTS, Blocks
from meta.baselines.blocks import Experimenter, Experiments, StoppingPlan, Weigher, experiments
from meta.baselines.experimenters import LearnedExperimenter
from meta.reinforcement.config import MetaRLConfig
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Row, Run
from npi.learners.core import learner_program_core
from npi.learners.objectives.on_policy import OnPolicyTraining

BEGIN = 10**8
"""The first experiment's number: training draws eight digits."""

BETA, DISCOUNT = "5", "0.95"
"""How far masses lie apart, and what a step costs: masses are mostly apart, and time is dear."""

TEXT = f"""world table is blocks(blocks: 4)

program QUICK5 "Find the heavy block; masses are mostly apart, and time is dear":
    maximise reward over 100 steps
    core "meta-rl"

task quick5:
    BETA = ["{BETA}"]
    DISCOUNT = ["{DISCOUNT}"]
    run QUICK5
    expect RIGHT == [1]
    train
    test
"""

SHAPE = MetaRLConfig(object_slots=1, hidden=24, row=16)
"""Of alike objects."""

TRAINING = OnPolicyTraining(
    stopping=1, truncation=5, updates=600, batch=256, rollouts=2, rate=5e-3, row_rate=3e-2, value_weight=0.5,
    entropy=0.05, coverage=0.3, wander=0.3, belief=0.5, check_every=100, problems=200,
)  # fmt: skip


def run(run: Run) -> Found:
    """Train an experimenter; beside it one who only looks, and the Bayes-optimal one."""
    programs = loads(TEXT)
    world = programs.world
    assert isinstance(world, Blocks)
    library = run.train([programs], config=SHAPE)
    episode_B = torch.arange(BEGIN, BEGIN + run.effort.problems)
    asked = BETAS.index(BETA), DISCOUNTS.index(DISCOUNT), world.questions.index("heavy")

    def tried(agent: Experimenter) -> Experiments:
        return experiments(world, agent, world.begin(episode_B, *(torch.full_like(episode_B, one) for one in asked)))

    plan = StoppingPlan(world.config.blocks, float(BETA), float(DISCOUNT))
    row_P = library.memory.embeddings_NP[0]
    mine = tried(LearnedExperimenter(learner_program_core(library.core).net, row_P, world))
    passive = tried(Weigher(world.config, plan, pokes=0))
    optimal, every = tried(Weigher(world.config, plan)), tried(Weigher(world.config, plan, pokes=4))
    means = mine.means()
    return Found(
        paired(mine.return_B, passive.return_B),
        beside={"Bayes optimum": optimal.means()["return"], "pokes all, then Bayes": every.means()["return"]},
        facts={"right answers": f"{100 * means['right']:.1f} %, after {means['pokes']:.2f} pokes; the optimum "
               f"{100 * optimal.means()['right']:.1f} %, after {optimal.means()['pokes']:.2f}"},
    )  # fmt: skip


ROW = Row(
    key="experiments",
    title="Learning to experiment: Which is Heavier",
    claim="Learn to experiment",
    paper="agents poke until they know enough, fewer times where time is dear (figures, no table; Denil et al. 2017)",
    score="discounted return of an answer (right 1, wrong −1)",
    control="an observer who only looks, and answers by Bayes' rule",
    run=run,
    quick=Effort(replace(TRAINING, updates=150), 10_000),
    full=Effort(TRAINING, 100_000),
)
