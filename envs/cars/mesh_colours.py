"""Colours of users' meshes: of faces, vertices, materials or textures, one colour a face.

A picture is small, and a face has one colour. A large face that a texture paints with windows and lights is split into
smaller ones, as fine as a picture shows.
Shape legend: ``F`` faces, ``S`` parts of a face, ``N`` vertices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.cars.mesh import MAX_FACES, Mesh

GREY = 0.6
"""The colour of faces for which a file has none."""

FINEST = 1 / 40
"""Of a mesh's longest side: parts of textured faces need not be smaller, a few pixels of a usual picture."""

SPLITS = (1, 2, 4, 8, 16, 32)
"""Into how many parts the sides of a face can be split."""

ALIKE = 24
"""Of 255: a texture that varies less within a face than this in each colour does not split it."""

ONE_COLOUR = 0.97
"""A mesh of whose surface a larger share has one colour shows neither windows nor lights."""

HUE = 0.1
"""A colour whose parts differ by less is white, grey or black."""

NAMES = {"white": 0.85, "grey": 0.2, "black": 0.0}
"""What a colour without a hue is called, from which brightness on."""


def coloured(
    part: Any, corners_F33: np.ndarray, size: float, tell: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Corners and colours (0..1, F×3) of the faces of a trimesh part; textured ones may be split.

    Args:
        size: the longest side of the whole mesh. tell: gets a line for a texture that cannot be laid on the part.
    """
    visual, faces_F3 = part.visual, np.asarray(part.faces)
    if visual.kind == "face":
        return corners_F33, np.asarray(visual.face_colors)[:, :3] / 255
    if visual.kind == "vertex":
        return corners_F33, np.asarray(visual.vertex_colors)[faces_F3, :3].mean(1) / 255
    if visual.kind != "texture":
        return corners_F33, np.full((len(faces_F3), 3), GREY)
    material = visual.material
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is not None and visual.uv is not None and len(visual.uv) == len(part.vertices):
        return _textured(corners_F33, np.asarray(visual.uv, np.float64)[faces_F3], material.to_color, size)
    if image is not None:
        tell("a texture is left out: the file does not say where on the faces it lies (texture coordinates)")
    return corners_F33, np.repeat(np.asarray(material.main_color)[None, :3] / 255, len(faces_F3), 0)


def _textured(
    corners_F33: np.ndarray, uv_F32: np.ndarray, colour_of: Callable[[np.ndarray], Any], size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Faces split until their parts are small, or of one colour; each part has that of the texture in its middle."""

    def colours(uv: np.ndarray) -> np.ndarray:
        return np.asarray(colour_of(uv.reshape(-1, 2)))[:, :3].reshape(*uv.shape[:-1], 3) / 255

    longest_F = np.linalg.norm(corners_F33 - np.roll(corners_F33, 1, 1), axis=2).max(1)
    number_F = np.searchsorted(SPLITS, longest_F / (FINEST * size)).clip(0, len(SPLITS) - 1)
    corners, found = [], []
    room = MAX_FACES
    for number in np.unique(number_F)[::-1].tolist():
        mine, into = number_F == number, parts(SPLITS[number])
        middle_FS3 = colours(np.einsum("sb,fbx->fsx", into.mean(1), uv_F32[mine]))
        vary_F = 255 * np.ptp(middle_FS3, axis=1).max(1, initial=0) > ALIKE
        whole, split = np.flatnonzero(mine)[~vary_F], np.flatnonzero(mine)[vary_F]
        room -= len(split) * len(into)
        if room < 0:
            whole, split, vary_F = np.flatnonzero(mine), split[:0], np.zeros_like(vary_F)
        corners += [corners_F33[whole], np.einsum("scb,fbx->fscx", into, corners_F33[split]).reshape(-1, 3, 3)]
        found += [colours(uv_F32[whole]).mean(1), middle_FS3[vary_F].reshape(-1, 3)]
    return np.concatenate(corners), np.concatenate(found)


def parts(sides: int) -> np.ndarray:
    """The corners of the parts of a triangle each of whose sides is split so often: S×3×3, S = sides², as shares of the
    triangle's corners, wound as it is."""
    found = []
    for i in range(sides):
        for j in range(sides - i):
            found.append([(i, j), (i + 1, j), (i, j + 1)])
            if i + j < sides - 1:
                found.append([(i + 1, j), (i + 1, j + 1), (i, j + 1)])
    at_S32 = np.array(found, np.float64) / sides
    return np.concatenate([1 - at_S32.sum(2, keepdims=True), at_S32], 2)


@dataclass(frozen=True)
class Largest:
    """The colour (0..1) of most of a mesh's surface, and its share of it."""

    colour_3: np.ndarray
    share: float

    @property
    def plain(self) -> bool:
        """Whether nothing but the mesh's outline tells its front."""
        return self.share > ONE_COLOUR

    @property
    def told(self) -> str:
        """Both in words."""
        hue, bright = np.ptp(self.colour_3) > HUE, float(self.colour_3.mean())
        name = "of one colour" if hue else next(name for name, least in NAMES.items() if bright >= least)
        return f"{100 * self.share:.0f} % of it is {name}"


def largest(mesh: Mesh) -> Largest:
    """Of a mesh."""
    a_F3, b_F3, c_F3 = mesh.vertices_V3[mesh.faces_F3].swapaxes(0, 1)
    area_F = np.linalg.norm(np.cross(b_F3 - a_F3, c_F3 - a_F3), axis=1).astype(np.float64)
    shades, which_F = np.unique((255 * mesh.colours_F3).round(), axis=0, return_inverse=True)
    area_S = np.bincount(which_F.reshape(-1), weights=area_F, minlength=len(shades))
    most = int(area_S.argmax())
    return Largest(shades[most] / 255, float(area_S[most] / max(area_F.sum(), 1e-30)))
