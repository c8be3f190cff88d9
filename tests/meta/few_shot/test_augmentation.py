import math

import pytest
import torch
import torch.nn.functional as F

from meta.few_shot.augmentation import Augmentation, augmented, interpolation

STILL = Augmentation(rotation=0, shear=0, scale=0, shift=0, displacement=0, stroke=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cross(side: int = 33) -> torch.Tensor:
    """A bar to the right of the middle, 1 × side × side."""
    picture = torch.zeros(1, side, side)
    picture[:, side // 2, side // 2 :] = 1
    return picture


def test_nothing_changes_where_all_bounds_are_zero():
    pictures = torch.rand(7, 13, 13, generator=seeded())
    assert torch.allclose(augmented(pictures, STILL, generator=seeded()), pictures, atol=1e-5)


def test_draws_from_its_generator_alone_and_keeps_ink_within_bounds():
    pictures = torch.rand(7, 13, 13, generator=seeded())
    before = torch.get_rng_state()
    once, again, other = (augmented(pictures, Augmentation(), generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == pictures.shape
    assert 0 <= once.min() <= once.max() <= 1


def test_every_picture_is_changed_in_its_own_way():
    same = cross().expand(5, -1, -1)
    changed = augmented(same, Augmentation(), generator=seeded())
    assert all(not torch.allclose(changed[0], other) for other in changed[1:])


def test_a_bar_turns_by_the_angle_that_was_drawn():
    turned = augmented(
        cross().expand(64, -1, -1), Augmentation.from_json(STILL.to_json() | {"rotation": 30.0}), generator=seeded()
    )
    drawn = (torch.rand(64, 6, generator=seeded()) * 2 - 1)[:, 0] * math.radians(30)
    row = torch.arange(33.0) - 16
    found = torch.atan2((turned.sum(2) * row).sum(1), (turned.sum(1) * row).sum(1))
    assert torch.allclose(found, -drawn, atol=0.03)  # a pixel at a place comes from the place turned back


def test_a_shift_moves_the_middle_of_the_ink():
    shifts = Augmentation.from_json(STILL.to_json() | {"shift": 0.25})
    moved = augmented(cross().expand(64, -1, -1), shifts, generator=seeded())
    drawn = (torch.rand(64, 6, generator=seeded()) * 2 - 1)[:, 5] * 0.25 * 16  # pixels: half of the side is 16
    row = torch.arange(33.0) - 16
    assert torch.allclose((moved.sum(2) * row).sum(1) / moved.sum((1, 2)), -drawn, atol=0.02)


def test_displacements_are_bicubic_between_nodes_and_have_the_size_that_is_set():
    node = torch.randn(1, 1, 5, 5, generator=seeded())
    between = interpolation(5, 32)
    whole = F.interpolate(node, (32, 32), mode="bicubic", align_corners=True)
    assert torch.allclose(between @ node @ between.T, whole, atol=1e-5)
    assert torch.allclose(between.sum(1), torch.ones(32), atol=1e-5)


def test_strokes_grow_and_never_shrink():
    thick = augmented(
        cross().expand(9, -1, -1), Augmentation.from_json(STILL.to_json() | {"stroke": 1.0}), generator=seeded()
    )
    assert bool((thick >= cross() - 1e-6).all())
    assert float(thick.sum((1, 2)).std()) > 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rotation": -1.0}, "augmentation rotation must be at least 0, it is -1.0"),
        ({"grid": 1}, "augmentation grid must be at least 2 and at most 64, it is 1"),
        ({"stroke": 2.0}, "augmentation stroke is a share from 0 to 1, it is 2.0"),
        ({"rotatoin": 1.0}, "Augmentation has no setting 'rotatoin'; did you mean 'rotation'?"),
    ],
)
def test_wrong_bounds_are_refused_by_name(change, why):
    with pytest.raises(ValueError) as refused:
        Augmentation.from_json(change)
    assert str(refused.value) == why
