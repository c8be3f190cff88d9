"""The surface of a car, from its measures: a lofted body, a tapered cabin, wheels, and parts laid on them.

Metres; x forward, y to the car's left, z up. The body is a row of outlines across the car (stations), from the front
end to the rear end; each has four points on the left, which are mirrored: underside A, sill B, waist C, shoulder D.
Windows, lights, grille and number plates are parts of the faces they lie on, a centimetre off them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from envs.cars.mesh import Builder, Mesh, between
from envs.cars.styles import CHROME, DARK, Car, Measures

SIDES = 10
"""Corners of a wheel."""

OFF = 0.012
"""Metres between a part and the face on which it lies."""

MIN_BOOT = 0.04
"""Share of the length; cars of less have none, and a spoiler sits on the roof."""

TYRE = (0.07, 0.07, 0.075)
ARCH = (0.04, 0.04, 0.045)
UNDERSIDE = (0.10, 0.10, 0.10)
BED = (0.16, 0.16, 0.17)


def mesh(car: Car) -> Mesh:
    """The car's surface: 300 to 500 faces, standing on z = 0, centred in x and y."""
    builder = Builder()
    body_S43 = _body(builder, car)
    _front(builder, car, body_S43)
    _rear(builder, car, body_S43)
    cabin = _cabin(builder, car)
    _windows(builder, car, cabin)
    _extras(builder, car, cabin)
    if car.style == "pickup":
        _bed(builder, car)
    _wheels(builder, car)
    return builder.mesh()


@dataclass(frozen=True)
class Cabin:
    """The faces of a cabin, each 4×3 as :func:`envs.cars.mesh.between` takes them."""

    front_43: np.ndarray
    rear_43: np.ndarray
    left_43: np.ndarray


def _belt(m: Measures) -> float:
    return m.belt * m.height


def _floor(m: Measures) -> float:
    """The floor of a pickup's bed, metres above the ground."""
    return 0.76 * _belt(m)


def _stations(car: Car) -> np.ndarray:
    """x, top, underside and half the width of the body at each station, from the front end to the rear end, S×4."""
    m = car.measures
    end, half, belt, under = m.length / 2, m.width / 2, _belt(m), m.clearance
    nose, tail = m.nose * belt, m.tail * belt
    hood, boot = m.hood * m.length, max(m.boot * m.length, 0.16)
    back = _floor(m) if car.style == "pickup" else tail
    foot = _floor(m) if car.style == "pickup" else belt
    return np.array(
        [
            (end, nose - 0.03, under + 0.05, 0.84 * half),
            (end - 0.14, nose, under + 0.01, 0.94 * half),
            (end - 0.55 * hood, nose + 0.55 * (belt - nose), under, half),
            (end - hood, belt, under, half),
            (-end + boot + 0.02, belt, under, half),
            (-end + boot, foot, under, half),
            (-end + 0.13, back, under + 0.02, 0.95 * half),
            (-end, back - 0.02, under + 0.08, 0.88 * half),
        ]
    )


def _outline(station_4: np.ndarray, lean_4: tuple[float, float, float, float]) -> np.ndarray:
    """The left points A to D of a station, 4×3; ``lean_4`` moves each of them along the car."""
    x, top, under, half = station_4
    tall = top - under
    points = [(0.86 * half, under), (half, under + 0.28 * tall), (half, under + 0.80 * tall), (0.95 * half, top)]
    return np.array([(x + lean, y, z) for lean, (y, z) in zip(lean_4, points, strict=True)])


def _body(builder: Builder, car: Car) -> np.ndarray:
    """Adds the body; returns the left points of its stations, S×4×3."""
    rake = car.measures.rake
    stations_S4 = _stations(car)
    leans = [(0.0, 0.0, 0.0, 0.0)] * len(stations_S4)
    leans[0] = (-0.06, 0.0, -0.25 * rake, -0.05 - 0.75 * rake)
    leans[-1] = (0.06, 0.0, 0.02, 0.05)
    body_S43 = np.stack([_outline(s, lean) for s, lean in zip(stations_S4, leans, strict=True)])
    for one_43, other_43 in pairwise(body_S43):
        builder.strip(other_43, one_43, [car.trim, car.paint, car.paint], mirror=True)
        _across(builder, one_43[3], other_43[3], car.paint)
        _across(builder, other_43[0], one_43[0], UNDERSIDE)
    for k, colour in enumerate((car.trim, car.paint, car.paint)):
        _across(builder, body_S43[0, k], body_S43[0, k + 1], colour)
        _across(builder, body_S43[-1, k + 1], body_S43[-1, k], colour)
    return body_S43


def _right(point_3: np.ndarray) -> np.ndarray:
    """The same point on the right."""
    return point_3 * (1, -1, 1)


