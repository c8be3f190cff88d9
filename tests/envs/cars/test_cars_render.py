"""Pictures of cars: against a ray caster, and cases that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.cars import rasterizer
from envs.cars.mesh import Mesh
from envs.cars.rendering import FINE, draw_scenes, lights, look_at, plain_scenes, render, uniform
from envs.cars.shapes import mesh
from envs.cars.styles import STYLES, draw_car
from tests.support.ray_caster import cast, colours

EDGES = 0.004
"""Share of samples at which rounding may choose another face than exact arithmetic would: those on edges."""

RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def surface(vertices, faces, colours) -> Mesh:
    return Mesh(np.array(vertices, np.float32), np.array(faces, np.int32), np.array(colours, np.float32))


def faces_at(shape: Mesh, azimuth: float, elevation: float, side: int) -> np.ndarray:
    """The nearest face at each sample, by the rasteriser."""
    camera = look_at(shape, np.array([azimuth]), np.array([elevation]))
    screen = np.empty((len(shape.vertices_V3), 3))
    near, face = np.empty((side, side)), np.empty((side, side), np.int32)
    points = shape.vertices_V3.astype(float)
    rasterizer.project(points, camera.eye_V3[0], camera.axes_V33[0], camera.focal * side, side / 2, screen)
    rasterizer.cover(shape.faces_F3, screen, near, face)
    return face


POSES = [("saloon", 0, 0, 61), ("hatchback", 30, 15, 64), ("estate", -75, 5, 47), ("coupe", 90, 0, 64)]
POSES += [("pickup", 145, 40, 53), ("van", -180, 20, 64), ("suv", -130, 60, 79)]


@pytest.mark.parametrize(("style", "azimuth", "elevation", "side"), POSES)
def test_the_nearest_faces_are_those_that_rays_meet(style, azimuth, elevation, side):
    """Seen from outside, too: red where a face of the builder is wound the wrong way."""
    shape = mesh(draw_car(style, np.random.default_rng(azimuth % 360)))
    seen = cast(shape, azimuth, elevation, side)
    found = faces_at(shape, azimuth, elevation, side)
    assert (seen.face_YX >= 0).mean() > 0.08
    assert ((found >= 0) != (seen.face_YX >= 0)).mean() <= EDGES / 4
    assert (found != seen.face_YX).mean() <= EDGES
    assert (np.abs(seen.cosine_YX[seen.face_YX >= 0]) > 0).all()
    assert (seen.cosine_YX[seen.face_YX >= 0] > 0).mean() <= EDGES


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (-50, 25), (165, 55)])
def test_colours_are_those_of_the_rays(seed, azimuth, elevation):
    shape = mesh(draw_car("hatchback", np.random.default_rng(3)))
    picture = render(shape, [azimuth], [elevation], size=28, seed_V=None if seed is None else np.array([seed]))[0]
    scenes = plain_scenes(1) if seed is None else draw_scenes(np.array([seed]))
    seen = cast(shape, azimuth, elevation, FINE * 28)
    colour, share = colours(shape, seen, azimuth, scenes.light_V3[0], scenes.ambient_V[0], FINE)
    inside = share == 1
    wrong = np.abs(picture / 255 - colour).max(-1) > 1.01 / 255
    assert wrong[inside].mean() <= 8 * EDGES  # a pixel has four samples
    background = np.empty((28, 28, 3))
    camera = look_at(shape, np.array([float(azimuth)]), np.array([float(elevation)]))
    args = camera.axes_V33[0], camera.focal * 28, scenes.paint_V43[0], scenes.noise_VGG[0], background
    rasterizer.backdrop(*args)
    mixed = np.clip(colour + (1 - share)[..., None] * background, 0, 1)
    assert (np.abs(picture / 255 - mixed).max(-1) > 1.01 / 255).mean() <= 8 * EDGES


def test_the_ray_caster_can_disagree():
    shape = mesh(draw_car("saloon", np.random.default_rng(0)))
    assert (cast(shape, 5, 0, 48).face_YX != faces_at(shape, -5, 0, 48)).mean() > 10 * EDGES


def cube() -> Mesh:
    """From −1 to 1: front red, back green, left blue, the others black."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    quads = [(4, 6, 7, 5), (0, 1, 3, 2), (2, 3, 7, 6), (0, 4, 5, 1), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    paints = [colour for colour in (RED, GREEN, BLUE, (0, 0, 0), (0, 0, 0), (0, 0, 0)) for _ in range(2)]
    return surface(corners, faces, paints)


def test_a_cube_from_the_front():
    """Half a diagonal is √3, so the front is 3.4√3 − 1 away and is seen under 1/(3.4√3 − 1) / tan(asin(1/3.4))."""
    side = 100
    found = faces_at(cube(), 0, 0, side)
    half = side / 2 / (3.4 * np.sqrt(3) - 1) / np.tan(np.arcsin(1 / 3.4))
    first, last = int(np.ceil(50 - half - 0.5)), int(np.floor(50 + half - 0.5))
    expected = np.zeros((side, side), bool)
    expected[first : last + 1, first : last + 1] = True
    assert ((found >= 0) == expected).all()
    assert set(found[expected]) == {0, 1}
    picture = render(cube(), [0], [0], size=100)[0]
    scenes = plain_scenes(1)
    strength = 0.55 + 0.45 * scenes.light_V3[0, 0]
    assert picture[50, 50].tolist() == [int(255 * strength + 0.5), 0, 0]


