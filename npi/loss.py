"""Frames in, loss and errors out: the negative log-likelihood of NPI section 3.2 (eqs. 6–8), teacher forced.

A frame is right when every one of its calls is: return or not, which program, which arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from envs.spec import RETURN
from npi.core import Core, RowTables
from npi.encoder import stack_slots
from npi.memory import ProgramMemory

OUT_OF_REACH = -1e9
"""Logit of a call that a row may not make, or of a token outside the callee's signature."""


@dataclass(frozen=True)
class FrameBatch:
    """Frames of one world, padded to one length.

    Attributes:
        world: index of the world.
        obs_BTF: int64 observations.
        call_BT4: int64; callees are rows of the memory or ``RETURN``, then three tokens.
        mask_BT: bool, true on steps of the frame.
        program_B: rows.
        arguments_B3: tokens.
    """

    world: int
    obs_BTF: torch.Tensor
    call_BT4: torch.Tensor
    mask_BT: torch.Tensor
    program_B: torch.Tensor
    arguments_B3: torch.Tensor

    def __len__(self) -> int:
        return len(self.program_B)


@dataclass(frozen=True)
class Scores:
    """nll_B (nats, summed over a frame's steps) and wrong_B (bool) of frames in the order that they were given."""

    nll_B: torch.Tensor
    wrong_B: torch.Tensor


@dataclass(frozen=True)
class Rules:
    """What may be called: reach_NN (0 or OUT_OF_REACH) and, for each world, slots_N3V (likewise) by callee."""

    reach_NN: torch.Tensor
    slots_N3V: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, core: Core, memory: ProgramMemory, allowed_NN: torch.Tensor) -> Rules:
        device = memory.keys_NK.device
        slots = []
        for world, spec in enumerate(core.worlds):
            tokens = [[s.tokens for s in i.signature.slots] if i.world == world else [] for i in memory.infos]
            slots.append(_penalty(stack_slots(tokens, len(spec.tokens))).to(device))
        return cls(_penalty(allowed_NN).to(device), tuple(slots))


def _penalty(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, OUT_OF_REACH)


def score(
    core: Core,
    tables: RowTables,
    rules: Rules,
    batches: Sequence[FrameBatch],
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[Scores]:
    """Unroll the core over frames of equal T (worlds may differ) and score every call."""
    program_B = torch.cat([b.program_B for b in batches])
    x_BTX = torch.cat([_encode(core, tables, b) for b in batches])
    hidden_BTH = core.trunk.unroll(x_BTX, tables.cond_NC[program_B], noise=noise, generator=generator)
    pieces = hidden_BTH.split([len(b) for b in batches])
    return [_score_batch(core, tables, rules, b, h) for b, h in zip(batches, pieces, strict=True)]


def _encode(core: Core, tables: RowTables, batch: FrameBatch) -> torch.Tensor:
    B, T, F = batch.obs_BTF.shape
    arguments = batch.arguments_B3[:, None].expand(B, T, 3).reshape(B * T, 3)
    weight = tables.gate_NI[batch.world][batch.program_B][:, None].expand(B, T, -1).reshape(B * T, -1)
    return core.adapter(batch.world).encode(batch.obs_BTF.reshape(B * T, F), arguments, weight).view(B, T, -1)


def _score_batch(core: Core, tables: RowTables, rules: Rules, batch: FrameBatch, hidden: torch.Tensor) -> Scores:
    frame_S, step_S = batch.mask_BT.nonzero(as_tuple=True)
    hidden_SH, call_S4 = hidden[frame_S, step_S], batch.call_BT4[frame_S, step_S]
    ends = call_S4[:, 0] == RETURN
    nll_S, wrong_S = score_ends(core, hidden_SH, ends)

    calls = (~ends).nonzero()[:, 0]
    caller_C = batch.program_B[frame_S[calls]]
    nll_C, wrong_C = score_calls(core, tables, rules, batch.world, hidden_SH[calls], caller_C, call_S4[calls])
    nll_S = nll_S.index_add(0, calls, nll_C.to(nll_S.dtype))
    wrong_S = wrong_S.index_put((calls,), wrong_S[calls] | wrong_C)
    count = nll_S.new_zeros(len(batch))
    return Scores(
        nll_B=count.index_add(0, frame_S, nll_S),
        wrong_B=count.index_add(0, frame_S, wrong_S.to(count.dtype)) > 0,
    )


def score_ends(core: Core, hidden_SH: torch.Tensor, ends_S: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """nll_S (nats) and wrong_S of returning where ``ends_S`` says so, and of going on elsewhere."""
    end_S = core.end_logits(hidden_SH)
    nll_S = functional.binary_cross_entropy_with_logits(end_S, ends_S.to(end_S.dtype), reduction="none")
    return nll_S, (end_S > 0) != ends_S


def score_calls(
    core: Core,
    tables: RowTables,
    rules: Rules,
    world: int,
    hidden_CH: torch.Tensor,
    caller_C: torch.Tensor,
    call_C4: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """nll_C (nats) and wrong_C of calls in one world, by the rows ``caller_C``: which row, and its three arguments."""
    callee_C, target_C3 = call_C4[:, 0], call_C4[:, 1:]
    key_CN = core.key_logits(hidden_CH, tables) + rules.reach_NN[caller_C]
    logits_C3V = core.adapter(world).argument_logits(hidden_CH) + rules.slots_N3V[world][callee_C]
    nll_C = functional.cross_entropy(key_CN, callee_C, reduction="none")
    nll_C = nll_C + functional.cross_entropy(logits_C3V.transpose(1, 2), target_C3, reduction="none").sum(1)
    wrong_C = (key_CN.argmax(1) != callee_C) | (logits_C3V.argmax(2) != target_C3).any(1)
    return nll_C, wrong_C
