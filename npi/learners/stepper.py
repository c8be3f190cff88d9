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
        moves = self.learner.signal == "loss"
        what = seen.channels["gradient"] if moves else seen.fields_BF
        assert isinstance(what, torch.Tensor)
        step = self.learner.step(self.net, asked, what, hidden_BH[:, 1:], generator=None)
        call_B4 = torch.zeros(len(program_B), 1 + SLOTS, dtype=torch.int64, device=what.device) if moves else step.act
        over_4 = torch.tensor([RETURN, 0, 0, 0], device=program_B.device)
        call_B4 = torch.where(acts_B[:, None], call_B4, over_4)
        hidden_BH = torch.cat([hidden_BH[:, :1] + 1, step.hidden_BH], 1)
        return Decision(Action(call_B4, step.act if moves else None), hidden_BH)


def hosted_stepper(
    core: HostedCore,
    table: ProgramTable,
    rows: Mapping[int, torch.Tensor],
    steps: Mapping[int, int],
    *,
    world: int,
) -> HostedStepper:
    """The stepper for what the core's learner learns from."""
    return HostedStepper(core, table, rows, steps, world=world)
