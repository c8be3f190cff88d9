"""Users' own meshes: every OBJ, GLB and PLY file of a folder, turned to face forward and scaled to a car's length.

Reading the files is trimesh's work, which is needed for this file alone (``pip install 'npi-engine[cars]'``). What it
reads is material to check: a file that is broken gets one line that says so, and the others are there.
Shape legend: ``N`` vertices, ``F`` faces.
"""

from __future__ import annotations

import importlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from envs.cars.mesh import MAX_FACES, Mesh, MeshError
from envs.cars.mesh_colours import coloured, largest
from envs.support.user_files import read_file

SUFFIXES = (".obj", ".glb", ".ply")

LENGTH = 4.5
"""Metres that a mesh measures from front to rear after loading."""

AXES = {sign + name: by * np.eye(3)["xyz".index(name)] for sign, by in (("", 1), ("-", -1)) for name in "xyz"}
"""Unit vectors of the axes' names."""

UPS = ("z", "y")

MESH_BYTES = 512 << 20
"""Of a file of a mesh, and of each file that it names."""

COUNTS = {"v": 0, "vt": 1, "vn": 2}
"""Lines of an OBJ file that a face's corner names by number, and their place in a corner."""

RELATIVE = re.compile(rb"^[ \t]*f[ \t][^\n]*(?<![\d.])(?:-\d|0+(?![\d.]))", re.MULTILINE)
"""A face whose corners are counted backwards; or from 0, which is wrong."""

FLAT = 1e-4
"""A mesh whose length is a smaller share than this of its longest side cannot be scaled by it."""

SOLID = 4
"""Faces of the least mesh that has an inside."""


def load_folder(
    folder: Path, *, up: str = "y", forward: str = "z", tell: Callable[[str], None] = warnings.warn
) -> tuple[list[tuple[str, Mesh]], list[tuple[str, str]]]:
    """The meshes of a folder and of the folders in it, in the order of their names.

    Each is scaled to :data:`LENGTH`, stands on z = 0 and is centred, with colours from its faces, vertices, textures or
    materials where it has them, else grey.

    Args:
        up, forward: the axes in the files that point up (``"z"`` or ``"y"``) and to which the cars' fronts point
            (``"x"``, ``"-x"`` and so on). The defaults are those of glTF.
        tell: gets a line for each texture or file of materials that a mesh names and that is not used, for a mesh that
            is of one colour, and for one that is longer across or upwards than from front to rear.

    Returns pairs of name (the path in the folder) and mesh, and pairs of name and message for files that are broken.
    Raises ``ValueError`` for a folder that does not exist or has no such file, axes that do not fit, and for want of
    trimesh.
    """
    turn_33 = axes(up, forward)
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give the one that holds the meshes")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise ValueError(f"{folder} has no file that ends in {', '.join(SUFFIXES)}")
    trimesh = _trimesh()
    good: list[tuple[str, Mesh]] = []
    bad: list[tuple[str, str]] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        lost: list[str] = []
        try:
            with _lost(lost.append):
                found = _load(trimesh, path, turn_33, lost.append)
            good.append((name, found))
            if lost:
                lost[-1] += f"; {largest(found).told} in its place"
            elif len(found.faces_F3) >= SOLID and largest(found).plain:
                lost.append(
                    f"{largest(found).told}: it shows neither windows nor lights, by which a core tells its front"
                )
            lost += misplaced(found)
        except MeshError as error:
            bad.append((name, str(error)))
        for what in lost:
            tell(f"{name}: {what}")
    return good, bad


def axes(up: str, forward: str) -> np.ndarray:
    """What turns a file's points into ours: rows are our x (forward), y (left) and z (up) in the file's axes, 3×3."""
    if up not in UPS:
        raise ValueError(f"up is {up!r}; it has to be one of {', '.join(UPS)}")
    if forward not in AXES:
        raise ValueError(f"forward is {forward!r}; it has to be one of {', '.join(AXES)}")
    if forward[-1] == up:
        raise ValueError(f"forward is {forward!r} and up is {up!r}; they have to be different axes")
    return np.stack([AXES[forward], np.cross(AXES[up], AXES[forward]), AXES[up]])


def _trimesh() -> Any:
    try:
        found = importlib.import_module("trimesh")
    except ImportError:
        message = "reading meshes needs trimesh, which is not installed: pip install 'npi-engine[cars]'"
        raise ValueError(message) from None
    return found


@contextmanager
def _lost(tell: Callable[[str], None]) -> Iterator[None]:
    """Tells what trimesh leaves out of a file; it only logs that. Pictures too large for memory are left out, too."""
    log, found = logging.getLogger("trimesh"), logging.Handler()
    before = log.level, log.propagate

    def emit(record: logging.LogRecord) -> None:
        if any(word in record.getMessage() for word in ("image", "texture", "materials")):
            error = record.exc_info[1] if record.exc_info else None
            why = f"{type(error).__name__}: {error}" if error is not None else record.getMessage()
            tell(f"a texture or its materials are left out: {' '.join(why.split())[:200]}")

    found.emit = emit  # type: ignore[method-assign]
    log.addHandler(found)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Image size", module="PIL")
            yield
    finally:
        log.removeHandler(found)
        log.level, log.propagate = before


