"""Collections of cars, and pictures of them over a grid of poses."""

import tracemalloc
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common import RESULTS
from benchmarks.paper.car_sheet import sheet
from envs.cars.image_cache import PoseGrid, Views, scene_seeds
from envs.cars.rendering import render
from envs.cars.styles import STYLES
from envs.cars.world import SPLITS, Collection

CARS = Collection(seed=7)
SEEN = partial(CARS.mesh, "seen")
GRID = PoseGrid(azimuth_step=60, elevation_step=30)


def test_no_two_cars_are_equal():
    cars = [(split, number, CARS.car(split, number)) for split in SPLITS for number in range(1000)]
    assert len({repr(car) for _, _, car in cars}) == 3000
    assert all((car.style in ("coupe", "pickup")) == (split == "novel") for split, _, car in cars)


def test_styles_take_turns():
    turn = ["saloon", "hatchback", "estate", "van", "suv", "saloon"]
    assert [CARS.car("seen", number).style for number in range(6)] == turn
    assert [CARS.car("novel", number).style for number in range(3)] == ["coupe", "pickup", "coupe"]
    other = Collection(seed=7, held_out=("van",))
    assert other.styles("novel") == ("van",)
    assert other.styles("seen") == other.styles("unseen") == tuple(style for style in STYLES if style != "van")


def test_a_car_depends_on_seed_split_and_number_alone():
    assert Collection(seed=7).car("unseen", 12) == CARS.car("unseen", 12)
    assert Collection(seed=8).car("unseen", 12) != CARS.car("unseen", 12)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Collection(seed=-1), "seed is -1"),
        (lambda: Collection(held_out=("coup",)), "did you mean 'coupe'"),
        (lambda: Collection(held_out=("van", "van")), "named twice"),
        (lambda: Collection(held_out=STYLES), "leave one"),
        (lambda: CARS.car("sene", 0), "there is no split"),
        (lambda: CARS.car("seen", -1), "number of a car is -1"),
        (lambda: Collection(held_out=()).car("novel", 0), "no style is held out"),
        (lambda: PoseGrid(azimuth_step=7), "azimuth step is 7"),
        (lambda: PoseGrid(elevation_step=4), "elevation step is 4"),
        (lambda: PoseGrid(elevation_step=0), "elevation step is 0"),
        (lambda: Views(SEEN, GRID, size=0), "size is 0"),
    ],
)
def test_bad_settings_are_told(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_a_grid():
    assert (GRID.azimuths, GRID.elevations, GRID.front) == (6, 3, 3)
    assert GRID.azimuth(np.arange(6)).tolist() == [-180, -120, -60, 0, 60, 120]
    assert GRID.elevation(np.arange(3)).tolist() == [0, 30, 60]
    fine = PoseGrid(5, 5)
    assert (fine.azimuths, fine.elevations, fine.azimuth(fine.front)) == (72, 13, 0)
    assert fine.azimuth(np.array([71])).tolist() == [175]


asked = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=12)


@settings(max_examples=15)
@given(st.lists(asked, min_size=1, max_size=3), st.sampled_from([0, 20_000, 2**31]))
def test_pictures_are_those_rendered_one_by_one(batches, most_bytes):
    """In any order, asked for twice, and with little memory."""
    views = Views(SEEN, GRID, size=16, seed=3, most_bytes=most_bytes)
    for batch in batches:
        car_U, azimuth_U, elevation_U = np.array(batch).T
        found = views.pictures(car_U, azimuth_U, elevation_U)
        assert found.shape == (len(batch), 16, 16, 3)
        assert found.dtype == np.uint8
        for picture, (car, azimuth, elevation) in zip(found, batch, strict=True):
            degrees = np.array([-180 + 60 * azimuth]), np.array([30 * elevation])
            seed = scene_seeds(3, car, *degrees)
            assert (picture == render(SEEN(car), *degrees, size=16, seed_V=seed)[0]).all()


