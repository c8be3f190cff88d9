"""Plain training of networks that are compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

LEAST = 0.01
"""The final learning rate as a fraction of the peak."""

Groups = Sequence[tuple[Sequence[nn.Parameter], float]]
"""Parameters and their peak learning rates."""


def descend(
    groups: Groups,
    loss: Callable[[], torch.Tensor],
    *,
    updates: int,
    warmup: int = 0,
    falls: bool = True,
    clip: Callable[[], object] | None = None,
) -> float:
    """Move parameters by Adam (Kingma and Ba 2015) along the gradients of fresh losses; the CPU seconds that it took.

    Args:
        warmup: updates over which rates rise. falls: whether they fall along a cosine.
        clip: changes gradients before they are used.
    """
    optimiser = torch.optim.Adam([{"params": parameters, "lr": rate} for parameters, rate in groups])
    every = [parameter for parameters, _ in groups for parameter in parameters]
    began = time.process_time()
    for update in range(updates):
        share = LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * update / updates)) if falls else 1.0
        for settings, (_, rate) in zip(optimiser.param_groups, groups, strict=True):
            settings["lr"] = rate * share * min(1, (update + 1) / max(1, warmup))
        found = torch.autograd.grad(loss(), every, allow_unused=True)
        for parameter, gradient in zip(every, found, strict=True):
            parameter.grad = gradient
        if clip is not None:
            clip()
        optimiser.step()
    return time.process_time() - began