@pytest.mark.parametrize(("azimuth", "channel"), [(0, 0), (180, 1), (90, 2), (-180, 1)])
def test_azimuth_goes_to_the_left_side_of_the_car(azimuth, channel):
    pixel = render(cube(), [azimuth], [0], size=33)[0, 16, 16]
    assert pixel[channel] > 100
    assert np.delete(pixel, channel).max() == 0


def test_one_triangle_covers_the_samples_inside_of_it():
    screen = np.array([[0.0, 0, 1], [4, 0, 1], [0, 4, 1]])
    near, face = np.empty((5, 5)), np.empty((5, 5), np.int32)
    rasterizer.cover(np.array([[0, 1, 2]], np.int32), screen, near, face)
    # Samples lie at halves; x + y <= 4 holds for columns + rows <= 3.
    assert (face == 0).astype(int).tolist() == [
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_depth_is_right_within_a_slanted_triangle():
    """1 / depth is a plane on the screen."""
    screen = np.array([[0.0, 0, 0.1], [8, 0, 0.5], [0, 8, 0.1]])
    near, face = np.empty((8, 8)), np.empty((8, 8), np.int32)
    rasterizer.cover(np.array([[2, 1, 0]], np.int32), screen, near, face)
    assert near[0, :4] == pytest.approx([0.125, 0.175, 0.225, 0.275])


def test_of_two_at_the_same_depth_the_first_is_seen():
    screen = np.array([[0.0, 0, 1], [4, 0, 1], [0, 4, 1]])
    near, face = np.empty((5, 5)), np.empty((5, 5), np.int32)
    rasterizer.cover(np.array([[0, 1, 2], [0, 2, 1]], np.int32), screen, near, face)
    assert face.max() == 0


def test_every_car_is_within_its_picture():
    generator = np.random.default_rng(2)
    for style in STYLES:
        shape = mesh(draw_car(style, generator))
        for azimuth, elevation in [(0, 0), (90, 0), (45, 30), (120, 60)]:
            face = faces_at(shape, azimuth, elevation, 64)
            assert max(face[0].max(), face[-1].max(), face[:, 0].max(), face[:, -1].max()) == -1


@settings(max_examples=15)
@given(st.integers(-179, 180), st.integers(0, 60), st.integers(0, 2**63))
def test_a_picture_depends_on_nothing_but_its_arguments(azimuth, elevation, seed):
    shape = mesh(draw_car("suv", np.random.default_rng(1)))
    seeds = np.array([3, seed, 8], np.uint64)
    batch = render(shape, [20, azimuth, -7], [5, elevation, 30], size=24, seed_V=seeds)
    alone = render(shape, [azimuth], [elevation], size=24, seed_V=seeds[1:2])
    assert (batch[1] == alone[0]).all()


def test_seeds_choose_light_and_background():
    pictures = render(cube(), np.zeros(6), np.full(6, 20.0), size=32, seed_V=np.arange(6))
    corners = {tuple(picture[0, 0]) for picture in pictures}
    middles = {tuple(picture[20, 16]) for picture in pictures}
    assert len(corners) == len(middles) == 6


def test_lights_shine_on_what_the_camera_sees():
    scenes = draw_scenes(np.arange(100))
    assert np.linalg.norm(scenes.light_V3, axis=1) == pytest.approx(np.ones(100))
    assert (scenes.light_V3[:, [0, 2]] > 0).all()
    turned = lights(scenes, np.full(100, 90.0))
    assert turned == pytest.approx(np.stack([-scenes.light_V3[:, 1], scenes.light_V3[:, 0], scenes.light_V3[:, 2]], 1))


def test_numbers_are_those_of_splitmix64():
    """The first outputs for seed 1234567, as published with the reference implementation, divided by 2⁶⁴."""

    def reference(state: int, count: int) -> list[float]:
        found = []
        for _ in range(count):
            state = (state + 0x9E3779B97F4A7C15) % 2**64
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
            found.append(((z ^ (z >> 31)) >> 11) / 2**53)
        return found

    def mixed(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    assert reference(1234567, 1)[0] * 2**64 == pytest.approx(6457827717110365317)
    assert uniform(np.array([7, 8]), 3).tolist() == [reference(mixed(seed), 3) for seed in (7, 8)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"fine": 9}, "fine is 9"),
        ({"azimuth_V": [0.0, 1.0]}, "one of each"),
        ({"elevation_V": [90.0]}, "elevation has to be"),
        ({"azimuth_V": [np.nan]}, "out of range"),
        ({"seed_V": np.arange(2)}, "seeds for"),
    ],
)
def test_bad_arguments_are_told(change, message):
    shape = mesh(draw_car("van", np.random.default_rng(1)))
    with pytest.raises(ValueError, match=message):
        render(shape, **({"azimuth_V": [0.0], "elevation_V": [0.0]} | change))


def test_rendering_leaves_the_global_generator_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    render(mesh(draw_car("van", np.random.default_rng(1))), [0.0], [0.0], seed_V=np.array([1]))
    assert np.random.get_state()[1].tolist() == before
