"""The shapes of cars: measures, parts, variety."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.cars.mesh import Builder, Mesh, MeshError, between
from envs.cars.shapes import mesh
from envs.cars.styles import RANGES, STYLES, WINDOWS, draw_car


def car_of(style: str, seed: int):
    return draw_car(style, np.random.default_rng(seed))


@given(st.sampled_from(STYLES), st.integers(0, 2**32))
def test_a_car_has_the_size_that_it_says_and_stands_on_the_ground(style, seed):
    car = car_of(style, seed)
    shape = mesh(car)
    assert 300 <= len(shape.faces_F3) <= 500
    low, high = shape.low_3, shape.high_3
    measures = car.measures
    assert low[2] == pytest.approx(0, abs=1e-4)
    assert low[:2] == pytest.approx(-high[:2], abs=1e-4)
    assert high[0] - low[0] == pytest.approx(measures.length, abs=0.03)  # number plates stand off by a centimetre
    mirrors, rails = 0.24, 0.06 * car.rails
    assert high[1] - low[1] == pytest.approx(measures.width + mirrors, abs=1e-3)
    assert high[2] - low[2] == pytest.approx(measures.height + rails, abs=1e-3)


@given(st.sampled_from(STYLES), st.integers(0, 2**32))
def test_left_and_right_are_mirror_images(style, seed):
    shape = mesh(car_of(style, seed))

    def points(flip: int) -> set:
        return set(map(tuple, (shape.vertices_V3 * (100, 100 * flip, 100)).round().astype(int).tolist()))

    assert len(points(1) ^ points(-1)) <= 0.02 * len(points(1))  # rounding to centimetres
    a, b, c = (shape.vertices_V3[shape.faces_F3[:, k]] for k in range(3))
    weight_F3 = np.linalg.norm(np.cross(b - a, c - a), axis=1)[:, None] * shape.colours_F3
    y_F3 = shape.vertices_V3[shape.faces_F3][..., 1]
    left, right = weight_F3[y_F3.min(1) > 0].sum(0), weight_F3[y_F3.max(1) < 0].sum(0)
    assert left.min() > 0
    assert left == pytest.approx(right, rel=1e-3)


@given(st.sampled_from(STYLES), st.integers(0, 2**32))
def test_no_face_is_empty(style, seed):
    shape = mesh(car_of(style, seed))
    a, b, c = (shape.vertices_V3[shape.faces_F3[:, k]] for k in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 1e-6


@pytest.mark.parametrize("style", STYLES)
def test_lights_are_white_in_front_and_red_behind(style):
    car = car_of(style, 5)
    shape = mesh(car)
    middle_F3 = shape.vertices_V3[shape.faces_F3].mean(1)
    head, tail = ((shape.colours_F3 == np.array(colour, np.float32)).all(1) for colour in (car.head, car.tail))
    assert head.sum() == 8
    assert tail.sum() >= 8
    assert middle_F3[head, 0].min() > 0.4 * car.measures.length
    assert middle_F3[tail, 0].max() < -0.35 * car.measures.length
    assert min(car.head) > 0.7
    assert car.tail[0] > 4 * max(car.tail[1:])


def test_the_same_generator_draws_the_same_car_and_the_next_is_another():
    generator = np.random.default_rng(4)
    first, second = draw_car("estate", generator), draw_car("estate", generator)
    assert car_of("estate", 4) == first != second
    assert mesh(first).digest == mesh(car_of("estate", 4)).digest != mesh(second).digest


@pytest.mark.parametrize("style", STYLES)
def test_cars_of_a_style_differ_over_all_of_its_ranges(style):
    cars = [car_of(style, seed) for seed in range(60)]
    for name, (low, high) in RANGES[style].items():
        values = [getattr(car.measures, name) for car in cars]
        assert low <= min(values) <= low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) <= max(values) <= high
    assert {car.windows for car in cars} == set(WINDOWS[style])
    assert len({tuple(np.round(car.paint, 1)) for car in cars}) > 12


def test_each_measure_changes_the_shape():
    """Turns red where a measure is drawn and not used."""
    car = car_of("suv", 0)
    for name, value in vars(car.measures).items():
        other = replace(car, measures=replace(car.measures, **{name: value + 0.02}))
        assert mesh(other).digest != mesh(car).digest, name


@pytest.mark.parametrize("name", ["lamp", "lamp_height", "grille", "tall_tail", "rails", "spoiler", "spokes"])
def test_each_size_and_choice_changes_the_shape(name):
    car = car_of("estate", 0)
    one, two = (False, True) if isinstance(getattr(car, name), bool) else (0.2, 0.23)
    assert mesh(replace(car, **{name: one})).digest != mesh(replace(car, **{name: two})).digest


def test_a_style_that_does_not_exist():
    with pytest.raises(ValueError, match="did you mean 'saloon'"):
        car_of("salon", 0)


def test_a_part_of_a_face():
    face = np.array([(0, 0, 0), (4, 0, 0), (4, 2, 0), (0, 2, 0)])  # seen from +z
    part = between(face, (0.25, 0.5), (0.0, 0.5), 0.1)
    assert part == pytest.approx(np.array([(1, 0, 0.1), (2, 0, 0.1), (2, 1, 0.1), (1, 1, 0.1)]))


def test_a_box_is_closed_and_seen_from_outside():
    """The volume of a closed surface, by the divergence theorem, is positive only where normals look outward."""
    builder = Builder()
    builder.box((0, 0, 0), (2, 3, 5), (1.0, 0.0, 0.0))
    builder.box((0, 10, 0), (1, 11, 1), (1.0, 0.0, 0.0), mirror=True)
    shape = builder.mesh()
    a, b, c = (shape.vertices_V3[shape.faces_F3[:, k]] for k in range(3))
    assert (np.cross(a, b) * c).sum() / 6 == pytest.approx(30 + 2)
    assert len(shape.faces_F3) == 36
    assert len(shape.vertices_V3) == 24


GOOD = {
    "vertices_V3": np.eye(3, dtype=np.float32),
    "faces_F3": np.array([[0, 1, 2]], np.int32),
    "colours_F3": np.full((1, 3), 0.5, np.float32),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vertices_V3", np.eye(3), "float64"),
        ("vertices_V3", np.full((3, 3), np.nan, np.float32), "not finite"),
        ("faces_F3", np.zeros((0, 3), np.int32), "0 faces"),
        ("faces_F3", np.array([[0, 1, 3]], np.int32), "not there"),
        ("faces_F3", np.array([[0, 1, -1]], np.int32), "not there"),
        ("colours_F3", np.full((2, 3), 0.5, np.float32), "2 colours for 1 faces"),
        ("colours_F3", np.full((1, 3), 1.5, np.float32), "outside"),
        ("colours_F3", np.full((1, 3), np.nan, np.float32), "outside"),
    ],
)
def test_a_mesh_that_cannot_be(name, value, message):
    Mesh(**GOOD)
    with pytest.raises(MeshError, match=message):
        Mesh(**(GOOD | {name: value}))
