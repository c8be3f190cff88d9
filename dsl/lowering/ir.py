"""A checked body: every name resolved to an observation field, an argument slot or a token; ``for`` unrolled.

Its control-flow graph has calls, branches and returns; ``and``, ``or`` and ``not`` become branches of their own, so
that a table need not span what is not looked at.

Symbols are interned: the id of a symbol that can be an argument is its token, so what a cell holds and what a call
carries are compared and copied without translation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Constant:
    """A number."""

    value: int


@dataclass(frozen=True)
class Symbol:
    """The interned symbol or token itself."""

    id: int


@dataclass(frozen=True)
class Cell:
    """The symbol that an observation field shows."""

    field: int


@dataclass(frozen=True)
class Flag:
    """A field of no and yes, as a truth value."""

    field: int


@dataclass(frozen=True)
class Parameter:
    """The token in an argument slot of the frame."""

    slot: int


@dataclass(frozen=True)
class Operation:
    """An operator of the language on codes, or ``same`` (equality of symbols), ``choice``, ``negative``; or

    ``number``, which a symbol stands for, a blank for 0; ``symbol``, which stands for a number: where there is none,
    the call that uses it is an error.
    """

    operator: str
    operands: tuple[Code, ...]
    line: int = 0
    column: int = 0


Code = Constant | Symbol | Cell | Flag | Parameter | Operation


@dataclass(frozen=True)
class Read:
    """What a code reads: an observation field or an argument slot."""

    kind: str
    index: int

    def column(self, fields: int) -> int:
        """Its place among so many observation fields and the argument slots behind them."""
        return self.index if self.kind == "field" else fields + self.index


@dataclass(frozen=True)
class Invoke:
    """A call; ``arguments`` holds one code a slot."""

    callee: int
    arguments: tuple[Code, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Test:
    """``if`` with both blocks."""

    condition: Code
    yes: tuple[Step, ...]
    no: tuple[Step, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Loop:
    condition: Code
    body: tuple[Step, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Leave:
    """Return to the caller."""


Step = Invoke | Test | Loop | Leave


@dataclass(frozen=True)
class Variant:
    """A body for certain arguments: a parameter whose cell is read is known in it.

    Attributes:
        tokens: for each slot of ``Body.slots``, the token for which this variant holds.
    """

    tokens: tuple[int, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Body:
    """All variants of a program's body; ``slots`` is empty, and there is one variant, where none is needed."""

    slots: tuple[int, ...]
    variants: tuple[Variant, ...]


def reads(code: Code) -> frozenset[Read]:
    """The fields and slots that a code reads."""
    if isinstance(code, Cell | Flag):
        return frozenset((Read("field", code.field),))
    if isinstance(code, Parameter):
        return frozenset((Read("slot", code.slot),))
    return frozenset[Read]().union(*map(reads, code.operands)) if isinstance(code, Operation) else frozenset()


def every_step(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps and those inside them."""
    for step in steps:
        yield step
        if isinstance(step, Test):
            yield from every_step((*step.yes, *step.no))
        elif isinstance(step, Loop):
            yield from every_step(step.body)


# --- control flow ----------------------------------------------------------------------------------------------------


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


def reached(starts: Iterable[T], onward: Callable[[T], Iterable[T]]) -> set[T]:
    """The starts and everything to which they lead."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        new = set(onward(waiting.pop())) - found
        found |= new
        waiting += new
    return found
