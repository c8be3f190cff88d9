"""Colours and sizes of users' meshes: textures on large faces, lost ones, and axes that cannot be a car's."""

import numpy as np
import pytest

from envs.cars.mesh import Mesh
from envs.cars.mesh_colours import SPLITS, largest, parts
from envs.cars.mesh_files import AXES, load_folder
from envs.cars.shapes import mesh
from envs.cars.styles import STYLES, draw_car

trimesh = pytest.importorskip("trimesh")
image_of = pytest.importorskip("PIL.Image")

CORNERS = [(x, y, z) for z in (-2, 2) for y in (0, 1.5) for x in (-0.9, 0.9)]
FACES = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4),
         (1, 5, 7), (1, 7, 3)]  # fmt: skip
"""A box as long as a car: x across, y up, z forward."""


def loaded(folder, **axes) -> tuple[Mesh, list[str]]:
    told: list[str] = []
    ((_, found),), bad = load_folder(folder, tell=told.append, **axes)
    assert bad == []
    return found, told


def areas(shape: Mesh) -> dict[tuple[int, ...], float]:
    """Colour → share of the surface, face by face."""
    found: dict[tuple[int, ...], float] = {}
    for face, colour in zip(shape.faces_F3, shape.colours_F3, strict=True):
        a, b, c = shape.vertices_V3[face].astype(float)
        key = tuple((255 * colour).round().astype(int).tolist())
        found[key] = found.get(key, 0.0) + float(np.linalg.norm(np.cross(b - a, c - a)))
    return {key: area / sum(found.values()) for key, area in found.items()}


@pytest.mark.parametrize("sides", SPLITS)
def test_parts_tile_a_triangle(sides):
    """Red where a part is missing, there twice, or turned over."""
    into = parts(sides)
    assert into.shape == (sides**2, 3, 3)
    assert into.sum(2) == pytest.approx(np.ones((sides**2, 3)))
    triangle = np.array([(0.0, 0.0), (2.0, 0.5), (0.3, 3.0)])
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(into @ triangle, 0, -1)
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    assert twice == pytest.approx(np.full(sides**2, (2.0 * 3.0 - 0.5 * 0.3) / sides**2))
    middles = {tuple(m) for m in (into.mean(1) * 3 * sides).round().astype(int).tolist()}
    assert len(middles) == sides**2


def test_a_texture_is_seen_within_large_faces(tmp_path):
    """Sides whose texture is red above and blue below: of three corners none would say so."""
    image = image_of.fromarray(np.array([[[200, 0, 0]], [[0, 0, 200]]], np.uint8).repeat(8, 0))
    uv = [((z + 2) / 4, y / 1.5) for _, y, z in CORNERS]
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    (tmp_path / "a.glb").write_bytes(
        trimesh.Trimesh(CORNERS, FACES, visual=visual, process=False).export(file_type="glb")
    )
    found, told = loaded(tmp_path)
    assert told == []
    share = areas(found)
    assert set(share) == {(200, 0, 0), (0, 0, 200)}
    assert share[200, 0, 0] == pytest.approx(0.5, abs=0.02)
    assert found.high_3 - found.low_3 == pytest.approx(np.array([4, 1.8, 1.5]) * 4.5 / 4, rel=1e-5)
    below = found.vertices_V3[found.faces_F3].mean(1)[:, 2] < 0.8
    assert (found.colours_F3[below, 2] > 0.7).mean() > 0.95, "blue is below"


def test_faces_of_one_colour_stay_whole(tmp_path):
    image = image_of.fromarray(np.full((4, 4, 3), 90, np.uint8))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    visual = trimesh.visual.TextureVisuals(uv=np.zeros((8, 2)), material=material)
    (tmp_path / "a.glb").write_bytes(
        trimesh.Trimesh(CORNERS, FACES, visual=visual, process=False).export(file_type="glb")
    )
    found, told = loaded(tmp_path)
    assert len(found.faces_F3) == len(FACES)
    assert told == ["a.glb: 100 % of it is grey: it shows neither windows nor lights, by which a core tells its front"]


