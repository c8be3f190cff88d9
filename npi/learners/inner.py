"""Learning within an episode by gradient (Finn et al. 2017).

Shape legend: ``B`` problems, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def adapt(
    loss: Callable[[torch.Tensor], torch.Tensor],
    row_BP: torch.Tensor,
    steps: int,
    rate: float | torch.Tensor,
    *,
    second_order: bool,
) -> torch.Tensor:
    """row_BP after so many steps of gradient descent on each problem's own loss; differentiable.

    Args:
        loss: of rows, loss_B or its sum; a problem's loss depends on its own row alone.
        rate: of descent; may have a graph, so that it is learned.
        second_order: whether the gradients of the steps are part of the graph.
    """
    with torch.enable_grad():
        row_BP = row_BP if row_BP.requires_grad else row_BP.detach().requires_grad_()
        for _ in range(steps):
            (gradient_BP,) = torch.autograd.grad(loss(row_BP).sum(), row_BP, create_graph=second_order)
            row_BP = row_BP - rate * gradient_BP
    return row_BP
