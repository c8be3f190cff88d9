"""Episodes of a task that imitation begins and the task takes over, so that its reward is met.

Beginning from states along a demonstration is known as a way to learn from a reward that is rare (Resnick et al. 2018,
"Backplay"). Here the learner's own acts are the only way to such states: those of its imitation of the box's
demonstration, the beginning of which can be skipped. What comes of that is chance's affair, and the reward says what it
was worth.

Shape legend: ``B`` instances, ``P`` parameters of a row, ``X`` payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch

from envs.control.puzzle_box_settings import DEMONSTRATION, GRACE, SHOWN, STEP
from envs.spec import WorldSpec
from envs.stepper import Observation, Ragged
from envs.world import Layout, World
from meta.mimic.network import MimicCore
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput


@dataclass(frozen=True)
class Beginning:
    """How imitation begins episodes of a task.

    Attributes:
        row_BP: of the program that imitates. demonstration: of each box, which the task is not shown.
        count_B: int64, how many acts it takes. skipped_B: int64, how many frames of the demonstration are skipped.
    """

    row_BP: torch.Tensor
    demonstration: Ragged
    count_B: torch.Tensor
    skipped_B: torch.Tensor


@final
class TaskActor(LearnerCore):
    """The core with noise of a strength of each episode, behind the acts of imitation that begin it.

    Args:
        noise_B: its standard deviation. beginning: None where nothing imitates.
    """

    def __init__(self, core: MimicCore, noise_B: torch.Tensor, beginning: Beginning | None) -> None:
        super().__init__()
        self.core, self.noise_B, self.beginning = core, noise_B, beginning

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.core.hidden_size(spec)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        step = self.core.step(task, seen, hidden_BH)
        force_BX = step.action.payload_BX
        assert force_BX is not None
        if self.beginning is not None:
            step_B = seen.fields_BF[:, task.spec.field(STEP)]
            force_BX = torch.where((step_B < self.beginning.count_B)[:, None], self.imitating(task, seen), force_BX)
        if draw is not None:
            force_BX = (force_BX + self.noise_B[:, None] * draw.normal(force_BX.shape[1])).clamp(-1, 1)
        return step._replace(action=step.action._replace(payload_BX=force_BX))

    def imitating(self, task: TaskInput, seen: Observation) -> torch.Tensor:
        """force_BX of an imitation that sees the demonstration from behind the skipped frames on."""
        assert self.beginning is not None
        fields_BF = seen.fields_BF.clone()
        fields_BF[:, task.spec.field(STEP)] += self.beginning.skipped_B
        shown = Observation(fields_BF, {**seen.channels, DEMONSTRATION: self.beginning.demonstration})
        return self.core.force(self.beginning.row_BP, self.core.remembered(task.spec, shown))


def demonstrations_of(world: World[Any], layouts: Sequence[Layout], device: torch.device) -> Ragged:
    """The demonstrations of boxes, also of those that do not show them."""
    shown = [{**layout, SHOWN.name: (SHOWN.values.index("yes"),)} for layout in layouts]
    found = world.observe(world.reset(shown, device=device)).channels[DEMONSTRATION]
    assert isinstance(found, Ragged)
    return found


def beginning(row_BP: torch.Tensor, demonstration: Ragged, begun: float, skips: float, draw: Draw) -> Beginning:
    """In half of the episodes that imitation begins it goes on to the end; in the others it is over anywhere.

    Args:
        begun: the share of episodes that imitation begins. skips: the share of these in which it skips frames.
    """
    chance_B4, acts_B = draw.uniform(4), demonstration.lengths_B - 1
    skipped_B = ((chance_B4[:, 0] < skips) * chance_B4[:, 1] * acts_B).long()
    share_B = (2 * chance_B4[:, 3]).clamp(max=1) * (chance_B4[:, 2] < begun)
    return Beginning(row_BP, demonstration, (share_B * (acts_B - skipped_B + GRACE + 1)).long(), skipped_B)
