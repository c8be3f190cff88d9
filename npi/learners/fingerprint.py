"""What rows of a learner's core do in random configurations, to show that nothing about them changed.

Shape legend: ``B`` configurations, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Observation, Ragged
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import TaskInput
from npi.program_memory import ProgramMemory

CONFIGURATIONS = 64
"""Of each row; in worlds with real-valued channels, which can be large, there are four."""


@torch.no_grad()
def learner_outputs(
    core: LearnerProgramCore, memory: ProgramMemory, rows: Sequence[int], *, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Actions, hidden numbers and extras of each of these rows, in configurations that are the same at each call."""
    found: dict[str, torch.Tensor] = {}
    device = memory.embeddings_NP.device
    for row in rows:
        info = memory.infos[row]
        spec = core.worlds[info.world]
        generator = torch.Generator().manual_seed(seed)
        seen = random_observation(spec, generator, device)
        B = len(seen.fields_BF)
        hidden_BH = torch.rand(B, core.net.hidden_size(spec), generator=generator).to(device)
        arguments_B3 = torch.zeros(B, SLOTS, dtype=torch.int64, device=device)
        task = TaskInput(spec, info.world, memory.embeddings_NP[row].detach().expand(B, -1), arguments_B3)
        step = core.net.step(task, seen, hidden_BH)
        parts = {"call": step.action.call_B4, "payload": step.action.payload_BX, "hidden": step.hidden_BH}
        found |= {f"{info.name}.{name}": part for name, part in {**parts, **step.extras}.items() if part is not None}
    return found


def random_observation(spec: WorldSpec, generator: torch.Generator, device: torch.device) -> Observation:
    """Fields and channels at random; those that are functions of fields are left out."""
    channels = [channel for channel in spec.channels if not channel.fields]
    count = 4 if channels else CONFIGURATIONS
    columns = [torch.randint(field.size, (count,), generator=generator) for field in spec.fields]
    drawn: dict[str, torch.Tensor | Ragged] = {}
    for channel in channels:
        shape = [count if size is None else size for size in channel.shape]
        number_B = torch.randn(count, *shape, generator=generator).to(device)
        lengths_B = torch.arange(1, 1 + count, device=device)
        drawn[channel.name] = Ragged(number_B, lengths_B) if channel.ragged else number_B
    fields_BF = torch.stack(columns, 1) if columns else torch.zeros(count, 0, dtype=torch.int64)
    return Observation(fields_BF.to(device), drawn)
