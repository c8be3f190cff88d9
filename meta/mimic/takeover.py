"""Episodes that imitation begins and a task policy takes over, so that tasks are tried from nearer to their ends, too.

Beginning from states along a demonstration is known as a way to learn from a reward that is rare (Resnick et al. 2018,
"Backplay"). Here the states are those of the learner's own imitations, whose acts are the only way to them.

Shape legend: ``B`` instances, ``T`` steps, ``X`` payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch

from envs.control.puzzle_box_settings import SHOWN
from envs.spec import WorldSpec
from envs.stepper import Action, Observation
from envs.world import Layout, World
from meta.mimic.network import MimicCore, steps_taken
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput
from npi.learners.rollout import GeneratorDraw, rollout


@final
class TakesOver(LearnerCore):
    """The core, behind the first acts of others.

    Args:
        force_TBX: those acts. count_B: int64, how many of them are taken.
    """

    def __init__(self, core: MimicCore, force_TBX: torch.Tensor, count_B: torch.Tensor) -> None:
        super().__init__()
        self.core, self.force_TBX, self.count_B = core, force_TBX, count_B

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.core.hidden_size(spec)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        own, step_B = self.core.step(task, seen, hidden_BH, draw=draw), steps_taken(task.spec, seen)
        place_B = torch.arange(len(step_B), device=step_B.device)
        first_BX = self.force_TBX[step_B.clamp(max=len(self.force_TBX) - 1), place_B]
        force_BX = torch.where((step_B < self.count_B)[:, None], first_BX, forces(own.action))
        return own._replace(action=own.action._replace(payload_BX=force_BX))


def taking_over(
    core: MimicCore, world: World[Any], layouts: Sequence[Layout], task: TaskInput, steps: int, share: float,
    draw: GeneratorDraw,
) -> TakesOver:  # fmt: skip
    """What takes over from an imitation of the demonstrations of these boxes.

    Args:
        layouts: of the boxes, whose demonstrations are shown here. task: that of the imitation, of ``steps`` steps.
        share: of the episodes that another begins; of its acts any number is taken but the last one.
    """
    shown = [{**layout, SHOWN.name: (SHOWN.values.index("yes"),)} for layout in layouts]
    state = world.reset(shown, device=task.row_BP.device)
    hidden_BH = core.begin(task, world.observe(state))
    episodes, _ = rollout(core, world, state, task, hidden_BH, steps, draw=draw)
    place_B2 = draw.uniform(2)
    count_B = (place_B2[:, 0] * episodes.live_TB.sum(0)).long()
    assert episodes.actions is not None
    force_TBX = torch.stack([forces(action) for action in episodes.actions])
    return TakesOver(core, force_TBX, torch.where(place_B2[:, 1] < share, count_B, 0))


def forces(action: Action) -> torch.Tensor:
    assert action.payload_BX is not None
    return action.payload_BX
