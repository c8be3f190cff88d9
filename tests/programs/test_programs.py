"""The program files do what they say: compared with ``+``, ``sorted`` and ``max``, and with NPI table 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.callgraph.layout import call_graph
from dsl.callgraph.svg import mermaid
from tests.support.paths import PROGRAMS
from tests.support.reference_interpreter import Event, interpret

ADDITION, SORTING, MAXIMUM = (dsl.load(PROGRAMS / f"{name}.npi") for name in ("addition", "bubblesort", "max"))

TABLE_2 = {
    "addition.ADD": ["addition.ADD1", "addition.LSHIFT"],
    "addition.ADD1": ["ACT", "addition.CARRY"],
    "addition.CARRY": ["ACT"],
    "addition.LSHIFT": ["ACT"],
    "addition.RSHIFT": ["ACT"],
    "bubblesort.BUBBLESORT": ["bubblesort.BUBBLE", "bubblesort.RESET"],
    "bubblesort.BUBBLE": ["ACT", "bubblesort.BSTEP"],
    "bubblesort.RESET": ["bubblesort.LSHIFT", "ACT"],  # ACT moves the counter, as the paper's trace has it
    "bubblesort.BSTEP": ["bubblesort.COMPSWAP", "bubblesort.RSHIFT"],
    "bubblesort.COMPSWAP": ["ACT"],
    "bubblesort.LSHIFT": ["ACT"],
    "bubblesort.RSHIFT": ["ACT"],
    "max.RJMP": ["bubblesort.RSHIFT"],
    "max.MAX": ["bubblesort.BUBBLESORT", "max.RJMP"],
}
"""NPI table 2, with names qualified by file."""


@pytest.mark.parametrize("program_set", [ADDITION, SORTING, MAXIMUM], ids=lambda item: Path(item.path).stem)
def test_the_call_graph_is_that_of_the_paper(program_set: dsl.ProgramSet) -> None:
    graph = call_graph(program_set)
    found = {name: list(graph.successors(name)) for name, kind in graph.nodes(data="kind") if kind == "program"}
    assert found == {name: calls for name, calls in TABLE_2.items() if name in found}
    own = {name for name in TABLE_2 if name.startswith(f"{Path(program_set.path).stem}.")}
    assert own <= set(found)
    assert program_set.warnings == ()


def calls(program_set: dsl.ProgramSet, events: list[Event], depth: int) -> list[str]:
    """The trace down to a depth, one line a call."""
    tokens = program_set.table.world.tokens
    lines = []
    for event in events:
        if event.call[0] >= 0 and event.depth <= depth:
            words = [tokens[token] for token in event.call[1:] if token]
            name = program_set.table.signatures[event.call[0]].name.rpartition(".")[2]
            lines.append("  " * event.depth + name + (f"({', '.join(words)})" if words else ""))
    return lines


ADD_96_125 = """\
ADD1
  ACT(OUT, WRITE, 1)
  CARRY
    ACT(CARRY, LEFT)
    ACT(CARRY, WRITE, 1)
    ACT(CARRY, RIGHT)
LSHIFT
  ACT(IN1, LEFT)
  ACT(IN2, LEFT)
  ACT(CARRY, LEFT)
  ACT(OUT, LEFT)
ADD1
  ACT(OUT, WRITE, 2)
  CARRY"""

SORT_2_1_3 = """\
BUBBLE
  ACT(P2, RIGHT)
  BSTEP
    COMPSWAP
      ACT(P1, SWAP, P2)
    RSHIFT
      ACT(P1, RIGHT)
      ACT(P2, RIGHT)
  BSTEP
    COMPSWAP
    RSHIFT
      ACT(P1, RIGHT)
      ACT(P2, RIGHT)
RESET
  LSHIFT
    ACT(P1, LEFT)
    ACT(P2, LEFT)
  LSHIFT
    ACT(P1, LEFT)
    ACT(P2, LEFT)
  ACT(COUNT, RIGHT)
BUBBLE"""


def sorting_of(items: str) -> list[Event]:
    problem = SORTING.task("sort").parse([items])
    return interpret(SORTING, problem.layout, problem.program)[0]


def test_traces_are_those_of_the_paper() -> None:
    problem = ADDITION.task("add").parse(["96", "125"])
    events, _ = interpret(ADDITION, problem.layout, problem.program)
    assert "\n".join(calls(ADDITION, events, 9)).startswith(ADD_96_125)
    problem = SORTING.task("sort").parse(["2,1,3"])
    events, _ = interpret(SORTING, problem.layout, problem.program)
    assert "\n".join(calls(SORTING, events, 9)).startswith(SORT_2_1_3)
    assert not any("(P1, SWAP" in line for line in calls(SORTING, sorting_of("4,4"), 9)), "equal items stay"
    assert calls(SORTING, events, 0) == ["BUBBLE", "RESET"] * 2, "one sweep less than there are items"


EDGES = [(0, 0), (0, 7), (5, 5), (999, 1), (1, 999), (1007, 3), (10**20, 10**20 - 1)]


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_addition_adds(a: int, b: int) -> None:
    for one, two in ((a, b), *EDGES):
        problem = ADDITION.task("add").problem({"a": one, "b": two})
        _, pad = interpret(ADDITION, problem.layout, problem.program)
        out = pad.read()["OUT"]
        assert "".join(map(str, out)) == str(one + two)
        assert ADDITION.task("add").judge(problem, {"OUT": out})
        assert not ADDITION.task("add").judge(problem, {"OUT": [*out, 0]}) or one + two == 0


@settings(max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_sorting_sorts_and_max_finds_the_largest(items: list[int]) -> None:
    problem = SORTING.task("sort").problem({"items": items})
    assert interpret(SORTING, problem.layout, problem.program)[1].read()["A"] == sorted(items)
    problem = MAXIMUM.task("max").problem({"items": items})
    assert interpret(MAXIMUM, problem.layout, problem.program)[1].symbol("P1") == str(max(items))


def test_rshift_moves_every_pointer_right() -> None:
    problem = ADDITION.task("rshift").parse(["12", "345"])
    events, pad = interpret(ADDITION, problem.layout, problem.program)
    assert calls(ADDITION, events, 9) == [f"ACT({p}, RIGHT)" for p in ("IN1", "IN2", "CARRY", "OUT")]
    assert set(pad.at.values()) == {3}


def test_the_graph_for_people() -> None:
    drawn = mermaid(call_graph(MAXIMUM), world="list").splitlines()
    assert drawn[0] == "flowchart TD"
    assert sum(" --> " in line for line in drawn) == sum(
        len(called) for name, called in TABLE_2.items() if not name.startswith("addition.")
    )
