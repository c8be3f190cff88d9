"""Functions of places and graphs in tasks, against networkx; how graphs are drawn, laid out and refused."""

import networkx as nx
import pytest
import torch

import dsl
from dsl.tasks import graphs
from dsl.tasks.sampling import draw_graphs
from dsl.tasks.task import Task
from tests.support.graphs import digraph, follows

WORLD = """world pad is scratchpad:
    row T of 0..2 or blank at left
    row L of 0..2
    row S, R of place at left
    pointer P, Q on L at left
    pointer Z on L at right
    order P, Q, Z
    order S, P
    jump TO, HALFWAY
"""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def task_of(*lines: str, inputs: str) -> Task:
    inner = "".join(f"    {line}\n" for line in lines)
    return dsl.loads(f"{WORLD}program X:\n    ACT(P, LEFT)\ntask t({inputs}):\n{inner}").tasks[0]


NOWHERE = -(2**31)
READING = {"T": [0, 1], "L": [2], "S": [1, NOWHERE, 0], "R": [1, 0, 2], "under(S)": [NOWHERE], "under(R)": [-7]}

CONDITIONS = [
    ("S == [1, blank, 0] and under(S) == blank and under(R) == -7", True),
    ("take(items, 2) == [2, 0] and take(items, 9) == items and take(items, -1) == []", True),
    ("join(items, [1], T) == [2, 0, 0, 1, 0, 1]", True),
    ("replace(items, 0, 7) == [2, 7, 7]", True),
    ("places(items) == [0, 1, 2]", True),
    ("index(items, 0) == 1", True),
    ("index(items, 5) == 1", False),  # it is not there
    ("index(items, 5) != 1", False),
    ("occurrences([0], items) == [1, 2] and occurrences([0, 0], [0, 0, 0]) == [0, 1]", True),
    ("occurrences(join(items, items), items) == []", True),
    ('balanced(["(", "[", "]", ")", "{", "}"]) and balanced([])', True),
    ('balanced(["(", "[", ")", "]"])', False),
    ('balanced([")", "("])', False),
    ("edges(g) == [1, 2, blank, 2, blank, blank] and starts(g) == [0, 3, 5]", True),
    ("is_topological([0, 1, 2], g) and not is_topological([1, 0, 2], g)", True),
    ("is_topological([0, 1], g) or is_topological([0, 1, 2, 2], g) or is_topological([0, 1, blank], g)", False),
    ("distances(g, 0) == [0, 1, 1] and distances(g, 1) == [blank, 0, 1]", True),
    ("distances(g, 3) == [0, 1, 1]", False),  # there is no such vertex
    ("tree_distances([0, 0, 1], g, 0) == [0, 1, 2] and tree_distances([0, 0], g, 0) == [0, 1, blank]", True),
    ("tree_distances([1, 0, 1], g, 0) != [9]", False),  # the start is not its own parent: no tree
    ("tree_distances([0, 2, 0], g, 0) != [9]", False),  # there is no edge from 2 to 1
    ("tree_distances([0, blank, 1], g, 0) != [9]", False),  # the parent of 2 is not in the tree
]


@pytest.mark.parametrize(("condition", "right"), CONDITIONS)
def test_functions_of_tasks(condition: str, right: bool) -> None:
    task = task_of("L = items", "run X", f"expect {condition}", inputs="items: list of 0..2, g: graph")
    assert task.judge(task.parse(["2,0,0", "1 2; 2;"]), READING) is right


def test_graphs_are_laid_out_as_places() -> None:
    lines = ("L = [1]", "S = edges(g)", "R = starts(g)", "run X", "expect 1 == 1", "train g of 3 vertices")
    problem = task_of(*lines, inputs="g: graph").parse(["1 2; 2;"])
    assert problem.layout == {"L": [1], "S": [1, 2, NOWHERE, 2, NOWHERE, NOWHERE], "R": [0, 3, 5]}
    assert (problem.values, problem.size) == ({"g": ((1, 2), (2,), ())}, 3)
    with pytest.raises(dsl.LanguageError, match="g digits of sizes of another kind"):
        task_of(*lines[:-1], "train g of 3 digits", inputs="g: graph")
    with pytest.raises(ValueError, match="row S cannot hold -1; it holds columns"):
        task_of("L = [1]", "S = [0 - k]", *lines[3:5], inputs="k: 1..2").parse(["1"])


@pytest.mark.parametrize(
    ("kind", "word", "message"),
    [
        ("graph", "1;x", "'1;x' is no graph; write for each vertex what follows it"),
        ("graph", "1;3", "an edge leads from 1 to 3; the vertices are 0 to 1"),
        ("acyclic graph", "1;0", "the graph has a cycle"),
    ],
)
def test_wrong_graphs_are_refused(kind: str, word: str, message: str) -> None:
    task = task_of("L = [1]", "run X", "expect 1 == 1", inputs=f"g: {kind}")
    with pytest.raises(ValueError) as caught:
        task.parse([word])
    assert message in str(caught.value)
    with pytest.raises(ValueError, match="give for each vertex what follows it"):
        task.problem({"g": (1, 2)})


@pytest.mark.parametrize("acyclic", [False, True])
def test_drawn_graphs(acyclic: bool) -> None:
    """Red where a drawn graph is not of its kind, or the vertices' numbers give their order away."""
    found = draw_graphs([7] * 200, acyclic=acyclic, generator=seeded(1))
    assert found == draw_graphs([7] * 200, acyclic=acyclic, generator=seeded(1))
    assert all(len(graph) == 7 and vertex not in ends for graph in found for vertex, ends in enumerate(graph))
    assert all(len(set(ends)) == len(ends) for graph in found for ends in graph)
    assert [graphs.has_order(graph) for graph in found] == [nx.is_directed_acyclic_graph(digraph(g)) for g in found]
    assert all(map(graphs.has_order, found)) == acyclic
    edges = [edge for graph in found for edge in digraph(graph).edges]
    assert 0.4 < sum(one < two for one, two in edges) / len(edges) < 0.6
    assert min(digraph(graph).size() for graph in found) == 0
    assert max(digraph(graph).size() for graph in found) > 9


def test_functions_of_graphs_against_networkx() -> None:
    for graph in draw_graphs([6] * 60, acyclic=True, generator=seeded(2)):
        orders = [list(order) for order in nx.all_topological_sorts(digraph(graph))][:5]
        assert all(graphs.is_topological(order, graph) for order in orders)
        shuffled = [[*order[1:], order[0]] for order in orders]
        assert [graphs.is_topological(order, graph) for order in shuffled] == [follows(o, graph) for o in shuffled]
    for graph in draw_graphs([6] * 60, acyclic=False, generator=seeded(3)):
        ways = nx.single_source_shortest_path_length(digraph(graph), 2)
        assert graphs.distances(graph, 2) == tuple(ways.get(vertex) for vertex in range(6))
        paths = nx.single_source_shortest_path(digraph(graph), 2)
        parents = {vertex: path[-2] if len(path) > 1 else vertex for vertex, path in paths.items()}
        named = [parents.get(vertex, "blank") for vertex in range(6)]
        assert graphs.tree_distances(named, graph, 2) == graphs.distances(graph, 2)
