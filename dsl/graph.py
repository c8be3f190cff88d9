"""The call graph of a program set: as a graph, as indented text, as a Mermaid drawing."""

from __future__ import annotations

import networkx as nx

from dsl.program import ProgramSet
from dsl.syntax import Signal


def call_graph(program_set: ProgramSet) -> nx.DiGraph[str]:
    """Qualified names of all callables, an edge for each that the text of one calls of another.

    Nodes carry ``kind`` ("primitive", "program" or "signal") and ``doc``; successors stand in the order of the text.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    table = program_set.table
    for primitive in table.world.primitives:
        graph.add_node(primitive.name, kind="primitive", doc=primitive.doc)
    for program in program_set.programs:
        kind = "signal" if isinstance(program.tree.body, Signal) else "program"
        graph.add_node(program.name, kind=kind, doc=program.doc)
    for program in program_set.programs:
        for callee in program.calls:
            graph.add_edge(program.name, table.signatures[callee].name)
    return graph


def roots(graph: nx.DiGraph[str]) -> list[str]:
    """Programs that no other program calls; where all are called in circles, all of them."""
    programs = [name for name, kind in graph.nodes(data="kind") if kind != "primitive"]
    found = [name for name in programs if not set(graph.predecessors(name)) - {name}]
    return found or programs


def tree_text(program_set: ProgramSet, name: str | None = None) -> str:
    """The calls below a program (below all roots without a name), indented; what was shown above ends in ``…``."""
    graph = call_graph(program_set)
    names = roots(graph) if name is None else [program_set.program(name).name]
    lines: list[str] = []
    shown: set[str] = set()

    def add(node: str, depth: int) -> None:
        below = list(graph.successors(node))
        again = node in shown and bool(below)
        doc = f"  {graph.nodes[node]['doc']}" if graph.nodes[node]["doc"] and node not in shown else ""
        lines.append("  " * depth + node + (" …" if again else doc))
        if node in shown:
            return
        shown.add(node)
        for child in below:
            add(child, depth + 1)

    for root in names:
        add(root, 0)
    return "\n".join(lines)


def mermaid(program_set: ProgramSet) -> str:
    """The call graph as a Mermaid flowchart; primitives are rounded."""
    graph = call_graph(program_set)
    number = {name: index for index, name in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for name, kind in graph.nodes(data="kind"):
        opening, closing = ("(", ")") if kind == "primitive" else ("[", "]")
        lines.append(f'    n{number[name]}{opening}"{name}"{closing}')
    lines += [f"    n{number[caller]} --> n{number[callee]}" for caller, callee in graph.edges]
    return "\n".join(lines)
