"""The call graph as a picture: SVG written by hand, PNG by Matplotlib, Mermaid text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsl.callgraph.layout import Box, Drawing, Line, Point, Region, circle_edges, draw
from envs.support.atomic_files import write_whole

if TYPE_CHECKING:
    import networkx as nx

SUFFIXES = (".svg", ".png", ".mmd")
"""What a picture's file can be called: its suffix says what it is."""

FONT = "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"

COLOURS = {
    "page": ("#ffffff", "#14161b"),
    "ink": ("#1d2330", "#e6e9f0"),
    "soft": ("#6b7385", "#949db0"),
    "program": ("#eef1fb", "#232a3f"),
    "edge": ("#5468c4", "#8ea0f0"),
    "primitive": ("#e3f4ef", "#17352f"),
    "world": ("#2f8f78", "#5cc3a8"),
    "frame": ("#f6fbf9", "#172320"),
    "call": ("#8089a0", "#7f899f"),
    "act": ("#9fc9bc", "#456e62"),
    "circle": ("#d9541e", "#ff8a50"),
}
"""Of the light and of the dark picture."""


def picture(graph: nx.DiGraph[str], suffix: str, *, title: str, world: str) -> bytes:
    """The file's content for one of :data:`SUFFIXES`; ``world`` labels the frame around the primitives.

    Raises ``ValueError`` for another suffix, or where a PNG is asked for and Matplotlib is missing.
    """
    if suffix == ".mmd":
        return (mermaid(graph, world=world) + "\n").encode()
    if suffix == ".svg":
        return svg(draw(graph, world=world), title=title).encode()
    if suffix == ".png":
        return png(draw(graph, world=world))
    raise ValueError(f"a picture's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not in {suffix!r}")


def mermaid(graph: nx.DiGraph[str], *, world: str) -> str:
    """A call graph or a part of it as a Mermaid flowchart: primitives rounded in the world's frame, recursions red."""
    number = {name: f"n{index}" for index, name in enumerate(graph.nodes)}
    kinds = {name: graph.nodes[name]["kind"] for name in graph}
    lines = ["flowchart TD"]
    lines += [f'    {number[name]}["{_entities(name)}"]' for name in graph if kinds[name] != "primitive"]
    primitives = [name for name in graph if kinds[name] == "primitive"]
    if primitives:
        lines.append(f'    subgraph world["{_entities(world)}"]')
        lines += [f'        {number[name]}(["{_entities(name)}"])' for name in primitives]
        lines.append("    end")
    lines += [f"    {number[caller]} --> {number[callee]}" for caller, callee in graph.edges]
    recursive = circle_edges(graph)
    circles = [str(place) for place, edge in enumerate(graph.edges) if edge in recursive]
    if circles:
        lines.append(f"    linkStyle {','.join(circles)} stroke:#d9541e,stroke-width:2px")
    return "\n".join(lines)


def _entities(text: str) -> str:
    """What Mermaid would take for its own signs, as numbered entities."""
    return "".join(f"#{ord(sign)};" if sign in '"#<>&;' else sign for sign in text)


