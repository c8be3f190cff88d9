"""Frames in, loss and errors out: the negative log-likelihood of NPI section 3.2 (eqs. 6–8), teacher forced.

A frame is right when every one of its calls is: return or not, which program, which arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from envs.spec import RETURN
from npi.core.encoder import stack_slots
from npi.core.recurrent import RecurrentCore, RowTables
from npi.core.share import Share
from npi.program_memory import ProgramMemory
from npi.training.ranks import Ranks

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

    def take(self, index_B: torch.Tensor) -> FrameBatch:
        """The frames named, as long as before."""
        return replace(
            self,
            obs_BTF=self.obs_BTF[index_B],
            call_BT4=self.call_BT4[index_B],
            mask_BT=self.mask_BT[index_B],
            program_B=self.program_B[index_B],
            arguments_B3=self.arguments_B3[index_B],
        )


@dataclass(frozen=True)
class DrawnShare:
    """What one rank computes of the frames that an update draws.

    Attributes:
        groups: batches to unroll together, with its frames only (perhaps none).
        shares: for each group, which of the group's frames these are.
        index_B: its frames among all that were drawn.
        program_D: rows of all that were drawn.
    """

    groups: list[list[FrameBatch]]
    shares: list[Share]
    index_B: torch.Tensor
    program_D: torch.Tensor


def take_share(drawn: Sequence[Sequence[FrameBatch]], ranks: Ranks) -> DrawnShare:
    """A rank's frames: of each batch every ``count``-th, so that all ranks get some of each program and length."""
    groups, shares, places, before = [], [], [], 0
    for batches in drawn:
        mine = [ranks.share(torch.arange(len(batch))) for batch in batches]
        groups.append([batch.take(index_B) for batch, index_B in zip(batches, mine, strict=True)])
        whole, found = 0, []
        for batch, index_B in zip(batches, mine, strict=True):
            found.append(index_B + whole)
            whole += len(batch)
        shares.append(Share(torch.cat(found), whole))
        places.append(shares[-1].index_B + before)
        before += whole
    program_D = torch.cat([batch.program_B for batches in drawn for batch in batches])
    return DrawnShare(groups, shares, torch.cat(places), program_D)


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
    def of(cls, core: RecurrentCore, memory: ProgramMemory, allowed_NN: torch.Tensor) -> Rules:
        device = memory.keys_NK.device
        slots = []
        for world, spec in enumerate(core.worlds):
            tokens = [[s.tokens for s in i.signature.slots] if i.world == world else [] for i in memory.infos]
            slots.append(_penalty(stack_slots(tokens, len(spec.tokens))).to(device))
        return cls(_penalty(allowed_NN).to(device), tuple(slots))


def _penalty(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, OUT_OF_REACH)


def score(
    core: RecurrentCore,
    tables: RowTables,
    rules: Rules,
    batches: Sequence[FrameBatch],
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    share: Share | None = None,
) -> list[Scores]:
    """Unroll the core over frames of equal T (worlds may differ) and score every call; they may be a share of more."""
    program_B = torch.cat([b.program_B for b in batches])
    x_BTX = torch.cat([_encode(core, tables, b) for b in batches])
    cond_BC = tables.cond_NC[program_B]
    hidden_BTH = core.trunk.unroll(x_BTX, cond_BC, noise=noise, generator=generator, share=share)
    pieces = hidden_BTH.split([len(b) for b in batches])
    return [_score_batch(core, tables, rules, b, h) for b, h in zip(batches, pieces, strict=True)]


def _encode(core: RecurrentCore, tables: RowTables, batch: FrameBatch) -> torch.Tensor:
    B, T, F = batch.obs_BTF.shape
    arguments = batch.arguments_B3[:, None].expand(B, T, 3).reshape(B * T, 3)
    weight_BI = tables.gate_NI[batch.world][batch.program_B]
    weight = weight_BI[:, None].expand(B, T, -1).reshape(B * T, weight_BI.shape[1])
    x = core.adapter(batch.world).encode(batch.obs_BTF.reshape(B * T, F), arguments, weight)
    return x.view(B, T, core.trunk.inputs)


def _score_batch(
    core: RecurrentCore, tables: RowTables, rules: Rules, batch: FrameBatch, hidden: torch.Tensor
) -> Scores:
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


def score_ends(core: RecurrentCore, hidden_SH: torch.Tensor, ends_S: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """nll_S (nats) and wrong_S of returning where ``ends_S`` says so, and of going on elsewhere."""
    end_S = core.end_logits(hidden_SH)
    nll_S = functional.binary_cross_entropy_with_logits(end_S, ends_S.to(end_S.dtype), reduction="none")
    return nll_S, (end_S > 0) != ends_S


def score_calls(
    core: RecurrentCore,
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
