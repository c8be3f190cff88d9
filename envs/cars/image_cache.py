"""Pictures of many cars from many sides, rendered when they are first asked for.

Shape legend: ``U`` pictures asked for, ``P`` poses of the grid, in rows of equal elevation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.cars.mesh import Mesh
from envs.cars.rendering import MAX_SIDE, mix, render

FINEST = 5
"""Degrees of the smallest step."""

HIGHEST = 60
"""Degrees of the greatest elevation."""

MAX_BYTES = 2 * 2**30
"""Of the pictures that are kept in memory, if nothing else is said."""

MAX_MESHES = 4096
"""Meshes that are kept: making one takes longer than a dozen pictures of it, and it takes the room of a few."""


@dataclass(frozen=True)
class PoseGrid:
    """Camera poses in equal steps of degrees: azimuth −180 up to 180 − step, elevation 0 up to 60.

    Raises ``ValueError`` for steps below 5, and for those that do not divide 180 and 60.
    """

    azimuth_step: int = 15
    elevation_step: int = 15

    def __post_init__(self) -> None:
        for name, step, whole in (("azimuth", self.azimuth_step, 180), ("elevation", self.elevation_step, HIGHEST)):
            if step < FINEST or whole % step:
                raise ValueError(f"the {name} step is {step} degrees; it has to divide {whole} and be {FINEST} or more")

    @property
    def azimuths(self) -> int:
        return 360 // self.azimuth_step

    @property
    def elevations(self) -> int:
        return HIGHEST // self.elevation_step + 1

    @property
    def front(self) -> int:
        """The index of azimuth 0, which looks at the front of the car."""
        return 180 // self.azimuth_step

    def azimuth(self, index: np.ndarray) -> np.ndarray:
        return index * self.azimuth_step - 180

    def elevation(self, index: np.ndarray) -> np.ndarray:
        return index * self.elevation_step


class Views:
    """Pictures of cars over a grid of poses; each has its own light and background.

    They depend on the mesh, the seed, the car's number and the pose in degrees, not on the grid or the order of asking.

    Args:
        mesh_of: the mesh of a car's number, such as ``partial(collection.mesh, "seen")``.
        size: pixels along a side. seed: chooses lights and backgrounds.
        most_bytes: of pictures in memory; the car that was not asked for longest is dropped first.
    """

    def __init__(
        self,
        mesh_of: Callable[[int], Mesh],
        grid: PoseGrid,
        *,
        size: int = 64,
        seed: int = 0,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        if not 1 <= size <= MAX_SIDE:
            raise ValueError(f"size is {size}; it has to be 1 to {MAX_SIDE}")
        self.mesh_of, self.grid, self.size, self.seed = mesh_of, grid, size, seed
        self.most_bytes = most_bytes
        self._meshes: OrderedDict[int, Mesh] = OrderedDict()
        self._shots: OrderedDict[int, dict[int, np.ndarray]] = OrderedDict()  # pictures by car and pose
        self._count = 0  # of the pictures in all of them

    def pictures(self, car_U: np.ndarray, azimuth_U: np.ndarray, elevation_U: np.ndarray) -> np.ndarray:
        """The pictures of cars at indices of the grid, uint8 U×size×size×3; ``ValueError`` for others."""
        car_U, pose_U = self._checked(car_U, azimuth_U, elevation_U)
        found_U = np.empty((len(car_U), self.size, self.size, 3), np.uint8)
        order_U = np.argsort(car_U, kind="stable")
        cars, counts = np.unique(car_U, return_counts=True)
        for car, end, count in zip(cars.tolist(), counts.cumsum(), counts, strict=True):
            rows = order_U[end - count : end]
            found_U[rows] = self._shown(car, pose_U[rows])
        return found_U

    def _checked(self, *asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        car_U, azimuth_U, elevation_U = (np.asarray(x) for x in asked)
        for x in (car_U, azimuth_U, elevation_U):
            if x.ndim != 1 or x.shape != car_U.shape or (x.size and x.dtype.kind not in "iu"):
                raise ValueError(f"cars and poses have to be integers of one length, and one is {x.dtype} {x.shape}")
        turns, rises = self.grid.azimuths, self.grid.elevations
        named = ("car", car_U, 2**31), ("azimuth", azimuth_U, turns), ("elevation", elevation_U, rises)
        for name, x, limit in named:
            if x.size and not 0 <= x.min() <= x.max() < limit:
                raise ValueError(f"{name} indices are {x.min()} to {x.max()}; they have to be 0 to {limit - 1}")
        pose_U = elevation_U.astype(np.int64) * turns + azimuth_U.astype(np.int64)
        return car_U.astype(np.int64), pose_U

    def _shown(self, car: int, pose_U: np.ndarray) -> np.ndarray:
        """Pictures of one car; those not yet there are rendered."""
        shown = self._shots.setdefault(car, {})
        self._shots.move_to_end(car)
        missing = np.array(sorted({*pose_U.tolist()} - shown.keys()), np.int64)
        if len(missing):
            shown.update(zip(missing.tolist(), self._rendered(self._mesh(car), car, missing), strict=True))
        found_U = np.stack([shown[pose] for pose in pose_U.tolist()])
        self._count += len(missing)
        while self._count * found_U[0].nbytes > self.most_bytes:
            _, dropped = self._shots.popitem(last=False)
            self._count -= len(dropped)
        return found_U

    def _mesh(self, car: int) -> Mesh:
        if car not in self._meshes:
            self._meshes[car] = self.mesh_of(car)
        self._meshes.move_to_end(car)
        if len(self._meshes) > MAX_MESHES:
            self._meshes.popitem(last=False)
        return self._meshes[car]

    def _rendered(self, mesh: Mesh, car: int, poses: np.ndarray) -> np.ndarray:
        azimuth = self.grid.azimuth(poses % self.grid.azimuths)
        elevation = self.grid.elevation(poses // self.grid.azimuths)
        seeds = scene_seeds(self.seed, car, azimuth, elevation)
        return render(mesh, azimuth, elevation, size=self.size, seed_V=seeds)


def scene_seeds(seed: int, car: int, azimuth_V: np.ndarray, elevation_V: np.ndarray) -> np.ndarray:
    """The number that chooses light and background of a car at poses in whole degrees, uint64."""
    mixed = mix(np.array([seed, car], np.int64).astype(np.uint64))
    pose_V = (np.asarray(azimuth_V, np.int64) + 180) * 360 + np.asarray(elevation_V, np.int64) + 180
    return mix(mix(mixed[:1] + np.uint64(1)) ^ mix(mixed[1:] + np.uint64(2)) ^ mix(pose_V.astype(np.uint64)))