def _across(builder: Builder, one_3: np.ndarray, other_3: np.ndarray, colour: tuple[float, float, float]) -> None:
    """The face between two points on the left and the same on the right."""
    builder.fan(np.stack([_right(one_3), one_3, other_3, _right(other_3)]), colour)


def _front_face(one_43: np.ndarray, k: int) -> np.ndarray:
    """The part of the front end between points k and k+1 of its outline, as :func:`between` takes it."""
    return np.stack([_right(one_43[k]), one_43[k], one_43[k + 1], _right(one_43[k + 1])])


def _rear_face(one_43: np.ndarray, k: int) -> np.ndarray:
    return np.stack([one_43[k], _right(one_43[k]), _right(one_43[k + 1]), one_43[k + 1]])


def _lay(
    builder: Builder,
    face_43: np.ndarray,
    across: tuple[float, float],
    up: tuple[float, float],
    colour: tuple[float, float, float],
    *,
    mirror: bool = False,
) -> None:
    """A part on a face, and the same on the other half of the car."""
    builder.fan(between(face_43, across, up, OFF), colour, mirror=mirror)


def _front(builder: Builder, car: Car, body_S43: np.ndarray) -> None:
    """Head lights, which reach round the corners, grille, air intake and number plate."""
    face_43 = _front_face(body_S43[0], 1)
    low = 0.95 - car.lamp_height
    _lay(builder, face_43, (0.985 - car.lamp, 0.985), (low, 0.95), car.head, mirror=True)
    corner_43 = np.stack([body_S43[1, 1], body_S43[0, 1], body_S43[0, 2], body_S43[1, 2]])[[1, 0, 3, 2]]
    _lay(builder, corner_43, (0.03, 0.95), (low, 0.95), car.head, mirror=True)
    half = min(car.grille, 0.9 - 2 * car.lamp) / 2
    _lay(builder, face_43, (0.5 - half, 0.5 + half), (0.42, 0.92), DARK)
    _lay(builder, face_43, (0.38, 0.62), (0.08, 0.34), (0.93, 0.93, 0.90))
    _lay(builder, _front_face(body_S43[0], 0), (0.2, 0.8), (0.35, 0.85), DARK)


def _rear(builder: Builder, car: Car, body_S43: np.ndarray) -> None:
    """Tail lights, which reach round the corners, number plate and bumper."""
    outline_43 = body_S43[-1]
    face_43 = _rear_face(outline_43, 1)
    width, low = (0.12, 0.25) if car.tall_tail else (car.lamp + 0.06, 0.95 - car.lamp_height)
    _lay(builder, face_43, (0.015, 0.015 + width), (low, 0.97), car.tail, mirror=True)
    corner_43 = np.stack([body_S43[-2, 1], body_S43[-1, 1], body_S43[-1, 2], body_S43[-2, 2]])
    _lay(builder, corner_43, (0.05, 0.97), (low, 0.97), car.tail, mirror=True)
    _lay(builder, face_43, (0.37, 0.63), (0.3, 0.62), car.plate)
    _lay(builder, _rear_face(outline_43, 0), (0.1, 0.9), (0.3, 0.9), DARK)


def _cabin(builder: Builder, car: Car) -> Cabin:
    """Adds the cabin: belt, then the edge of the roof, then the roof."""
    m = car.measures
    front, rear = m.length / 2 - m.hood * m.length + 0.02, -m.length / 2 + max(m.boot * m.length, 0.05)
    base, top, belt = 0.90 * m.width / 2, m.roof * m.width / 2, _belt(m) - 0.03
    edge, roof = m.height - 0.05, m.height
    foot_43 = np.array([(front, base, belt), (rear, base, belt), (rear, -base, belt), (front, -base, belt)])
    tips = front - m.screen, rear + m.back
    edge_43 = np.array([(x, y, edge) for x, y in ((tips[0], top), (tips[1], top), (tips[1], -top), (tips[0], -top))])
    shorter_4 = (-0.12, 0.08, 0.08, -0.12)
    roof_43 = np.array([(x + by, 0.86 * y, roof) for (x, y, _), by in zip(edge_43, shorter_4, strict=True)])
    loop = [0, 1, 2, 3, 0]
    builder.strip(foot_43[loop], edge_43[loop], [car.paint] * 4)
    builder.strip(edge_43[loop], roof_43[loop], [car.roof_paint] * 4)
    builder.fan(roof_43, car.roof_paint)
    return Cabin(
        front_43=np.stack([foot_43[3], foot_43[0], edge_43[0], edge_43[3]]),
        rear_43=np.stack([foot_43[1], foot_43[2], edge_43[2], edge_43[1]]),
        left_43=np.stack([foot_43[0], foot_43[1], edge_43[1], edge_43[0]]),
    )