def obj(name: str, kd: str, image: str, *, places: bool) -> dict[str, str]:
    """The box as OBJ, with its materials; ``places``: the file says where on the faces the texture lies."""
    lines = [f"mtllib {name}.mtl", *(f"v {x} {y} {z}" for x, y, z in CORNERS), "vt 0 0", "usemtl body"]
    lines += ["f " + " ".join(f"{k + 1}/1" if places else f"{k + 1}" for k in face) for face in FACES]
    return {f"{name}.obj": "\n".join(lines), f"{name}.mtl": f"newmtl body\nKd {kd}\nmap_Kd {image}\n"}


@pytest.mark.parametrize(
    ("kd", "image", "places", "reason", "shade"),
    [
        ("1 1 1", "gone.png", True, "there is no file gone.png beside it", "100 % of it is white in its place"),
        ("1 1 1", "there.png", False, "does not say where on the faces it lies", "100 % of it is white in its place"),
        ("0.4 0.4 0.4", "gone.png", True, "there is no file gone.png beside it", "100 % of it is grey in its place"),
        ("0.9 0.1 0.1", "gone.png", True, "there is no file gone.png", "100 % of it is of one colour in its place"),
    ],
)
def test_what_stands_in_for_a_lost_texture_is_told(tmp_path, kd, image, places, reason, shade):
    image_of.fromarray(np.full((2, 2, 3), 90, np.uint8)).save(tmp_path / "there.png")
    for name, text in obj("a", kd, image, places=places).items():
        (tmp_path / name).write_text(text)
    _, (told,) = loaded(tmp_path)
    assert told.startswith("a.obj: a texture")
    assert reason in told
    assert told.endswith(f"; {shade}")


def test_the_largest_colour_by_hand():
    """Two triangles of areas 3 and 1 in red, one of area 2 in white."""
    points = np.array([(0, 0, 0), (3, 0, 0), (0, 2, 0), (0, 0, 1), (0, 2, 1), (4, 0, 0)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3), (0, 5, 3)], np.int32)
    red, white = (0.8, 0.0, 0.0), (1.0, 1.0, 1.0)
    found = largest(Mesh(points, faces, np.array([red, red, white], np.float32)))
    assert found.colour_3 == pytest.approx(np.array(red), abs=1e-6)
    assert found.share == pytest.approx(4 / 6)
    assert not found.plain


def export(path, style: str, up: str, forward: str) -> None:
    shape = mesh(draw_car(style, np.random.default_rng(3)))
    axes_33 = np.stack([AXES[forward], np.cross(AXES[up], AXES[forward]), AXES[up]])
    corners = (shape.vertices_V3[shape.faces_F3] @ axes_33).reshape(-1, 3)
    colours = np.column_stack([(255 * shape.colours_F3).repeat(3, 0), np.full(len(corners), 255)]).astype(np.uint8)
    made = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), vertex_colors=colours, process=False)
    made.export(path)


@pytest.mark.parametrize("style", STYLES)
def test_wrong_axes_are_told_and_right_ones_are_not(tmp_path, style):
    export(tmp_path / "car.ply", style, "z", "-y")
    assert loaded(tmp_path, up="z", forward="-y")[1] == []
    assert loaded(tmp_path, up="z", forward="y")[1] == [], "which end is the front nobody can know"
    for axes in ({"up": "y", "forward": "z"}, {"up": "z", "forward": "x"}, {"up": "y", "forward": "-x"}):
        _, (told,) = loaded(tmp_path, **axes)
        assert told.startswith("car.ply: its axes look wrong: a car 4.5 m long would be ")
        assert told.endswith("(--up, --forward)")


@pytest.mark.parametrize("scale", [1e-3, 0.01, 39.37, 1e3])
def test_units_do_not_matter(tmp_path, scale):
    export(tmp_path / "car.ply", "van", "y", "z")
    metres, _ = loaded(tmp_path)
    points = trimesh.load(tmp_path / "car.ply", process=False)
    points.apply_scale(scale)
    points.export(tmp_path / "car.ply")
    found, told = loaded(tmp_path)
    assert told == []
    assert found.high_3 == pytest.approx(metres.high_3, rel=1e-4)
    assert largest(found).share == pytest.approx(largest(metres).share, rel=1e-3)
