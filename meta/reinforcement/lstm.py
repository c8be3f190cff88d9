"""A long short-term memory whose gates have gains, unrolled with its gradient written out.

On one thread, steps of so few numbers spend their time on bookkeeping; without a graph of each it takes a fraction.

Shape legend: ``K`` steps, ``B`` episodes, ``H`` hidden units, ``G`` = 4 ``H`` gates: what enters, what stays, what
shows, and what is proposed.
"""

from __future__ import annotations

from typing import Any

import torch

_bent = torch.ops.aten.tanh_backward
_squashed = torch.ops.aten.sigmoid_backward


def step(
    in_BG: torch.Tensor, gain_BG: torch.Tensor, recur_HG: torch.Tensor, h_BH: torch.Tensor, c_BH: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """h_BH and c_BH after one step (Hochreiter and Schmidhuber 1997; Gers et al. 2000); gates see the last h through
    a gain of their own."""
    gate_BG = torch.addcmul(in_BG, h_BH @ recur_HG, gain_BG)
    enters, stays, shows, proposed = gate_BG.chunk(4, 1)
    c_BH = torch.addcmul(stays.sigmoid() * c_BH, enters.sigmoid(), proposed.tanh())
    return shows.sigmoid() * c_BH.tanh(), c_BH


def unroll(
    in_KBG: torch.Tensor, gain_BG: torch.Tensor, recur_HG: torch.Tensor, h_BH: torch.Tensor, c_BH: torch.Tensor
) -> torch.Tensor:
    """h_KBH: :func:`step` for each of K steps, with a gradient to all that is given."""
    found: torch.Tensor = _Unrolled.apply(in_KBG, gain_BG, recur_HG, h_BH, c_BH)
    return found


class _Unrolled(torch.autograd.Function):
    """Numbers of a step are written side by side into tensors of all steps, from which the way back reads them."""

    @staticmethod
    def forward(
        ctx: Any,
        in_KBG: torch.Tensor,
        gain_BG: torch.Tensor,
        recur_HG: torch.Tensor,
        h_BH: torch.Tensor,
        c_BH: torch.Tensor,
    ) -> torch.Tensor:
        K, B, H = len(in_KBG), *h_BH.shape
        h_JBH, c_JBH = in_KBG.new_empty(2, K + 1, B, H)  # J = K + 1: before the first step, and after each
        h_JBH[0], c_JBH[0] = h_BH, c_BH
        bent_KBH, heard_KBG, gate_KBG = in_KBG.new_empty(K, B, H), torch.empty_like(in_KBG), torch.empty_like(in_KBG)
        for k in range(K):
            gate_BG = gate_KBG[k]
            enters, stays, shows, proposed = gate_BG.split(H, 1)
            torch.mm(h_JBH[k], recur_HG, out=heard_KBG[k])
            torch.addcmul(in_KBG[k], heard_KBG[k], gain_BG, out=gate_BG)
            gate_BG[:, : 3 * H].sigmoid_()
            proposed.tanh_()
            torch.mul(stays, c_JBH[k], out=c_JBH[k + 1]).addcmul_(enters, proposed)
            torch.tanh(c_JBH[k + 1], out=bent_KBH[k])
            torch.mul(shows, bent_KBH[k], out=h_JBH[k + 1])
        ctx.save_for_backward(gain_BG, recur_HG, h_JBH, c_JBH, bent_KBH, heard_KBG, gate_KBG)
        return h_JBH[1:].clone()

    @staticmethod
    def backward(ctx: Any, *by: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gain_BG, recur_HG, h_JBH, c_JBH, bent_KBH, heard_KBG, gate_KBG = ctx.saved_tensors
        (by_h_KBH,) = by
        K, B, H = bent_KBH.shape
        by_gate_KBG, by_heard_KBG = torch.empty_like(gate_KBG), torch.empty_like(gate_KBG)
        by_gain_BG, back_GH = torch.zeros_like(gain_BG), recur_HG.t().contiguous()
        by_h_BH, by_c_BH = torch.zeros_like(h_JBH[0]), torch.zeros_like(c_JBH[0])
        for k in range(K - 1, -1, -1):
            enters, stays, shows, proposed = gate_KBG[k].split(H, 1)
            by_enters, by_stays, by_shows, by_proposed = by_gate_KBG[k].split(H, 1)
            by_h_BH = by_h_BH + by_h_KBH[k]
            by_c_BH = by_c_BH + _bent(by_h_BH * shows, bent_KBH[k])
            _squashed.grad_input(by_h_BH * bent_KBH[k], shows, grad_input=by_shows)
            _squashed.grad_input(by_c_BH * proposed, enters, grad_input=by_enters)
            _squashed.grad_input(by_c_BH * c_JBH[k], stays, grad_input=by_stays)
            _bent.grad_input(by_c_BH * enters, proposed, grad_input=by_proposed)
            by_c_BH = by_c_BH * stays
            by_gain_BG.addcmul_(by_gate_KBG[k], heard_KBG[k])
            torch.mul(by_gate_KBG[k], gain_BG, out=by_heard_KBG[k])
            by_h_BH = by_heard_KBG[k] @ back_GH
        by_recur_HG = h_JBH[:-1].reshape(-1, H).t() @ by_heard_KBG.view(K * B, 4 * H)
        return by_gate_KBG, by_gain_BG, by_recur_HG, by_h_BH, by_c_BH
