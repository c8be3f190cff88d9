"""The call graph of a program set: as a graph, as a Mermaid drawing."""

from __future__ import annotations

import networkx as nx

from dsl.program import ProgramSet
from dsl.text.syntax import Signal
from envs.spec import Signature


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


def _slots(signature: Signature) -> tuple[str, ...]:
    return tuple(slot.name for slot in signature.slots)


def _entities(text: str) -> str:
    """What Mermaid would take for its own signs, as numbered entities."""
    return "".join(f"#{ord(sign)};" if sign in '"#<>&;' else sign for sign in text)
