"""Programs with a signal on the machine: a learner's core as a stepper, beside any other one.

Shape legend: ``B`` instances, ``N`` ids of a table, ``P`` numbers of a row, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from envs.registry import make
from envs.spec import RETURN, SLOTS, ProgramTable
from npi.learners.core import HostedCore
from npi.learners.interface import Asked
from traces.stepper import Action, Decision, Draw, Observation


class HostedStepper:
    """Runs rows of a learner's core, without exploring, for some programs of a table.

    The first of its hidden numbers counts the steps of a frame; a program returns when it has taken all of its own.

    Args:
        rows: for each of its programs, by id, the row's numbers. steps: how long each acts.
        world: index of the table's world in the core.
    """

    def __init__(
        self,
        core: HostedCore,
        table: ProgramTable,
        rows: Mapping[int, torch.Tensor],
        steps: Mapping[int, int],
        *,
        world: int,
    ) -> None:
        spec = table.world
        self.learner, self.net, self.world = core.learner, core.net, world
        self.place: Any = make(spec.kind, spec.name, spec.config)
        self.width = 1 + self.learner.width(self.net, self.place)
        self.dtype = torch.float32
        device = next(iter(rows.values())).device
        self.row_NP = torch.zeros(len(table), core.config.row, device=device)
        self.steps_N = torch.zeros(len(table), device=device)
        for number, row_P in rows.items():
            self.row_NP[number] = row_P.detach()
            self.steps_N[number] = steps[number]
        self.state: Any = None

    @torch.no_grad()
    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """The learner's next act, or a return; programs that are not its own return at once."""
        asked = Asked(self.world, self.row_NP[program_B], arguments_B3)
        acts_B = hidden_BH[:, 0] < self.steps_N[program_B]
        call_B4, after_BH = self._act(seen.fields_BF, asked, hidden_BH[:, 1:], acts_B)
        over_4 = torch.tensor([RETURN, 0, 0, 0], device=program_B.device)
        hidden_BH = torch.cat([hidden_BH[:, :1] + 1, after_BH], 1)
        return Decision(Action(torch.where(acts_B[:, None], call_B4, over_4)), hidden_BH)

    def _act(
        self, obs_BF: torch.Tensor, asked: Asked, hidden_BH: torch.Tensor, acts_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        step = self.learner.step(self.net, asked, obs_BF, hidden_BH, generator=None)
        return step.act, step.hidden_BH


class LosingStepper(HostedStepper):
    """The same for learners that move parameters: it looks at gradients, proposes steps and calls what takes them."""

    def attend(self, world: Any, state: Any) -> None:
        """The state whose gradients the next steps look at (implements ``Attentive``)."""
        self.state = state

    def _act(
        self, obs_BF: torch.Tensor, asked: Asked, hidden_BH: torch.Tensor, acts_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            self.place.detach(self.state)
            loss_B = self.place.loss(self.state)
            (gradient_BD,) = torch.autograd.grad(loss_B.sum(), self.place.parameters(self.state))
            self.place.detach(self.state)
        step = self.learner.step(self.net, asked, gradient_BD, hidden_BH, generator=None)
        self.place.propose(self.state, step.act, acts_B)
        return torch.zeros(len(obs_BF), 1 + SLOTS, dtype=torch.int64, device=obs_BF.device), step.hidden_BH


def hosted_stepper(
    core: HostedCore,
    table: ProgramTable,
    rows: Mapping[int, torch.Tensor],
    steps: Mapping[int, int],
    *,
    world: int,
) -> HostedStepper:
    """The stepper for what the core's learner learns from."""
    kind = HostedStepper if core.learner.signal == "reward" else LosingStepper
    return kind(core, table, rows, steps, world=world)
