"""Graphs of tasks as those of networkx, for second ways."""

import networkx as nx

from dsl.tasks.graphs import Graph


def digraph(graph: Graph) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(range(len(graph)))
    found.add_edges_from((one, two) for one, ends in enumerate(graph) for two in ends)
    return found


def follows(order: list[int], graph: Graph) -> bool:
    """Whether the order is a topological one, by looking at each edge."""
    return sorted(order) == list(range(len(graph))) and all(
        order.index(one) < order.index(two) for one, two in digraph(graph).edges
    )
