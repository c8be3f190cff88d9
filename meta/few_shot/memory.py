"""Memories for episodes of pictures whose labels are told one step late.

One is written where it was used least (Santoro et al. 2016, "One-shot learning with memory-augmented neural networks",
section 3). A controller, an LSTM, reads the encoded picture and the label told of the last one. It emits keys; what
lies in memory is read by likeness to them (equations 2 to 4), and written either where was read last or where was read
and written least (equations 5 to 8): so new classes go into free slots, and known ones are refreshed. Each head writes
into a least used slot of its own. The row of a program scales and shifts every gate, key and output of the controller.

The other keeps one slot a label: the mean of all that was told to bear it (prototypes, Snell et al. 2017, that grow
along the episode), so what it has to learn is only by which distance to read, and how far a new class is.

Shape legend: ``B`` episodes, ``T`` steps, ``C`` classes, ``I`` inputs, ``D`` numbers of an encoded picture, ``U``
units, ``R`` heads, ``M`` slots of memory, ``W`` width of one, ``H`` hidden numbers, ``P`` parameters of a row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from npi.core.initialisation import seeded_linear

KEEP = 0.95
"""γ: the share of its use that a slot keeps at each step (section 4.2)."""

FORGET_BIAS = 1.0
"""Added to the forget gates, so that the state lasts from the beginning."""

EMPTY = 1e-6
"""In empty slots, so that their likeness to a key has a gradient."""


class Hidden(NamedTuple):
    """What an episode carries from step to step: the controller's h_BU and c_BU, what was read_BRW, the memory_BMW, the
    reading weights_BRM of the last step, and the use_BM of each slot."""

    h_BU: torch.Tensor
    c_BU: torch.Tensor
    read_BRW: torch.Tensor
    memory_BMW: torch.Tensor
    weight_BRM: torch.Tensor
    use_BM: torch.Tensor


class Growing(NamedTuple):
    """What lies in a memory of one slot a label: mean_BCD of the encoded pictures told so far, and count_BC of them."""

    mean_BCD: torch.Tensor
    count_BC: torch.Tensor


class GrowingPrototypes(nn.Module):
    """Reads a memory of one slot a label by a distance.

    Attributes:
        novelty: the distance at which a picture is as likely of a class that no label was told of yet; all such labels
            are equally likely.
        trust: how the distance to a mean of more pictures counts more, by the logarithm of their number.
    """

    def __init__(self, novelty: float = 8.0) -> None:
        super().__init__()
        self.novelty = nn.Parameter(torch.tensor(novelty))
        self.trust = nn.Parameter(torch.zeros(2))

    def forward(self, distance_BTC: torch.Tensor, count_BTC: torch.Tensor) -> torch.Tensor:
        """logits_BTC from distances to the means of so many pictures; the distances to empty slots are ignored."""
        log_BTC = count_BTC.clamp(min=1).log()
        near_BTC = -distance_BTC * (1 + self.trust[0] * log_BTC) + self.trust[1] * log_BTC
        return torch.where(count_BTC > 0, near_BTC, -self.novelty)


def grown(before: Growing, code_BD: torch.Tensor, label_B: torch.Tensor) -> Growing:
    """The memory with one more encoded picture in the slot of its label; -1: no label was told, and it stays."""
    hit_BC = (label_B[:, None] == torch.arange(before.count_BC.shape[1], device=label_B.device)).to(code_BD.dtype)
    count_BC = before.count_BC + hit_BC
    share_BC1 = (hit_BC / count_BC.clamp(min=1))[..., None]
    return Growing(torch.lerp(before.mean_BCD, code_BD[:, None], share_BC1), count_BC)


def grown_along(code_BTD: torch.Tensor, label_BT: torch.Tensor, classes: int) -> Growing:
    """mean_BTCD and count_BTC before each of T steps: what :func:`grown` makes of the steps before, all at once."""
    hit_BTC = (label_BT[..., None] == torch.arange(classes, device=label_BT.device)).to(code_BTD.dtype)
    count_BTC = hit_BTC.cumsum(1) - hit_BTC
    earlier_TT = torch.ones(code_BTD.shape[1], code_BTD.shape[1], dtype=code_BTD.dtype, device=code_BTD.device).tril(-1)
    weight_BTCT = earlier_TT[:, None] * hit_BTC.mT[:, None] / count_BTC.clamp(min=1)[..., None]
    return Growing(torch.einsum("btcs,bsd->btcd", weight_BTCT, code_BTD), count_BTC)


class LeastRecentlyUsed(nn.Module):
    """The controller and its memory.

    Args:
        inputs: I, what the controller reads at a step. outputs: C. row: P.
        generator: of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        row: int,
        *,
        units: int,
        heads: int,
        slots: int,
        width: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.units, self.heads, self.slots, self.width = units, heads, slots, width
        self.gates = seeded_linear(inputs + heads * width + units, 4 * units, generator=generator)
        self.keys = seeded_linear(units, heads * (width + 1), generator=generator)  # a key and a gate of each head
        self.out = seeded_linear(units + heads * width, outputs, generator=generator)
        self.sizes = [2 * layer.out_features for layer in (self.gates, self.keys, self.out)]
        self.rows = seeded_linear(row, sum(self.sizes), generator=generator, bias=False)
        with torch.no_grad():
            self.gates.bias[units : 2 * units] += FORGET_BIAS

    @property
    def hidden_size(self) -> int:
        """H."""
        M, W, R = self.slots, self.width, self.heads
        return 2 * self.units + R * W + M * W + R * M + M

    def begin(self, batch: int) -> torch.Tensor:
        """hidden_BH of fresh episodes: nothing is in memory, and the first step reads its first slot."""
        hidden = self.unpacked(torch.zeros(batch, self.hidden_size, device=self.gates.weight.device))
        hidden.memory_BMW.fill_(EMPTY)
        hidden.weight_BRM[..., 0] = 1
        hidden.use_BM[:, 0] = 1
        return packed(hidden)

    def unpacked(self, hidden_BH: torch.Tensor) -> Hidden:
        """The parts of hidden numbers, as views."""
        U, M, W, R = self.units, self.slots, self.width, self.heads
        h, c, read, memory, weight, use = hidden_BH.split([U, U, R * W, M * W, R * M, M], 1)
        return Hidden(h, c, read.unflatten(1, (R, W)), memory.unflatten(1, (M, W)), weight.unflatten(1, (R, M)), use)

    def conditioning(self, row_BP: torch.Tensor) -> list[torch.Tensor]:
        """Gain less one and shift, side by side, of each layer: B × 2 · its outputs."""
        return list(self.rows(row_BP).split(self.sizes, 1))

    def forward(
        self, input_BI: torch.Tensor, conditioning: list[torch.Tensor], hidden: Hidden
    ) -> tuple[torch.Tensor, Hidden]:
        """logits_BC of one step, and what is carried on."""
        for_gates, for_keys, for_out = conditioning
        given = torch.cat([input_BI, hidden.read_BRW.flatten(1), hidden.h_BU], 1)
        enters, stays, shows, proposed = conditioned(self.gates(given), for_gates).chunk(4, 1)
        c_BU = stays.sigmoid() * hidden.c_BU + enters.sigmoid() * proposed.tanh()
        h_BU = shows.sigmoid() * c_BU.tanh()
        said_BRX = conditioned(self.keys(h_BU), for_keys).unflatten(1, (self.heads, self.width + 1))
        key_BRW, share_BR1 = said_BRX[..., :-1].tanh(), said_BRX[..., -1:].sigmoid()
        memory_BMW, written_BM = self._written(key_BRW, share_BR1, hidden)
        likeness_BRM = F.normalize(key_BRW, dim=2) @ F.normalize(memory_BMW, dim=2).mT  # equation 2
        weight_BRM = likeness_BRM.softmax(2)  # equation 3
        read_BRW = weight_BRM @ memory_BMW  # equation 4
        use_BM = KEEP * hidden.use_BM + weight_BRM.sum(1) + written_BM  # equation 5
        logits_BC = conditioned(self.out(torch.cat([h_BU, read_BRW.flatten(1)], 1)), for_out)
        return logits_BC, Hidden(h_BU, c_BU, read_BRW, memory_BMW, weight_BRM, use_BM)

    def _written(
        self, key_BRW: torch.Tensor, share_BR1: torch.Tensor, hidden: Hidden
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The memory after writing, and how much was written into each slot."""
        least_BR = hidden.use_BM.topk(self.heads, 1, largest=False).indices  # equation 6
        least_BRM = F.one_hot(least_BR, self.slots).to(key_BRW.dtype)
        write_BRM = share_BR1 * hidden.weight_BRM + (1 - share_BR1) * least_BRM  # equation 7
        kept_BM1 = 1 - least_BRM.amax(1)[..., None]  # the least used slots are emptied first
        return hidden.memory_BMW * kept_BM1 + write_BRM.mT @ key_BRW, write_BRM.sum(1)  # equation 8


def packed(hidden: Hidden) -> torch.Tensor:
    """hidden_BH: the inverse of :meth:`LeastRecentlyUsed.unpacked`."""
    return torch.cat([part.flatten(1) for part in hidden], 1)


def conditioned(number_BX: torch.Tensor, row_B2X: torch.Tensor) -> torch.Tensor:
    """Numbers scaled by one plus what the row says, and shifted (feature-wise conditioning, Perez et al. 2018)."""
    gain_BX, shift_BX = row_B2X.chunk(2, 1)
    return torch.addcmul(shift_BX, number_BX, 1 + gain_BX)
