"""The encoder of demonstrations: a track of moments for each object.

As in the demonstration network of Duan et al. (2017, section 4.1) objects keep embeddings of their own, which look at
the others and, by dilated convolutions, at moments around; all objects share the weights, so that there may be any
number. The paper's attention among objects is their mean here.

Shape legend: ``B`` instances, ``L`` moments of a demonstration, ``M`` of a track, ``K`` objects of ``F`` numbers, ``S``
numbers of a body, ``X`` payload, ``U`` units of a track, ``P`` parameters of a row.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from envs.control.demonstrations import Demonstration, Sizes
from meta.imitation.attention import RowLayers, mean_of_objects, segments

WIDENS = 3
"""By what the moments between those that a convolution reads grow, from one to the next."""

PLACE = 2
"""The first numbers of a body and of an object say where it is."""

AWAY = PLACE + 1
"""Numbers of how an object lies from the body: its place from there, and how near it is."""

NEAR = 0.25
"""How far away nearness falls to 1/e, in units of length."""


class Encoder(nn.Module):
    """See the head of this file.

    Args:
        units: U. moments: M. dilated: convolutions. row: P.
    """

    def __init__(
        self, sizes: Sizes, *, units: int, moments: int, dilated: int, row: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.dilations = [WIDENS**number for number in range(dilated)]
        self.moments, self.sizes = moments, sizes
        inputs = sizes.body + sizes.object + AWAY + sizes.payload + 2
        layers = {"enter": (inputs, units), "among": (2 * units, units)}
        layers |= {f"along{dilation}": (3 * units, units) for dilation in self.dilations}
        self.layers = RowLayers(layers, row, generator=generator)

    def forward(self, shown: Demonstration, row_BP: torch.Tensor) -> torch.Tensor:
        """track_BKMU; K is 1 where there are no objects."""
        exists_BK = existing(shown.objects_BLKF[:, 0], shown.count_B)
        layers, seen_BLKI = self.layers(row_BP), self._seen(shown)
        x_BLKU = nn.functional.silu(layers["enter"](seen_BLKI))
        all_BLKU = mean_of_objects(x_BLKU, exists_BK).expand_as(x_BLKU)
        x_BLKU = nn.functional.silu(layers["among"](x_BLKU, all_BLKU))
        is_BL = torch.arange(x_BLKU.shape[1], device=row_BP.device) < shown.length_B[:, None]
        x_BLKU = x_BLKU * is_BL[:, :, None, None]
        for dilation in self.dilations:
            around = shifted(x_BLKU, dilation), x_BLKU, shifted(x_BLKU, -dilation)
            x_BLKU = (x_BLKU + nn.functional.silu(layers[f"along{dilation}"](*around))) * is_BL[:, :, None, None]
        weight_BML = segments(shown.length_B, x_BLKU.shape[1], self.moments)
        return torch.einsum("bml,blku->bkmu", weight_BML, x_BLKU) * exists_BK[:, :, None, None]

    def _seen(self, shown: Demonstration) -> torch.Tensor:
        """What an object sees of each moment: body, action, how late it is, itself, and how it lies from the body."""
        objects_BLKF = things(shown.objects_BLKF)
        B, L, K, _ = objects_BLKF.shape
        when_BL = torch.arange(L, device=shown.length_B.device) / shown.length_B[:, None]
        told_BL = shown.told_B[:, None].expand(B, L).float()
        shared = [shown.body_BLS, shown.action_BLX, when_BL[..., None], told_BL[..., None]]
        own = objects_BLKF, away(shown.body_BLS, objects_BLKF)
        return torch.cat([*(part[:, :, None].expand(B, L, K, -1) for part in shared), *own], 3)


def away(body_BTS: torch.Tensor, objects_BTKF: torch.Tensor) -> torch.Tensor:
    """B × T × K × 3: how each object lies from the body; zeros where what stands there is no object."""
    if not objects_BTKF.shape[3]:
        return body_BTS.new_zeros(*objects_BTKF.shape[:3], AWAY)
    place_BTK2 = objects_BTKF[..., :PLACE] - body_BTS[:, :, None, :PLACE]
    return torch.cat([place_BTK2, (-place_BTK2.norm(dim=3, keepdim=True) / NEAR).exp()], 3)


def things(objects_BXKF: torch.Tensor) -> torch.Tensor:
    """The objects; where there are none, one of no numbers, which stands for the body."""
    return objects_BXKF if objects_BXKF.shape[-2] else objects_BXKF.new_zeros(*objects_BXKF.shape[:-2], 1, 0)


def existing(objects_BKF: torch.Tensor, count_B: torch.Tensor) -> torch.Tensor:
    """bool B × K: which of the things there are."""
    K = objects_BKF.shape[1]
    return torch.arange(max(K, 1), device=count_B.device) < (count_B[:, None] if K else 1 + count_B[:, None])


def shifted(x_BLKU: torch.Tensor, by: int) -> torch.Tensor:
    """Moments so many later, zeros before the first and behind the last."""
    moved_BLKU, size = torch.zeros_like(x_BLKU), x_BLKU.shape[1]
    if abs(by) >= size:
        return moved_BLKU
    if by > 0:
        moved_BLKU[:, by:] = x_BLKU[:, :-by]
    else:
        moved_BLKU[:, :by] = x_BLKU[:, -by:]
    return moved_BLKU


def thinned(shown: Demonstration, kept_BL: torch.Tensor) -> Demonstration:
    """Those moments of each demonstration alone that ``kept_BL`` (bool) names; one at least, the last.

    In training this is temporal dropout (Duan et al. 2017, section 4.1).
    """
    L, place_L = kept_BL.shape[1], torch.arange(kept_BL.shape[1], device=kept_BL.device)
    last_B1 = shown.length_B[:, None] - 1
    kept_BL = (kept_BL & (place_L < last_B1)) | (place_L == last_B1)
    length_B = kept_BL.sum(1)
    order_BL = (~kept_BL).long().argsort(dim=1, stable=True)[:, : int(length_B.max())]
    is_BL = torch.arange(order_BL.shape[1], device=kept_BL.device) < length_B[:, None]

    def chosen(part: torch.Tensor) -> torch.Tensor:
        flat = part.reshape(len(part), L, math.prod(part.shape[2:]))
        found = flat.gather(1, order_BL[..., None].expand(-1, -1, flat.shape[2])) * is_BL[..., None]
        return found.view(len(part), order_BL.shape[1], *part.shape[2:])

    body_BLS, objects_BLKF, action_BLX = map(chosen, (shown.body_BLS, shown.objects_BLKF, shown.action_BLX))
    return Demonstration(body_BLS, objects_BLKF, shown.count_B, action_BLX, shown.told_B, length_B)


def rests(shown: Demonstration) -> torch.Tensor:
    """bool B × L: moments in which an object that moved before has come to rest (the paper's snapshots)."""
    place_BLK2 = shown.objects_BLKF[..., :PLACE]
    is_BL1 = (torch.arange(1, place_BLK2.shape[1], device=shown.length_B.device) < shown.length_B[:, None])[..., None]
    steps_BLK = (place_BLK2[:, 1:] != place_BLK2[:, :-1]).any(3) & is_BL1
    none_B1K = torch.zeros_like(place_BLK2[:, :1, :, 0], dtype=torch.bool)
    return (torch.cat([none_B1K, steps_BLK], 1) & ~torch.cat([steps_BLK, none_B1K], 1)).any(2)


def glances(shown: Demonstration, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some moments of each demonstration, evenly spaced up to its last: body_BTS and objects_BTKF."""
    share_T = torch.arange(1, count + 1, device=shown.length_B.device) / count
    index_BT = ((shown.length_B[:, None] * share_T).ceil().long() - 1).clamp(min=0)
    instance_B1 = torch.arange(len(index_BT), device=index_BT.device)[:, None]
    return shown.body_BLS[instance_B1, index_BT], shown.objects_BLKF[instance_B1, index_BT]
