"""Harlow's task (Wang et al. 2016, section 3.2.2): two new objects, one of which pays, six trials.

Shape legend: ``B`` episodes, ``T`` trials.
"""

from __future__ import annotations

import torch

from envs.episodic.harlow import RULES, Harlow, HarlowState
from meta.baselines.agent import rollout
from meta.baselines.harlow import SideStayer
from meta.reinforcement.learner import LEARNER
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, untrained
from npi.jobs.learners import usual_config
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.rollout import play
from npi.library.library import Library

BEGIN = 10**9

TRIALS, STEPS = 6, 60


def begun(world: Harlow, count: int) -> HarlowState:
    """Episodes with objects that no training shows, one of which pays in all trials."""
    episode_B = torch.arange(BEGIN, BEGIN + count)
    kinds = torch.ones_like(episode_B), torch.full_like(episode_B, RULES.index("object"))
    return world.begin(episode_B, *kinds, torch.zeros(count, TRIALS, dtype=torch.int64))


def right(state: HarlowState) -> torch.Tensor:
    """float64 B × T: whether the choice of each trial was right; one that was not reached was not."""
    return (state.right_BT == 2).double()


def tried(library: Library, count: int) -> torch.Tensor:
    """What a core does in its first world, without exploring."""
    world = library.sets[0].world
    assert isinstance(world, Harlow)
    state = begun(world, count)
    row_BP = library.memory.embeddings_NP[0].detach().expand(count, -1)
    task = TaskInput(world.spec, 0, row_BP, torch.zeros(count, 3, dtype=torch.int64))
    play(learner_program_core(library.core).net, world, state, task, STEPS)
    return right(state)


def run(run: Run) -> Found:
    """Train on the objects of training, and choose among others; so do the core before training, and one who wins,
    stays with a side, and shifts where that loses."""
    path, count = file("learning/harlow"), run.effort.problems
    library = run.train([path])
    mine_BT, before_BT = tried(library, count), tried(untrained([path], usual_config(LEARNER), run.seed), count)
    world = library.sets[0].world
    assert isinstance(world, Harlow)
    state = begun(world, count)
    rollout(world, SideStayer(world.spec, generator=torch.Generator().manual_seed(run.seed)), state, STEPS)
    curves = {"learned": mine_BT, "before learning": before_BT, "win, stay with sides": right(state)}
    return Found(
        paired(100 * mine_BT[:, 1:].mean(1), 100 * right(state)[:, 1:].mean(1)),
        beside={"before learning": 100 * float(before_BT[:, 1:].mean())},
        facts={"first trial": f"{100 * float(mine_BT[:, 0].mean()):.0f} % right: a guess"},
        picture=Picture("trial", "right, %", {
            name: [[*range(1, 1 + TRIALS)], (100 * one_BT.mean(0)).tolist()] for name, one_BT in curves.items()
        }),
    )  # fmt: skip


ROW = Row(
    key="harlow",
    title="Harlow's task",
    claim="The first choice is arbitrary; after observing its outcome the monkey subsequently always chooses right",
    paper="from the second trial on always right, in 43 % of seeds (Wang et al. 2016, in a room that is looked at)",
    score="% of choices right from the second trial on, among objects never seen",
    control="win: stay with the side; lose: shift it, on the same episodes",
    run=run,
    quick=Effort(OnPolicyTraining(updates=150, batch=64, rollouts=1, rate=5e-3, check_every=50, problems=32), 1000),
    full=Effort(OnPolicyTraining(updates=300, batch=64, rollouts=1, rate=5e-3, check_every=50, problems=32), 4000),
)
