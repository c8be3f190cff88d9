"""Jumps, places, orders and graphs in the language; and the recursive programs of Cai et al. (2017) in plain Python."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
import pytest
import torch

import dsl
from dsl.program import ProgramSet
from dsl.tasks import graphs
from dsl.tasks.task import Problem, Task
from npi.running.evaluate import run_problems
from tests.fuzz.targets import drive
from tests.support.paths import PROGRAMS
from tests.support.reference_interpreter import OutOfSteps, interpret
from traces.generation.generate import record_problems
from traces.machine.lockstep import Status
from traces.recording.unique_frames import check_rule, unique_frames

EACH = int(os.environ.get("NPI_INPUTS", "30"))
"""Inputs of each training size that a recursive program is run on; set it to run thousands."""

RECURSIVE = {path.stem: dsl.load(path) for path in sorted((PROGRAMS / "recursive").glob("*.npi"))}
NEW = ("binarysearch", "brackets", "breadthfirst", "divide", "hanoi", "mergesort", "search")
FILES = {**RECURSIVE, **{stem: dsl.load(PROGRAMS / "examples" / f"{stem}.npi") for stem in NEW}}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digraph(graph: graphs.Graph) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(range(len(graph)))
    found.add_edges_from((one, two) for one, ends in enumerate(graph) for two in ends)
    return found


def follows(order: list[int], graph: graphs.Graph) -> bool:
    """Whether the order is a topological one, by looking at each edge."""
    return sorted(order) == list(range(len(graph))) and all(
        order.index(one) < order.index(two) for one, two in digraph(graph).edges
    )


RESULTS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, list[int]]], bool]] = {
    "addition": lambda v, end: "".join(map(str, end["OUT"])) == str(v["a"] + v["b"]),
    "bubblesort": lambda v, end: end["A"] == sorted(v["items"]),
    "quicksort": lambda v, end: end["A"] == sorted(v["items"]),
    "topological": lambda v, end: follows(end["ORDER"], v["g"]),
}


@pytest.mark.parametrize("stem", RECURSIVE)
def test_recursive_programs_are_right(stem: str) -> None:
    program_set = RECURSIVE[stem]
    (task,) = program_set.tasks
    problems = [p for n in task.train_sizes for p in task.draw(n, EACH, generator=seeded(n), spread=True)]
    problems += task.draw(25, 5, generator=seeded(30), spread=False)
    outcome = run_problems(dsl.compile_teacher(program_set), program_set, problems)
    assert set(outcome.status_N.tolist()) == {int(Status.DONE)}
    for problem, reading in zip(problems, outcome.read(program_set.world), strict=True):
        assert RESULTS[stem](problem.values, reading), problem.values
        assert task.judge(problem, reading)


@pytest.mark.parametrize("stem", RECURSIVE)
def test_recursive_programs_have_no_loops_and_short_frames(stem: str) -> None:
    """Red where a program loops: then a run of it becomes longer with the input."""
    program_set = RECURSIVE[stem]
    assert "while" not in dict(program_set.sources)[f"{stem}.npi"]
    (task,) = program_set.tasks
    frames = unique_frames([record_problems(program_set, task, task.draw(14, 3, generator=seeded(), spread=False))])
    check_rule(frames)
    assert int(frames.length_M.max()) <= 9


def layout_of(problem: Problem) -> dict[str, list[int]]:
    return {row: list(cells) for row, cells in problem.layout.items()}


@pytest.mark.parametrize("stem", FILES)
def test_program_files_decide_as_their_text_says(stem: str) -> None:
    program_set = FILES[stem]
    teacher = dsl.compile_teacher(program_set)
    for task in program_set.tasks:
        for problem in task.draw(4, 4, generator=seeded(4), spread=True):
            events, _ = drive(program_set, teacher, layout_of(problem), problem.program, problem.arguments)
            expected, _ = interpret(program_set, layout_of(problem), problem.program, problem.arguments)
            assert events == expected
            assert len(events) > 2


def test_hanoi_never_lays_a_disk_on_a_smaller_one() -> None:
    program_set = FILES["hanoi"]
    problem = program_set.task("hanoi").parse([",".join("o" * 5)])
    events, _ = interpret(program_set, layout_of(problem), problem.program, problem.arguments)
    pegs: dict[str, list[int]] = {"A": [4, 3, 2, 1, 0], "B": [], "C": []}
    move = program_set.table.id("MOVE")
    moves = [[program_set.world.spec.tokens[t] for t in event.call[1:3]] for event in events if event.call[0] == move]
    for one, two in moves:
        disk = pegs[one].pop()
        assert not pegs[two] or pegs[two][-1] > disk
        pegs[two].append(disk)
    assert pegs == {"A": [], "B": [], "C": [4, 3, 2, 1, 0]}
    assert len(moves) == 2**5 - 1


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
POINTERS = ("T", "S", "R", "P", "Q", "Z")
WAYS = ("before", "same", "after")


class Author:
    """Writes random programs that jump, save and ask for orders."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def call(self) -> str:
        p, q, place = self.pick(*POINTERS), self.pick(*POINTERS), self.pick("S", "R")
        return self.pick(
            f"ACT({p}, {self.pick('LEFT', 'RIGHT')})",
            f"ACT({p}, {self.pick('TO', 'HALFWAY')}, {q})",
            f"ACT({place}, SAVE, {q})",
            f"ACT({p}, FOLLOW, {place})",
            f"ACT({place}, WRITE, blank)",
            "ACT(T, WRITE, P)",
            f"GO({self.pick('P', 'Q')})",
        )

    def condition(self) -> str:
        one, two = self.random.sample(["P", "Q", "Z"], 2)
        return self.pick(
            f"{self.pick(*WAYS)}({one}, {two})",
            f"not {self.pick(*WAYS)}(P, S)",
            f"{self.pick('S', 'R')} {self.pick('==', '!=')} blank",
            f"{self.pick('S', 'R')} and {self.pick(*WAYS)}(S, P)",
            f"before(P, Q) == after({one}, {two})",
        )

    def text(self) -> str:
        lines = [self.call() for _ in range(3)]
        for _ in range(4):
            lines += [f"if {self.condition()}:", f"    {self.call()}", "else:", f"    {self.call()}"]
        lines += [f"while {self.condition()}:", f"    {self.call()}", f"    {self.call()}"]
        body = "".join(f"    {line}\n" for line in lines)
        go = f"    if {self.pick(*WAYS)}(p, Z):\n        ACT(p, HALFWAY, Z)\n    ACT(p, {self.pick('LEFT', 'RIGHT')})\n"
        return f"{WORLD}\nprogram X:\n{body}\nprogram GO(p: P or Q):\n{go}"


