"""Directed graphs as values of tasks: for each vertex the tuple of vertices that its edges lead to, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

Graph = tuple[tuple[int, ...], ...]


def parse_graph(text: str) -> Graph:
    """A graph as a user writes it: for each vertex what follows it, as in ``1 2; 2;`` for 0→1, 0→2, 1→2.

    Raises ``ValueError`` for what is not a list of vertices.
    """
    vertices = text.strip().split(";")
    try:
        return tuple(tuple(int(word) for word in vertex.replace(",", " ").split()) for vertex in vertices)
    except ValueError:
        raise ValueError(f"{text!r} is no graph; write for each vertex what follows it, as in '1 2; 2;'") from None


def check_graph(graph: Sequence[Sequence[int]], *, acyclic: bool) -> Graph:
    """The graph as tuples.

    Raises ``ValueError`` for one without vertices, an edge to a vertex that is not there, or an unwanted cycle.
    """
    found = tuple(tuple(int(vertex) for vertex in vertices) for vertices in graph)
    if not found:
        raise ValueError("a graph needs a vertex")
    wrong = [(one, two) for one, vertices in enumerate(found) for two in vertices if not 0 <= two < len(found)]
    if wrong:
        raise ValueError(f"an edge leads from {wrong[0][0]} to {wrong[0][1]}; the vertices are 0 to {len(found) - 1}")
    if acyclic and not has_order(found):
        raise ValueError("the graph has a cycle")
    return found


def has_order(graph: Graph) -> bool:
    """Whether the graph has no cycle."""
    try:
        TopologicalSorter(dict(enumerate(graph))).prepare()
    except CycleError:
        return False
    return True


def edge_row(graph: Graph) -> tuple[int | None, ...]:
    """The edges of one vertex after the other, each vertex's followed by nothing."""
    return tuple(end for vertices in graph for end in (*vertices, None))


def edge_places(graph: Graph) -> tuple[int, ...]:
    """For each vertex the column of :func:`edge_row` in which its edges begin."""
    found = [0]
    for vertices in graph:
        found.append(found[-1] + len(vertices) + 1)
    return tuple(found[:-1])


def is_topological(order: Sequence[object], graph: Graph) -> bool:
    """Whether the order names every vertex once, and every edge leads from an earlier vertex to a later one."""
    place = {vertex: position for position, vertex in enumerate(order)}
    if len(order) != len(graph) or set(place) != set(range(len(graph))):
        return False
    return all(place[one] < place[two] for one, vertices in enumerate(graph) for two in vertices)


def distances(graph: Graph, start: int) -> tuple[int | None, ...]:
    """The least number of edges from ``start`` to each vertex; None where there is no way."""
    found: list[int | None] = [None] * len(graph)
    found[start] = 0
    waiting = deque([(start, 0)])
    while waiting:
        vertex, steps = waiting.popleft()
        for following in graph[vertex]:
            if found[following] is None:
                found[following] = steps + 1
                waiting.append((following, steps + 1))
    return tuple(found)


def tree_distances(parents: Sequence[object], graph: Graph, start: int) -> tuple[int | None, ...] | None:
    """The number of edges from ``start`` to each vertex along the tree in which ``parents`` names each one's parent.

    The start is its own parent; a vertex without one is not in the tree. None where the parents are no tree of edges
    of the graph.
    """
    if len(parents) > len(graph):
        return None
    named = dict(enumerate(parents))
    found: list[int | None] = [None] * len(graph)
    for vertex in range(len(graph)):
        steps, here = 0, vertex
        while here != start and isinstance(named.get(here), int) and steps <= len(graph):
            parent = named[here]
            if not isinstance(parent, int) or not 0 <= parent < len(graph) or here not in graph[parent]:
                return None
            here, steps = parent, steps + 1
        if here == start and named.get(start) == start:
            found[vertex] = steps
        elif vertex == start or isinstance(named.get(vertex), int):
            return None
    return tuple(found)
