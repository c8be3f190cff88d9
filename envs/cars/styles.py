"""Body styles as ranges of measures, and drawing a car from them.

A style is a row of :data:`RANGES`; what a car looks like beyond its measures (windows, lights, rails) is drawn here
too, so that a :class:`Car` is all that :mod:`envs.cars.shapes` needs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from envs.cars.mesh import Colour
from envs.settings import closest

STYLES = ("saloon", "hatchback", "estate", "coupe", "pickup", "van", "suv")
"""Body styles, in the order of their numbers."""


@dataclass(frozen=True)
class Measures:
    """The proportions of a body.

    Attributes:
        length, width, height: metres, over everything but mirrors and rails.
        wheel_base: distance of the axles, share of the length.
        ahead: the part in front of the front axle, share of what the wheel base leaves.
        hood: from the front end to the foot of the windscreen, share of the length.
        boot: from the rear end to the foot of the rear window (the bed of a pickup), share of the length.
        screen, back: how far windscreen and rear window lean, metres along the car.
        belt: the lower edge of the windows, share of the height.
        nose: the front edge of the hood, share of the belt.
        tail: the rear edge of the boot, share of the belt.
        clearance: metres between the ground and the underside.
        wheel: radius in metres.
        roof: width of the roof, share of the body's.
        rake: how far the upper edge of the front end leans back, metres.
    """

    length: float
    width: float
    height: float
    wheel_base: float
    ahead: float
    hood: float
    boot: float
    screen: float
    back: float
    belt: float
    nose: float
    tail: float
    clearance: float
    wheel: float
    roof: float
    rake: float


@dataclass(frozen=True)
class Car:
    """A car: :func:`envs.cars.shapes.mesh` makes its surface.

    Attributes:
        windows: ends of the side windows, shares of the side from the rear window to the windscreen.
        lamp: width of a head light, share of the front's; lamp_height likewise.
        tall_tail: tail lights stand upright at the corners instead of lying across.
        grille: width of the grille, share of the front's.
        paint, glass, rim, trim, head, tail, plate: colours of the body, windows, wheels, bumpers and sills, head and
            tail lights, rear number plate.
    """

    style: str
    measures: Measures
    windows: tuple[tuple[float, float], ...]
    lamp: float
    lamp_height: float
    tall_tail: bool
    grille: float
    rails: bool
    spoiler: bool
    paint: Colour
    roof_paint: Colour
    glass: Colour
    rim: Colour
    trim: Colour
    head: Colour
    tail: Colour
    plate: Colour
    spokes: bool


# fmt: off
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "saloon": {
        "length": (4.4, 5.05), "width": (1.72, 1.92), "height": (1.38, 1.50), "wheel_base": (.57, .62),
        "ahead": (.42, .50), "hood": (.24, .29), "boot": (.15, .20), "screen": (.55, .80), "back": (.45, .75),
        "belt": (.60, .66), "nose": (.74, .86), "tail": (.92, 1.0), "clearance": (.14, .19), "wheel": (.29, .34),
        "roof": (.70, .80), "rake": (.02, .14),
    },
    "hatchback": {
        "length": (3.5, 4.2), "width": (1.60, 1.80), "height": (1.42, 1.58), "wheel_base": (.60, .67),
        "ahead": (.48, .56), "hood": (.18, .24), "boot": (.0, .02), "screen": (.50, .80), "back": (.32, .65),
        "belt": (.57, .65), "nose": (.74, .86), "tail": (.92, 1.0), "clearance": (.14, .20), "wheel": (.27, .33),
        "roof": (.72, .84), "rake": (.02, .16),
    },
    "estate": {
        "length": (4.5, 5.05), "width": (1.72, 1.90), "height": (1.42, 1.54), "wheel_base": (.56, .60),
        "ahead": (.40, .46), "hood": (.23, .28), "boot": (.0, .015), "screen": (.55, .80), "back": (.10, .32),
        "belt": (.58, .64), "nose": (.74, .86), "tail": (.94, 1.0), "clearance": (.14, .19), "wheel": (.29, .34),
        "roof": (.72, .82), "rake": (.02, .14),
    },
    "coupe": {
        "length": (4.1, 4.75), "width": (1.76, 1.98), "height": (1.17, 1.32), "wheel_base": (.55, .61),
        "ahead": (.42, .52), "hood": (.29, .37), "boot": (.06, .14), "screen": (.60, .85), "back": (.85, 1.25),
        "belt": (.62, .69), "nose": (.66, .80), "tail": (.94, 1.06), "clearance": (.10, .14), "wheel": (.31, .36),
        "roof": (.66, .76), "rake": (.04, .26),
    },
    "pickup": {
        "length": (4.9, 5.7), "width": (1.80, 2.05), "height": (1.68, 1.95), "wheel_base": (.57, .62),
        "ahead": (.40, .48), "hood": (.21, .26), "boot": (.33, .43), "screen": (.45, .70), "back": (.03, .18),
        "belt": (.58, .64), "nose": (.86, .96), "tail": (.92, 1.0), "clearance": (.25, .36), "wheel": (.36, .43),
        "roof": (.77, .86), "rake": (.0, .06),
    },
    "van": {
        "length": (4.6, 5.9), "width": (1.85, 2.05), "height": (1.90, 2.50), "wheel_base": (.56, .63),
        "ahead": (.40, .50), "hood": (.08, .16), "boot": (.0, .005), "screen": (.40, .85), "back": (.02, .10),
        "belt": (.47, .57), "nose": (.80, .90), "tail": (.97, 1.0), "clearance": (.16, .23), "wheel": (.31, .36),
        "roof": (.86, .94), "rake": (.0, .12),
    },
    "suv": {
        "length": (4.0, 4.8), "width": (1.80, 2.02), "height": (1.70, 1.95), "wheel_base": (.57, .62),
        "ahead": (.42, .50), "hood": (.20, .26), "boot": (.0, .015), "screen": (.42, .68), "back": (.18, .42),
        "belt": (.58, .64), "nose": (.84, .95), "tail": (.94, 1.0), "clearance": (.25, .35), "wheel": (.38, .44),
        "roof": (.75, .85), "rake": (.0, .08),
    },
}

WINDOWS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "saloon": (((.06, .52), (.55, .95)), ((.05, .22), (.25, .58), (.61, .95))),
    "hatchback": (((.08, .46), (.50, .94)), ((.06, .94),), ((.16, .50), (.54, .94))),
    "estate": (((.04, .30), (.33, .62), (.65, .96)),),
    "coupe": (((.12, .92),), ((.30, .93),)),
    "pickup": (((.06, .46), (.50, .94)), ((.10, .92),)),
    "van": (((.76, .97),), ((.50, .73), (.76, .97))),
    "suv": (((.05, .28), (.31, .60), (.63, .95)), ((.05, .46), (.50, .95))),
}
"""The patterns of side windows that a style can have."""
# fmt: on

PAINTS: tuple[Colour, ...] = (
    (0.93, 0.93, 0.91), (0.74, 0.76, 0.78), (0.48, 0.50, 0.53), (0.21, 0.21, 0.23), (0.80, 0.12, 0.12),
    (0.16, 0.34, 0.76), (0.15, 0.21, 0.45), (0.13, 0.44, 0.27), (0.93, 0.78, 0.14), (0.92, 0.47, 0.12),
    (0.78, 0.70, 0.54), (0.46, 0.30, 0.19), (0.20, 0.63, 0.70), (0.55, 0.15, 0.30), (0.56, 0.74, 0.38),
)  # fmt: skip
"""Colours that cars are painted in; a car has one of them, varied a little."""

CHROME: Colour = (0.78, 0.80, 0.82)
DARK: Colour = (0.09, 0.09, 0.10)


def draw_car(style: str, generator: np.random.Generator) -> Car:
    """A random car of the style; the generator's state is all that it depends on."""
    check_style(style)
    draw = generator.uniform
    measures = Measures(**{field.name: float(draw(*RANGES[style][field.name])) for field in fields(Measures)})
    windows = WINDOWS[style][generator.integers(len(WINDOWS[style]))]
    paint = _vary(PAINTS[generator.integers(len(PAINTS))], 0.07, generator)
    light = float(draw(0.10, 0.26) if sum(paint) > 0.95 else draw(0.36, 0.50))  # windows stand out from the paint
    sills = paint[0] * 0.85, paint[1] * 0.85, paint[2] * 0.85
    rugged = bool(draw() < {"suv": 0.85, "pickup": 0.6, "van": 0.6}.get(style, 0.0))
    return Car(
        style=style,
        measures=measures,
        windows=windows,
        lamp=float(draw(0.15, 0.27)),
        lamp_height=float(draw(0.25, 0.55)),
        tall_tail=bool(draw() < {"saloon": 0.1, "coupe": 0.0}.get(style, 0.75)),
        grille=float(draw(0.24, 0.52)),
        rails=bool(draw() < {"estate": 0.7, "suv": 0.7}.get(style, 0.0)),
        spoiler=bool(draw() < {"coupe": 0.5, "hatchback": 0.4, "suv": 0.3, "saloon": 0.1}.get(style, 0.0)),
        paint=paint,
        roof_paint=_vary(PAINTS[generator.integers(4)], 0.05, generator) if draw() < 0.12 else paint,
        glass=_vary((light * 0.85, light, light * 1.15), 0.03, generator),
        rim=_vary(CHROME if draw() < 0.75 else (0.25, 0.25, 0.27), 0.08, generator),
        trim=_vary((0.16, 0.16, 0.17), 0.04, generator) if rugged else sills,
        head=_vary((1.0, 0.97, 0.82) if draw() < 0.6 else (0.93, 0.96, 1.0), 0.03, generator),
        tail=_vary((0.85, 0.05, 0.06), 0.05, generator),
        plate=(0.95, 0.83, 0.20) if draw() < 0.5 else (0.93, 0.93, 0.90),
        spokes=bool(draw() < 0.6),
    )


def check_style(style: str) -> None:
    """Raises ``ValueError`` for a style that does not exist."""
    if style not in STYLES:
        raise ValueError(f"there is no body style {style!r}{closest(style, STYLES)}")


def _vary(colour: Colour, by: float, generator: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) + generator.uniform(-by, by, 3), 0, 1).tolist()
    return red, green, blue
