"""What rows of a discrete or lstm core put out in random configurations, to show that nothing about them changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from npi.core.base import Core
from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import RecurrentCore, recurrent
from npi.program_memory import ProgramMemory

CONFIGURATIONS = 256
"""Random (row, arguments, hidden, observation) drawn for each world."""


@torch.no_grad()
def row_logits(of: Core, memory: ProgramMemory, chosen: Sequence[int], *, seed: int) -> dict[str, torch.Tensor]:
    """Every logit (end, keys of the chosen rows, arguments) of some rows in random configurations of each world."""
    core = recurrent(of)
    tables = core.tables(memory)
    found: dict[str, torch.Tensor] = {}
    for world, spec in enumerate(core.worlds):
        rows = [i for i in chosen if memory.infos[i].world == world and not memory.infos[i].primitive]
        if not rows:
            continue
        generator = torch.Generator().manual_seed(seed)
        row_B = torch.tensor(rows)[torch.randint(len(rows), (CONFIGURATIONS,), generator=generator)]
        columns = [torch.randint(f.size, (CONFIGURATIONS,), generator=generator) for f in spec.fields]
        obs_BF = torch.stack(columns, 1) if columns else torch.zeros(CONFIGURATIONS, 0, dtype=torch.int64)
        arguments = torch.randint(len(spec.tokens), (CONFIGURATIONS, 3), generator=generator)
        device = memory.keys_NK.device
        row_B, obs_BF, arguments = row_B.to(device), obs_BF.to(device), arguments.to(device)
        x_BX = core.adapter(world).encode(obs_BF, arguments, tables.gate_NI[world][row_B])
        hidden, _ = core.trunk.step(x_BX, tables.cond_NC[row_B], _hidden(core, generator).to(device))
        found[f"{world}.end"] = core.end_logits(hidden)
        found[f"{world}.key"] = core.key_logits(hidden, tables)[:, list(chosen)]
        found[f"{world}.arguments"] = core.adapter(world).argument_logits(hidden)
    return found


def _hidden(core: RecurrentCore, generator: torch.Generator) -> torch.Tensor:
    trunk = core.trunk
    if isinstance(trunk, DiscreteTrunk):
        return torch.randint(2**trunk.bits + 1, (CONFIGURATIONS, 1), generator=generator)
    return torch.randn(CONFIGURATIONS, trunk.width, generator=generator)
