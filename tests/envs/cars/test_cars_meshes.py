"""Users' meshes: written in several formats and orientations, read back, and compared as pictures."""

import sys

import numpy as np
import pytest

from envs.cars.mesh import Mesh
from envs.cars.mesh_colours import GREY
from envs.cars.mesh_files import AXES, LENGTH, load_folder
from envs.cars.rendering import render
from envs.cars.shapes import mesh
from envs.cars.styles import draw_car

trimesh = pytest.importorskip("trimesh")

ORIENTATIONS = [("z", "x"), ("z", "-y"), ("z", "y"), ("y", "z"), ("y", "-z"), ("y", "-x")]


def car(style: str = "pickup") -> Mesh:
    return mesh(draw_car(style, np.random.default_rng(6)))


def turned(shape: Mesh, up: str, forward: str, *, scale: float = 1.0, shift: tuple = (0, 0, 0)) -> np.ndarray:
    """Corners of the faces in a file's axes, F×3×3: our x goes along ``forward``, our z along ``up``."""
    corners = shape.vertices_V3[shape.faces_F3].astype(float)
    left = np.cross(AXES[up], AXES[forward])
    x, y, z = np.moveaxis(corners, -1, 0)[..., None]
    return scale * (x * AXES[forward] + y * left + z * AXES[up]) + np.array(shift, float)


def write_obj(path, corners: np.ndarray, colours: np.ndarray) -> None:
    """By hand, with a colour behind each vertex."""
    lines = [
        "v " + " ".join(f"{x:.9g}" for x in (*point, *colour))
        for triangle, colour in zip(corners, colours, strict=True)
        for point in triangle
    ]
    lines += [f"f {3 * k + 1} {3 * k + 2} {3 * k + 3}" for k in range(len(corners))]
    path.write_text("\n".join(lines) + "\n")