@pytest.mark.parametrize("block", range(3))
def test_random_programs_that_jump_decide_as_their_text_says(block: int) -> None:
    # red when an order is read the wrong way round, or a jump, a saved place or an empty one means something else
    compared = 0
    for seed in range(block * 30, block * 30 + 30):
        text = Author(seed).text()
        program_set = dsl.loads(text)
        chooser = random.Random(seed)
        layout = {"L": [chooser.randrange(3) for _ in range(chooser.randint(1, 6))], "T": [1, 3, 2], "R": [0]}
        start = program_set.table.id("X")
        events, _ = drive(program_set, dsl.compile_teacher(program_set), layout, start, limit=60)
        try:
            expected, _ = interpret(program_set, layout, start, limit=60)
        except OutOfSteps as stopped:
            expected = stopped.events
        assert events == expected, text
        compared += len(events)
    assert compared > 500


def body(*lines: str) -> str:
    return WORLD + "program X:\n" + "".join(f"    {line}\n" for line in lines)


def world(*lines: str) -> str:
    inner = "".join(f"    {line}\n" for line in lines)
    return f"world pad is scratchpad:\n    row L of 0..2\n    pointer P, Q on L\n{inner}program X:\n    ACT(P, LEFT)\n"


WRONG = [
    (body("if before(P, T):", "    pass"), "world pad does not show the order of P and T", "add to the world: order P"),
    (body("if before(P):", "    pass"), "before takes two pointers", "write before(P, Q)"),
    (body("if after(P, 1):", "    pass"), "this is not a pointer", "write after(P, Q)"),
    (body("if S == R:", "    pass"), "these hold places, and which ones is not seen", "ask same(P, Q)"),
    (body("if S > 1:", "    pass"), "place is not a number", "compare symbols"),
    (body("ACT(P, SAVE, Q)"), "world pad cannot carry out ACT(P, SAVE, Q)", "holds no places: declare one"),
    (body("ACT(P, FOLLOW, Q)"), "cannot carry out ACT(P, FOLLOW, Q)", "for a pointer Q on a row of places"),
    (body("ACT(P, TO)"), "cannot carry out ACT(P, TO)", "write ACT(P, TO, Q) for a pointer Q"),
    (body("ACT(P, WRITE, S)"), "argument operand of ACT becomes place", "row L holds 0..2"),
    (world("jump TOO"), "there is no jump TOO in world pad", "did you mean TO?"),
    (world("order P, R"), "there is no pointer R in world pad", "P, Q"),
    (world("order P"), "the order of P alone", "name two pointers: order P, Q"),
    (world("order P, Q", "order Q, P"), "is declared twice", "change the declaration"),
    (world("row S of place or 1"), "row S holds places and something else", "write: row S of place"),
    (world("row TO of 0..1 or blank", "jump TO"), "TO is the name of a symbol or an action", "rename the pointer"),
    (world('row R of "SAVE" or blank', "row S of place"), "SAVE is an action of this pad, and a symbol", "change"),
]


