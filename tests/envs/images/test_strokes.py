"""Generated alphabets: the same from a seed, of the declared form, and each part of the generator has its effect."""

from dataclasses import fields, replace

import numpy as np
import pytest

from envs import images
from envs.images.alphabets import KINDS, MEAN_STYLE, PIXELS, StrokesConfig, draw_character, draw_repertoire, draw_style
from envs.images.characters import SEGMENTS, Stroke, Substroke, extents, is_dot, path, placed, point_at
from envs.images.motor import box, designed, drawn
from envs.images.pen import ink
from envs.images.strokes import LOOK, aslant, designed_alphabet, likenesses, looks, plausible, strokes

EXACT = StrokesConfig(motor_noise=0, placement=0, warp=0, slant=0, scale=0, translation=0, smoothing=0)
NOISES = [field.name for field in fields(EXACT) if getattr(EXACT, field.name) == 0]


def alphabet(seed: int, count: int = 13, config: StrokesConfig = EXACT) -> list:
    """Characters of a style of their own."""
    rng = np.random.default_rng(seed)
    style = draw_style(rng, config)
    repertoire, found = draw_repertoire(rng, style, config), []
    for _ in range(count):
        found.append(draw_character(rng, style, repertoire, found, config))
    return found


def test_the_pen_inks_what_is_near_to_its_lines() -> None:
    rng = np.random.default_rng(2)
    point_BKM2 = rng.uniform(-3, 14, (3, 2, 5, 2)).astype(np.float32)
    points_BK = np.array([[5, 3], [1, 0], [2, 4]])
    sheet_BSS = ink(point_BKM2, points_BK, 1.7, 11)
    for b in range(3):
        for y in range(11):
            for x in range(11):
                near = np.inf
                for k, points in enumerate(points_BK[b]):
                    # The distance from many places between each two points.
                    t = np.linspace(0, max(points - 1, 0), 801)
                    line = [np.interp(t, range(points), point_BKM2[b, k, :points, i]) for i in (0, 1) if points]
                    if points:
                        near = min(near, np.hypot(line[0] - x - 0.5, line[1] - y - 0.5).min())
                if abs(near - 1.7) > 0.01:
                    assert sheet_BSS[b, y, x] == (255 if near < 1.7 else 0)


def test_without_noise_a_drawing_is_the_design_in_the_middle_of_the_sheet() -> None:
    characters = alphabet(1, 29)
    assert {stroke.parent for character in characters for stroke in character} >= {-1, 0, 1}
    point_BKM = drawn(np.random.default_rng(0), designed(characters, np.full(29, 20.0)), 2, EXACT)
    assert len(point_BKM) == 58
    for c, character in enumerate(characters):
        wanted = np.concatenate(placed(character)) * 20
        found = np.concatenate([point_BKM[2 * c, k, : len(path(s.part))] for k, s in enumerate(character)])
        difference = found - wanted
        np.testing.assert_allclose(difference, difference[0], atol=1e-9)
        (left, right), (top, bottom) = ((part.min(), part.max()) for part in (found.real, found.imag))
        assert abs(left + right - PIXELS) < 1e-9
        assert abs(top + bottom - PIXELS) < 1e-9
        np.testing.assert_array_equal(point_BKM[2 * c], point_BKM[2 * c + 1])


def test_strokes_begin_where_their_relation_says() -> None:
    for character in alphabet(3, 41):
        there = placed(character)
        for number, (stroke, path_M) in enumerate(zip(character, there, strict=True)):
            assert stroke.parent < number
            if stroke.parent >= 0:
                gap = point_at(path_M, stroke.own) - point_at(there[stroke.parent], stroke.at)
                assert abs(gap) < 1e-9


def test_points_between_segments_are_on_the_line() -> None:
    path_M = np.array([0, 1, 1 + 2j])
    assert [point_at(path_M, share) for share in (0, 0.25, 0.5, 0.75, 1)] == [0, 0.5, 1, 1 + 1j, 1 + 2j]


