"""Pictures of meshes the slow way: a ray through each sample, tried on every triangle (Möller and Trumbore 1997).

Shares nothing with ``envs.cars.rendering`` but the meaning of its arguments: the camera is written out anew from its
text.
"""

from dataclasses import dataclass

import numpy as np

from envs.cars.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Seen:
    """What samples show: the nearest face at each (−1 for none), its normal's cosine to the ray, the distance."""

    face_YX: np.ndarray
    cosine_YX: np.ndarray
    depth_YX: np.ndarray


def rotation(axis: int, degrees: float) -> np.ndarray:
    """A right-handed turn about an axis."""
    turn = np.radians(degrees)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[[i, j], [i, j]] = np.cos(turn)
    matrix[i, j], matrix[j, i] = -np.sin(turn), np.sin(turn)
    return matrix


def rays(mesh: Mesh, azimuth: float, elevation: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The eye and a unit direction for each of side × side samples."""
    corners = mesh.vertices_V3[mesh.faces_F3].reshape(-1, 3).astype(float)
    low, high = corners.min(0), corners.max(0)
    radius = np.linalg.norm(high - low) / 2
    turned = rotation(2, azimuth) @ rotation(1, -elevation)  # of a camera on +x that looks along −x
    eye = (low + high) / 2 + turned @ [3.4 * radius, 0, 0]
    widest = np.tan(np.arcsin(1 / 3.4))  # the sphere around the box fills the picture
    across = widest * (2 * (np.arange(side) + 0.5) / side - 1)
    y, z = np.meshgrid(across, -across)
    directions = np.stack([np.full_like(y, -1.0), y, z], -1) @ turned.T
    return eye, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def cast(mesh: Mesh, azimuth: float, elevation: float, side: int) -> Seen:
    """The nearest face at each sample."""
    eye, directions_YX3 = rays(mesh, azimuth, elevation, side)
    a, b, c = (mesh.vertices_V3[mesh.faces_F3[:, k]].astype(float) for k in range(3))
    d = directions_YX3.reshape(-1, 1, 3)
    cross = np.cross(d, c - a)
    determinant = (cross * (b - a)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (cross * (eye - a)).sum(-1) / determinant
        other = np.cross(eye - a, b - a)
        v = (d * other).sum(-1) / determinant
        distance = ((c - a) * other).sum(-1) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    distance = np.where(hit, distance, np.inf)
    face = distance.argmin(1)
    nearest = distance[np.arange(len(face)), face]
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    cosine = (normal[face] * d[:, 0]).sum(1)
    there = np.isfinite(nearest)
    shape = (side, side)
    return Seen(np.where(there, face, -1).reshape(shape), cosine.reshape(shape), nearest.reshape(shape))


def colours(mesh: Mesh, seen: Seen, azimuth: float, light: np.ndarray, ambient: float, fine: int) -> tuple:
    """The car's part of each pixel's colour (0..1, background black) and how much of the pixel the car covers."""
    corners = mesh.vertices_V3[mesh.faces_F3].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    lit_F = normal @ (rotation(2, azimuth) @ light)
    lit = np.maximum(np.where(seen.cosine_YX > 0, -1, 1) * lit_F[seen.face_YX], 0)
    there = seen.face_YX >= 0
    colour = mesh.colours_F3[seen.face_YX] * (ambient + (1 - ambient) * lit)[..., None] * there[..., None]
    side = len(there) // fine
    blocks = colour.reshape(side, fine, side, fine, 3), there.reshape(side, fine, side, fine)
    return blocks[0].mean((1, 3)), blocks[1].mean((1, 3))
