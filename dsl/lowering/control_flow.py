"""Steps of a body → a control-flow graph of calls, branches and returns.

``and``, ``or`` and ``not`` become branches of their own, so that a table need not span what is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from dsl.lowering.ir import Body, Code, Invoke, Leave, Loop, Operation, Step, Test

T = TypeVar("T")


def reached(starts: Iterable[T], onward: Callable[[T], Iterable[T]]) -> set[T]:
    """The starts and everything to which they lead."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        new = set(onward(waiting.pop())) - found
        found |= new
        waiting += new
    return found


@dataclass(frozen=True)
class Branch:
    """Go on at node ``yes`` where the condition holds, else at ``no``."""

    condition: Code
    yes: int
    no: int
    line: int
    column: int


@dataclass(frozen=True)
class Act:
    """Call, and go on at node ``then``."""

    call: Invoke
    then: int


@dataclass(frozen=True)
class Switch:
    """Go on at ``targets[i]`` where the tokens in ``slots`` are ``tokens[i]``."""

    slots: tuple[int, ...]
    tokens: tuple[tuple[int, ...], ...]
    targets: tuple[int, ...]


GraphNode = Branch | Act | Switch | Leave


@dataclass(frozen=True)
class Fork:
    """A condition of the text: the branches that it became, and where it leads. Unrolled, one text has several.

    Attributes:
        branches: their nodes; ``yes`` and ``no`` are the nodes behind them.
    """

    branches: frozenset[int]
    yes: int
    no: int
    line: int
    column: int


@dataclass(frozen=True)
class Graph:
    """A body's nodes; ``entry`` is where a frame begins."""

    nodes: tuple[GraphNode, ...]
    entry: int
    forks: tuple[Fork, ...]


class _Builder:
    """Collects nodes from the end of the body to its beginning."""

    def __init__(self) -> None:
        self.nodes: list[GraphNode] = [Leave()]
        self.forks: list[Fork] = []

    def add(self, node: GraphNode) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def steps(self, steps: tuple[Step, ...], then: int) -> int:
        """The node at which the steps begin; after the last one, control goes to ``then``."""
        for step in reversed(steps):
            then = self.step(step, then)
        return then

    def step(self, step: Step, then: int) -> int:
        if isinstance(step, Leave):
            return 0
        if isinstance(step, Invoke):
            return self.add(Act(step, then))
        if isinstance(step, Test):
            yes, no = self.steps(step.yes, then), self.steps(step.no, then)
            return self.fork(step.condition, yes, no, step)
        return self.loop(step, then)

    def loop(self, loop: Loop, then: int) -> int:
        """A node that is known before its body, which leads back to it."""
        head = self.add(Leave())
        start = self.fork(loop.condition, self.steps(loop.body, head), then, loop, head)
        self.nodes[head] = self.nodes[start]
        return head

    def fork(self, code: Code, yes: int, no: int, place: Test | Loop, *also: int) -> int:
        """The branches of a condition, noted as one fork; ``also`` names a copy of its first one."""
        before = len(self.nodes)
        start = self.condition(code, yes, no, place)
        branches = frozenset((*range(before, len(self.nodes)), *also))
        self.forks.append(Fork(branches, yes, no, place.line, place.column))
        return start

    def condition(self, code: Code, yes: int, no: int, place: Test | Loop) -> int:
        if isinstance(code, Operation) and code.operator == "not":
            return self.condition(code.operands[0], no, yes, place)
        if isinstance(code, Operation) and code.operator == "and":
            return self.condition(code.operands[0], self.condition(code.operands[1], yes, no, place), no, place)
        if isinstance(code, Operation) and code.operator == "or":
            return self.condition(code.operands[0], yes, self.condition(code.operands[1], yes, no, place), place)
        return self.add(Branch(code, yes, no, place.line, place.column))


def lower(body: Body) -> Graph:
    """The control-flow graph of a checked body."""
    builder = _Builder()
    entries = tuple(builder.steps(variant.steps, 0) for variant in body.variants)
    if not body.slots:
        return Graph(tuple(builder.nodes), entries[0], tuple(builder.forks))
    entry = builder.add(Switch(body.slots, tuple(variant.tokens for variant in body.variants), entries))
    return Graph(tuple(builder.nodes), entry, tuple(builder.forks))
