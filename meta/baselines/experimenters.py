"""Experimenters that are learned: a row on a learner's frozen core, and a classifier of what random pokes show.

Shape legend: ``B`` experiments, ``N`` blocks, ``P`` parameters of a row, ``H`` hidden numbers, ``K`` steps.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import skip_init

from envs.physics.blocks import BETAS, POKE, Blocks, BlocksState
from envs.spec import SLOTS
from envs.stepper import Action, Observation
from npi.core.initialisation import seeded_linear
from npi.learners.interface import LearnerCore, TaskInput

UNITS = 48
"""Of a classifier's recurrent layer."""


class LearnedExperimenter:
    """The likeliest calls of a row beside a frozen network (implements ``Experimenter``)."""

    def __init__(self, net: LearnerCore, row_P: torch.Tensor, world: Blocks) -> None:
        self.net, self.row_P, self.spec = net, row_P.detach(), world.spec
        self.hidden_BH: torch.Tensor | None = None

    def act(self, seen: Observation, live_B: torch.Tensor) -> torch.Tensor:
        if self.hidden_BH is None:
            self.hidden_BH = self.net.begin(self._task(len(live_B)), seen)
        live = live_B.nonzero()[:, 0]
        step = self.net.step(self._task(len(live)), seen.select(live), self.hidden_BH[live])
        self.hidden_BH[live] = step.hidden_BH
        call_B4 = torch.zeros(len(live_B), 1 + SLOTS, dtype=torch.int64)
        call_B4[live] = step.action.call_B4
        return call_B4

    def _task(self, count: int) -> TaskInput:
        return TaskInput(self.spec, 0, self.row_P.expand(count, -1), torch.zeros(count, SLOTS, dtype=torch.int64))


class RandomPokeClassifier(nn.Module):
    """A recurrent classifier that is shown what random pokes lead to, and the β of the masses.

    It says which block is the heavy one, after any number of pokes; when to stop is no part of it.
    """

    def __init__(self, blocks: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.enter = seeded_linear(2 * blocks + len(BETAS), UNITS, generator=generator)
        self.cell = skip_init(nn.GRUCell, UNITS, UNITS)
        self.out = seeded_linear(UNITS, blocks, generator=generator)
        with torch.no_grad():
            for part in self.cell.parameters():
                part.uniform_(-(UNITS**-0.5), UNITS**-0.5, generator=generator)

    def forward(self, world: Blocks, state: BlocksState, steps: int, *, generator: torch.Generator) -> torch.Tensor:
        """log_KBN: the logarithm of each block's chance, after none of so many random pokes, and after each."""
        count = state.batch
        hidden_BH, log = torch.zeros(count, UNITS), list[torch.Tensor]()
        for step in range(steps + 1):
            hidden_BH = self.cell(torch.relu(self.enter(self._shown(world, state))), hidden_BH)
            log.append(self.out(hidden_BH).log_softmax(1))
            if step < steps:
                call_B4 = torch.zeros(count, 1 + SLOTS, dtype=torch.int64)
                call_B4[:, 0] = POKE
                call_B4[:, 1] = torch.randint(1, 1 + world.config.blocks, (count,), generator=generator)
                world.act(state, Action(call_B4), torch.ones(count, dtype=torch.bool))
        return torch.stack(log)

    def _shown(self, world: Blocks, state: BlocksState) -> torch.Tensor:
        seen = world.observe(state)
        height_BN = seen.channels["heights"]
        assert isinstance(height_BN, torch.Tensor)
        last_BN = nn.functional.one_hot(seen.fields_BF[:, 0], 1 + world.config.blocks)[:, 1:]
        beta_BX = nn.functional.one_hot(state.beta_B, len(BETAS))
        return torch.cat([height_BN.log1p(), last_BN.float(), beta_BX.float()], 1)
