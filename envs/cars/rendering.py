"""Pictures of a mesh from a camera that goes round it, with lights and backgrounds that numbers choose.

The camera looks at the middle of the mesh's bounding box from a fixed distance relative to the box. Azimuth 0 looks at
the front of the car, along −x. Positive azimuth: the camera went to its own right, anticlockwise as seen from above: at
+90 degrees it looks at the car's left side, and the front is on the picture's left. Positive elevation: from above.
Shape legend: ``V`` pictures, ``G`` corners of the noise's lattice along a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.cars.mesh import Mesh

DISTANCE = 3.4
"""Of the camera from the middle, in half diagonals of the bounding box: all of the box is seen from every side."""

FINE = 2
"""Samples along the side of a pixel: each pixel is the mean of four."""

LATTICE = 9
"""Corners of the noise's lattice along a side."""

MAX_SIDE = 1024
"""Pixels along the side of the largest picture."""

STEEPEST = 89.0
"""The camera stays below the zenith, where azimuth means nothing."""


@dataclass(frozen=True, eq=False)
class Camera:
    """V cameras around a mesh: where they are (metres), right, up and forward of each (unit vectors), and the focal
    length of a picture whose side is 1."""

    eye_V3: np.ndarray
    axes_V33: np.ndarray
    focal: float


@dataclass(frozen=True, eq=False)
class Scenes:
    """What V pictures show beside the mesh.

    Attributes:
        light_V3: unit vectors towards the light, relative to the camera's azimuth: x away from the car, y to the
            camera's right, z up.
        ambient_V: the share of light that comes from everywhere, 0..1.
        paint_V43: colours of the sky's zenith, the sky at the horizon, the ground at the horizon and the ground below.
        noise_VGG: added to the background, at the corners of a lattice that spans the picture.
    """

    light_V3: np.ndarray
    ambient_V: np.ndarray
    paint_V43: np.ndarray
    noise_VGG: np.ndarray


def render(
    mesh: Mesh,
    azimuth_V: np.ndarray,
    elevation_V: np.ndarray,
    *,
    size: int = 64,
    seed_V: np.ndarray | None = None,
    fine: int = FINE,
) -> np.ndarray:
    """Pictures of a mesh, uint8 V×size×size×3, bit-identical for the same arguments.

    Args:
        azimuth_V, elevation_V: degrees, see the head of this file.
        size: pixels along a side.
        seed_V: integers that choose light and background of each picture; without them all are alike and plain.
        fine: samples along the side of a pixel; 1 leaves edges jagged.

    Raises ``ValueError`` for arrays that do not fit, poses or sizes out of range.
    """
    from envs.cars import rasterizer

    azimuth_V, elevation_V = np.asarray(azimuth_V, np.float64), np.asarray(elevation_V, np.float64)
    if not 1 <= size <= MAX_SIDE or not 1 <= fine <= 8:
        raise ValueError(f"size is {size} and fine is {fine}; they have to be 1 to {MAX_SIDE} and 1 to 8")
    if azimuth_V.ndim != 1 or azimuth_V.shape != elevation_V.shape:
        raise ValueError(f"azimuths are {azimuth_V.shape}, elevations {elevation_V.shape}; give one of each a picture")
    if seed_V is not None and np.shape(seed_V) != azimuth_V.shape:
        raise ValueError(f"there are {np.shape(seed_V)} seeds for {azimuth_V.shape} pictures")
    if not (np.isfinite(azimuth_V).all() and (np.abs(elevation_V) <= STEEPEST).all()):
        raise ValueError(f"poses are out of range; elevation has to be −{STEEPEST} to {STEEPEST} degrees")
    camera = look_at(mesh, azimuth_V, elevation_V)
    scenes = plain_scenes(len(azimuth_V)) if seed_V is None else draw_scenes(seed_V)
    pictures_V = np.empty((len(azimuth_V), size, size, 3), np.uint8)
    rasterizer.pictures(
        mesh.vertices_V3.astype(np.float64),
        mesh.faces_F3,
        mesh.colours_F3.astype(np.float64),
        camera.eye_V3,
        camera.axes_V33,
        camera.focal * size,
        lights(scenes, azimuth_V),
        scenes.ambient_V,
        scenes.paint_V43,
        scenes.noise_VGG,
        fine,
        pictures_V,
    )
    return pictures_V