def _load(trimesh: Any, path: Path, turn_33: np.ndarray, tell: Callable[[str], None]) -> Mesh:
    """The mesh of a file; raises :class:`MeshError` with one line."""
    try:
        data = read_file(path, MESH_BYTES)
        parts = _parts(trimesh, path, data)
        bare = [_corners(part, place_44) for part, place_44 in parts]
        there, size = sum(map(len, bare)), _longest(bare)
        surfaces = [coloured(part, corners, size, tell) for (part, _), corners in zip(parts, bare, strict=True)]
    except MeshError:
        raise
    # A parser that is fed a broken file can fail in any way.
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise MeshError(f"it cannot be read; it may be cut off or of another format ({line})") from error
    declared = _declared_faces(data)
    if there < declared:
        raise MeshError(f"it is cut off: it declares {declared:,} faces, and {there:,} are there")
    if not there:
        raise MeshError("it has no faces")
    corners, colours = zip(*surfaces, strict=True)
    return placed(np.concatenate(corners), np.concatenate(colours), turn_33)


def _longest(corners: Sequence[np.ndarray]) -> float:
    """The longest side of the box around parts."""
    points_N3 = np.concatenate([np.zeros((0, 3)), *(part.reshape(-1, 3) for part in corners)])
    return float(np.ptp(points_N3, axis=0).max()) if len(points_N3) else 0.0


def misplaced(mesh: Mesh) -> list[str]:
    """What is to be told of a mesh that is longer across or upwards than from front to rear."""
    long, wide, high = (float(side) for side in mesh.high_3 - mesh.low_3)
    if long * (1 + FLAT) >= max(wide, high):
        return []
    return [
        f"its axes look wrong: a car {long:.3g} m long would be {wide:.3g} m wide and {high:.3g} m high; say which way "
        "is up and where the front is (--up, --forward)"
    ]


def _parts(trimesh: Any, path: Path, data: bytes) -> list[tuple[Any, np.ndarray]]:
    """The triangle meshes of a file, each with the 4×4 matrix that puts it into the scene."""
    kind = path.suffix.lower()[1:]
    if kind == "obj":  # comments and names may be in any encoding; none of them matters
        data = counted(data.decode("utf-8-sig", errors="replace").encode())
    scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, resolver=_beside(trimesh, path), process=False)
    found = []
    for node in scene.graph.nodes_geometry:
        place_44, name = scene.graph[node]
        part = scene.geometry[name]
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            found.append((part, place_44))
    return found


def _beside(trimesh: Any, path: Path) -> Any:
    """What finds the files that a mesh names: regular ones in its folder."""

    class Beside(trimesh.resolvers.FilePathResolver):
        def get(self, name: str) -> bytes:
            places = (self.absolute(word) for word in (name.strip(), Path(name.replace("\\", "/")).name))
            place = next((place for place in places if place.exists()), None)
            if place is None:
                raise FileNotFoundError(f"there is no file {name} beside it")
            return read_file(place, MESH_BYTES)

    return Beside(path)


def counted(data: bytes) -> bytes:
    """An OBJ file whose faces number their corners from the file's beginning.

    Where they count backwards they count from their own line, and trimesh from the file's end. Raises
    :class:`MeshError` for a corner that is not there.
    """
    if not RELATIVE.search(data):
        return data
    seen = [0, 0, 0]

    def number(place: int, written: bytes) -> bytes:
        if not written:
            return written
        index = int(written)
        if index == 0 or -index > seen[place]:
            raise MeshError(f"a face names corner {index}, which is not there")
        return b"%d" % (index if index > 0 else seen[place] + 1 + index)

    lines = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").split(b"\n")
    for at, line in enumerate(lines):
        word, *rest = line.partition(b"#")[0].split() or [b""]
        if word.decode(errors="replace") in COUNTS:
            seen[COUNTS[word.decode()]] += 1
        elif word == b"f":
            corners = (b"/".join(map(number, range(3), corner.split(b"/"))) for corner in rest)
            lines[at] = b" ".join([word, *corners])
    return b"\n".join(lines)


def _corners(part: Any, place_44: np.ndarray) -> np.ndarray:
    """Corners of the faces of a trimesh part in the scene, F×3×3."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told later
        points_N3 = np.asarray(part.vertices, np.float64) @ place_44[:3, :3].T + place_44[:3, 3]
    return points_N3[np.asarray(part.faces)]


def _declared_faces(data: bytes) -> int:
    """How many faces the head of a PLY file promises; 0 for other files. trimesh does not count those of text files."""
    head = data.partition(b"end_header")[0] if data.startswith(b"ply") else b""
    found = re.search(rb"^element face (\d+)", head, re.MULTILINE)
    return int(found[1]) if found else 0


def placed(corners_F33: np.ndarray, colours_F3: np.ndarray, turn_33: np.ndarray) -> Mesh:
    """The mesh of triangles in a file's axes: turned, scaled, centred, on the ground."""
    if len(corners_F33) > MAX_FACES:
        raise MeshError(f"it has {len(corners_F33):,} faces; {MAX_FACES:,} are allowed")
    if not np.isfinite(corners_F33).all():
        raise MeshError("vertices are not finite (NaN or infinite)")
    points_N3 = corners_F33.reshape(-1, 3) @ turn_33.T
    low_3, high_3 = points_N3.min(0), points_N3.max(0)
    size_3 = high_3 - low_3
    if not size_3[0] > FLAT * size_3.max() or not np.isfinite(size_3).all():
        raise MeshError(f"it measures {size_3[0]:.3g} along its forward axis, and {size_3.max():.3g} along another")
    middle_3 = np.array([*(low_3[:2] + size_3[:2] / 2), low_3[2]])
    placed_N3 = ((points_N3 - middle_3) * (LENGTH / size_3[0])).astype(np.float32)
    vertices_N3, places_N = np.unique(placed_N3, axis=0, return_inverse=True)
    return Mesh(vertices_N3, places_N.reshape(-1, 3).astype(np.int32), np.clip(colours_F3, 0, 1).astype(np.float32))
