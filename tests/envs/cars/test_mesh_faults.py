"""Meshes as people have them, and as attackers do: relative numbers, lost textures, what is no file."""

import os

import numpy as np
import pytest

from envs.cars.mesh import MeshError
from envs.cars.mesh_files import counted, load_folder

trimesh = pytest.importorskip("trimesh")

TWO = "v 0 0 2\nv 1 0 -2\nv -1 0 -2\nf -3 -2 -1\n"
OTHER = "v 0 3 2\nv 1 3 -2\nv -1 3 -2\nf -3 -2 -1\n"


def colours(folder):
    """Colours of the only mesh of a folder, and what was told."""
    told = []
    ((_, found),), bad = load_folder(folder, tell=told.append)
    assert bad == []
    return found.colours_F3, told


def test_faces_that_count_backwards_follow_their_own_line(tmp_path):
    (tmp_path / "two.obj").write_text(TWO + OTHER)
    (tmp_path / "absolute.obj").write_text((TWO + OTHER).replace("-3 -2 -1", "1 2 3", 1).replace("-3 -2 -1", "4 5 6"))
    good, bad = load_folder(tmp_path)
    assert bad == []
    (_, absolute), (_, relative) = good
    assert len(relative.faces_F3) == 2
    assert relative.high_3[2] - relative.low_3[2] > 1, "both faces are there, three units apart"
    assert relative.digest == absolute.digest


def test_each_kind_of_corner_has_a_count_of_its_own():
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvn 0 0 1\nf -3/-1/-1 \\\n-2//-1 3/1 # -9\nv 1 1 1\nf -4 2 -1\n"
    faces = [line for line in counted(text).split(b"\n") if line.startswith(b"f")]
    assert faces == [b"f 1/1/1 2//1 3/1", b"f 1 2 4"]
    plain = b"v 0 0 -1\nv 10 0 0.0\nf 10 20 30\n"
    assert counted(plain) is plain


@pytest.mark.parametrize("face", ["f -4 -2 -1", "f 0 1 2", "f 1/-1 2 3"])
def test_corners_that_are_not_there_are_told(tmp_path, face):
    with pytest.raises(MeshError, match="which is not there"):
        counted(f"v 0 0 2\nv 1 0 -2\nv -1 0 -2\n{face}\n".encode())
    (tmp_path / "a.obj").write_text(f"v 0 0 2\nv 1 0 -2\nv -1 0 -2\n{face}\n")
    good, ((_, message),) = load_folder(tmp_path)
    assert good == []
    assert message.startswith("a face names corner")


def test_lost_textures_and_materials_are_told(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib none.mtl\nusemtl red\n" + TWO)
    _, (told,) = colours(tmp_path)
    assert told.startswith("a.obj: ")
    assert "none.mtl" in told
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl red\nvt 0 0\n" + TWO.replace("-1\n", "-1/1\n"))
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\nmap_Kd gone.png\n")
    found, (told,) = colours(tmp_path)
    assert "gone.png" in told
    assert found.tolist() == [[1, 0, 0]]
    (tmp_path / "gone.png").write_bytes(b"no picture")
    assert "UnidentifiedImageError" in colours(tmp_path)[1][0]
    with pytest.warns(UserWarning, match=r"a\.obj: a texture"):
        load_folder(tmp_path)


def test_lost_pictures_inside_a_glb_are_told(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    image = image_of.fromarray(np.full((2, 2, 3), 200, np.uint8))
    visual = trimesh.visual.TextureVisuals(
        uv=np.zeros((3, 2)), material=trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    )
    made = trimesh.Trimesh([(0, 0, 2), (1, 0, -2), (-1, 0, -2)], [(0, 1, 2)], visual=visual, process=False)
    data = made.export(file_type="glb")
    (tmp_path / "a.glb").write_bytes(data)
    assert colours(tmp_path)[1] == []
    (tmp_path / "a.glb").write_bytes(data.replace(b"\x89PNG", b"\x89QQQ"))
    assert "a.glb: a texture" in colours(tmp_path)[1][0]


def test_pictures_that_would_fill_the_memory_are_left_out(tmp_path):
    """A small file that says it has 30,000 × 30,000 dots."""
    image_of = pytest.importorskip("PIL.Image")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl red\nvt 0 0\n" + TWO.replace("-1\n", "-1/1\n"))
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\nmap_Kd big.png\n")
    image_of.new("1", (10_000, 10_000)).save(tmp_path / "big.png")
    _, (told,) = colours(tmp_path)
    assert "Bomb" in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl red\n" + TWO)
    os.mkfifo(tmp_path / "a.mtl")
    assert "a pipe" in colours(tmp_path)[1][0]
    (tmp_path / "a.mtl").unlink()
    (tmp_path / "a.mtl").write_text("newmtl red\nmap_Kd t.png\n")
    (tmp_path / "t.png").symlink_to("/dev/zero")
    assert "map_Kd" not in (told := colours(tmp_path)[1])[0]
    assert "/dev/zero" in told[0] or "escapes" in told[0]
