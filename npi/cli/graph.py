"""``npi graph``: who calls whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import Screen
from npi.cli.options import JsonOption, argument, option, output
from npi.cli.words import file_size

if TYPE_CHECKING:
    import networkx as nx


def graph(
    file: Annotated[Path, argument("A program file (*.npi).")],
    program: Annotated[str | None, option("--program", "Only what is below this program.", "NAME")] = None,
    mermaid: Annotated[bool, option("--mermaid", "Print a Mermaid flowchart.")] = False,
    dot: Annotated[bool, option("--dot", "Print a Graphviz graph.")] = False,
    out: Annotated[Path | None, output("--out", "Write a picture: X.svg, X.png or X.mmd (Mermaid).", "PICTURE")] = None,
    json: JsonOption = False,
) -> None:
    """Draw which program calls which.

    A program that is already on the way from the root is marked as a recursion; one whose calls were shown above is
    marked with dots.

    \b
    Example:
      npi graph programs/max.npi
      npi graph programs/max.npi --out max.svg
      npi graph programs/max.npi --dot | dot -Tsvg > max.svg
    """
    import networkx as nx

    from dsl import load
    from dsl.callgraph import layout, svg

    if mermaid + dot + json > 1:
        raise ValueError("--mermaid, --dot and --json each print the whole output; give one of them")
    screen = Screen(json=json)
    programs = load(file)
    found = layout.call_graph(programs)
    roots = layout.roots(found)
    if program is not None:
        roots = [programs.program(program).name]
        found = found.subgraph({roots[0], *nx.descendants(found, roots[0])})
    world = f"world {programs.world_name} is {programs.world.spec.kind}"
    if out is not None:
        size = svg.write(found, out, title=f"Calls of {program or file.name}", world=world)
        screen.note(f"wrote {out}, {file_size(size)}")
    if mermaid or dot:
        screen.line(svg.mermaid(found, world=world) if mermaid else _dot(found))
        return
    if out is not None and not json:
        return
    for root in roots:
        screen.lines(tree(found, root))
    screen.document(_document(found, roots))


def tree(found: nx.DiGraph, root: str) -> Iterator[str]:
    """Lines of the tree below a program, with what each does."""
    shown: set[str] = set()
    lines = list(_branch(found, root, "", "", (), shown))
    width = max(len(head) for head, _ in lines)
    for head, doc in lines:
        yield f"{head:<{width}}  {doc}".rstrip()


def _branch(
    found: nx.DiGraph, node: str, front: str, below: str, path: tuple[str, ...], shown: set[str]
) -> Iterator[tuple[str, str]]:
    callees = list(found.successors(node))
    if node in path:
        yield f"{front}{node} (recursion)", ""
        return
    if node in shown and callees:
        yield f"{front}{node} ...", ""
        return
    yield f"{front}{node}", "" if node in shown else found.nodes[node]["doc"]
    shown.add(node)
    for number, callee in enumerate(callees):
        last = number == len(callees) - 1
        turn, on = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _branch(found, callee, below + turn, below + on, (*path, node), shown)


def _dot(found: nx.DiGraph) -> str:
    """The graph in Graphviz's words; primitives are rounded."""
    number = {name: f"n{index}" for index, name in enumerate(found.nodes)}
    kinds = dict(found.nodes(data="kind"))
    shapes = {name: "ellipse" if kinds[name] == "primitive" else "box" for name in found}
    styles = [f'    {number[n]} [label="{n}", shape={shapes[n]}];' for n in number]
    edges = [f"    {number[a]} -> {number[b]};" for a, b in found.edges]
    return "\n".join(["digraph calls {", *styles, *edges, "}"])


def _document(found: nx.DiGraph, roots: list[str]) -> dict[str, Any]:
    import networkx as nx

    circles = [sorted(part) for part in nx.strongly_connected_components(found) if len(part) > 1]
    circles += [[name] for name in nx.nodes_with_selfloops(found)]
    return {
        "roots": roots,
        "nodes": [{"name": name, **found.nodes[name]} for name in found.nodes],
        "calls": [list(edge) for edge in found.edges],
        "recursive": circles,
    }
