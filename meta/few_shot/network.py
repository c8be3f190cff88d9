"""Recognising a class from one drawing: an encoder that a row conditions at every layer, and a distance between
encoded drawings that lets their parts move.

A drawing is seen from as near as its ink fits, and becomes a small map of descriptors. A class is the mean map of its
examples, its prototype (Snell et al. 2017, section 2), and a query belongs to the class at the least distance. Between
two maps that distance is, summed over the places of one, the least of the distances to the descriptors near the same
place of the other, and the same the other way round: two hands put the parts of a character into slightly different
places. How far is near, and how sharp the least, is learned (as in image-to-class distances, Boiman et al. 2008, and
their learned form, Li et al. 2019, but between places and in both directions). With nothing allowed to move it is the
squared Euclidean distance of prototype networks.

The row of an alphabet scales and shifts every channel of every layer (feature-wise conditioning: Perez et al. 2018;
Zintgraf et al. 2019, section 3.1).

Shape legend: ``B`` episodes, ``N`` drawings, ``S`` pixels of a side, ``P`` parameters of a row, ``C`` channels of a
map, ``K`` places of a side of a map, ``L`` = ``K`` · ``K`` places, ``Q`` queries, ``W`` classes (ways).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from npi.core.config import SIZE, setting, within
from npi.core.initialisation import seeded_conv, seeded_linear
from npi.learners.interface import LearnerConfig

KIND = "few-shot"

SIDE = 32
"""S of what the layers read: a square about a drawing's ink (:func:`framed`)."""

INK, LEAST_EXTENT, MARGIN, SAMPLES = 0.25, 0.38, 0.15, 2
"""What counts as ink; the least share of a drawing's side that is shown; the margin about the ink, in shares of its
extent; and how many samples of a side make a pixel."""

GROUPS = 8
"""Of channels whose activations are normalised together (Wu and He 2018): a drawing is encoded as it is alone, whatever
else is in its batch."""

LAYERS = ((5, 2, 1), (3, 1, 2), (3, 1, 2), (3, 1, 1))
"""Of each layer: side of the kernel, stride, and side of what the largest is taken of. Most arithmetic of four layers
of stride 1 (Vinyals et al. 2016) is in the first two, at resolutions where strokes are still strokes."""

PLACES = SIDE // math.prod(stride * pool for _, stride, pool in LAYERS)
"""K."""


INITIAL_CONDITIONING = 0.1
"""What the initial weights of a row are multiplied by: at first rows hardly differ."""


@dataclass(frozen=True)
class FewShotConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        channels: C, of every layer; a multiple of :data:`GROUPS`.
        set_hidden: units of the network that infers a row from examples.
    """

    kind: str = KIND
    row: int = setting(32, within(1, 64))
    channels: int = setting(64, within(GROUPS, 512))
    set_hidden: int = setting(64, SIZE)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels % GROUPS:
            raise ValueError(f"{self.what} channels must be a multiple of {GROUPS}, it is {self.channels}")


class DrawingEncoder(nn.Module):
    """Drawings N × S × S (float, ink is bright, 0 to 1) and row_NP to map_NCL.

    Args:
        generator: of the initial weights.
    """

    def __init__(self, channels: int, row: int, *, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [1] + [channels] * len(LAYERS)
        self.layers = nn.ModuleList(
            seeded_conv(enters, leaves, side, generator=generator, stride=stride, bias=False)
            for enters, leaves, (side, stride, _) in zip(sizes, sizes[1:], LAYERS, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for _ in LAYERS)
        self.rows = seeded_linear(row, 2 * channels * len(LAYERS), generator=generator, bias=False)
        with torch.no_grad():
            self.rows.weight.mul_(INITIAL_CONDITIONING)

    def forward(self, drawing_NSS: torch.Tensor, row_NP: torch.Tensor) -> torch.Tensor:
        x = framed(drawing_NSS)[:, None]
        said = self.rows(row_NP)[..., None, None].chunk(2 * len(self.layers), 1)
        for layer, norm, gain, shift, (_, _, pool) in zip(
            self.layers, self.norms, said[::2], said[1::2], LAYERS, strict=True
        ):
            x = layer(x).contiguous(memory_format=torch.channels_last)  # in which convolutions are twice as fast
            x = torch.addcmul(shift, norm(x), 1 + gain).relu()
            x = F.max_pool2d(x, pool) if pool > 1 else x
        return x.flatten(2).contiguous()


@torch.no_grad()
def framed(drawing_NSS: torch.Tensor) -> torch.Tensor:
    """N × SIDE × SIDE: a square about the ink of each drawing, with a margin; all of one without any.

    How large a character is written, and where, is its drawer's; seen from as near as it fits, its details are larger.
    Ink of less than a third of the side is not brought nearer than such ink.
    """
    count = len(drawing_NSS)
    inked_NSS = drawing_NSS > INK
    middle, size = zip(*(_extent(inked_NSS.any(axis)) for axis in (1, 2)), strict=True)  # across, then down
    share_N = torch.maximum(*size).clamp(min=LEAST_EXTENT) * (1 + MARGIN) + MARGIN / 4
    share_N = torch.where(inked_NSS.any(2).any(1), share_N, 1.0)
    matrix_N23 = torch.zeros(count, 2, 3, dtype=drawing_NSS.dtype, device=drawing_NSS.device)
    for axis in (0, 1):
        matrix_N23[:, axis, axis], matrix_N23[:, axis, 2] = share_N, middle[axis]
    fine = SAMPLES * SIDE
    origin = F.affine_grid(matrix_N23, [count, 1, fine, fine], align_corners=False)
    return F.avg_pool2d(F.grid_sample(drawing_NSS[:, None], origin, align_corners=False), SAMPLES)[:, 0]


def _extent(inked_NS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one axis, the middle of the ink (-1 to 1, 0 without any) and how much of the side it takes."""
    side = inked_NS.shape[1]
    first_N = inked_NS.int().argmax(1)
    last_N = side - inked_NS.flip(1).int().argmax(1)
    middle_N, size_N = (first_N + last_N) / side - 1, (last_N - first_N) / side
    there_N = inked_NS.any(1)
    return torch.where(there_N, middle_N, 0.0), torch.where(there_N, size_N, 1.0)