def _windows(builder: Builder, car: Car, cabin: Cabin) -> None:
    """Windscreen, rear window (in two parts on a van) and side windows."""
    _lay(builder, cabin.front_43, (0.04, 0.96), (0.06, 0.96), car.glass)
    rear = ((0.12, 0.47), (0.53, 0.88)) if car.style == "van" else ((0.07, 0.93),)
    for across in rear:
        _lay(builder, cabin.rear_43, across, (0.45 if car.style == "van" else 0.14, 0.90), car.glass)
    for start, stop in car.windows:
        _lay(builder, cabin.left_43, (1 - stop, 1 - start), (0.10, 0.90), car.glass, mirror=True)
    if car.tall_tail and car.style in ("hatchback", "estate", "suv", "van"):
        _lay(builder, cabin.rear_43, (0.0, 0.06), (0.05, 0.6), car.tail, mirror=True)


def _extras(builder: Builder, car: Car, cabin: Cabin) -> None:
    """Mirrors, roof rails and spoiler."""
    m = car.measures
    foot, tip, back = cabin.front_43[1], cabin.left_43[3], cabin.left_43[2]
    x, y, z = 0.7 * foot + 0.3 * tip
    builder.box((x - 0.06, y + 0.02, z - 0.04), (x + 0.06, m.width / 2 + 0.12, z + 0.10), car.paint, mirror=True)
    side, top = 0.8 * tip[1], m.height
    if car.rails:
        builder.box((back[0], side, top), (tip[0] - 0.2, side + 0.05, top + 0.06), CHROME, mirror=True)
    if car.spoiler and m.boot > MIN_BOOT:
        end, half, lid = -m.length / 2, 0.36 * m.width, m.tail * _belt(m)
        builder.box((end + 0.03, -half, lid + 0.13), (end + 0.26, half, lid + 0.17), car.paint)
        builder.box((end + 0.12, 0.7 * half, lid - 0.03), (end + 0.2, 0.8 * half, lid + 0.13), car.paint, mirror=True)
    elif car.spoiler:
        builder.box((back[0] - 0.18, -side, top - 0.07), (back[0] + 0.1, side, top - 0.02), car.roof_paint)


def _bed(builder: Builder, car: Car) -> None:
    """The walls of a pickup's bed, and its dark floor."""
    m = car.measures
    rear, front = -m.length / 2 + 0.04, -m.length / 2 + m.boot * m.length + 0.01
    floor, top, half = _floor(m) - 0.03, _belt(m), 0.97 * m.width / 2
    builder.box((rear, half - 0.09, floor), (front, half, top), car.paint, mirror=True)
    builder.box((rear, -half, floor), (rear + 0.07, half, top), car.paint)
    z = floor + 0.05
    builder.fan(np.array([(rear, -half, z), (front, -half, z), (front, half, z), (rear, half, z)]), BED)


def _wheels(builder: Builder, car: Car) -> None:
    """Four wheels, each in a dark arch."""
    m = car.measures
    rest = (1 - m.wheel_base) * m.length
    front = m.length / 2 - m.ahead * rest
    for x in (front, front - m.wheel_base * m.length):
        _wheel(builder, car, x)


def _wheel(builder: Builder, car: Car, x: float) -> None:
    """The wheels at ``x``: arch, tread, tyre, rim with spokes."""
    m = car.measures
    radius, side = m.wheel, m.width / 2
    outer, inner = side + 0.02, side - 0.20

    def ring(share: float, y: float, start: float = np.pi / SIDES, turn: float = 2 * np.pi) -> np.ndarray:
        """Points around the axle, from the rear over the top; a wheel stands on a corner."""
        angle = start + np.linspace(0, turn, SIDES + 1)
        x_K, z_K = x - share * radius * np.cos(angle), radius * (1 + share * np.sin(angle))
        return np.stack([x_K, np.full(SIDES + 1, y), z_K], 1)

    feet = np.array([(x + by * radius, side + 0.006, m.clearance) for by in (1.1, -1.1)])
    builder.fan(np.concatenate([feet, ring(1.16, side + 0.006, 0, np.pi)]), ARCH, mirror=True)
    builder.strip(ring(1, inner), ring(1, outer), [TYRE] * SIDES, mirror=True)
    builder.strip(ring(1, outer), ring(0.66, outer), [TYRE] * SIDES, mirror=True)
    dull = (0.45 * car.rim[0], 0.45 * car.rim[1], 0.45 * car.rim[2]) if car.spokes else car.rim
    middle = np.array([[x, outer, radius]])
    builder.fan(np.concatenate([middle, ring(0.66, outer)]), [car.rim, dull] * (SIDES // 2), mirror=True)