@pytest.mark.parametrize(("text", "message", "fix"), WRONG, ids=[message for _, message, _ in WRONG])
def test_mistakes_are_told(text: str, message: str, fix: str) -> None:
    with pytest.raises(dsl.LanguageError) as caught:
        dsl.loads(text)
    assert message in caught.value.message
    assert fix in caught.value.fix


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
    found = graphs.draw_graphs([7] * 200, acyclic=acyclic, generator=seeded(1))
    assert found == graphs.draw_graphs([7] * 200, acyclic=acyclic, generator=seeded(1))
    assert all(len(graph) == 7 and vertex not in ends for graph in found for vertex, ends in enumerate(graph))
    assert all(len(set(ends)) == len(ends) for graph in found for ends in graph)
    assert [graphs.has_order(graph) for graph in found] == [nx.is_directed_acyclic_graph(digraph(g)) for g in found]
    assert all(map(graphs.has_order, found)) == acyclic
    edges = [edge for graph in found for edge in digraph(graph).edges]
    assert 0.4 < sum(one < two for one, two in edges) / len(edges) < 0.6
    assert min(digraph(graph).size() for graph in found) == 0
    assert max(digraph(graph).size() for graph in found) > 9


def test_functions_of_graphs_against_networkx() -> None:
    for graph in graphs.draw_graphs([6] * 60, acyclic=True, generator=seeded(2)):
        orders = [list(order) for order in nx.all_topological_sorts(digraph(graph))][:5]
        assert all(graphs.is_topological(order, graph) for order in orders)
        shuffled = [[*order[1:], order[0]] for order in orders]
        assert [graphs.is_topological(order, graph) for order in shuffled] == [follows(o, graph) for o in shuffled]
    for graph in graphs.draw_graphs([6] * 60, acyclic=False, generator=seeded(3)):
        ways = nx.single_source_shortest_path_length(digraph(graph), 2)
        assert graphs.distances(graph, 2) == tuple(ways.get(vertex) for vertex in range(6))
        paths = nx.single_source_shortest_path(digraph(graph), 2)
        parents = {vertex: path[-2] if len(path) > 1 else vertex for vertex, path in paths.items()}
        named = [parents.get(vertex, "blank") for vertex in range(6)]
        assert graphs.tree_distances(named, graph, 2) == graphs.distances(graph, 2)


def test_places_stay_finite_to_see() -> None:
    """However long the input, a pointer on a row of places shows one of two values."""
    program_set: ProgramSet = FILES["breadthfirst"]
    sizes = {field.name: field.size for field in program_set.world.spec.fields}
    assert set(sizes.values()) == {2}
