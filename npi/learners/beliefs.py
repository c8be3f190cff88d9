"""What a learner's core holds likely along a run: how it would conclude, and whether it goes on.

Shape legend: ``A`` calls.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Problem
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Stepper
from envs.world import Concluding, Ending
from npi.learners.interface import TaskInput
from npi.learners.kind import LearnerStepper

LEVELS = " ▁▂▃▄▅▆▇█"
"""Bars of one character, from none to all."""

MAX_BARS = 12
"""Calls that conclude, of which bars are drawn."""


@runtime_checkable
class Choosing(Protocol):
    """A core whose steps give ``log_calls``, B × A: log-probabilities of calls."""

    def calls(self, world: int) -> torch.Tensor:
        """call_A4 of a world, by its index, in that order."""
        ...


@torch.no_grad()
def beliefs(stepper: Stepper, programs: ProgramSet, problem: Problem) -> tuple[str, ...]:
    """A line before each action of a run: a bar for each call that concludes, and the chance of going on.

    Nothing for steppers that are not one learner's, for cores that do not choose among calls, and for worlds in which
    no call concludes.
    """
    if not (isinstance(stepper, LearnerStepper) and isinstance(stepper.net, Choosing)):
        return ()
    if not (isinstance(programs.world, Concluding) and isinstance(programs.world, Ending)):
        return ()
    world: Any = programs.world
    call_A4, state = stepper.net.calls(stepper.world), world.reset([problem.layout])
    asked = TaskInput(
        stepper.spec, stepper.world, stepper.row_NP[[problem.program]], torch.tensor([problem.arguments]).view(1, SLOTS)
    )
    hidden_1H, lines = stepper.net.begin(asked, world.observe(state)), list[str]()
    while not bool(world.ended(state)) and len(lines) < int(stepper.steps_N[problem.program]):
        step = stepper.net.step(asked, world.observe(state), hidden_1H)
        hidden_1H = step.hidden_BH
        ends_A = torch.cat([world.conclusion(state, Action(call_4[None])).ends_B for call_4 in call_A4])
        lines.append(line(stepper.spec, call_A4[ends_A], step.extras["log_calls"][0].exp()[ends_A]))
        world.act(state, step.action, torch.ones(1, dtype=torch.bool))
    return tuple(lines)


def line(spec: WorldSpec, call_A4: torch.Tensor, chance_A: torch.Tensor) -> str:
    """``1 ▁  2 ▇  3 ▁  4 ▁  goes on 12 %``: bars are shares among the calls that conclude."""
    share_A = chance_A / chance_A.sum().clamp(min=torch.finfo(torch.float32).tiny)
    bars = []
    for (callee, *tokens), share in list(zip(call_A4.tolist(), share_A.tolist(), strict=True))[:MAX_BARS]:
        named = " ".join(spec.tokens[token] for token in tokens if token)
        bars.append(f"{named or spec.primitives[callee].name} {LEVELS[round(share * (len(LEVELS) - 1))]}")
    return f"{'  '.join(bars)}  goes on {100 * (1 - float(chance_A.sum())):.0f} %"
