"""The call graph of a program set, and a drawing of it: callers above what they call, primitives in a frame below.

Layers are longest paths from the roots, calls that close a circle left out; the order within a layer is found by
barycentres, the places by the means of neighbours under the distances that boxes need (Sugiyama, Tagawa & Toda 1981).
Calls of one callee that pass through a layer share their way there, so that many calls of ``ACT`` make one stem.

Numbers are pixels, y grows downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import networkx as nx

from dsl.program import ProgramSet
from dsl.text.syntax import Signal
from envs.spec import Signature

LETTER = 7.83
"""Width of a letter of the labels: a monospaced font of 13 pixels."""

BOX_HEIGHT, FILED_HEIGHT = 34.0, 46.0
"""Of a box with its name, and of one that names its file as well."""

LAYER_GAP, BOX_GAP, LINE_GAP, MARGIN = 46.0, 26.0, 18.0, 24.0
LOOP = 18.0
"""How far a program's call of itself stands off from its box."""

ASIDE = 12.0
"""By how much a call that goes back up leaves and enters beside the middle, where calls that go down are."""

SWEEPS = 12

Point = tuple[float, float]
Stop = tuple[str, int]
"""A box (name, −1), or a way through a layer: of the calls of a callee (name, layer), or of one call that goes back
up ("caller callee", layer)."""


@dataclass(frozen=True)
class Box:
    """A callable as it is drawn; ``x`` and ``y`` are its middle. ``kind`` as in :func:`call_graph`."""

    name: str
    label: str
    file: str
    kind: str
    doc: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A call, drawn from point to point; ``recursive`` where it is part of a circle.

    From the bottom of the caller to the top of the callee; one that goes back up, from top to bottom; one of a program
    by itself (``loop``), from and to its right side by a point beside it.
    """

    caller: str
    callee: str
    points: tuple[Point, ...]
    recursive: bool
    loop: bool = False


@dataclass(frozen=True)
class Region:
    """A frame with a label: a world around its primitives. ``x`` and ``y`` are its upper left corner."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Drawing:
    """All of a picture, from (0, 0) to (width, height)."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    regions: tuple[Region, ...]
    width: float
    height: float


@dataclass
class Layers:
    """The graph in layers: what stands in each, and which stops are joined to which in the layer below."""

    rank: dict[str, int]
    rows: list[list[Stop]]
    below: dict[Stop, list[Stop]] = field(default_factory=dict)
    above: dict[Stop, list[Stop]] = field(default_factory=dict)

    def level(self, stop: Stop) -> int:
        return self.rank[stop[0]] if stop[1] < 0 else stop[1]

    def join(self, upper: Stop, lower: Stop) -> None:
        if lower not in self.below.setdefault(upper, []):
            self.below[upper].append(lower)
            self.above.setdefault(lower, []).append(upper)


def call_graph(program_set: ProgramSet) -> nx.DiGraph[str]:
    """Qualified names of all callables, an edge for each that the text of one calls of another.

    Nodes carry ``kind`` ("primitive", "program" or "signal"), ``doc`` and ``slots`` (the names of what they take);
    successors stand in the order of the text.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    table = program_set.table
    for primitive in table.world.primitives:
        graph.add_node(primitive.name, kind="primitive", doc=primitive.doc, slots=_slots(primitive))
    for program in program_set.programs:
        kind = "signal" if isinstance(program.tree.body, Signal) else "program"
        graph.add_node(program.name, kind=kind, doc=program.doc, slots=_slots(program.signature))
    for program in program_set.programs:
        for callee in program.calls:
            graph.add_edge(program.name, table.signatures[callee].name)
    return graph


def roots(graph: nx.DiGraph[str]) -> list[str]:
    """Programs that no other program calls; where all are called in circles, all of them."""
    programs = [name for name, kind in graph.nodes(data="kind") if kind != "primitive"]
    found = [name for name in programs if not set(graph.predecessors(name)) - {name}]
    return found or programs


def circle_edges(graph: nx.DiGraph[str]) -> set[tuple[str, str]]:
    """The calls that are part of a recursion: of a program by itself, or by what it calls."""
    group = {name: number for number, part in enumerate(nx.strongly_connected_components(graph)) for name in part}
    return {(a, b) for a, b in graph.edges if group[a] == group[b]}


