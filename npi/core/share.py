"""A rank's part of what is computed together."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Share:
    """Which of ``whole`` frames that are unrolled together a rank computes (index_B); noise is drawn for the whole."""

    index_B: torch.Tensor
    whole: int
