"""A sheet of cars in all body styles from several sides, and how fast pictures are made: ``python -m
benchmarks.paper.car_sheet``.

Writes ``docs/results/cars.png``. Of each style the first car is shown before a plain background, the second with the
lights and backgrounds that :class:`envs.cars.image_cache.Views` draws. Pictures a second are of one thread, in
processor time, the best of several runs; the first call, which may compile, is not among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.common import RESULTS, plain_arguments
from envs.cars.image_cache import PoseGrid, Views, scene_seeds
from envs.cars.mesh import Mesh
from envs.cars.rendering import render
from envs.cars.shapes import mesh
from envs.cars.styles import STYLES, draw_car
from envs.cars.world import Collection

POSES = ((0, 0), (30, 15), (60, 5), (90, 0), (135, 15), (180, 10), (-120, 30), (-45, 45), (-90, 60))
"""Azimuth and elevation of the columns, degrees."""

SIDE = 96
"""Pixels of a picture on the sheet."""

MARGIN = 16
"""Pixels for labels."""


def sheet(seed: int = 2) -> np.ndarray:
    """All styles from several sides, uint8 rows × columns × 3."""
    rows = []
    for number, style in enumerate(STYLES):
        generator = np.random.default_rng([seed, number])
        for plain in (True, False):
            rows.append(_row(mesh(draw_car(style, generator)), number, plain))
    canvas = Image.new("RGB", (SIDE * len(POSES), MARGIN + (MARGIN + 2 * SIDE) * len(STYLES)), "white")
    pen = ImageDraw.Draw(canvas)
    for column, (azimuth, elevation) in enumerate(POSES):
        pen.text((column * SIDE + 4, 2), f"{azimuth}°, {elevation}°", fill="black")
    for number, style in enumerate(STYLES):
        top = MARGIN + number * (MARGIN + 2 * SIDE)
        pen.text((4, top + 2), style, fill="black")
        for line in range(2):
            canvas.paste(Image.fromarray(rows[2 * number + line]), (0, top + MARGIN + line * SIDE))
    return np.asarray(canvas)


def _row(shape: Mesh, number: int, plain: bool) -> np.ndarray:
    azimuths, elevations = np.array(POSES, np.float64).T
    seeds = None if plain else scene_seeds(0, number, azimuths, elevations)
    return np.concatenate(list(render(shape, azimuths, elevations, size=SIDE, seed_V=seeds)), 1)


def rate(work: Callable[[], int], runs: int = 12) -> float:
    """How many a second of the processor's time; ``work`` makes some and says how many."""
    work()
    best = 0.0
    for _ in range(runs):
        began = time.process_time()
        made = work()
        best = max(best, made / (time.process_time() - began))
    return best


def figures(size: int = 64) -> dict[str, float]:
    """Pictures a second, rendered and shown again from memory, and shapes a second."""
    cars, grid = Collection(), PoseGrid()
    meshes = [cars.mesh(split, number) for split in ("seen", "novel") for number in range(5)]
    azimuths = grid.azimuth(np.tile(np.arange(grid.azimuths), grid.elevations))
    elevations = grid.elevation(np.repeat(np.arange(grid.elevations), grid.azimuths))
    seeds = scene_seeds(0, 0, azimuths, elevations)

    def rendered(fine: int) -> int:
        for shape in meshes:
            render(shape, azimuths, elevations, size=size, seed_V=seeds, fine=fine)
        return len(meshes) * len(azimuths)

    views = Views(lambda car: meshes[car], grid, size=size)
    asked = np.random.default_rng(0).integers((10, grid.azimuths, grid.elevations), size=(4096, 3)).T
    return {
        "rendered, four samples a pixel": rate(lambda: rendered(2)),
        "rendered, one sample a pixel": rate(lambda: rendered(1)),
        "from memory": rate(lambda: len(views.pictures(*asked))),
        "shapes": rate(lambda: len([cars.mesh("seen", number) for number in range(20)])),
    }


def main() -> None:
    """Write the sheet and print the figures."""
    plain_arguments(__doc__).parse_args()
    Image.fromarray(sheet()).save(RESULTS / "cars.png", optimize=True)
    for name, value in figures().items():
        print(f"{name}: {value:,.0f} a second")


if __name__ == "__main__":
    main()
