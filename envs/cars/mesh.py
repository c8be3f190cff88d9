"""Triangle meshes of cars, and the few pieces of which they are built.

Metres; x forward, y to the car's left, z up; a car stands on z = 0, the middle of its length and width at x = y = 0.
Shape legend: ``V`` vertices, ``F`` faces, ``K`` points of an outline, ``S`` outlines in a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue in 0..1."""

MAX_FACES = 5_000_000
"""A mesh of more is refused: nobody sees them in a small picture."""


class MeshError(ValueError):
    """A mesh that cannot be used; the message says why."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A coloured surface; raises :class:`MeshError` where it is none.

    Attributes:
        vertices_V3: float32, metres.
        faces_F3: int32, the vertices of a triangle, counter-clockwise from outside where that is known. Pictures show
            both sides of a face alike.
        colours_F3: float32 in 0..1, red, green, blue of each face.
    """

    vertices_V3: np.ndarray
    faces_F3: np.ndarray
    colours_F3: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in (("vertices_V3", np.float32), ("faces_F3", np.int32), ("colours_F3", np.float32)):
            array = getattr(self, name)
            if array.ndim != 2 or array.shape[1] != 3 or array.dtype != kind:
                raise MeshError(f"{name} is {array.dtype} {array.shape}; it has to be {kind.__name__} (…, 3)")
        if not 1 <= len(self.faces_F3) <= MAX_FACES:
            raise MeshError(f"the mesh has {len(self.faces_F3):,} faces; it needs 1 to {MAX_FACES:,}")
        if len(self.colours_F3) != len(self.faces_F3):
            raise MeshError(f"there are {len(self.colours_F3)} colours for {len(self.faces_F3)} faces")
        if not np.isfinite(self.vertices_V3).all():
            raise MeshError("vertices are not finite (NaN or infinite)")
        if not ((self.colours_F3 >= 0) & (self.colours_F3 <= 1)).all():
            raise MeshError("colours are outside of 0..1")
        if self.faces_F3.min() < 0 or self.faces_F3.max() >= len(self.vertices_V3):
            raise MeshError(f"faces name vertices that are not there (there are {len(self.vertices_V3)})")

    @property
    def low_3(self) -> np.ndarray:
        """The least x, y and z of the vertices that faces use."""
        return self.vertices_V3[self.faces_F3].min((0, 1))

    @property
    def high_3(self) -> np.ndarray:
        """The greatest x, y and z of the vertices that faces use."""
        return self.vertices_V3[self.faces_F3].max((0, 1))

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of shape and colours."""
        found = hashlib.sha256()
        for array in (self.vertices_V3, self.faces_F3, self.colours_F3):
            found.update(f"{array.dtype.str} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def between(face_43: np.ndarray, across: tuple[float, float], up: tuple[float, float], out: float) -> np.ndarray:
    """A part of a face with four corners, float64 4×3, moved off the face.

    Args:
        face_43: corners counter-clockwise from outside: lower left, lower right, upper right, upper left.
        across, up: from and to, as shares of the face's width and height.
        out: metres along the face's normal, so that the part is not hidden by the face.
    """
    a, b, c, d = np.asarray(face_43, np.float64)
    normal_3 = np.cross(c - a, d - b)
    off_3 = out * normal_3 / np.linalg.norm(normal_3)
    places = ((across[0], up[0]), (across[1], up[0]), (across[1], up[1]), (across[0], up[1]))
    return np.stack([(1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c) + off_3 for u, v in places])


class Builder:
    """Collects faces; everything that is added is there once on the left and mirrored on the right where asked."""

    def __init__(self) -> None:
        self._triangles: list[np.ndarray] = []
        self._colours: list[Colour] = []

    def fan(self, points_K3: np.ndarray, colours: Colour | Sequence[Colour], *, mirror: bool = False) -> None:
        """Triangles from the first point over the others; one colour for all or one for each of the K−2."""
        points_K3 = np.asarray(points_K3, np.float64)
        count = len(points_K3) - 2
        each = [colours] * count if isinstance(colours[0], float) else list(colours)
        triangles = np.stack([points_K3[[0, k + 1, k + 2]] for k in range(count)])
        self._triangles.append(triangles)
        self._colours += each  # type: ignore[arg-type]
        if mirror:
            self.fan(points_K3[[0, *range(len(points_K3) - 1, 0, -1)]] * (1, -1, 1), each[::-1])  # type: ignore[arg-type]

    def strip(
        self, one_K3: np.ndarray, other_K3: np.ndarray, colours: Sequence[Colour], *, mirror: bool = False
    ) -> None:
        """Quads between two lines of K points; one colour for each of the K−1 quads."""
        for k, colour in enumerate(colours):
            corners_43 = np.stack([one_K3[k], one_K3[k + 1], other_K3[k + 1], other_K3[k]])
            self.fan(corners_43, colour, mirror=mirror)

    def box(self, low_3: Sequence[float], high_3: Sequence[float], colour: Colour, *, mirror: bool = False) -> None:
        """A box along the axes."""
        x0, y0, z0 = low_3
        x1, y1, z1 = high_3
        under = np.array([(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0), (x0, y0, z0)])
        above = under + np.array([0, 0, z1 - z0])
        self.strip(under, above, [colour] * 4, mirror=mirror)
        self.fan(above[:4], colour, mirror=mirror)
        self.fan(under[3::-1], colour, mirror=mirror)

    def mesh(self) -> Mesh:
        """Everything so far, standing on z = 0 with its middle at x = y = 0; equal points become one vertex."""
        points_N3 = np.concatenate(self._triangles).reshape(-1, 3).round(5)
        low_3, high_3 = points_N3.min(0), points_N3.max(0)
        middle_3 = np.array([*(low_3 + high_3)[:2] / 2, low_3[2]])
        vertices_V3, places_N = np.unique((points_N3 - middle_3).astype(np.float32), axis=0, return_inverse=True)
        faces_F3 = places_N.reshape(-1, 3).astype(np.int32)
        return Mesh(vertices_V3, faces_F3, np.array(self._colours, np.float32))
