"""Pictures as text: half a line of a terminal holds one row of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BLOCKS = (" ", "▄", "▀", "█")
"""Of two rows of pixels: none, the lower one, the upper one, both."""

SIDE = 16
"""Pixels of a side that are drawn at most; larger pictures are made smaller by the most ink of each part."""

INK = 0.35
"""From here on a pixel is drawn."""


def gallery(pictures: Sequence[torch.Tensor], names: Sequence[str], *, width: int) -> str:
    """Pictures (S × S, ink 0 to 1) side by side, each with its name above it, as many in a row as the width holds."""
    drawn = [_lines(picture) for picture in pictures]
    columns = max(1, (width + 2) // (len(drawn[0][0]) + 2)) if drawn else 1
    found = list[str]()
    for begin in range(0, len(drawn), columns):
        row = drawn[begin : begin + columns]
        heads = [name.ljust(len(lines[0])) for name, lines in zip(names[begin:], row, strict=False)]
        found += ["  ".join(line).rstrip() for line in (heads, *zip(*row, strict=True))]
    return "\n".join(found)


def _lines(picture_SS: torch.Tensor) -> list[str]:
    from envs.support.lazy_torch import torch

    side = min(SIDE, len(picture_SS))
    small_SS = torch.nn.functional.adaptive_max_pool2d(picture_SS[None, None].float().cpu(), side)[0, 0]
    bits = (small_SS >= INK).long()
    if side % 2:
        bits = torch.cat([bits, bits.new_zeros(1, side)])
    return ["".join(BLOCKS[code] for code in row) for row in (2 * bits[0::2] + bits[1::2]).tolist()]
