"""Programs with a signal on the machine: a learner's core as a stepper, beside any other one.

Shape legend: ``B`` instances, ``N`` ids of a table, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch

from envs.spec import RETURN, ProgramTable
from envs.stepper import Action, Decision, Draw, Observation
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerCore, TaskInput


@final
class LearnerStepper:
    """Runs rows of a learner's core for some programs of a table (implements ``Stepper``).

    The first of its hidden numbers counts the steps of a frame; a program returns when it has taken all of its own, or
    where the world has come to an end.

    Args:
        rows: for each of its programs, by id, the row's parameters. steps: how long each acts at most.
        world: index of the table's world in the core.
    """

    def __init__(
        self,
        core: LearnerProgramCore,
        table: ProgramTable,
        rows: Mapping[int, torch.Tensor],
        steps: Mapping[int, int],
        *,
        world: int,
    ) -> None:
        self.net, self.spec, self.world = core.net, table.world, world
        self.width = 1 + self.net.hidden_size(self.spec)
        self.dtype = torch.float32
        self.encodes = type(self.net).begin is not LearnerCore.begin
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
        """The next action, or a return; programs that are not its own return at once."""
        task = TaskInput(self.spec, self.world, self.row_NP[program_B], arguments_B3)
        count_B1, own_BH = hidden_BH[:, :1], hidden_BH[:, 1:]
        if self.encodes and (hidden_BH.is_cuda or bool((count_B1 == 0).any())):
            own_BH = torch.where(count_B1 == 0, self.net.begin(task, seen), own_BH)
        action, own_BH, _ = self.net.step(task, seen, own_BH, draw=draw if self.net.samples else None)
        acts_B = count_B1[:, 0] < self.steps_N[program_B]
        if ended_B is not None:
            acts_B = acts_B & ~(ended_B if ended_B.dim() == 1 else ended_B.all(1))
        return_4 = torch.tensor([RETURN, 0, 0, 0], device=program_B.device)
        call_B4 = torch.where(acts_B[:, None], action.call_B4, return_4)
        return Decision(Action(call_B4, action.payload_BX), torch.cat([count_B1 + 1, own_BH], 1))
