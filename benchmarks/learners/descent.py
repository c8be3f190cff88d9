"""Plain training of networks that are compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from meta.optimisation.network import orthogonal

LEAST = 0.01
"""The final learning rate as a fraction of the peak."""

Groups = Sequence[tuple[Sequence[nn.Parameter], float]]
"""Parameters and their peak learning rates."""


class Muon(torch.optim.Optimizer):
    """Steps along averages of gradients that were made orthogonal (Jordan et al. 2024); Adam's for vectors.

    Like the learned optimiser's, a matrix's step is as long as its sides are.

    Args:
        keeps_norms: a matrix stays as long as it was at first, and its step is ``lr`` of that: for layers whose outputs
            are normalised, to which only directions matter.
    """

    def __init__(self, params: Any, lr: float, *, keeps_norms: bool = False) -> None:
        super().__init__(params, {"lr": lr})
        self.keeps_norms = keeps_norms

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, state = parameter.grad, self.state[parameter]
                if not state:
                    state |= {"mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter), "step": 0}
                    state["norm"] = parameter.norm()
                state["step"] += 1
                mean = state["mean"].lerp_(gradient, 0.1)
                if parameter.ndim > 1:
                    ahead = gradient.lerp(mean, 0.9)
                    along = orthogonal(ahead.reshape(1, -1), [parameter.shape]).view(parameter.shape)
                else:
                    square = state["square"].lerp_(gradient.square(), 0.01)
                    size = (square / (1 - 0.99 ** state["step"])).sqrt() + 1e-8
                    along = mean / (1 - 0.9 ** state["step"]) / size
                if self.keeps_norms:
                    parameter.add_(along, alpha=-group["lr"] * float(state["norm"] / along.norm()))
                    parameter.mul_(state["norm"] / parameter.norm())
                else:
                    parameter.add_(along, alpha=-group["lr"])


def descend(
    groups: Groups,
    loss: Callable[[], torch.Tensor],
    *,
    updates: int,
    filters: Groups = (),
    warmup: int = 0,
    falls: bool = True,
    clip: Callable[[], object] | None = None,
) -> float:
    """Move parameters by Adam (Kingma and Ba 2015) along the gradients of fresh losses; the CPU seconds that it took.

    Args:
        filters: those of layers whose outputs are normalised: :class:`Muon` moves them, by shares of their norms.
        warmup: updates over which rates rise. falls: whether they fall along a cosine.
        clip: changes gradients before they are used.
    """
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(_settings(groups))]
    if filters:
        optimisers.append(Muon(_settings(filters), 0.0, keeps_norms=True))
    every = [parameter for parameters, _ in (*groups, *filters) for parameter in parameters]
    began = time.process_time()
    for update in range(updates):
        share = LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * update / updates)) if falls else 1.0
        for optimiser in optimisers:
            for settings in optimiser.param_groups:
                settings["lr"] = settings["peak"] * share * min(1, (update + 1) / max(1, warmup))
        found = torch.autograd.grad(loss(), every, allow_unused=True)
        for parameter, gradient in zip(every, found, strict=True):
            parameter.grad = gradient
        if clip is not None:
            clip()
        for optimiser in optimisers:
            optimiser.step()
    return time.process_time() - began


def _settings(groups: Groups) -> list[dict[str, Any]]:
    return [{"params": parameters, "lr": rate, "peak": rate} for parameters, rate in groups]
