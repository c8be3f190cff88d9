"""Ways of conditioning against what they say of the weights: one layer, by hand."""

import pytest
import torch

from benchmarks.learners.conditioning.modes import BIAS, CONCATENATION, LOW_RANK, MODES, MODULATION, Conditioner

H1, H2, P, B, K = 5, 7, 3, 11, 2


def made(mode: str) -> tuple[Conditioner, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A conditioner of two layers, rows, inputs, and the weights of the second layer."""
    generator = torch.Generator().manual_seed(0)
    conditioner = Conditioner(mode, P, [H1, H2], scale=1.0, generator=generator)
    row_BP, below_BH = torch.randn(B, P, generator=generator), torch.randn(B, H1, generator=generator)
    return conditioner, row_BP, below_BH, torch.randn(H2, H1, generator=generator)


@torch.no_grad()
def test_low_rank_adds_a_matrix_of_rank_one_for_each_number_of_the_row() -> None:
    """Red where left and right are exchanged, or a number of the row is left out."""
    conditioner, row_BP, below_BH, weight_HH = made(LOW_RANK)
    assert conditioner.left is not None
    assert conditioner.right is not None
    got_BH = conditioner(row_BP)[1](below_BH @ weight_HH.T)
    for row_P, below_H, got_H in zip(row_BP, below_BH, got_BH, strict=True):
        changed = weight_HH.clone()
        for k in range(P):
            changed += row_P[k] * torch.outer(conditioner.left[1][:, k], weight_HH.T @ conditioner.right[1][:, k])
        torch.testing.assert_close(got_H, changed @ below_H)


@torch.no_grad()
def test_concatenation_is_a_linear_layer_over_input_and_row_and_leaves_the_second_layer() -> None:
    """Red where the row reaches another layer than the first."""
    conditioner, row_BP, _, _ = made(CONCATENATION)
    input_BH, weight_HH = torch.ones(B, 4), torch.randn(H1, 4, generator=torch.Generator().manual_seed(1))
    assert conditioner.shared is not None
    first, second = conditioner(row_BP)
    both = torch.cat([weight_HH, conditioner.shared.weight], 1)
    torch.testing.assert_close(first(input_BH @ weight_HH.T), torch.cat([input_BH, row_BP], 1) @ both.T)
    x_BH = torch.randn(B, H2, generator=torch.Generator().manual_seed(2))
    assert torch.equal(second(x_BH), x_BH)


@torch.no_grad()
def test_bias_adds_and_modulation_scales_too() -> None:
    """Red where gains are not around 1, or gains and shifts are exchanged."""
    x_BH = torch.randn(B, H2, generator=torch.Generator().manual_seed(2))
    conditioner, row_BP, _, _ = made(BIAS)
    assert conditioner.shared is not None
    torch.testing.assert_close(conditioner(row_BP)[1](x_BH), x_BH + row_BP @ conditioner.shared.weight[H1:].T)
    conditioner, row_BP, _, _ = made(MODULATION)
    assert conditioner.shared is not None
    gain, shift = (row_BP @ conditioner.shared.weight.T).chunk(2, 1)
    torch.testing.assert_close(conditioner(row_BP)[1](x_BH), (1 + gain[:, H1:]) * x_BH + shift[:, H1:])


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_axes_between_are_those_of_one_by_one(mode: str) -> None:
    """Steps or places between instances and units change nothing; and a row of zeros leaves every layer."""
    conditioner, row_BP, _, _ = made(mode)
    x_BKH = torch.randn(B, K, H2, generator=torch.Generator().manual_seed(2))
    together = conditioner(row_BP[:, None])[1](x_BKH)
    for k in range(K):
        torch.testing.assert_close(together[:, k], conditioner(row_BP)[1](x_BKH[:, k]))
    torch.testing.assert_close(conditioner(row_BP[:, None] * 0)[1](x_BKH), x_BKH)
