"""Numbers of the walk of configurations against plain Python."""

import math

import pytest
import torch

from npi.proof.configuration_walk import _lead


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5), (2, 3, 2), (11, 1)])
def test_a_lead_is_over_the_best_other_of_the_last_dimension(shape: tuple[int, ...]) -> None:
    """Red where another dimension is compared, the wanted entry itself, or the worst other."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(shape, generator=generator)
    wanted = torch.randint(shape[-1], shape[:-1], generator=generator)
    found = _lead(logits, wanted)
    assert found.shape == wanted.shape
    for values, index, lead in zip(
        logits.reshape(-1, shape[-1]).tolist(), wanted.flatten().tolist(), found.flatten().tolist(), strict=True
    ):
        others = [value for place, value in enumerate(values) if place != index]
        assert lead == pytest.approx(values[index] - max(others, default=-math.inf))