def look_at(mesh: Mesh, azimuth_V: np.ndarray, elevation_V: np.ndarray) -> Camera:
    """Cameras at the given degrees; the sphere around the mesh's bounding box touches the edges of the picture."""
    low_3, high_3 = mesh.low_3.astype(np.float64), mesh.high_3.astype(np.float64)
    radius = max(float(np.linalg.norm(high_3 - low_3)) / 2, 1e-6)
    round_V, up_V = np.radians(azimuth_V), np.radians(elevation_V)
    zero_V = np.zeros_like(round_V)
    outward_V3 = np.stack([np.cos(up_V) * np.cos(round_V), np.cos(up_V) * np.sin(round_V), np.sin(up_V)], 1)
    right_V3 = np.stack([-np.sin(round_V), np.cos(round_V), zero_V], 1)
    top_V3 = np.stack([-np.sin(up_V) * np.cos(round_V), -np.sin(up_V) * np.sin(round_V), np.cos(up_V)], 1)
    return Camera(
        eye_V3=(low_3 + high_3) / 2 + DISTANCE * radius * outward_V3,
        axes_V33=np.stack([right_V3, top_V3, -outward_V3], 1),
        focal=0.5 * float(np.sqrt(DISTANCE**2 - 1)),
    )


def lights(scenes: Scenes, azimuth_V: np.ndarray) -> np.ndarray:
    """Unit vectors towards the lights in the mesh's coordinates, V×3."""
    cos_V, sin_V = np.cos(np.radians(azimuth_V)), np.sin(np.radians(azimuth_V))
    x_V, y_V, z_V = scenes.light_V3.T
    return np.stack([cos_V * x_V - sin_V * y_V, sin_V * x_V + cos_V * y_V, z_V], 1)


def plain_scenes(count: int) -> Scenes:
    """The same light for all, over the camera's right shoulder, and grey."""
    light_3 = np.array([0.6, 0.3, np.sqrt(0.55)])
    paint_43 = np.repeat([[0.62], [0.72], [0.55], [0.5]], 3, 1)
    return Scenes(
        light_V3=np.repeat(light_3[None], count, 0),
        ambient_V=np.full(count, 0.55),
        paint_V43=np.repeat(paint_43[None], count, 0),
        noise_VGG=np.zeros((count, LATTICE, LATTICE)),
    )


def draw_scenes(seed_V: np.ndarray) -> Scenes:
    """Light and background of V pictures, each a function of its integer alone."""
    draw_VN = uniform(seed_V, 16 + LATTICE**2)
    side_V, up_V = np.radians(150 * draw_VN[:, 0] - 75), np.radians(25 + 50 * draw_VN[:, 1])
    sky_V13 = 0.45 + 0.5 * draw_VN[:, 2:5][:, None]
    ground_V13 = 0.5 * draw_VN[:, 5, None, None] + 0.12 + 0.2 * draw_VN[:, 6:9][:, None]
    haze_V1 = (0.5 + 0.5 * draw_VN[:, 9])[:, None, None]
    sky_V = [(0.35 + 0.65 * draw_VN[:, 10, None, None]) * sky_V13, haze_V1 * 0.2 + 0.8 * sky_V13]
    ground_V = [0.25 * haze_V1 + 0.75 * ground_V13, (0.55 + 0.6 * draw_VN[:, 11, None, None]) * ground_V13]
    noise_VGG = (draw_VN[:, 16:] - 0.5).reshape(-1, LATTICE, LATTICE) * (0.22 * draw_VN[:, 12])[:, None, None]
    return Scenes(
        light_V3=np.stack([np.cos(up_V) * np.cos(side_V), np.cos(up_V) * np.sin(side_V), np.sin(up_V)], 1),
        ambient_V=0.45 + 0.2 * draw_VN[:, 13],
        paint_V43=np.concatenate([*sky_V, *ground_V], 1),
        noise_VGG=noise_VGG,
    )


def uniform(seed_V: np.ndarray, count: int) -> np.ndarray:
    """``count`` numbers in 0..1 for each seed, V×count: the outputs of splitmix64 (Steele, Lea and Flood 2014)."""
    start_V1 = mix(np.asarray(seed_V).astype(np.uint64))[:, None]
    return (mix(start_V1 + STEP * np.arange(1, count + 1, dtype=np.uint64)) >> np.uint64(11)) * 2.0**-53


STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: uint64 to uint64, one to one, every bit depends on all."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