def svg(drawing: Drawing, *, title: str) -> str:
    """The drawing as a picture of its own: what programs do as tooltips, dark where the reader's screen is."""
    width, height = _number(drawing.width), _number(drawing.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style()}</style>",
        "<defs>" + "".join(_head(kind) for kind in ("call", "act", "circle")) + "</defs>",
        f'<rect class="page" width="{width}" height="{height}"/>',
        *(_svg_region(region) for region in drawing.regions),
        *(_svg_line(line, drawing) for line in sorted(drawing.lines, key=lambda line: line.recursive)),
        *(_svg_box(box) for box in drawing.boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def path(line: Line) -> list[tuple[str, list[Point]]]:
    """The strokes of a line: ``M``, ``L`` or ``C`` with their points; the last ends at the arrow's point."""
    (x, y), *rest = line.points
    if line.loop:
        (beside, _), end = rest
        return [("M", [(x, y)]), ("C", [(beside + 8, y + 8), (beside + 8, end[1] - 8), end])]
    strokes: list[tuple[str, list[Point]]] = [("M", [(x, y)])]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2:  # past the boxes of a layer
            strokes.append(("L", [(to_x, to_y)]))
        else:
            middle = (y + to_y) / 2
            strokes.append(("C", [(x, middle), (to_x, middle), (to_x, to_y)]))
        x, y = to_x, to_y
    return strokes


def kind_of(line: Line, drawing: Drawing) -> str:
    """``circle`` for a recursion, ``act`` for the call of a primitive, ``call`` for any other."""
    primitives = {box.name for box in drawing.boxes if box.kind == "primitive"}
    return "circle" if line.recursive else "act" if line.callee in primitives else "call"


def _style() -> str:
    def variables(which: int) -> str:
        return "".join(f"--{name}:{pair[which]};" for name, pair in COLOURS.items())

    return (
        f"svg{{{variables(0)}}}"
        f"@media (prefers-color-scheme:dark){{svg{{{variables(1)}}}}}"
        f"text{{font-family:{FONT};font-size:13px;fill:var(--ink);text-anchor:middle}}"
        ".page{fill:var(--page)}"
        ".file{font-size:10px;fill:var(--soft)}"
        ".program rect,.signal rect{fill:var(--program);stroke:var(--edge);stroke-width:1.3}"
        ".signal rect{stroke-dasharray:5 3}"
        ".primitive rect{fill:var(--primitive);stroke:var(--world);stroke-width:1.3}"
        ".region rect{fill:var(--frame);stroke:var(--world);stroke-dasharray:2 4}"
        ".region text{font-size:11px;fill:var(--world)}"
        "path.line{fill:none;stroke-width:1.4}"
        + "".join(f"path.{k}{{stroke:var(--{k})}}#head-{k} path{{fill:var(--{k})}}" for k in ("call", "act", "circle"))
        + "path.circle{stroke-width:1.9}"
    )


def _head(kind: str) -> str:
    return (
        f'<marker id="head-{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 z"/></marker>'
    )


def _svg_region(region: Region) -> str:
    x, y, width, height = (_number(n) for n in (region.x, region.y, region.width, region.height))
    below = _number(region.y + region.height - 10)
    return (
        f'<g class="region"><rect x="{x}" y="{y}" width="{width}" height="{height}" rx="12"/>'
        f'<text x="{_number(region.x + region.width / 2)}" y="{below}">{escape(region.label)}</text></g>'
    )


def _svg_line(line: Line, drawing: Drawing) -> str:
    kind = kind_of(line, drawing)
    strokes = " ".join(
        letter + " ".join(f"{_number(x)},{_number(y)}" for x, y in points) for letter, points in path(line)
    )
    note = f"{line.caller} calls {'itself' if line.caller == line.callee else line.callee}"
    return (
        f'<path class="line {kind}" d="{strokes}" marker-end="url(#head-{kind})">'
        f"<title>{escape(note)}{' (recursion)' if line.recursive else ''}</title></path>"
    )


def _svg_box(box: Box) -> str:
    radius = box.height / 2 if box.kind == "primitive" else 6
    left, top = box.x - box.width / 2, box.y - box.height / 2
    baseline = box.y + (12 if box.file else 4.5)
    tip = f"{box.name}: {box.doc}" if box.doc else box.name
    texts = f'<text x="{_number(box.x)}" y="{_number(baseline)}">{escape(box.label)}</text>'
    if box.file:
        texts = f'<text class="file" x="{_number(box.x)}" y="{_number(box.y - 6)}">{escape(box.file)}</text>' + texts
    return (
        f'<g class="{box.kind}"><title>{escape(tip)}</title><rect x="{_number(left)}" y="{_number(top)}" '
        f'width="{_number(box.width)}" height="{_number(box.height)}" rx="{_number(radius)}"/>{texts}</g>'
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def png(drawing: Drawing, *, scale: float = 2.0) -> bytes:
    """The light drawing as pixels, ``scale`` of them a unit. Raises ``ValueError`` where Matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            "a PNG picture needs Matplotlib, which is not installed: pip install 'npi-engine[pictures]', "
            "or choose a name that ends in .svg"
        ) from error
    figure = Figure(figsize=(drawing.width / 72, drawing.height / 72), dpi=72 * scale, facecolor=COLOURS["page"][0])
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for region in drawing.regions:
        corner = (region.x, region.y)
        _patch(axes, corner, (region.width, region.height), 12, "frame", "world", linestyle=(0, (2, 4)))
        _write(axes, (region.x + region.width / 2, region.y + region.height - 10), region.label, 11, "world")
    for line in sorted(drawing.lines, key=lambda line: line.recursive):
        _stroke(axes, line, kind_of(line, drawing))
    for box in drawing.boxes:
        _png_box(axes, box)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def _png_box(axes: Any, box: Box) -> None:
    primitive = box.kind == "primitive"
    fill, edge = ("primitive", "world") if primitive else ("program", "edge")
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = (0, (5, 3)) if box.kind == "signal" else "solid"
    _patch(axes, corner, (box.width, box.height), box.height / 2 if primitive else 6, fill, edge, linestyle=style)
    _write(axes, (box.x, box.y + (12 if box.file else 4.5)), box.label, 13, "ink")
    if box.file:
        _write(axes, (box.x, box.y - 6), box.file, 10, "soft")


def _patch(
    axes: Any, corner: Point, size: Point, radius: float, fill: str, edge: str, *, linestyle: object = "solid"
) -> None:
    from matplotlib.patches import FancyBboxPatch

    style: dict[str, Any] = {"boxstyle": f"round,pad=0,rounding_size={radius}", "linewidth": 1.3}
    style |= {"facecolor": COLOURS[fill][0], "edgecolor": COLOURS[edge][0], "linestyle": linestyle}
    axes.add_patch(FancyBboxPatch(corner, *size, **style))


def _write(axes: Any, at: Point, text: str, size: float, colour: str) -> None:
    style = {"family": "monospace", "ha": "center", "va": "baseline", "color": COLOURS[colour][0]}
    axes.text(*at, text, fontsize=size * 0.98, parse_math=False, **style)


def _stroke(axes: Any, line: Line, kind: str) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Strokes

    codes: list[Any] = []
    points: list[Point] = []
    for letter, stretch in path(line):
        codes += [{"M": Strokes.MOVETO, "L": Strokes.LINETO, "C": Strokes.CURVE4}[letter]] * len(stretch)
        points += stretch
    colour, width = COLOURS[kind][0], 1.9 if kind == "circle" else 1.4
    axes.add_patch(PathPatch(Strokes(points, codes), facecolor="none", edgecolor=colour, linewidth=width))
    axes.add_patch(Polygon(_arrow(points), closed=True, facecolor=colour, edgecolor="none"))


def _arrow(points: Sequence[Point]) -> list[Point]:
    """The three corners of an arrow's head at the end of a curve."""
    (from_x, from_y), (x, y) = points[-2], points[-1]
    length = ((x - from_x) ** 2 + (y - from_y) ** 2) ** 0.5 or 1.0
    along, across = ((x - from_x) / length, (y - from_y) / length), (-(y - from_y) / length, (x - from_x) / length)
    tail = (x - 8 * along[0], y - 8 * along[1])
    return [(x, y), *((tail[0] + s * 3.2 * across[0], tail[1] + s * 3.2 * across[1]) for s in (1, -1))]


def write(graph: nx.DiGraph[str], file: Path, *, title: str, world: str) -> int:
    """Write the picture that the file's suffix asks for; the bytes written. Raises as :func:`picture`."""
    try:
        content = picture(graph, file.suffix.lower(), title=title, world=world)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    write_whole(file, content)
    return len(content)