def draw(graph: nx.DiGraph[str], *, world: str) -> Drawing:
    """Lay out a call graph, or a part of it; ``world`` labels the frame around the primitives."""
    if not graph:
        return Drawing((), (), (), 2 * MARGIN, 2 * MARGIN)
    circles = circle_edges(graph)
    layers = _layers(graph)
    _order(layers)
    files = {name.rpartition(".")[0] for name in graph} - {""}
    size = {name: _box(graph, name, files=len(files) > 1) for name in graph}
    x = _places(layers, {stop: size[stop[0]].width if stop[1] < 0 else 0.0 for row in layers.rows for stop in row})
    height = max(box.height for box in size.values())
    level = [MARGIN + height / 2 + rank * (height + LAYER_GAP) for rank in range(len(layers.rows))]
    boxes = [replace(box, x=x[name, -1], y=level[layers.rank[name]]) for name, box in size.items()]
    lines = [_line(edge, layers, x, level, height, edge in circles) for edge in graph.edges if edge[0] != edge[1]]
    lines += [_loop(box) for box in boxes if graph.has_edge(box.name, box.name)]
    return _framed(boxes, lines, _regions(boxes, world))


def _backward(graph: nx.DiGraph[str]) -> Iterable[tuple[str, str]]:
    """Calls of a program that is on the way from a root: without them there is no circle."""
    ordered: nx.DiGraph[str] = nx.DiGraph()
    ordered.add_nodes_from([*roots(graph), *graph])
    ordered.add_edges_from(graph.edges)
    way: list[str] = []
    for caller, callee, kind in nx.dfs_labeled_edges(ordered):
        if kind == "forward":
            way.append(callee)
        elif kind == "reverse":
            way.pop()
        elif callee in way:
            yield caller, callee


def _layers(graph: nx.DiGraph[str]) -> Layers:
    kinds = {name: graph.nodes[name]["kind"] for name in graph}
    forward = graph.copy()
    forward.remove_edges_from(list(_backward(graph)))
    rank = {name: level for level, names in enumerate(nx.topological_generations(forward)) for name in names}
    programs = [rank[name] for name in graph if kinds[name] != "primitive"]
    rank |= {name: max(programs, default=-1) + 1 for name in graph if kinds[name] == "primitive"}
    layers = Layers(rank, [[] for _ in range(max(rank.values()) + 1)])
    starts = [name for name in graph if not forward.in_degree(name)]
    for name in dict.fromkeys(name for start in starts for name in nx.dfs_preorder_nodes(forward, start)):
        layers.rows[rank[name]].append((name, -1))
    for caller, callee in graph.edges:
        way = sorted(_way(caller, callee, layers), key=layers.level)
        for upper, lower in pairwise(way):
            if lower[1] >= 0 and lower not in layers.rows[lower[1]]:
                layers.rows[lower[1]].append(lower)
            layers.join(upper, lower)
    return layers


def _way(caller: str, callee: str, layers: Layers) -> list[Stop]:
    top, bottom = layers.rank[caller], layers.rank[callee]
    if top < bottom:
        return [(caller, -1), *((callee, layer) for layer in range(top + 1, bottom)), (callee, -1)]
    back = [(f"{caller} {callee}", layer) for layer in range(top - 1, bottom, -1)]
    return [(caller, -1), *back, (callee, -1)] if top > bottom else []


def _order(layers: Layers) -> None:
    """Sort each layer by the mean place of what it is joined to, down and up, and keep the order that crosses least."""
    best, least = [list(row) for row in layers.rows], _crossings(layers)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        joined = layers.above if down else layers.below
        numbers = range(1, len(layers.rows)) if down else range(len(layers.rows) - 2, -1, -1)
        for number in numbers:
            place = {stop: i for i, stop in enumerate(layers.rows[number - 1 if down else number + 1])}
            row = layers.rows[number]
            means = {
                stop: _mean([place[o] for o in joined.get(stop, ()) if o in place], i) for i, stop in enumerate(row)
            }
            row.sort(key=means.__getitem__)
        crossings = _crossings(layers)
        if crossings < least:
            best, least = [list(row) for row in layers.rows], crossings
    layers.rows[:] = best


def _crossings(layers: Layers) -> int:
    count = 0
    for upper, lower in pairwise(layers.rows):
        place = {stop: i for i, stop in enumerate(lower)}
        ends = [(i, place[o]) for i, stop in enumerate(upper) for o in layers.below.get(stop, ())]
        count += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for i, a in enumerate(ends) for b in ends[:i])
    return count


