"""A z-buffer rasteriser in machine code, for pictures of a few thousand pixels.

Numba compiles this at its first use and keeps the result on disk. It is plain Python over numpy arrays besides. Shape
legend: ``V`` pictures, ``N`` vertices, ``F`` faces, ``G`` corners of the noise's lattice along a side. All numbers are
float64 and are summed in a fixed order, so that a picture is bit-identical each time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NO_FACE = -1
"""A sample at which there is only background."""


@njit(cache=True, nogil=True)
def project(vertices_N3, eye_3, axes_33, focal, half, screen_N3):  # type: ignore[no-untyped-def]
    """Where vertices are seen: column and row in samples, and 1 / depth; ``axes_33`` are right, up and forward."""
    for n in range(len(vertices_N3)):
        x, y, z = vertices_N3[n, 0] - eye_3[0], vertices_N3[n, 1] - eye_3[1], vertices_N3[n, 2] - eye_3[2]
        near = 1.0 / (x * axes_33[2, 0] + y * axes_33[2, 1] + z * axes_33[2, 2])
        screen_N3[n, 0] = half + focal * near * (x * axes_33[0, 0] + y * axes_33[0, 1] + z * axes_33[0, 2])
        screen_N3[n, 1] = half - focal * near * (x * axes_33[1, 0] + y * axes_33[1, 1] + z * axes_33[1, 2])
        screen_N3[n, 2] = near


@njit(cache=True, nogil=True)
def cover(faces_F3, screen_N3, near_YX, face_YX):  # type: ignore[no-untyped-def]
    """The nearest face at each sample; of two at the same depth the first. A sample on an edge belongs to the face."""
    side = len(near_YX)
    near_YX[:] = 0.0
    face_YX[:] = NO_FACE
    for f in range(len(faces_F3)):
        a, b, c = faces_F3[f, 0], faces_F3[f, 1], faces_F3[f, 2]
        xa, ya, xb, yb, xc, yc = (
            screen_N3[a, 0], screen_N3[a, 1], screen_N3[b, 0], screen_N3[b, 1], screen_N3[c, 0], screen_N3[c, 1],
        )  # fmt: skip
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0.0:
            continue
        left = max(0, int(np.ceil(min(xa, xb, xc) - 0.5)))
        right = min(side - 1, int(np.floor(max(xa, xb, xc) - 0.5)))
        top = max(0, int(np.ceil(min(ya, yb, yc) - 0.5)))
        bottom = min(side - 1, int(np.floor(max(ya, yb, yc) - 0.5)))
        if left > right or top > bottom:
            continue
        turn = 1.0 if area > 0.0 else -1.0
        # Weights of the corners, times the area: at (x, y) each is slope_x * (x - corner) + slope_y * (y - corner).
        ax, ay = turn * (yb - yc), turn * (xc - xb)
        bx, by = turn * (yc - ya), turn * (xa - xc)
        cx, cy = turn * (ya - yb), turn * (xb - xa)
        scale = 1.0 / (turn * area)
        za, zb, zc = screen_N3[a, 2] * scale, screen_N3[b, 2] * scale, screen_N3[c, 2] * scale
        for row in range(top, bottom + 1):
            y = row + 0.5
            one, two, three = ay * (y - yb), by * (y - yc), cy * (y - ya)
            for column in range(left, right + 1):
                x = column + 0.5
                u = ax * (x - xb) + one
                v = bx * (x - xc) + two
                w = cx * (x - xa) + three
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    near = u * za + v * zb + w * zc
                    if near > near_YX[row, column]:
                        near_YX[row, column] = near
                        face_YX[row, column] = f


@njit(cache=True, nogil=True)
def shade(vertices_N3, faces_F3, colours_F3, eye_3, light_3, ambient, shaded_F3):  # type: ignore[no-untyped-def]
    """Lambert's law for each face with one distant light; both sides of a face are lit alike."""
    for f in range(len(faces_F3)):
        a, b, c = vertices_N3[faces_F3[f, 0]], vertices_N3[faces_F3[f, 1]], vertices_N3[faces_F3[f, 2]]
        x1, y1, z1 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        x2, y2, z2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
        size = np.sqrt(nx * nx + ny * ny + nz * nz)
        if size == 0.0:
            shaded_F3[f] = 0.0
            continue
        if nx * (a[0] - eye_3[0]) + ny * (a[1] - eye_3[1]) + nz * (a[2] - eye_3[2]) > 0.0:
            size = -size
        lit = (nx * light_3[0] + ny * light_3[1] + nz * light_3[2]) / size
        strength = ambient + (1.0 - ambient) * max(lit, 0.0)
        for part in range(3):
            shaded_F3[f, part] = strength * colours_F3[f, part]


