"""A digest of what old programs put out, to show that a new row changed nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import Core, tensors_digest
from npi.learners.core import HostedCore
from npi.learners.fingerprint import hosted_outputs
from npi.program_memory import ProgramMemory
from npi.universal.core import UniversalCore
from npi.universal.rows import row_outputs


@torch.no_grad()
def probe(
    core: Core, memory: ProgramMemory, looked_at: int | Sequence[int], *, situations: int = 256, seed: int = 0
) -> str:
    """sha256 of every logit (end, keys of the rows looked at, arguments) of those rows in random situations.

    Args:
        looked_at: positions of rows, or how many of the oldest; other rows take part in nothing.
        situations: random (row, arguments, hidden, observation) drawn for each world.
    """
    chosen = list(range(looked_at) if isinstance(looked_at, int) else looked_at)
    if isinstance(core, UniversalCore):
        return tensors_digest(row_outputs(core, memory, chosen, situations=situations, seed=seed))
    if isinstance(core, HostedCore):
        return tensors_digest(hosted_outputs(core, memory, chosen, seed=seed))
    tables = core.tables(memory)
    found: dict[str, torch.Tensor] = {}
    for world, spec in enumerate(core.worlds):
        rows = [i for i in chosen if memory.infos[i].world == world and not memory.infos[i].primitive]
        if not rows:
            continue
        generator = torch.Generator().manual_seed(seed)
        row_B = torch.tensor(rows)[torch.randint(len(rows), (situations,), generator=generator)]
        columns = [torch.randint(f.size, (situations,), generator=generator) for f in spec.fields]
        obs_BF = torch.stack(columns, 1) if columns else torch.zeros(situations, 0, dtype=torch.int64)
        arguments = torch.randint(len(spec.tokens), (situations, 3), generator=generator)
        device = memory.keys_NK.device
        row_B, obs_BF, arguments = row_B.to(device), obs_BF.to(device), arguments.to(device)
        x_BX = core.adapter(world).encode(obs_BF, arguments, tables.gate_NI[world][row_B])
        hidden, _ = core.trunk.step(x_BX, tables.cond_NC[row_B], _hidden(core, situations, generator).to(device))
        found[f"{world}.end"] = core.end_logits(hidden)
        found[f"{world}.key"] = core.key_logits(hidden, tables)[:, chosen]
        found[f"{world}.arguments"] = core.adapter(world).argument_logits(hidden)
    return tensors_digest(found)


def _hidden(core: Core, situations: int, generator: torch.Generator) -> torch.Tensor:
    trunk = core.trunk
    if isinstance(trunk, DiscreteTrunk):
        return torch.randint(2**trunk.bits + 1, (situations, 1), generator=generator)
    return torch.randn(situations, trunk.width, generator=generator)
