"""A trained core on mesh files of cars that it has never seen: ``python -m benchmarks.paper.own_meshes LIBRARY``.

Writes cars as OBJ, GLB and PLY files in two conventions of axes: some of the generator, of styles that training had and
of those that it had not, with and without wheels, and some that are put together from boxes by hand, one of them with
nothing but a texture on it. Each is then read as ``npi eval --meshes`` reads the files of users, and tested from starts
of ``canonicalise``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image, ImageDraw

from benchmarks.common import plain_arguments, write
from envs.cars.mesh import Builder, Colour, Mesh
from envs.cars.mesh_files import axes, load_folder
from envs.cars.shapes import ARCH, TYRE
from envs.cars.world import Collection as Cars
from npi.library.library import Library
from npi.reproduce.pages import Content
from npi.running.mesh_accuracy import MeshScore, score_meshes, starts

CONVENTIONS = {"gltf": ("y", "z"), "blender": ("z", "-y")}
"""Folder → up and forward axes of its files."""

FORMATS = ("obj", "glb", "ply")

PAINTED = "painted"
"""The box whose windows, lights and wheels are in its texture alone, in millimetres."""

LIGHTS = 3
"""How often each mesh is shown, each time with other lights and backgrounds: all starts end at the same view."""

SEED = 11
"""Of the generated cars; those of the program files have 0."""

GLASS: Colour = (0.1, 0.12, 0.15)
BLACK: Colour = (0.05, 0.05, 0.05)
WHITE: Colour = (1.0, 1.0, 0.9)
RED: Colour = (0.8, 0.05, 0.05)


@dataclass(frozen=True, eq=False)
class Kind:
    """Cars that are counted together: what they are, their meshes by name, and whether each has a row of its own."""

    label: str
    meshes: dict[str, Mesh]
    apart: bool = False


def kinds() -> Iterator[Kind]:
    """Cars of the generator, and hand-made ones."""
    cars = Cars(SEED)
    labels = {"unseen": "generated, styles of training", "novel": "generated, other styles"}
    for split, label in labels.items():
        count = 2 * len(cars.styles(split))
        yield Kind(label, {f"{split}-{number}": cars.mesh(split, number) for number in range(count)})
    count = 2 * len(cars.styles("unseen"))
    bare = {f"bare-{number}": without_wheels(cars, "unseen", number) for number in range(count)}
    yield Kind("generated, without wheels", bare)
    yield Kind("hand-made", {"taxi": taxi(), "bus": bus(), "truck": truck(), "wedge": wedge()}, apart=True)


def without_wheels(cars: Cars, split: str, number: int) -> Mesh:
    """A car of the generator, of which the faces in the colours of its wheels are left out."""
    shape, rim = cars.mesh(split, number), np.array(cars.car(split, number).rim)
    wheels = np.stack([TYRE, ARCH, rim, 0.45 * rim])
    apart_F = np.abs(shape.colours_F3[:, None] - wheels).max(2).min(1) > 1e-3
    return Mesh(shape.vertices_V3, shape.faces_F3[apart_F], shape.colours_F3[apart_F])


def painted() -> trimesh.Trimesh:
    """A yellow box, its sides and ends side by side in a texture that shows windows, lights and wheels."""
    image = Image.new("RGB", (384, 128), (230, 190, 25))
    pen = ImageDraw.Draw(image)
    glass, black, white, red = ((int(255 * part) for part in colour) for colour in (GLASS, BLACK, WHITE, RED))
    glass, black, white, red = map(tuple, (glass, black, white, red))
    for left in (0, 128):  # the sides; their left is the rear, and the front
        front = 128 if left == 0 else 0
        ends = [left + abs(front - 128 * x) for x in (0.12, 0.78)]
        pen.rectangle((min(ends), 12, max(ends), 56), fill=glass)
        for x in (0.2, 0.8):
            middle = left + 128 * x
            pen.ellipse((middle - 15, 92, middle + 15, 127), fill=black)
    for left, light, window in ((256, white, 62), (320, red, 50)):  # front and rear
        pen.rectangle((left + 6, 12, left + 57, window), fill=glass)
        for x in (4, 46):
            pen.rectangle((left + x, 78, left + x + 13, 94), fill=light)
    corners, places = [], []
    sides = ((0, [(-1, 1), (1, 1)]), (1, [(1, -1), (-1, -1)]), (2, [(1, 1), (1, -1)]), (2.5, [(-1, -1), (-1, 1)]))
    for at, ((x0, y0), (x1, y1)) in sides:
        low, high = at / 3, (at + (1 if at < 2 else 0.5)) / 3
        corners += [(2.1 * x, 0.85 * y, z) for x, y, z in ((x0, y0, 0), (x1, y1, 0), (x1, y1, 1.5), (x0, y0, 1.5))]
        places += [(low, 0), (high, 0), (high, 1), (low, 1)]
    corners += [(2.1 * x, 0.85 * y, 1.5) for x, y in ((-1, 1), (1, 1), (1, -1), (-1, -1))]
    places += [(0.01, 0.97)] * 4
    faces = [(4 * k + a, 4 * k + b, 4 * k + c) for k in range(5) for a, b, c in ((0, 1, 2), (0, 2, 3))]
    material = trimesh.visual.material.SimpleMaterial(image=image, diffuse=(255, 255, 255, 255))
    visual = trimesh.visual.TextureVisuals(uv=places, material=material)
    return trimesh.Trimesh(corners, faces, visual=visual, process=False)


def _boxes(*boxes: tuple[tuple[float, ...], tuple[float, ...], Colour]) -> Mesh:
    built = Builder()
    for low, high, colour in boxes:
        built.box(low, high, colour)
    return built.mesh()


def _wheels(front: float, rear: float, side: float) -> list[tuple[tuple[float, ...], tuple[float, ...], Colour]]:
    places = [(x, y) for x in (front, rear) for y in (-side, side)]
    return [((x - 0.32, y - 0.1, 0.0), (x + 0.32, y + 0.1, 0.64), BLACK) for x, y in places]


def _lights(
    front: float, rear: float, side: float, height: float
) -> list[tuple[tuple[float, ...], tuple[float, ...], Colour]]:
    found = []
    for x, colour in ((front, WHITE), (rear, RED)):
        for y in (-side, side):
            found.append(((x - 0.03, y - 0.15, height - 0.1), (x + 0.03, y + 0.15, height + 0.1), colour))
    return found


def taxi() -> Mesh:
    """A box on a box, yellow."""
    body: Colour = (0.9, 0.75, 0.1)
    return _boxes(
        ((-2.2, -0.85, 0.3), (2.2, 0.85, 0.9), body), ((-1.6, -0.75, 0.9), (0.7, 0.75, 1.35), GLASS),
        ((-1.5, -0.75, 1.35), (0.6, 0.75, 1.45), body), *_wheels(1.4, -1.4, 0.8), *_lights(2.2, -2.2, 0.6, 0.7),
    )  # fmt: skip


def bus() -> Mesh:
    """A long box, white, with a large window in front."""
    return _boxes(
        ((-4.0, -1.2, 0.4), (4.0, 1.2, 2.9), (0.85, 0.85, 0.85)), ((-3.7, -1.22, 1.6), (3.4, 1.22, 2.4), GLASS),
        ((3.9, -1.1, 1.2), (4.03, 1.1, 2.6), GLASS), *_wheels(2.6, -2.4, 1.15), *_lights(4.02, -4.02, 0.9, 0.8),
    )  # fmt: skip


def truck() -> Mesh:
    """A cabin before a load, blue and brown."""
    return _boxes(
        ((1.2, -1.1, 0.4), (2.9, 1.1, 2.3), (0.15, 0.3, 0.7)), ((2.6, -1.0, 1.3), (2.93, 1.0, 2.1), GLASS),
        ((1.7, -1.12, 1.3), (2.5, 1.12, 2.0), GLASS), ((-3.2, -1.2, 0.7), (1.0, 1.2, 2.6), (0.45, 0.3, 0.2)),
        *_wheels(2.0, -2.0, 1.0), *_lights(2.92, -3.22, 0.85, 0.8),
    )  # fmt: skip


def wedge() -> Mesh:
    """A grey prism that rises from front to rear, without windows, wheels or lights."""
    built = Builder()
    left_33 = np.array([(-2.2, 0.9, 0.0), (2.2, 0.9, 0.0), (-2.2, 0.9, 1.3)])
    right_33 = left_33 * (1, -1, 1)
    grey: Colour = (0.6, 0.6, 0.6)
    built.fan(left_33, grey)
    built.fan(right_33, grey)
    built.strip(left_33[[0, 1, 2, 0]], right_33[[0, 1, 2, 0]], [grey] * 3)
    return built.mesh()


def export(shape: Mesh, path: Path, *, up: str, forward: str) -> None:
    """Write a mesh in a convention of axes; each face has corners of its own, since two of the formats colour these."""
    corners_N3 = (shape.vertices_V3[shape.faces_F3] @ axes(up, forward)).reshape(-1, 3)
    faces_F3 = np.arange(len(corners_N3)).reshape(-1, 3)
    colours_N4 = np.column_stack([np.repeat(255 * shape.colours_F3, 3, 0), np.full(len(corners_N3), 255)])
    colours = {"vertex_colors": colours_N4.round().astype(np.uint8)}
    trimesh.Trimesh(corners_N3, faces_F3, process=False, **colours).export(path)


def export_painted(path: Path, *, up: str, forward: str) -> None:
    """Write the textured box, 1,000 units to the metre; OBJ and GLB hold textures, PLY does not."""
    made = painted()
    made.vertices = 1000 * (made.vertices @ axes(up, forward))
    made.export(path)


def write_files(folder: Path) -> dict[str, Kind]:
    """All meshes in all formats and conventions, and a file that is cut off; the kind of each name."""
    found = {}
    for kind in kinds():
        for name, shape in kind.meshes.items():
            found[name] = kind
            for convention, (up, forward) in CONVENTIONS.items():
                for suffix in FORMATS:
                    path = folder / convention / suffix / f"{name}.{suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    export(shape, path, up=up, forward=forward)
    for convention, (up, forward) in CONVENTIONS.items():
        for suffix in FORMATS[:2]:
            export_painted(folder / convention / suffix / f"{PAINTED}.{suffix}", up=up, forward=forward)
    for convention in CONVENTIONS:
        whole = (folder / convention / "ply" / "taxi.ply").read_bytes()
        (folder / convention / "ply" / "broken.ply").write_bytes(whole[: len(whole) // 2])
    return found


Scores = dict[tuple[str, str], list[MeshScore]]
"""By convention and format."""


def measure(library: Library, folder: Path) -> tuple[Scores, dict[str, Kind], list[str]]:
    """Scores, kinds by the names of meshes, and what was said of files that cannot be used."""
    kind_of = write_files(folder)
    programs, task = library.task("canonicalise")
    scores: Scores = {}
    refused = []
    for convention, (up, forward) in CONVENTIONS.items():
        for suffix in FORMATS:
            good, broken = load_folder(folder / convention / suffix, up=up, forward=forward)
            refused += [f"{name}: {reason}" for name, reason in broken]
            meshes = [one for _ in range(LIGHTS) for one in good]
            found = list(score_meshes(library, programs, task, meshes, starts(programs, task)))
            scores[convention, suffix] = found
            print(f"  {convention}, {suffix}: {_right(found)}", flush=True)
    return scores, kind_of, refused


def _right(scores: Sequence[MeshScore]) -> str:
    return f"{sum(s.right for s in scores):,} of {sum(s.count for s in scores):,}"


def contents(scores: Scores, kind_of: dict[str, Kind], refused: list[str]) -> dict[str, Content]:
    """The page's table, and how files and broken files went."""
    rows = [["", "meshes", "starts right"]]
    each = [[(Path(s.mesh).stem, s.right) for s in found if PAINTED not in s.mesh] for found in scores.values()]

    def row(label: str, count: int, names: Collection[str]) -> None:
        mine = [[s for s in found if Path(s.mesh).stem in names] for found in scores.values()]
        rows.append([label, str(count), "; ".join(dict.fromkeys(_right(some) for some in mine if some))])

    for kind in dict.fromkeys(kind_of.values()):
        row(f"**{kind.label}**", len(kind.meshes), kind.meshes)
        for name in kind.meshes if kind.apart else ():
            row(name, 1, [name])
    row("**box with a texture**", 1, [PAINTED])
    return {"meshes": rows, "alike": f"{max(map(each.count, each))} of the {len(scores)}", "broken": f"`{refused[0]}`"}


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("library", type=Path, help="of npi train programs/goto.npi, say")
    parser.add_argument("--keep", type=Path, help="write the meshes to this folder, and leave them there")
    options = parser.parse_args()
    library = Library.open(options.library)
    with tempfile.TemporaryDirectory() as scratch:
        write("cars-meshes", contents(*measure(library, options.keep or Path(scratch))))


if __name__ == "__main__":
    main()