def write_ply(path, corners: np.ndarray, colours: np.ndarray) -> None:
    """By hand, text with a colour for each face."""
    count = len(corners)
    head = ["ply", "format ascii 1.0", f"element vertex {3 * count}"]
    head += [f"property float {name}" for name in "xyz"] + [f"element face {count}"]
    head += ["property list uchar int vertex_indices"] + [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines = [" ".join(f"{x:.9g}" for x in point) for point in corners.reshape(-1, 3)]
    for k, colour in enumerate((255 * colours).round().astype(int)):
        lines.append(f"3 {3 * k} {3 * k + 1} {3 * k + 2} {colour[0]} {colour[1]} {colour[2]}")
    path.write_text("\n".join([*head, "end_header", *lines]) + "\n")


def write_glb(path, corners: np.ndarray, colours: np.ndarray) -> None:
    """By trimesh: a part with a material for each colour."""
    scene = trimesh.Scene()
    for colour in np.unique(colours, axis=0):
        chosen = corners[(colours == colour).all(1)]
        material = trimesh.visual.material.PBRMaterial(baseColorFactor=[*(255 * colour).round().astype(np.uint8), 255])
        visual = trimesh.visual.TextureVisuals(uv=np.zeros((3 * len(chosen), 2)), material=material)
        faces = np.arange(3 * len(chosen)).reshape(-1, 3)
        scene.add_geometry(trimesh.Trimesh(chosen.reshape(-1, 3), faces, visual=visual, process=False))
    path.write_bytes(scene.export(file_type="glb"))


def write_binary_ply(path, corners: np.ndarray, colours: np.ndarray) -> None:
    """By trimesh, with colours of vertices."""
    bytes_N4 = np.concatenate([(255 * colours).round(), np.full((len(colours), 1), 255)], 1).astype(np.uint8)
    faces = np.arange(3 * len(corners)).reshape(-1, 3)
    made = trimesh.Trimesh(corners.reshape(-1, 3), faces, vertex_colors=bytes_N4.repeat(3, 0), process=False)
    path.write_bytes(made.export(file_type="ply"))


WRITERS = {"a.obj": write_obj, "b.ply": write_ply, "c.glb": write_glb, "d.PLY": write_binary_ply}
AZIMUTHS, ELEVATIONS = np.array([0.0, 35, 90, -120, 180]), np.array([0.0, 20, 10, 45, 5])


@pytest.mark.parametrize(("up", "forward"), ORIENTATIONS)
def test_what_is_written_looks_the_same_when_read(tmp_path, up, forward):
    shape = car()
    for name, write in WRITERS.items():
        write(tmp_path / name, turned(shape, up, forward, scale=0.37, shift=(3, -2, 7)), shape.colours_F3)
    good, bad = load_folder(tmp_path, up=up, forward=forward)
    assert bad == []
    assert [name for name, _ in good] == sorted(WRITERS)
    expected = render(shape, AZIMUTHS, ELEVATIONS, size=48)
    for name, found in good:
        assert len(found.faces_F3) == len(shape.faces_F3)
        size = found.high_3 - found.low_3
        assert size[0] == pytest.approx(LENGTH, rel=1e-5)
        assert size / size[0] == pytest.approx((shape.high_3 - shape.low_3) / (shape.high_3 - shape.low_3)[0], rel=1e-4)
        assert found.low_3[2] == pytest.approx(0, abs=1e-5)
        pictures = render(found, AZIMUTHS, ELEVATIONS, size=48)
        apart = np.abs(pictures.astype(int) - expected).max(-1) > 2
        assert apart.mean() < 0.004, name


def test_the_wrong_orientation_looks_different(tmp_path):
    """So the test above can fail."""
    shape = car()
    write_obj(tmp_path / "a.obj", turned(shape, "z", "x"), shape.colours_F3)
    expected = render(shape, AZIMUTHS, ELEVATIONS, size=48)
    for forward in ("-x", "y"):
        ((_, found),), _ = load_folder(tmp_path, up="z", forward=forward)
        pictures = render(found, AZIMUTHS, ELEVATIONS, size=48)
        assert (np.abs(pictures.astype(int) - expected).max(-1) > 2).mean() > 0.05


def test_files_without_colours_are_grey(tmp_path):
    shape = car()
    corners = turned(shape, "y", "z").reshape(-1, 3)
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {k} {k + 1} {k + 2}" for k in range(1, len(corners), 3)]
    (tmp_path / "plain.obj").write_text("\n".join(lines))
    ((_, found),), _ = load_folder(tmp_path)
    assert found.colours_F3 == pytest.approx(np.full_like(found.colours_F3, GREY))


def test_materials_of_obj_files(tmp_path):
    (tmp_path / "paints.mtl").write_text("newmtl red\nKd 1 0 0\nnewmtl blue\nKd 0 0 1\n")
    (tmp_path / "two.obj").write_text(
        "mtllib paints.mtl\nv 0 0 0\nv 0 0 1\nv 0 1 0\nv 0 1 1\nusemtl red\nf 1 2 3\nusemtl blue\nf 2 4 3\n"
    )
    ((_, found),), bad = load_folder(tmp_path)
    assert bad == []
    assert sorted(found.colours_F3.tolist()) == [[0, 0, 1], [1, 0, 0]]


def test_textures_give_colours(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    image = image_of.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    uv = np.array([(0, 0), (0, 0), (0, 0), (1, 0), (1, 0), (1, 0)])
    points = np.array([(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)], float)
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    made = trimesh.Trimesh(points, np.arange(6).reshape(2, 3), visual=visual, process=False)
    (tmp_path / "painted.glb").write_bytes(made.export(file_type="glb"))
    ((_, found),), _ = load_folder(tmp_path)
    assert sorted(found.colours_F3.tolist()) == [[0, 1, 0], [1, 0, 0]]


def test_broken_files_are_told_and_the_rest_go_on(tmp_path):
    shape = car("van")
    corners = turned(shape, "y", "z")
    for name, write in WRITERS.items():
        write(tmp_path / name, corners, shape.colours_F3)
    broken = {}
    for name in ("b.ply", "c.glb", "d.PLY"):
        data = (tmp_path / name).read_bytes()
        for part, share in (("some", 0.5), ("most", 0.97), ("head", 0.01)):
            broken[f"cut-{part}-{name}"] = data[: int(len(data) * share)]
    broken["empty.obj"] = b""
    broken["empty.ply"] = b""
    broken["empty.glb"] = b""
    broken["nonsense.glb"] = bytes(range(256)) * 9
    broken["nonsense.obj"] = bytes(range(256)) * 9
    broken["points.obj"] = b"v 0 0 0\nv 1 1 1\n"
    broken["nowhere.obj"] = b"v 0 0 0\nv 1 1 1\nv 0 0 2\nf 1 2 9\n"
    broken["nan.obj"] = b"v 0 0 nan\nv 1 1 1\nv 0 0 2\nf 1 2 3\n"
    broken["infinite.obj"] = b"v 0 0 inf\nv 1 1 1\nv 0 0 2\nf 1 2 3\n"
    broken["flat.obj"] = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n"
    broken["point.obj"] = b"v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n"
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    good, bad = load_folder(tmp_path)
    assert [name for name, _ in good] == sorted(WRITERS)
    told = dict(bad)
    assert sorted(told) == sorted(broken)
    assert all("\n" not in message and len(message) < 300 for message in told.values())
    assert told["points.obj"] == "it has no faces"
    assert told["nan.obj"] == told["infinite.obj"] == "vertices are not finite (NaN or infinite)"
    assert told["flat.obj"] == "it measures 0 along its forward axis, and 1 along another"
    assert "cut off" in told["cut-some-d.PLY"]
    assert told["cut-most-b.ply"].startswith("it is cut off: it declares")


def test_names_in_other_encodings_do_no_harm(tmp_path):
    (tmp_path / "a.obj").write_bytes("# Räder\nv 0 0 0\nv 1 1 1\nv 0 0 2\nf 1 2 3\n".encode("latin-1"))
    good, bad = load_folder(tmp_path)
    assert len(good) == 1
    assert bad == []


def test_parts_stand_where_the_scene_puts_them(tmp_path):
    """A part that is used twice, once moved and turned."""
    part = trimesh.Trimesh([(0, 0, 0), (0, 0, 1), (0, 1, 0)], [(0, 1, 2)], process=False)
    scene = trimesh.Scene()
    scene.add_geometry(part, geom_name="part")
    moved = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 8], [0, 0, 0, 1.0]])  # z goes to x, then 8 along z
    scene.graph.update(frame_to="again", matrix=moved, geometry="part")
    (tmp_path / "two.glb").write_bytes(scene.export(file_type="glb"))
    ((_, found),), _ = load_folder(tmp_path)
    assert len(found.faces_F3) == 2
    scale = LENGTH / 8
    assert found.high_3 - found.low_3 == pytest.approx(np.array([8, 1, 1]) * scale)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"up": "x"}, "up is 'x'"),
        ({"forward": "front"}, "forward is 'front'"),
        ({"up": "y", "forward": "-y"}, "different axes"),
    ],
)
def test_bad_axes_are_told(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path, **settings)


def test_without_trimesh_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.obj").write_text("v 0 0 0")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ValueError, match=r"npi-engine\[cars\]"):
        load_folder(tmp_path)


def test_bad_folders_are_told(tmp_path):
    with pytest.raises(ValueError, match="not a folder"):
        load_folder(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("v 0 0 0")
    with pytest.raises(ValueError, match=r"no file that ends in \.obj, \.glb, \.ply"):
        load_folder(tmp_path)


def test_files_in_folders_within(tmp_path):
    (tmp_path / "7").mkdir()
    shape = car()
    write_obj(tmp_path / "7" / "model.obj", turned(shape, "y", "z"), shape.colours_F3)
    good, _ = load_folder(tmp_path)
    assert [name for name, _ in good] == ["7/model.obj"]
