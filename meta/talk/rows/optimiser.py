"""Learning to learn by gradient descent by gradient descent (Andrychowicz et al. 2016), on Rosenbrock's valleys.

Shape legend: ``B`` problems, ``D`` parameters of a problem, ``S`` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from dsl import load
from envs.objectives.world import Optimisee, OptimiseeState
from envs.stepper import Action
from meta.optimisation.learner import LEARNER
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, row_of
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.rollout import play

STEPS = 100

BEGIN = 10**8
"""The first problem's number: training draws eight digits."""

RATES = [10 ** (half / 2) for half in range(-10, 3)]
"""From 0.00001 to 10: each hand-designed optimiser has the one that is best on problems of its own."""

TUNED_ON = 200

Rule = Callable[[torch.Tensor, int, dict[str, torch.Tensor]], torch.Tensor]
"""The step along a gradient_BD at a time from 1, before the learning rate; what it remembers is in the dictionary."""


def sgd(gradient_BD: torch.Tensor, time: int, kept: dict[str, torch.Tensor]) -> torch.Tensor:
    return gradient_BD


def momentum(gradient_BD: torch.Tensor, time: int, kept: dict[str, torch.Tensor]) -> torch.Tensor:
    """Polyak's, 0.9."""
    kept["mean"] = 0.9 * kept.get("mean", torch.zeros_like(gradient_BD)) + gradient_BD
    return kept["mean"]


def rmsprop(gradient_BD: torch.Tensor, time: int, kept: dict[str, torch.Tensor]) -> torch.Tensor:
    """Tieleman and Hinton (2012), 0.99."""
    kept["square"] = 0.99 * kept.get("square", torch.zeros_like(gradient_BD)) + 0.01 * gradient_BD**2
    return gradient_BD / (kept["square"].sqrt() + 1e-8)


def adam(gradient_BD: torch.Tensor, time: int, kept: dict[str, torch.Tensor]) -> torch.Tensor:
    """Kingma and Ba (2015), algorithm 1, with its constants."""
    none_BD = torch.zeros_like(gradient_BD)
    kept["mean"] = 0.9 * kept.get("mean", none_BD) + 0.1 * gradient_BD
    kept["square"] = 0.999 * kept.get("square", none_BD) + 0.001 * gradient_BD**2
    square_BD = kept["square"] / (1 - 0.999**time)
    return kept["mean"] / (1 - 0.9**time) / (square_BD.sqrt() + 1e-8)


OTHERS: Mapping[str, Rule] = {"SGD": sgd, "momentum": momentum, "RMSprop": rmsprop, "Adam": adam}
"""Hand-designed optimisers: as PyTorch has them (a test compares)."""


def run(run: Run) -> Found:
    """Train on valleys, and compare with the best of the hand-designed ones, each with its best rate."""
    path = file("learning/rosenbrock")
    library = run.train([path])
    world, count = load(path).world, run.effort.problems
    assert isinstance(world, Optimisee)
    state = begun(world, BEGIN, count)
    task = TaskInput(
        world.spec,
        0,
        row_of(library, "rosenbrock.OPTIMISE").expand(count, -1),
        torch.zeros(count, 3, dtype=torch.int64),
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


@torch.no_grad()
def descended(world: Optimisee, name: str, rate: float, first: int, count: int) -> torch.Tensor:
    """loss_SB, infinite where it is no number."""
    state, kept, losses = begun(world, first, count), dict[str, torch.Tensor](), list[torch.Tensor]()
    call_B4, all_B = torch.zeros(count, 4, dtype=torch.int64), torch.ones(count, dtype=torch.bool)
    for step in range(1, 1 + STEPS):
        gradient_BD = world.observe(state).channels["gradient"]
        assert isinstance(gradient_BD, torch.Tensor)
        world.act(state, Action(call_B4, -rate * OTHERS[name](gradient_BD, step, kept)), all_B)
        losses.append(world.score(state)["loss"])
    return torch.stack(losses).nan_to_num(torch.inf, torch.inf)


ROW = Row(
    key="optimiser",
    title="Learned optimiser",
    claim="Learning to learn by gradient descent by gradient descent",
    paper="below tuned SGD, RMSprop, Adam and NAG on quadratics and networks (curves, no table; Andrychowicz et al. "
    "2016)",
    score="log10 of the loss over 100 steps, less is better",
    control="the best of SGD, momentum, RMSprop and Adam, each with its best rate",
    run=run,
    quick=Effort(replace(LEARNER.training, updates=130, batch=64, rate=5e-3, check_every=65), 1000),
    full=Effort(LEARNER.training, 2000),
)
