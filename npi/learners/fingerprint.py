"""What rows of a learner's core do in random situations, to show that nothing about them changed.

Shape legend: ``B`` situations, ``H`` hidden numbers, ``D`` parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from envs.registry import make
from envs.spec import SLOTS, WorldSpec
from npi.core.base import Core
from npi.learners.core import HostedCore, hosted
from npi.learners.interface import Asked
from npi.program_memory import ProgramMemory


@torch.no_grad()
def hosted_outputs(
    of: Core, memory: ProgramMemory, rows: Sequence[int], *, situations: int = 64, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Acts, hidden numbers and notes of each of these rows, by itself, in situations that are the same at each call."""
    core, found = hosted(of), dict[str, torch.Tensor]()
    device = memory.embeddings_NP.device
    for row in rows:
        info = memory.infos[row]
        spec = core.worlds[info.world]
        generator = torch.Generator().manual_seed(seed)
        world: Any = make(spec.kind, spec.name, spec.config)
        seen = _seen(core, world, spec, situations, generator).to(device)
        B = len(seen)
        hidden_BH = torch.rand(B, core.learner.width(core.net, world), generator=generator).to(device)
        row_BP = memory.embeddings_NP[row].detach().expand(B, -1)
        asked = Asked(info.world, row_BP, torch.zeros(B, SLOTS, dtype=torch.int64, device=device))
        step = core.learner.step(core.net, asked, seen, hidden_BH, generator=None)
        found |= {f"{info.name}.act": step.act, f"{info.name}.hidden": step.hidden_BH}
        found |= {f"{info.name}.{name}": note for name, note in step.notes.items()}
    return found


def _seen(core: HostedCore, world: Any, spec: WorldSpec, situations: int, generator: torch.Generator) -> torch.Tensor:
    """Observations, or gradients, at random."""
    if core.learner.signal == "reward":
        columns = [torch.randint(field.size, (situations,), generator=generator) for field in spec.fields]
        return torch.stack(columns, 1)
    return torch.randn(min(situations, 4), spec.channel("gradient").size, generator=generator)
