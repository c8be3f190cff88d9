"""Learning to learn by gradient descent by gradient descent (Andrychowicz et al. 2016): quadratics of ten numbers.

Shape legend: ``B`` problems, ``D`` parameters of a problem, ``S`` steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from dsl import load
from envs.objectives.world import Optimisee, OptimiseeState
from envs.stepper import Action
from envs.world import Episodes
from meta.optimisation.learner import LEARNER
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, row_of
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.rollout import play

STEPS = 100

BEGIN = 10**8
"""The first problem's number: training draws eight digits."""

RATES = [10 ** (half / 2) for half in range(-8, 3)]
"""From 0.0001 to 10: each hand-designed optimiser has the one that is best on problems of its own."""

TUNED_ON = 200

OTHERS: dict[str, Callable[[list[torch.Tensor], float], torch.optim.Optimizer]] = {
    "SGD": lambda parameters, rate: torch.optim.SGD(parameters, rate),
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, rate, momentum=0.9),
    "RMSprop": lambda parameters, rate: torch.optim.RMSprop(parameters, rate),
    "Adam": lambda parameters, rate: torch.optim.Adam(parameters, rate),
}
"""Hand-designed optimisers, which look at each number by itself, so a batch of problems is one big parameter."""


def run(run: Run) -> Found:
    """Train on quadratics, and compare with the best of the hand-designed ones, each with its best rate."""
    path = file("learning/quadratic")
    library = run.train([path])
    world, count = load(path).world, run.effort.problems
    assert isinstance(world, Optimisee)
    state = begun(world, BEGIN, count)
    task = TaskInput(
        world.spec, 0, row_of(library, "quadratic.OPTIMISE").expand(count, -1), torch.zeros(count, 3, dtype=torch.int64)
    )
    mine_SB = play(learner_program_core(library.core).net, world, state, task, STEPS).scores["loss"]
    others = {name: tuned(world, name, count) for name in OTHERS}
    best = min(others, key=lambda name: float(others[name].log().mean()))
    curves = {"learned": mine_SB, **others}
    return Found(
        paired(mine_SB.log10().mean(0), others[best].log10().mean(0), higher=False),
        beside={name: float(loss_SB.log10().mean()) for name, loss_SB in others.items()},
        facts={"control is": best},
        picture=Picture("steps", "mean loss", {
            name: [[*range(1, 1 + STEPS)], loss_SB.mean(1).tolist()] for name, loss_SB in curves.items()
        }),
    )  # fmt: skip


def begun(world: Optimisee, first: int, count: int) -> OptimiseeState:
    """Problems from a number on."""
    episode_B = torch.arange(first, first + count)
    return world.begin(episode_B, torch.zeros_like(episode_B))


def tuned(world: Optimisee, name: str, count: int) -> torch.Tensor:
    """loss_SB of a hand-designed optimiser, by the rate whose mean log loss is least on other problems."""
    tried = {rate: float(descended(world, name, rate, BEGIN // 2, TUNED_ON).log().mean()) for rate in RATES}
    return descended(world, name, min(tried, key=lambda rate: tried[rate]), BEGIN, count)


def descended(world: Optimisee, name: str, rate: float, first: int, count: int) -> torch.Tensor:
    """loss_SB, infinite where it is no number."""
    state = begun(world, first, count)
    own_BD = state.theta_BD.detach().clone().requires_grad_()
    optimizer, losses = OTHERS[name]([own_BD], rate), []
    call_B4, all_B = torch.zeros(count, 4, dtype=torch.int64), torch.ones(count, dtype=torch.bool)
    for _ in range(STEPS):
        gradient_BD = world.observe(state).channels["gradient"]
        assert isinstance(gradient_BD, torch.Tensor)
        own_BD.grad = gradient_BD.clone()
        before_BD = own_BD.detach().clone()
        optimizer.step()
        with torch.no_grad():
            world.act(state, Action(call_B4, own_BD - before_BD), all_B)
            losses.append(world.score(state)["loss"])
    return torch.stack(losses).nan_to_num(torch.inf, torch.inf)


ROW = Row(
    key="optimiser",
    title="Learned optimiser",
    claim="Learning to learn by gradient descent by gradient descent",
    paper="a learned optimiser is below tuned SGD, RMSprop, Adam and NAG on quadratics (curves, no table; Andrychowicz et "
    "al. 2016)",
    score="log10 of the loss over 100 steps, less is better",
    control="the best of SGD, momentum, RMSprop and Adam, each with its best rate",
    run=run,
    quick=Effort(replace(LEARNER.training, updates=60, check_every=30), 500),
    full=Effort(LEARNER.training, 2000),
)
