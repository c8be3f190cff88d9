"""Opponents that learn nothing, against their definitions in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meta.few_shot.classic import inked, modified_hausdorff, nearest_hausdorff, nearest_pixels

seeds = st.integers(0, 2**32 - 1)


def pictures(rng: np.random.Generator, count: int, side: int = 7) -> np.ndarray:
    found = rng.integers(0, 256, (count, side, side), np.uint8) * (rng.random((count, side, side)) < 0.2)
    found[:, 3, 2] = 201
    return found.astype(np.uint8)


def plain_points(picture: np.ndarray) -> list[tuple[float, float]]:
    strongest = max(int(value) for row in picture for value in row)
    places = [(y, x) for y, row in enumerate(picture) for x, value in enumerate(row) if 2 * int(value) > strongest]
    middle = [sum(place[axis] for place in places) / len(places) for axis in (0, 1)]
    return [(y - middle[0], x - middle[1]) for y, x in places]


def plain_hausdorff(first: list, second: list) -> float:
    def directed(these: list, those: list) -> float:
        return sum(min(math.dist(one, other) for other in those) for one in these) / len(these)

    return max(directed(first, second), directed(second, first))


def plain_cosine(first: np.ndarray, second: np.ndarray) -> float:
    a, b = [int(v) for v in first.flat], [int(v) for v in second.flat]
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


@settings(max_examples=25)
@given(seeds, st.integers(1, 5), st.integers(1, 3))
def test_the_nearest_is_that_of_the_definition(seed: int, ways: int, queries: int) -> None:
    rng = np.random.default_rng(seed)
    support, query = pictures(rng, ways), pictures(rng, queries)
    by_points, by_pixels = nearest_hausdorff(support, query), nearest_pixels(support, query)
    for q, picture in enumerate(query):
        distances = [plain_hausdorff(plain_points(picture), plain_points(one)) for one in support]
        assert distances[by_points[q]] == pytest.approx(min(distances), abs=1e-9)
        assert modified_hausdorff(inked(picture), inked(support[0])) == pytest.approx(distances[0], abs=1e-9)
        cosines = [plain_cosine(picture, one) for one in support]
        assert cosines[by_pixels[q]] == pytest.approx(max(cosines), abs=1e-9)


def test_numbers_that_a_person_can_redo() -> None:
    first = np.array([[0.0, 0.0], [0.0, 3.0]])
    second = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    # from the first: 0 and 2, mean 1; from the second: 0, 4 and 1, mean 5/3
    assert modified_hausdorff(first, second) == pytest.approx(5 / 3)
    assert modified_hausdorff(second, first) == pytest.approx(5 / 3)


def test_a_drawing_that_is_moved_is_found_by_its_points_and_not_by_its_pixels() -> None:
    cross, bar = np.zeros((2, 9, 9), np.uint8)
    cross[1:6, 3] = cross[3, 1:6] = 255
    bar[4, 1:8] = 255
    moved = np.roll(cross, (2, 2), (0, 1))
    support = np.stack([bar, cross])
    assert nearest_hausdorff(support, moved[None]).tolist() == [1]
    assert nearest_pixels(support, np.roll(cross, (1, 1), (0, 1))[None]).tolist() == [0]
    assert nearest_pixels(support, support).tolist() == [0, 1]


def test_the_first_of_equals_is_taken() -> None:
    support = pictures(np.random.default_rng(1), 2)[[0, 1, 0, 1]]
    assert nearest_hausdorff(support, support).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("nearest", [nearest_pixels, nearest_hausdorff])
def test_what_has_no_answer_is_refused(nearest) -> None:
    good = pictures(np.random.default_rng(2), 3)
    with pytest.raises(ValueError, match=r"queries have the shape \(3, 7, 6\)"):
        nearest(good, good[:, :, 1:])
    with pytest.raises(ValueError, match=r"support have the shape \(0, 7, 7\)"):
        nearest(good[:0], good)
    with pytest.raises(ValueError, match="queries: picture 1 has no ink"):
        nearest(good, good * np.array([1, 0, 1], np.uint8)[:, None, None])