def test_a_seed_makes_the_same_alphabets_however_many_there_are() -> None:
    few = strokes(16, alphabets=2, characters=5, drawers=3, seed=7)
    many = strokes(16, alphabets=3, characters=5, drawers=3, seed=7)
    assert many.select(groups=few.group_names).fingerprint() == few.fingerprint()
    assert strokes(16, alphabets=2, characters=5, drawers=3, seed=8).fingerprint() != few.fingerprint()
    assert (few.size, few.groups, few.classes, len(few)) == (16, 2, 10, 30)
    assert few.class_N[3 * 7] == 7
    assert few.drawer_N.tolist() == [0, 1, 2] * 10
    assert few.full_name(7) == "alphabet002/character03"


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()
    strokes(8, alphabets=1, characters=3, drawers=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_characters_of_an_alphabet_differ() -> None:
    rng = np.random.default_rng(5)
    design = designed_alphabet(rng, MEAN_STYLE, 30, StrokesConfig())
    assert len(design.segments_CK) == 30
    assert (design.segments_CK[:, 0] > 0).all()
    seen = strokes(LOOK, alphabets=4, characters=20, drawers=1, config=replace(EXACT, pen=9)).picture_NSS
    for look_CV in seen.reshape(4, 20, -1) / 255:
        likeness_CC = np.stack([likenesses(look_CV, look_V) for look_V in look_CV])
        assert np.median(likeness_CC[~np.eye(20, dtype=bool)]) < 0.7
        assert likeness_CC[~np.eye(20, dtype=bool)].max() < 0.999


def test_drawings_stay_on_the_sheet_and_have_ink() -> None:
    wild = StrokesConfig(motor_noise=3, placement=4, warp=4, slant=3, scale=4, translation=4, max_strokes=8)
    characters = alphabet(6, 20, wild)
    design = designed(characters, np.full(20, 60.0))
    point_BKM = drawn(np.random.default_rng(1), design, 5, wild)
    low, high = box(point_BKM, np.repeat(design.segments_CK > 0, 5, 0)[:, :, None])
    assert np.isfinite(point_BKM).all()
    assert min(low.real.min(), low.imag.min()) >= 2.99
    assert max(high.real.max(), high.imag.max()) <= PIXELS - 2.99
    pictures = strokes(32, alphabets=5, characters=7, drawers=3, config=wild).picture_NSS
    assert pictures.max((1, 2)).min() > 60


@pytest.mark.parametrize("name", NOISES)
def test_each_noise_alone_makes_drawings_differ(name: str) -> None:
    def spread(config: StrokesConfig) -> float:
        drawings = strokes(16, alphabets=2, characters=5, drawers=4, seed=3, config=config)
        picture_CDSS = drawings.picture_NSS.reshape(10, 4, 16, 16).astype(float)
        return picture_CDSS.std(1).mean()

    assert spread(EXACT) == 0
    assert spread(replace(EXACT, **{name: 1.0})) > 0.2


def test_parts_relations_and_curvature_can_be_switched_off() -> None:
    def parts(config: StrokesConfig) -> tuple[int, int]:
        """Different strokes and all strokes of an alphabet of fifty characters."""
        found = [stroke.part for character in alphabet(9, 50, config) for stroke in character]
        return len({tuple(map(id, part)) for part in found}), len(found)

    no_variants = replace(EXACT, variants=False)
    different, count = parts(no_variants)
    assert different < 0.8 * count
    different, count = parts(replace(no_variants, shared_parts=False, relations=False))
    assert different == count
    attached = [s.parent >= 0 for c in alphabet(9, 50, replace(EXACT, relations=False)) for s in c]
    assert not any(attached)
    assert any(stroke.parent >= 0 for character in alphabet(9, 50) for stroke in character)
    assert draw_style(np.random.default_rng(1), replace(EXACT, styles=False)) is MEAN_STYLE
    assert {len(character) for character in alphabet(9, 50, replace(EXACT, max_strokes=1))} == {1}

    def bends(curvature: float) -> float:
        config = replace(EXACT, curvature=curvature)
        angles = [np.diff(np.angle(one.step_P)) for c in alphabet(9, 50, config) for s in c for one in s.part]
        return np.mean([np.count_nonzero(np.abs(np.angle(np.exp(1j * angle))) > 1e-6) > 1 for angle in angles])

    assert bends(1) > 0.5
    assert bends(0) == 0


def test_dots_stand_alone() -> None:
    half_dots = np.eye(len(KINDS))[[KINDS.index("line"), KINDS.index("dot")]].mean(0)
    style = replace(MEAN_STYLE, kind_weights=half_dots, variants=0.6)
    rng = np.random.default_rng(2)
    repertoire, found = draw_repertoire(rng, style, EXACT), []
    for _ in range(60):
        found.append(draw_character(rng, style, repertoire, found, EXACT))
    dots = [stroke for character in found for stroke in character if is_dot(stroke.part)]
    assert len(dots) > 30
    assert {stroke.parent for stroke in dots} == {-1}


def plain(*steps: complex) -> tuple:
    """A character of one stroke of straight sub-strokes."""
    return (Stroke(tuple(Substroke(np.full(SEGMENTS, step / SEGMENTS), False) for step in steps)),)


def test_characters_that_nobody_would_write_are_hardly_kept() -> None:
    box, diagonal, bar = plain(1, 1j, -1, -1j), plain(1 + 1j), plain(1)
    tangle = plain(0.3 + 0.1j, -0.3 + 0.1j, 0.3 - 0.15j, -0.3 - 0.05j) * 8
    kept = {}
    for name, character in (("box", box), ("diagonal", diagonal), ("bar", bar), ("tangle", tangle)):
        many = [character] * 400
        kept[name] = plausible(np.random.default_rng(1), many, np.repeat(looks([character]), 400, 0)).mean()
    assert kept["box"] == 1
    assert 0 < kept["diagonal"] < 0.2
    assert 0 < kept["bar"] < 0.2
    assert kept["tangle"] == 0


def test_aslant_is_the_correlation_of_x_and_y() -> None:
    assert aslant(path(plain(1 + 1j)[0].part)) > 0.98
    assert aslant(path(plain(1 - 2j)[0].part)) < -0.98
    for upright in (plain(1), plain(1j), plain(1, 1j, -1, -1j)):
        assert abs(aslant(path(upright[0].part))) < 0.05


def test_the_package_exports_the_generator() -> None:
    assert images.generated_drawings is strokes


def test_looks_do_not_depend_on_size() -> None:
    characters = alphabet(4, 9)
    look_CV = looks(characters)
    long = [max(extents(np.concatenate(placed(character)))) for character in characters]
    assert max(long) > 1.5 * min(long)
    sides = look_CV.reshape(9, LOOK, LOOK) > 0
    widest = np.maximum(sides.any(1).sum(1), sides.any(2).sum(1))
    assert (abs(widest - 13) <= 1).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alphabets": 0}, "alphabets is 0; expected 1 or more"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"alphabets": 10**6}, "600,000,000 pictures; 2,000,000 are allowed"),
        ({"size": 0}, "size is 0 pixels"),
    ],
)
def test_impossible_counts_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strokes(**settings)


@pytest.mark.parametrize("settings", [{"slant": -1}, {"warp": float("nan")}, {"pen": 0}, {"max_strokes": 9}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        StrokesConfig(**settings)