def _places(layers: Layers, width: dict[Stop, float]) -> dict[Stop, float]:
    """x of the middle of each stop: near the mean of its neighbours, no nearer to the next one than it may be."""
    x = {stop: 0.0 for row in layers.rows for stop in row}

    def settle(number: int, wish: Callable[[Stop], float]) -> None:
        row = layers.rows[number]
        x.update(zip(row, _apart([wish(stop) for stop in row], [width[stop] for stop in row]), strict=True))

    def mean(stop: Stop, *sides: dict[Stop, list[Stop]]) -> float:
        return _mean([x[other] for side in sides for other in side.get(stop, ())], x[stop])

    depth = len(layers.rows)
    for number in range(depth):
        settle(number, x.__getitem__)
    for _ in range(SWEEPS):
        for number in range(1, depth):
            settle(number, lambda stop: mean(stop, layers.above))
        for number in range(depth - 2, -1, -1):
            settle(number, lambda stop: mean(stop, layers.below))
    for _ in range(SWEEPS):
        for number in range(depth):
            settle(number, lambda stop: mean(stop, layers.above, layers.below))
    return x


def _apart(wishes: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to the wishes (in squares) that keep the order and the distances; by pooling violators."""
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + (BOX_GAP if left and right else LINE_GAP))
    pools: list[list[float]] = []  # sum of wishes less offsets, count
    for wish, offset in zip(wishes, offsets, strict=True):
        pools.append([wish - offset, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    bases = [total / count for total, count in pools for _ in range(int(count))]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _box(graph: nx.DiGraph[str], name: str, *, files: bool) -> Box:
    """The box of a callable, not yet in its place."""
    node = graph.nodes[name]
    file, _, bare = name.rpartition(".")
    slots = node.get("slots", ()) if node["kind"] != "primitive" else ()
    label = bare + (f"({', '.join(slots)})" if slots else "")
    width = max(64.0, max(len(label), 0.8 * len(file) if files else 0) * LETTER + 28)
    height = FILED_HEIGHT if files else BOX_HEIGHT
    return Box(name, label, file if files else "", node["kind"], node["doc"], 0.0, 0.0, width, height)


def _line(
    edge: tuple[str, str], layers: Layers, x: dict[Stop, float], level: Sequence[float], height: float, recursive: bool
) -> Line:
    way = _way(*edge, layers)
    up = layers.rank[edge[0]] > layers.rank[edge[1]]
    half, aside = (-height / 2, ASIDE) if up else (height / 2, 0.0)
    points = [(x[way[0]] + aside, level[layers.rank[edge[0]]] + half)]
    for stop in way[1:-1]:  # straight past the boxes of a layer
        points += [(x[stop], level[stop[1]] - half), (x[stop], level[stop[1]] + half)]
    points.append((x[way[-1]] + aside, level[layers.rank[edge[1]]] - half))
    return Line(*edge, tuple(points), recursive)


def _loop(box: Box) -> Line:
    right, apart = box.x + box.width / 2, box.height / 5
    points = ((right, box.y + apart), (right + LOOP, box.y), (right, box.y - apart))
    return Line(box.name, box.name, points, recursive=True, loop=True)


def _regions(boxes: Sequence[Box], world: str) -> list[Region]:
    inside = [box for box in boxes if box.kind == "primitive"]
    if not inside:
        return []
    left = min(box.x - box.width / 2 for box in inside) - 18
    right = max(box.x + box.width / 2 for box in inside) + 18
    more = max(0.0, len(world) * 0.85 * LETTER + 24 - (right - left)) / 2
    top = min(box.y - box.height / 2 for box in inside) - 14
    return [Region(world, left - more, top, right - left + 2 * more, max(box.height for box in inside) + 14 + 30)]


def _framed(boxes: Sequence[Box], lines: Sequence[Line], regions: Sequence[Region]) -> Drawing:
    """Move everything so that it begins at the margin."""
    left = min([box.x - box.width / 2 for box in boxes] + [region.x for region in regions])
    right = max(
        [box.x + box.width / 2 for box in boxes]
        + [region.x + region.width for region in regions]
        + [point[0] for line in lines for point in line.points]
    )
    bottom = max([box.y + box.height / 2 for box in boxes] + [region.y + region.height for region in regions])
    by = MARGIN - left
    return Drawing(
        tuple(replace(box, x=box.x + by) for box in boxes),
        tuple(replace(line, points=tuple((x + by, y) for x, y in line.points)) for line in lines),
        tuple(replace(region, x=region.x + by) for region in regions),
        right + by + MARGIN,
        bottom + MARGIN,
    )


def _slots(signature: Signature) -> tuple[str, ...]:
    return tuple(slot.name for slot in signature.slots)
