import pytest
import torch

from meta.few_shot.network import DrawingEncoder, FewShotConfig, MovingParts, SetEncoder, framed


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def encoder() -> DrawingEncoder:
    made = DrawingEncoder(16, 3, generator=seeded())
    with torch.no_grad():
        made.rows.weight.normal_(std=0.3, generator=seeded(1))
    return made


def test_maps_have_their_shape_and_come_from_the_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (DrawingEncoder(16, 3, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    drawing, row = torch.rand(7, 32, 32, generator=seeded()), torch.zeros(7, 3)
    assert one(drawing, row).shape == (7, 16, 16)
    assert torch.equal(one(drawing, row), two(drawing, row))
    assert not torch.equal(one(drawing, row), other(drawing, row))


def test_a_drawing_is_encoded_alone_as_in_a_batch(encoder):
    drawing, row = torch.rand(5, 32, 32, generator=seeded()), torch.randn(5, 3, generator=seeded())
    alone = torch.cat([encoder(drawing[i : i + 1], row[i : i + 1]) for i in range(5)])
    assert torch.allclose(encoder(drawing, row), alone, atol=1e-5)


def test_rows_condition_every_layer(encoder):
    drawing, row = torch.rand(2, 32, 32, generator=seeded()), torch.randn(2, 3, generator=seeded())
    size = encoder.rows.weight.shape[0] // len(encoder.layers)
    reference = encoder(drawing, row)
    for layer in range(len(encoder.layers)):
        kept = encoder.rows.weight.detach().clone()
        with torch.no_grad():
            encoder.rows.weight[layer * size : (layer + 1) * size] = 0
        assert not torch.allclose(encoder(drawing, row), reference, atol=1e-3), layer
        with torch.no_grad():
            encoder.rows.weight.copy_(kept)


def square(side: int, top: int, left: int, size: int) -> torch.Tensor:
    """A full square, 1 × side × side."""
    drawing = torch.zeros(1, side, side)
    drawing[:, top : top + size, left : left + size] = 1
    return drawing


@pytest.mark.parametrize("side", [32, 64, 105])
def test_ink_is_seen_from_near_wherever_it_lies(side):
    drawings = [square(side, top, left, side // 2) for top, left in ((0, 0), (side // 4, side // 3), (side // 2, 5))]
    seen = framed(torch.cat(drawings))
    assert seen.shape == (3, 32, 32)
    for one in seen:  # an extent of 0.5 is shown in a square of 0.5 · 1.15 + 0.0375 = 0.6125: 26 of 32 pixels
        assert one.sum().item() == pytest.approx((32 * 0.5 / 0.6125) ** 2, rel=0.05)
        assert abs(one.sum(0) - one.sum(0).flip(0)).max() < 2  # in the middle
        assert abs(one.sum(1) - one.sum(1).flip(0)).max() < 2


def test_small_ink_is_not_blown_up_and_no_ink_is_seen_as_it_is():
    dot, nothing = framed(torch.cat([square(64, 8, 8, 4), torch.full((1, 64, 64), 0.1)]))
    assert dot.sum().item() == pytest.approx((32 * (4 / 64) / (0.38 * 1.15 + 0.0375)) ** 2, rel=0.1)
    assert torch.allclose(nothing[1:-1, 1:-1], torch.full((30, 30), 0.1))


@torch.no_grad()
def by_hand(parts: MovingParts, query_CL: torch.Tensor, prototype_CL: torch.Tensor, places: int) -> float:
    """The distance place by place, with a loop for each sum."""
    sharpness, there, back = float(parts.sharpness.exp()), 0.0, 0.0
    cost = torch.zeros(places**2, places**2, dtype=torch.float64)
    for a in range(places**2):
        for b in range(places**2):
            rows, columns = a // places - b // places, a % places - b % places
            square = float((query_CL[:, a] - prototype_CL[:, b]).double().square().sum())
            penalty = float(parts.penalty[rows + places - 1, columns + places - 1])
            cost[a, b] = float(parts.scale.exp()) * square + penalty
    for a in range(places**2):
        there += -float((-sharpness * cost[a]).exp().sum().log()) / sharpness
        back += -float((-sharpness * cost[:, a]).exp().sum().log()) / sharpness
    return (there + back) / 2


def test_distance_is_the_sum_of_the_least_costs_both_ways():
    parts = MovingParts(5, places=3)
    with torch.no_grad():
        parts.penalty.normal_(generator=seeded(3)).abs_()
        parts.sharpness.fill_(0.4)
    query, prototype = torch.randn(2, 3, 5, 9, generator=seeded(1)), torch.randn(2, 7, 5, 9, generator=seeded(2))
    found = parts(query, prototype)
    assert found.shape == (2, 3, 7)
    for b, q, w in ((0, 0, 0), (1, 2, 6), (0, 1, 3)):
        assert found[b, q, w].item() == pytest.approx(by_hand(parts, query[b, q], prototype[b, w], 3), abs=1e-4)


def test_with_nothing_allowed_to_move_it_is_the_squared_euclidean_distance():
    parts = MovingParts(5, places=3)
    with torch.no_grad():
        parts.penalty.fill_(1e4)
        parts.penalty[2, 2] = 0
        parts.sharpness.fill_(2)
        parts.scale.zero_()
    query, prototype = torch.randn(1, 3, 5, 9, generator=seeded(1)), torch.randn(1, 7, 5, 9, generator=seeded(2))
    plain = torch.cdist(query.flatten(2), prototype.flatten(2)).square()
    assert torch.allclose(parts(query, prototype), plain, atol=1e-3)


def test_a_moved_part_costs_its_displacement_and_a_missing_one_its_square():
    parts = MovingParts(1, places=3)
    with torch.no_grad():
        parts.sharpness.fill_(4)
        parts.scale.zero_()
    drawing = torch.zeros(1, 1, 1, 9)
    drawing[..., 4] = 3  # in the middle
    moved = drawing.roll(1, 3)  # one column to the right
    missing = torch.zeros_like(drawing)
    same, near, far = (parts(drawing, other).item() for other in (drawing, moved, missing))
    assert near - same < 3 < far - same


def test_gradients_of_the_distance_are_those_of_differences():
    parts = MovingParts(3, places=2).double()
    query = torch.randn(1, 2, 3, 4, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    prototype = torch.randn(1, 2, 3, 4, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *given: parts(*given), (query, prototype))


def test_a_row_from_a_set_does_not_depend_on_its_order_or_on_padding():
    encode = SetEncoder(6, 5, 4, generator=seeded())
    maps = torch.randn(2, 7, 6, 9, generator=seeded(1))
    given = torch.arange(7) < torch.tensor([[7], [3]])
    row = encode(maps, given)
    order = torch.tensor([2, 0, 1, 6, 5, 4, 3])
    assert torch.allclose(encode(maps[:, order], given[:, order]), row, atol=1e-6)
    assert torch.allclose(encode(maps[1:, :3], given[1:, :3]), row[1:], atol=1e-6)
    assert not torch.allclose(row[0], row[1], atol=1e-3)


def test_channels_that_cannot_be_grouped_are_refused():
    with pytest.raises(ValueError, match="core setting channels must be a multiple of 8, it is 12"):
        FewShotConfig(channels=12)