@njit(cache=True, nogil=True)
def backdrop(axes_33, focal, paint_43, noise_GG, drawn_YX3):  # type: ignore[no-untyped-def]
    """Sky above the horizon, ground below it, each fading between two colours, with smooth noise over both.

    ``paint_43``: the sky's zenith, the sky at the horizon, the ground at the horizon, the ground below.
    """
    side, cells = len(drawn_YX3), len(noise_GG) - 1
    for row in range(side):
        y = side / 2 - (row + 0.5)
        v = (row + 0.5) / side * cells
        j = int(v)
        v -= j
        for column in range(side):
            x = column + 0.5 - side / 2
            height = y * axes_33[1, 2] + x * axes_33[0, 2] + focal * axes_33[2, 2]
            height /= np.sqrt(x * x + y * y + focal * focal)
            u = (column + 0.5) / side * cells
            i = int(u)
            u -= i
            grain = (1 - v) * ((1 - u) * noise_GG[j, i] + u * noise_GG[j, i + 1]) + v * (
                (1 - u) * noise_GG[j + 1, i] + u * noise_GG[j + 1, i + 1]
            )
            above = height > 0.0
            far, end = (1, 0) if above else (2, 3)
            fade = min(1.0, 1.2 * abs(height))
            for part in range(3):
                drawn_YX3[row, column, part] = (1 - fade) * paint_43[far, part] + fade * paint_43[end, part] + grain


@njit(cache=True, nogil=True)
def develop(face_YX, shaded_F3, drawn_YX3, out_YX3):  # type: ignore[no-untyped-def]
    """Bytes of a picture: each pixel is the mean of its samples."""
    side = len(out_YX3)
    fine = len(face_YX) // side
    share = 1.0 / (fine * fine)
    for row in range(side):
        for column in range(side):
            red = green = blue = 0.0
            for j in range(row * fine, (row + 1) * fine):
                for i in range(column * fine, (column + 1) * fine):
                    f = face_YX[j, i]
                    colour_3 = drawn_YX3[row, column] if f == NO_FACE else shaded_F3[f]
                    red += colour_3[0]
                    green += colour_3[1]
                    blue += colour_3[2]
            out_YX3[row, column, 0] = np.uint8(255.0 * min(max(red * share, 0.0), 1.0) + 0.5)
            out_YX3[row, column, 1] = np.uint8(255.0 * min(max(green * share, 0.0), 1.0) + 0.5)
            out_YX3[row, column, 2] = np.uint8(255.0 * min(max(blue * share, 0.0), 1.0) + 0.5)


@njit(cache=True, nogil=True)
def pictures(  # type: ignore[no-untyped-def]
    vertices_N3, faces_F3, colours_F3,
    eye_V3, axes_V33, focal, light_V3, ambient_V, paint_V43, noise_VGG, fine, out_VYX3,
):  # fmt: skip
    """All pictures of one mesh, one after the other; ``focal`` is in pixels, ``fine`` samples along a pixel's side."""
    side = out_VYX3.shape[1]
    screen_N3, shaded_F3 = np.empty((len(vertices_N3), 3)), np.empty((len(faces_F3), 3))
    near_YX = np.empty((fine * side, fine * side))
    face_YX = np.empty((fine * side, fine * side), np.int32)
    drawn_YX3 = np.empty((side, side, 3))
    for v in range(len(out_VYX3)):
        project(vertices_N3, eye_V3[v], axes_V33[v], focal * fine, fine * side / 2, screen_N3)
        cover(faces_F3, screen_N3, near_YX, face_YX)
        shade(vertices_N3, faces_F3, colours_F3, eye_V3[v], light_V3[v], ambient_V[v], shaded_F3)
        backdrop(axes_V33[v], focal, paint_V43[v], noise_VGG[v], drawn_YX3)
        develop(face_YX, shaded_F3, drawn_YX3, out_VYX3[v])