def test_each_picture_is_rendered_once_and_each_car_made_once(monkeypatch):
    made, rendered = [], []

    def counted(mesh, azimuth_V, *others, **named):
        rendered.append(azimuth_V.tolist())
        return render(mesh, azimuth_V, *others, **named)

    monkeypatch.setattr("envs.cars.image_cache.render", counted)
    views = Views(lambda car: made.append(car) or SEEN(car), GRID, size=8)
    for _ in range(3):
        views.pictures(np.array([1, 1, 2, 1]), np.array([0, 0, 0, 1]), np.array([2, 2, 2, 2]))
    assert rendered == [[-180, -120], [-180]]
    views.pictures(np.array([1]), np.array([5]), np.array([0]))
    assert rendered == [[-180, -120], [-180], [120]]
    assert made == [1, 2]


def test_meshes_outlive_pictures_and_are_bounded(monkeypatch):
    """Without room for any picture each car is made once; with room for two meshes, those used last stay."""
    made = []
    views = Views(lambda car: made.append(car) or SEEN(car), GRID, size=8, most_bytes=0)
    car_U, zero_U = np.array([0, 1, 2]), np.zeros(3, int)
    for turn in range(3):
        views.pictures(car_U, zero_U + turn, zero_U)
    assert made == [0, 1, 2]
    monkeypatch.setattr("envs.cars.image_cache.MAX_MESHES", 2)
    for car in (0, 2, 0, 1, 0, 2):
        views.pictures(np.array([car]), np.array([3]), np.array([0]))
    assert made[3:] == [1, 2]


def test_poses_that_nobody_asks_for_take_no_memory():
    """All 936 poses of ten cars at 64 pixels are 115 MB; turns red where they are set aside beforehand."""
    tracemalloc.start()
    try:
        views = Views(SEEN, PoseGrid(5, 5))
        for turn in range(3):
            views.pictures(np.arange(10), np.full(10, 7 * turn), np.zeros(10, int))
        assert tracemalloc.get_traced_memory()[0] < 4e6
    finally:
        tracemalloc.stop()


def test_what_comes_back_can_be_written_to():
    views = Views(SEEN, GRID, size=8)
    one = np.array([0])
    first = views.pictures(one, one, one)
    before = first.copy()
    first[:] = 0
    assert (views.pictures(one, one, one) == before).all()


def test_the_same_pose_on_a_finer_grid_is_the_same_picture():
    coarse, fine = Views(SEEN, GRID, size=16), Views(SEEN, PoseGrid(15, 5), size=16)
    one = coarse.pictures(np.array([4]), np.array([2]), np.array([1]))
    assert (one == fine.pictures(np.array([4]), np.array([8]), np.array([6]))).all()


def test_lights_and_backgrounds_differ_by_seed_car_and_pose():
    assert len({*scene_seeds(0, 0, np.arange(-180, 180, 5), np.zeros(72)).tolist()}) == 72
    seeds = {int(scene_seeds(a, b, np.array([x]), np.array([y]))[0]) for a, b, x, y in product((0, 1), repeat=4)}
    assert len(seeds) == 16


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (([0], [6], [0]), "azimuth indices are 6 to 6"),
        (([0], [0], [3]), "elevation indices"),
        (([-1], [0], [0]), "car indices"),
        (([0], [0, 1], [0]), "one length"),
        (([0.5], [0], [0]), "float64"),
    ],
)
def test_bad_indices_are_told(asked, message):
    with pytest.raises(ValueError, match=message):
        Views(SEEN, GRID, size=8).pictures(*map(np.array, asked))


def test_the_sheet_of_the_docs_shows_the_cars_as_they_are():
    """Turns red where cars changed and ``python -m benchmarks.paper.car_sheet`` was not run."""
    image = pytest.importorskip("PIL.Image")
    shown = np.asarray(image.open(RESULTS / "cars.png").convert("RGB")).astype(int)
    found = sheet()
    assert shown.shape == found.shape
    assert (np.abs(shown - found).max(-1) > 4).mean() < 0.002  # another processor may round otherwise


def test_nothing_asked_nothing_shown():
    none = np.zeros(0, np.int64)
    assert Views(SEEN, GRID, size=8).pictures(none, none, none).shape == (0, 8, 8, 3)