class MovingParts(nn.Module):
    """The distance between maps; see the head of this file.

    Attributes:
        penalty: what a displacement costs, by rows and columns. sharpness: logarithm of that of the least.
        scale: logarithm of what squared distances of descriptors are multiplied by.
    """

    def __init__(self, channels: int, places: int = PLACES) -> None:
        super().__init__()
        offset = torch.arange(1.0 - places, places)
        self.penalty = nn.Parameter((offset[:, None].square() + offset.square()) / 2)
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.tensor(math.log(4 / channels)))
        place = torch.arange(places)
        moved = place[:, None] - place + places - 1
        index_KKKK = moved[:, None, :, None] * (2 * places - 1) + moved[None, :, None, :]
        self.register_buffer("index_LL", index_KKKK.reshape(places**2, places**2), persistent=False)

    def forward(self, query_BQCL: torch.Tensor, prototype_BWCL: torch.Tensor) -> torch.Tensor:
        """distance_BQW of every query of an episode to each of its prototypes."""
        product_BQLWL = torch.einsum("bqcl,bwcm->bqlwm", query_BQCL, prototype_BWCL)
        query_BQL11 = query_BQCL.square().sum(2)[..., None, None]
        prototype_B11WL = prototype_BWCL.square().sum(2)[:, None, None]
        penalty_L1L = self.penalty.flatten()[self.get_buffer("index_LL")][:, None]
        cost_BQLWL = self.scale.exp() * (query_BQL11 + prototype_B11WL - 2 * product_BQLWL) + penalty_L1L
        scaled, sharpness = -self.sharpness.exp() * cost_BQLWL, self.sharpness.exp()
        there_BQLW, back_BQWL = scaled.logsumexp(4), scaled.logsumexp(2)
        return -(there_BQLW.sum(2) + back_BQWL.sum(3)) / (2 * sharpness)


class SetEncoder(nn.Module):
    """A row from examples: the mean over drawings of what a small network says of their channels' means."""

    def __init__(self, channels: int, hidden: int, row: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.each = seeded_linear(2 * channels, hidden, generator=generator)
        self.all = seeded_linear(hidden, row, generator=generator)

    def forward(self, map_BNCL: torch.Tensor, given_BN: torch.Tensor) -> torch.Tensor:
        """row_BP, from those drawings of each episode that are given (bool)."""
        said_BNX = self.each(torch.cat([map_BNCL.mean(3), map_BNCL.amax(3)], 2)).relu()
        weight_BN1 = given_BN[..., None].to(said_BNX.dtype)
        found_BP: torch.Tensor = self.all((said_BNX * weight_BN1).sum(1) / weight_BN1.sum(1).clamp(min=1))
        return found_BP
