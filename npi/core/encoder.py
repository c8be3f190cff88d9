"""One world's adapter: observation and arguments in, argument logits out (NPI section 3.1, f_enc and f_arg).

Each observation field and argument slot has an embedding per value; their sum is the world's part of the core's input.
Inputs that a row's gates close in the present state are masked, so that a program need not learn to ignore them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from envs.spec import SLOTS, WorldSpec
from npi.core import gates
from npi.core.initialisation import seeded_linear
from npi.core.pictures import PictureInput


class WorldAdapter(nn.Module):
    """Embeds obs_…F and arguments_…3 of one world into X = ``width`` numbers that the core takes in, and reads argument
    logits from hidden_…H."""

    def __init__(self, spec: WorldSpec, *, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [spec.fields[i].size for i in spec.seen] + [len(spec.tokens)] * SLOTS
        self.fields = len(spec.fields)
        self.seen = list(spec.seen)
        self.tokens = len(spec.tokens)
        self.register_buffer("offsets", torch.tensor([sum(sizes[:i]) for i in range(len(sizes))]), persistent=False)
        scale = 1 / math.sqrt(max(1, self.fields))
        self.table = nn.Parameter(torch.randn(sum(sizes), width, generator=generator) * scale)
        self.arguments = seeded_linear(hidden, SLOTS * self.tokens, generator=generator)
        self.sights = nn.ModuleList(  # names of tensors in files begin so
            PictureInput(spec, p, width=width, generator=generator) for p in spec.rendered
        )

    offsets: torch.Tensor

    def input_weights(self, words_BW: torch.Tensor) -> torch.Tensor:
        """weight_BI of the I = fields + 3 inputs, 0 or 1, by the words of gates; all of them 1 where there are none
        (W = 0)."""
        if not words_BW.shape[1]:
            return words_BW.new_ones(len(words_BW), self.fields + SLOTS)
        return gates.seen(words_BW, 1 + self.fields + SLOTS)[:, 1:].to(words_BW.dtype)

    def encode(self, obs_BF: torch.Tensor, arguments_B3: torch.Tensor, weight_BI: torch.Tensor) -> torch.Tensor:
        """x_BX: the weighted sum of the embeddings of all fields and arguments (int64 in, float out).

        Fields that a picture stands for have none: the picture is encoded where one of their gates is open.
        """
        if not self.sights:
            return self._bag(torch.cat([obs_BF, arguments_B3], 1), weight_BI)
        shown_BI = torch.cat([weight_BI[:, self.seen], weight_BI[:, self.fields :]], 1)
        x_BX = self._bag(torch.cat([obs_BF[:, self.seen], arguments_B3], 1), shown_BI)
        for picture in self.sights:
            assert isinstance(picture, PictureInput)
            reading = weight_BI[:, picture.columns].ne(0).any(1).nonzero()[:, 0]
            if len(reading):
                x_BX = x_BX.index_add(0, reading, picture(obs_BF[reading]).to(x_BX.dtype))
        return x_BX

    def _bag(self, index_BI: torch.Tensor, weight_BI: torch.Tensor) -> torch.Tensor:
        return functional.embedding_bag(index_BI + self.offsets, self.table, mode="sum", per_sample_weights=weight_BI)

    def argument_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """logits_…3V over the world's tokens, one distribution an argument slot."""
        return self.arguments(hidden).unflatten(-1, (SLOTS, self.tokens))


def stack_slots(signatures: Sequence[Sequence[Sequence[int]]], tokens: int) -> torch.Tensor:
    """bool allowed_N3V: the tokens that each argument slot of each callable may hold (unused slots: token 0)."""
    allowed = torch.zeros(len(signatures), SLOTS, tokens, dtype=torch.bool)
    for row, slots in enumerate(signatures):
        for slot in range(SLOTS):
            choice = list(slots[slot]) if slot < len(slots) else [0]
            allowed[row, slot, choice] = True
    return allowed
