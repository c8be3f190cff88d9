"""Rows of alphabets: a core of the learner ``few-shot`` whose encoder a row conditions in one of four ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.learners.characters.alphabets import Alphabet, Known
from benchmarks.learners.characters.networks import SETTINGS, OurNetwork, trained
from benchmarks.learners.characters.rows import rows
from benchmarks.learners.conditioning.modes import Conditioner
from meta.few_shot.network import INITIAL_CONDITIONING, LAYERS, DrawingEncoder, framed
from npi.reproduce.ledger import Result

UPDATES = 1000


class ConditionedEncoder(nn.Module):
    """The layers of :class:`DrawingEncoder` under another conditioning."""

    def __init__(self, plain: DrawingEncoder, mode: str, row: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.layers, self.norms = plain.layers, plain.norms
        widths = [norm.num_channels for norm in plain.norms if isinstance(norm, nn.GroupNorm)]
        self.conditioner = Conditioner(mode, row, widths, scale=INITIAL_CONDITIONING * row**0.5, generator=generator)

    def forward(self, drawing_NSS: torch.Tensor, row_NP: torch.Tensor) -> torch.Tensor:
        x = framed(drawing_NSS)[:, None]
        for layer, norm, said, (_, _, pool) in zip(
            self.layers, self.norms, self.conditioner(row_NP[:, None, None]), LAYERS, strict=True
        ):
            x = norm(layer(x).contiguous(memory_format=torch.channels_last))
            x = said(x.movedim(1, 3)).movedim(3, 1).relu()
            x = F.max_pool2d(x, pool) if pool > 1 else x
        return x.flatten(2).contiguous()


def run(mode: str, seed: int, train: Sequence[Alphabet], test: Sequence[Alphabet]) -> Result:
    """Wrong answers in % on alphabets that are new, by what the row is."""
    net = OurNetwork(len(train), seed)
    generator = torch.Generator().manual_seed(seed)
    assert isinstance(net.core.encoder, DrawingEncoder)
    net.core.encoder = ConditionedEncoder(net.core.encoder, mode, net.core.config.row, generator=generator)
    seconds = trained(net, Known(train), SETTINGS["few-shot"], updates=UPDATES, seed=seed)
    parameters = sum(weight.numel() for weight in net.core.encoder.conditioner.parameters())
    return {"CPU seconds": seconds, "parameters": parameters, **rows(net, test)}
