"""Bandits, before and after training (Wang et al. 2016, section 3.1), and the two-step task (section 3.2).

Shape legend: ``B`` episodes, ``S`` steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from dsl import loads
from envs.episodic.bandit import FAMILIES, Bandit
from envs.episodic.two_step import TwoStep
from meta.baselines.agent import Agent, Rollout, rollout
from meta.baselines.learned_agent import Learned
from meta.baselines.registry import lineup
from meta.baselines.two_step import ModelBased, ModelFree, stays
from meta.reinforcement.learner import LEARNER
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, untrained
from npi.jobs.learners import usual_config
from npi.learners.core import learner_program_core
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.library.library import Library

BEGIN = 10**9
"""The first episode's number: training draws eight digits."""

PULLS = 100

SHOWN = 40
"""Episodes of the picture."""

BESIDE = ("UCB1", "Thompson", "Thompson, true prior", "best")
"""Agents of :func:`meta.baselines.registry.lineup`; ``best`` has the least regret that is possible."""

TEXT = """world arms is bandit(arms: 2, family: medium, steps: 100)

program EXPLORE "Find the arm that pays more, and keep pulling it":
    maximise reward over 100 steps
    core "meta-rl"

task medium(episode: number):
    EPISODE = digits(episode)
    run EXPLORE
    expect TRIAL == [100]
    train episode of 8 digits
    test episode of 9 digits
"""
"""Of two arms one pays in three quarters of its pulls, the other one in a quarter."""


def agent_of(library: Library) -> Learned:
    return Learned(learner_program_core(library.core), library.memory.embeddings_NP[0])


def bandits(run: Run) -> Found:
    """Regret before and after training, beside agents that know bandits."""
    programs = loads(TEXT)
    world = programs.world
    assert isinstance(world, Bandit)
    episode_B = torch.arange(BEGIN, BEGIN + run.effort.problems)
    none_B = torch.zeros_like(episode_B)

    def tried(agent: Agent) -> Rollout:
        return rollout(world, agent, world.begin(episode_B, none_B + FAMILIES.index("medium"), none_B), PULLS)

    after = tried(agent_of(run.train([programs])))
    before = tried(agent_of(untrained([programs], usual_config(LEARNER), run.seed)))
    agents = lineup(world, "medium")
    beside = {name: tried(agents[name](torch.Generator().manual_seed(run.seed))) for name in BESIDE}
    return Found(
        paired(after.regret_SB.sum(0), before.regret_SB.sum(0), higher=False),
        beside={name: float(one.regret_SB.sum(0).mean()) for name, one in beside.items()},
        picture=Picture(images={
            f"{name}: dark where the better arm is pulled": (one.regret_SB[:, :SHOWN].T < 1e-6).double().tolist()
            for name, one in (("before learning", before), ("after learning", after))
        }),
    )  # fmt: skip


# --- the two-step task -----------------------------------------------------------------------------------------------

TRIALS = 100


def two_step(run: Run) -> Found:
    """Reward a trial beside an agent that learns values without a model of the ways; and whether rewards behind the
    rare way make it leave."""
    path = file("learning/twostep")
    library = run.train([path])
    world = library.sets[0].world
    assert isinstance(world, TwoStep)
    episode_B = torch.arange(BEGIN, BEGIN + run.effort.problems)

    def tried(agent: Agent, *, at_random: bool = False) -> Rollout:
        return rollout(world, agent, world.begin(episode_B, torch.full_like(episode_B, int(at_random))), 2 * TRIALS)

    def made(kind: Callable[..., Any]) -> Agent:
        agent: Agent = kind(world.spec, generator=torch.Generator().manual_seed(run.seed))
        return agent

    mine, free, based = (
        tried(agent).reward_SB.sum(0) / TRIALS for agent in (agent_of(library), made(ModelFree), made(ModelBased))
    )
    found = {
        "learned": stays(world.spec, tried(agent_of(library), at_random=True)),
        "without a model": stays(world.spec, tried(made(ModelFree), at_random=True)),
    }
    return Found(
        paired(mine, free),
        beside={"with a model of the ways, worked out": float(based.mean())},
        facts={
            "interaction of reward and way": "; ".join(f"{name} {one.interaction:+.2f}" for name, one in found.items())
        },
    )


BANDITS = Row(
    key="bandits",
    title="Bandits, before and after learning",
    claim="Agent learns to solve bandit problems with meta RL",
    paper="on dependent arms below Thompson sampling, UCB and Gittins (curves, no table; Wang et al. 2016)",
    score="mean regret after 100 pulls of two dependent arms (medium)",
    control="the core before learning",
    run=bandits,
    quick=Effort(OnPolicyTraining(updates=120, batch=128, rollouts=4, rate=5e-3, check_every=60), 2000),
    full=Effort(OnPolicyTraining(updates=400, batch=256, rollouts=4, rate=5e-3, check_every=100), 20_000),
)

TWO_STEP = Row(
    key="two-step",
    title="The two-step task",
    claim="Learning slow to learn fast: the learned algorithm uses a model of what leads where",
    paper="stays after a reward behind the usual way, leaves behind the rare one (figure, no table; Wang et al. 2016)",
    score="mean reward of a trial",
    control="an agent that learns values without a model of what leads where",
    run=two_step,
    quick=Effort(OnPolicyTraining(updates=200, batch=96, rollouts=4, rate=5e-3, check_every=100), 1000),
    full=Effort(OnPolicyTraining(updates=500, batch=256, rollouts=4, rate=5e-3, check_every=100), 2000),
)
