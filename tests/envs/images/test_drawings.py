"""The noun of pictures of classes, and pictures at another resolution."""

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.images.drawings import Drawings
from envs.images.resizing import MAX_SIZE, coverage, resized


def small() -> Drawings:
    """Seven pictures of five classes in three groups, in no order."""
    rng = np.random.default_rng(5)
    return Drawings(
        rng.integers(0, 256, (7, 3, 3), np.uint8),
        np.array([4, 0, 1, 0, 2, 3, 4]),
        np.array([0, 1, 2, -1, 0, 1, 0]),
        np.array([1, 0, 1, 2, 0]),
        ("a", "a", "b", "c", "d"),
        ("x", "y", "z"),
    )


def test_classes_and_groups_are_found() -> None:
    drawings = small()
    assert (len(drawings), drawings.size, drawings.classes, drawings.groups) == (7, 3, 5, 3)
    assert [drawings.of_class(number).tolist() for number in range(5)] == [[1, 3], [2], [4], [5], [0, 6]]
    assert drawings.pictures_C.tolist() == [2, 1, 1, 1, 2]
    assert [drawings.of_group(number).tolist() for number in range(3)] == [[1, 4], [0, 2], [3]]
    assert [drawings.full_name(number) for number in range(5)] == ["y/a", "x/a", "y/b", "z/c", "x/d"]


@given(st.sets(st.sampled_from("xyz"), min_size=1), st.sets(st.integers(0, 4), min_size=1))
def test_a_selection_holds_the_same_pictures_under_the_same_names(groups: set[str], classes: set[int]) -> None:
    def content(drawings: Drawings, kept: set[str]) -> list[tuple[str, int, bytes]]:
        names = [drawings.full_name(number) for number in drawings.class_N]
        pictures = [picture.tobytes() for picture in drawings.picture_NSS]
        found = zip(names, drawings.drawer_N.tolist(), pictures, strict=True)
        return [one for one in found if one[0] in kept]

    drawings = small()
    kept = {drawings.full_name(number) for number in classes if drawings.full_name(number)[0] in groups}
    if not kept:
        with pytest.raises(ValueError, match="nothing is left"):
            drawings.select(groups=groups, classes=classes)
        return
    selected = drawings.select(groups=groups, classes=classes)
    assert {selected.full_name(number) for number in range(selected.classes)} == kept
    assert content(selected, kept) == content(drawings, kept)
    assert set(drawings.group_names) - {"x"} == set(drawings.without(["x"]).group_names)


def test_a_selection_of_what_is_not_there_is_told() -> None:
    named = small().select(groups=["x", "y"])
    named = replace(named, group_names=("Greek", "Hebrew"))
    with pytest.raises(ValueError, match=r"no group 'greek'; did you mean 'Greek'\?"):
        named.select(groups=["greek"])
    with pytest.raises(ValueError, match="classes 0 to 9; there are 0 to 3"):
        named.select(classes=[9, 0])
    with pytest.raises(ValueError, match="nothing is left"):
        named.without(["Greek", "Hebrew"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture_NSS": np.zeros((7, 3, 4), np.uint8)}, r"pictures are uint8 \(7, 3, 4\); expected uint8, N x S x S"),
        ({"picture_NSS": np.zeros((7, 3, 3))}, "pictures are float64"),
        ({"class_N": np.zeros(7, np.int32)}, r"class_N is int32 \(7,\); expected int64 \(7,\)"),
        ({"class_N": np.array([4, 0, 1, 0, 2, 3, 5])}, "class 0 to 5; expected 0 to 4"),
        ({"class_N": np.array([4, 0, 1, 0, 3, 3, 4])}, "class b is empty"),
        ({"drawer_N": np.zeros(6, np.int64)}, "drawer_N is"),
        ({"drawer_N": np.full(7, -2)}, "drawer -2"),
        ({"group_C": np.array([1, 0, 1, 1, 0])}, "group z is empty"),
        ({"group_C": np.array([1, 1, 1, 2, 0])}, "two classes have the name y/a"),
        ({"group_names": ("x", "y", "x")}, "two groups have the name x"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(small(), **change)


def test_no_pictures_are_refused() -> None:
    nothing = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match="no pictures"):
        Drawings(np.zeros((0, 3, 3), np.uint8), nothing, nothing, nothing, (), ())


def test_the_fingerprint_is_that_of_the_content() -> None:
    first = small()
    assert first.fingerprint() == small().fingerprint()
    pictures = first.picture_NSS.copy()
    pictures[6, 2, 2] ^= 1
    others = [
        replace(first, picture_NSS=pictures),
        replace(first, class_N=first.class_N[::-1].copy()),
        replace(first, drawer_N=first.drawer_N + 1),
        replace(first, group_C=np.array([1, 0, 2, 2, 0])),
        replace(first, class_names=("a", "a", "b", "c", "e")),
        replace(first, group_names=("x", "y", "zz")),
    ]
    assert len({first.fingerprint(), *(other.fingerprint() for other in others)}) == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 11), st.integers(1, 13), st.integers(0, 2**32 - 1))
def test_a_pixel_is_the_mean_of_what_it_covers(side: int, size: int, seed: int) -> None:
    picture_MM = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)

    def covered(at: int) -> list[tuple[int, Fraction]]:
        low, high = Fraction(at * side, size), Fraction((at + 1) * side, size)
        pixels = range(floor(low), min(floor(high) + 1, side))
        return [(pixel, min(high, pixel + 1) - max(low, pixel)) for pixel in pixels]

    (found_SS,) = resized(picture_MM[None], size)
    for row in range(size):
        for column in range(size):
            cells = [(int(picture_MM[y, x]), a * b) for y, a in covered(row) for x, b in covered(column)]
            mean = sum(ink * area for ink, area in cells) / Fraction(side, size) ** 2
            assert abs(found_SS[row, column] - float(mean)) < 0.51


def test_resizing_many_is_resizing_one_by_one(monkeypatch) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (7, 11, 11), np.uint8)
    whole = resized(pictures, 5)
    monkeypatch.setattr("envs.images.resizing.CHUNK_VALUES", 2 * 11**2)
    np.testing.assert_array_equal(resized(pictures, 5), whole)
    np.testing.assert_array_equal(resized(pictures, 11), pictures)
    np.testing.assert_allclose(coverage(11, 5).sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [0, -1, MAX_SIZE + 1])
def test_sizes_that_cannot_be_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"size is {size} pixels; expected 1 to {MAX_SIZE}"):
        resized(np.zeros((1, 3, 3), np.uint8), size)
    with pytest.raises(ValueError, match="3 x 4; expected squares"):
        resized(np.zeros((1, 3, 4), np.uint8), 2)
