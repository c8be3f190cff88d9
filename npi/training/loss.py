"""Frames in, loss and errors out: the negative log-likelihood of NPI section 3.2 (eqs. 6–8), teacher forced.

A frame is right when every one of its calls is: return or not, which program, which arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from envs.spec import RETURN
from npi.core.base import Share
from npi.core.encoder import stack_slots
from npi.core.recurrent import RecurrentCore, RowTables
from npi.program_memory import ProgramMemory
from npi.training.ranks import ALONE, Ranks

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

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> FrameBatch:
        """The batch with each of its tensors changed."""
        tensors = self.obs_BTF, self.call_BT4, self.mask_BT, self.program_B, self.arguments_B3
        return FrameBatch(self.world, *map(change, tensors))

    def take(self, index_B: torch.Tensor) -> FrameBatch:
        """The frames named, as long as before."""
        return self.map(lambda part: part[index_B])

    def to(self, device: torch.device) -> FrameBatch:
        """The batch on a device; itself where it is there already."""
        if self.obs_BTF.device == device:
            return self
        return self.map(lambda part: part.to(device, non_blocking=True))


@dataclass(frozen=True)
class DrawnShare:
    """What one rank computes of the frames that an update draws.

    Attributes:
        groups: batches to unroll together, with its frames only (perhaps none).
        shares: for each group, which of the group's frames these are; None for all of them.
        index_B: its frames among all that were drawn.
        program_D: rows of all that were drawn.
    """

    groups: list[list[FrameBatch]]
    shares: Sequence[Share | None]
    index_B: torch.Tensor
    program_D: torch.Tensor

    def to(self, device: torch.device) -> DrawnShare:
        """The share with its batches on a device."""
        return replace(self, groups=[[batch.to(device) for batch in batches] for batches in self.groups])

    def flags(self, wrong_B: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        """bool_D: of all frames that were drawn which are wrong, put together from what each rank found."""
        counts_D = torch.zeros(len(self.program_D), dtype=torch.int64)
        counts_D[self.index_B] = wrong_B.long().cpu()
        return ranks.sum(counts_D) > 0


def take_share(drawn: Sequence[Sequence[FrameBatch]], ranks: Ranks = ALONE) -> DrawnShare:
    """A rank's frames: of each batch every ``count``-th, so that all ranks get some of each program and length."""
    program_D = torch.cat([batch.program_B for batches in drawn for batch in batches])
    if ranks.alone:
        return DrawnShare([list(b) for b in drawn], [None] * len(drawn), torch.arange(len(program_D)), program_D)
    groups, shares, places, before = [], [], [], 0
    for batches in drawn:
        mine = [ranks.share(torch.arange(len(batch))) for batch in batches]
        groups.append([batch.take(index_B) for batch, index_B in zip(batches, mine, strict=True)])
        whole, found = 0, []
        for batch, index_B in zip(batches, mine, strict=True):
            found.append(index_B + whole)
            whole += len(batch)
        index_B = torch.cat(found)
        shares.append(Share(index_B, whole))
        places.append(index_B + before)
        before += whole
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


def frame_loss(
    core: RecurrentCore,
    memory: ProgramMemory,
    rules: Rules,
    drawn: DrawnShare,
    *,
    noise: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A share's part of the loss of all that was drawn, and wrong_B of its frames.

    The whole loss is the mean over a program's frames, summed over programs.

    Args:
        noise: standard deviation of the noise on the core's state. generator: of the noise.
    """
    tables = core.tables(memory)
    nll, rows, wrong = [], [], []
    for batches, share in zip(drawn.groups, drawn.shares, strict=True):
        scores = score(core, tables, rules, batches, noise=noise, generator=generator, share=share)
        for batch, one in zip(batches, scores, strict=True):
            nll.append(one.nll_B)
            wrong.append(one.wrong_B)
            rows.append(batch.program_B)
    row_B = torch.cat(rows)
    weight_B = 1.0 / torch.bincount(drawn.program_D.to(row_B.device), minlength=len(memory))[row_B]
    return (torch.cat(nll) * weight_B).sum(), torch.cat(wrong)


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
    weight_BI = core.adapter(batch.world).input_weights(tables.words_NSW[batch.program_B, 0])  # alike in all codes
    weight = weight_BI[:, None].expand(B, T, -1).reshape(B * T, weight_BI.shape[1])
    x = core.adapter(batch.world).encode(batch.obs_BTF.reshape(B * T, F), arguments, weight)
    return x.view(B, T, core.trunk.inputs)


def _score_batch(
    core: RecurrentCore, tables: RowTables, rules: Rules, batch: FrameBatch, hidden: torch.Tensor
) -> Scores:
    frame_S, step_S = batch.mask_BT.nonzero(as_tuple=True)
    hidden_SH, call_S4 = hidden[frame_S, step_S], batch.call_BT4[frame_S, step_S]
    nll_S, wrong_S = step_scores(core, tables, rules, batch.world, hidden_SH, batch.program_B[frame_S], call_S4)
    count = nll_S.new_zeros(len(batch))
    return Scores(
        nll_B=count.index_add(0, frame_S, nll_S), wrong_B=count.index_add(0, frame_S, wrong_S.to(count.dtype)) > 0
    )


def step_scores(
    core: RecurrentCore,
    tables: RowTables,
    rules: Rules,
    world: int,
    hidden_SH: torch.Tensor,
    row_S: torch.Tensor,
    call_S4: torch.Tensor,
    *,
    margin: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """nll_S of the calls that steps should make, and wrong_S: whether the heads make another, or this one by less than
    ``margin``."""
    ends_S = call_S4[:, 0] == RETURN
    end_S = core.end_logits(hidden_SH)
    nll_S = functional.binary_cross_entropy_with_logits(end_S, ends_S.to(end_S.dtype), reduction="none")
    wrong_S = (end_S > torch.where(ends_S, margin, -margin)) != ends_S

    step_C = (~ends_S).nonzero()[:, 0]  # the calls: which row, and its three arguments
    hidden_CH, callee_C, target_C3 = hidden_SH[step_C], call_S4[step_C, 0], call_S4[step_C, 1:]
    key_CN = core.key_logits(hidden_CH, tables) + rules.reach_NN[row_S[step_C]]
    logits_C3V = core.adapter(world).argument_logits(hidden_CH) + rules.slots_N3V[world][callee_C]
    nll_C = functional.cross_entropy(key_CN, callee_C, reduction="none")
    slot_D = functional.cross_entropy(logits_C3V.flatten(0, 1), target_C3.flatten(), reduction="none")
    nll_C = nll_C + slot_D.view_as(target_C3).sum(1)
    wrong_C = ~_leads(key_CN, callee_C, margin) | ~_leads(logits_C3V, target_C3, margin).all(1)

    nll_S = nll_S.index_add(0, step_C, nll_C.to(nll_S.dtype))
    return nll_S, wrong_S.index_put((step_C,), wrong_S[step_C] | wrong_C)


def _leads(logits: torch.Tensor, target: torch.Tensor, margin: float) -> torch.Tensor:
    """Whether the wanted entry of the last dimension is ahead of all others by ``margin``."""
    if margin:
        logits = logits.detach().scatter_add(-1, target[..., None], logits.new_full((*target.shape, 1), -margin))
    return logits.argmax(-1) == target
