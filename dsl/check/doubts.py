"""Doubts of decision tables settled: whether what a text has no decision for can be seen at all.

A frame begins with any observation. What its conditions asked is known after them, and stays known across a call as far
as the call cannot change it: ``while A > 0:`` / ``ACT(B, RIGHT)`` / ``ACT(A, WRITE, A - 1)`` never writes -1. So the
combinations of a node's reads that some frame can bring about are the least fixed point of a flow over the nodes
(Kildall, A unified approach to global program optimization, 1973). The flow is of sets of combinations, not of one set
of values a read, so that ``A > B`` is kept too. It may be too wide, never too narrow: a call of a program changes
whatever it or its callees can change, arguments never change.

That a callee's own doubts count as returns is no circle: up to the first frame in which a doubt comes true there was
none, and every doubt is settled or told.

Shape legend: ``M`` entries of a node, ``G`` groups of entries that go on alike. Arrays of combinations have one axis
for each of the reads that the flow is about; where a part does not depend on a read, its axis has length 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from dsl.check.reachable_calls import ReachableCalls
from dsl.errors.error import Gather
from dsl.lowering.decision_tables import DecisionTable, Doubt, NodeTable
from dsl.lowering.ir import Read
from dsl.lowering.value_grid import essential, read_size
from dsl.program import Program
from envs.scratchpad.transitions import Alternative, Effect, Keep, Set, Source, When, anything, effect_of
from envs.spec import GO_ON, RETURN, Signature, WorldSpec
from envs.support import mixed_radix

MAX_WORK = 2**29
"""Combinations that are carried from node to node for one program; doubts that are left then are told."""

STEP_WORK = 2**12
"""What a step costs beside its combinations, in combinations."""

DEPTHS = (1, 4, 16, 2**62)
"""Calls back at which a flow begins, one after the other; the last one is the beginning of the frame."""

Combinations = npt.NDArray[np.bool_]


def settle(
    programs: Sequence[Program], spec: WorldSpec, signatures: Sequence[Signature], found: Gather
) -> list[Program]:
    """The programs without the doubts that cannot come true; those that can are entered in ``found``.

    What never comes gets a return.

    Args:
        programs: those of a set without a mistake so far; what others can change is not known, and taken for nothing.
        signatures: of all that the set can call.
    """
    if not any(program.table is not None and program.table.doubts for program in programs):
        return list(programs)
    calls = ReachableCalls([program for program in programs if program.table or program.signal], spec, signatures)
    settled = []
    for program in programs:
        if program.table is None or not program.table.doubts:
            settled.append(program)
            continue
        flows, told = _Flows(program, program.table, spec, calls), set[tuple[int, int]]()
        for doubt in program.table.doubts:
            for combination in doubt.combination_C[flows.comes(doubt)][:1].tolist():
                error = doubt.error(combination)
                if (error.line, error.column) not in told:  # one mistake of a call at a time
                    found.add(error)
                told.add((error.line, error.column))
        settled.append(replace(program, table=without_doubts(program.table)))
    return settled


def without_doubts(table: DecisionTable) -> DecisionTable:
    """The tables with a return wherever there is a doubt."""
    nodes, never = list(table.nodes), set[tuple[int, ...]]()
    for doubt in table.doubts:
        call_M4, next_M = nodes[doubt.node].call_M4.copy(), nodes[doubt.node].next_M.copy()
        never |= set(map(tuple, call_M4[doubt.combination_C].tolist()))
        call_M4[doubt.combination_C], next_M[doubt.combination_C] = (RETURN, 0, 0, 0), 0
        nodes[doubt.node] = replace(nodes[doubt.node], call_M4=call_M4, next_M=next_M)
    return replace(table, nodes=tuple(nodes), acts=table.acts - never, doubts=())


@dataclass(frozen=True)
class _Change:
    """What becomes of one read: it may keep its value where ``keeps``, and get one of ``values`` (None: any)."""

    axis: int
    keeps: bool
    values: tuple[int, ...] | None


@dataclass(frozen=True)
class _Way:
    """One way in which entries go on: from combinations that hold these values, with these changes."""

    guard: tuple[tuple[int, int], ...]
    changes: tuple[_Change, ...]

    def after(self, before: Combinations) -> Combinations:
        for axis, value in self.guard:
            before = before & _only(axis, (value,), before.shape)
        for change in self.changes:
            spread = np.broadcast_to(before.any(change.axis, keepdims=True), before.shape)
            if change.values is not None:
                spread = spread & _only(change.axis, change.values, before.shape)
            before = before | spread if change.keeps else spread
        return before


class _Flows:
    """What one program's frames can bring about at its nodes."""

    def __init__(self, program: Program, table: DecisionTable, spec: WorldSpec, calls: ReachableCalls) -> None:
        self.program, self.table, self.spec, self.calls = program, table, spec, calls
        self.left = MAX_WORK
        self.known: dict[tuple[int, tuple[Read, ...], int], tuple[Combinations, bool]] = {}
        self.effects: dict[tuple[int, ...], Effect] = {}
        self.groups: dict[int, tuple[list[list[int]], np.ndarray]] = {}
        self.doubted: dict[int, list[Doubt]] = {}
        for doubt in table.doubts:
            self.doubted.setdefault(doubt.node, []).append(doubt)

    @cached_property
    def before(self) -> list[list[int]]:
        """Of each node those that lead to it."""
        found: list[list[int]] = [[] for _ in self.table.nodes]
        for number, node in enumerate(self.table.nodes):
            onward = np.zeros(len(found), np.bool_)
            onward[node.next_M] = True
            for target in np.flatnonzero(onward).tolist():
                found[target].append(number)
        return found

    def comes(self, doubt: Doubt) -> Combinations:
        """Whether each of the combinations of a doubt can come.

        What lies few calls back mostly tells; so the flow begins near, with everything, and further back each time.
        """
        node = self.table.nodes[doubt.node]
        sizes = [read_size(read, self.program.scope) for read in node.reads]
        doubt_M = np.zeros(prod(sizes), np.bool_)
        doubt_M[doubt.combination_C] = True
        reads, _ = essential(node.reads, doubt_M.reshape(sizes))
        digit = dict(zip(node.reads, mixed_radix.digits(doubt.combination_C, sizes), strict=True))
        for depth in DEPTHS:
            key = doubt.node, reads, depth
            if key not in self.known:
                self.known[key] = self.flow(*key)
            found, is_all = self.known[key]
            chosen_C = found[tuple(digit[read] for read in reads)] & np.ones(len(doubt.combination_C), np.bool_)
            if is_all or not chosen_C.any():
                break
        return chosen_C

    def flow(self, goal: int, reads: tuple[Read, ...], depth: int) -> tuple[Combinations, bool]:
        """The combinations of some reads that can come at a node, and whether going further back tells no more.

        Args:
            depth: how many calls back everything is taken for possible.
        """
        sizes = tuple(read_size(read, self.program.scope) for read in reads)
        near, edge = {goal}, {goal}
        for _ in range(depth):
            edge = {number for target in edge - {0} for number in self.before[target]} - near
            near |= edge
            if not edge or len(near) * prod(sizes) > self.left:
                break
        edge = {number for number in near if number and not near.issuperset(self.before[number])}
        self.left -= len(near) * prod(sizes)
        found = {number: np.zeros(sizes, np.bool_) for number in near} if self.left > 0 else {}
        steps: dict[int, list[tuple[_Way, int, Combinations]]] = {}
        waiting = deque(number for number in near if number == 0 or number in edge)
        for number in waiting if found else ():
            found[number][...] = True
        while waiting and self.left > 0:
            number = waiting.popleft()
            if number not in steps:
                steps[number] = [step for step in self.steps(number, reads, sizes) if step[1] in near]
            self.left -= (1 + len(steps[number])) * (STEP_WORK + prod(sizes))
            for way, onward, chosen in steps[number]:
                after = way.after(found[number] & chosen)
                if (after & ~found[onward]).any():
                    found[onward] |= after
                    if onward not in waiting:
                        waiting.append(onward)
        if self.left <= 0:
            return np.ones(sizes, np.bool_), True
        return found[goal], not edge

    def steps(
        self, number: int, reads: tuple[Read, ...], sizes: tuple[int, ...]
    ) -> Iterator[tuple[_Way, int, Combinations]]:
        """The ways on from a node, where each leads, and from which combinations."""
        node = self.table.nodes[number]
        if number not in self.groups:
            row_M5 = np.column_stack([node.call_M4, node.next_M])
            for doubt in self.doubted.get(number, ()):
                row_M5[doubt.combination_C, :4] = DOUBT
            first_G, group_M = _alike(row_M5)
            self.groups[number] = row_M5[first_G].tolist(), group_M
        self.left -= len(node.next_M)
        rows, group_M = self.groups[number]
        ways: dict[tuple[_Way, int], Combinations] = {}
        for (*call, onward), chosen in zip(
            rows, _seen(node, reads, sizes, group_M, len(rows), self.program), strict=True
        ):
            for way in self.ways(tuple(call), reads) if call[0] != RETURN else ():
                before = ways.get((way, onward))
                ways[way, onward] = chosen if before is None else before | chosen
        return ((way, onward, chosen) for (way, onward), chosen in ways.items())

    def ways(self, call: tuple[int, ...], reads: tuple[Read, ...]) -> Iterable[_Way]:
        """How the reads can change by a call."""
        if call not in self.effects:
            self.effects[call] = self.effect(call)
        axes = {read.index: axis for axis, read in enumerate(reads) if read.kind == "field"}
        return dict.fromkeys(_way(alternative, axes) for alternative in self.effects[call])

    def effect(self, call: tuple[int, ...]) -> Effect:
        if call[0] == GO_ON:
            return (Alternative(),)
        if call == DOUBT:
            return anything(range(len(self.spec.fields)))
        if call[0] < len(self.spec.primitives):
            return effect_of(self.spec, call)
        return anything(self.calls.changed(self.calls.shortened(call)))


DOUBT = (RETURN - 10, 0, 0, 0)
"""In place of a call of which is not known whether it is one: behind it everything can be seen."""


def _way(alternative: Alternative, axes: Mapping[int, int]) -> _Way:
    """An alternative of an effect, as far as it is about some fields."""
    guard = tuple((axes[index], value) for index, value in alternative.guard if index in axes)
    changes = [_change(axes[index], sources) for index, sources in alternative.changes.items() if index in axes]
    return _Way(guard, tuple(changes))


def _change(axis: int, sources: Sequence[Source]) -> _Change:
    """What sources come to, whatever other fields held."""
    bare = [_unconditional(source) for source in sources]
    known = [source.value for source in bare if isinstance(source, Set)]
    keeps = any(isinstance(source, Keep) for source in bare)
    anything_else = any(not isinstance(source, Set | Keep) for source in bare)
    return _Change(axis, keeps and not anything_else, None if anything_else else tuple(sorted(set(known))))


def _unconditional(source: Source) -> Source:
    return _unconditional(source.source) if isinstance(source, When) else source


def _only(axis: int, values: Sequence[int], shape: tuple[int, ...]) -> Combinations:
    """Which values of one axis are meant, with length 1 along the others."""
    chosen = np.zeros([size if a == axis else 1 for a, size in enumerate(shape)], np.bool_)
    np.moveaxis(chosen, axis, 0)[list(values)] = True
    return chosen


def _alike(row_MX: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each different row stands first, and the number of every row among the different ones."""
    group_M, first_G, size = np.zeros(len(row_MX), np.int64), np.zeros(1, np.int64), 1
    for column_M in row_MX.T:
        span = int(np.ptp(column_M)) + 1
        if span > 1 and size * span >= mixed_radix.MAX_KEYS:  # number the different ones that there are
            group_M, size = np.unique(group_M, return_inverse=True)[1], len(group_M)
        group_M, size = group_M * span + column_M - column_M.min(), size * span
    if size > 1:
        _, first_G, group_M = np.unique(group_M, return_index=True, return_inverse=True)
    return first_G, group_M.astype(np.int32)


def _seen(
    node: NodeTable, reads: Sequence[Read], sizes: Sequence[int], group_M: np.ndarray, groups: int, program: Program
) -> Combinations:
    """Of each group of a node's entries, the combinations of the reads of a flow that are seen in one of them."""
    own = [read_size(read, program.scope) for read in node.reads]
    digit = dict(zip(node.reads, mixed_radix.digits(np.arange(len(group_M)), own), strict=True))
    shared = [read in digit for read in reads]
    shape = [size if both else 1 for size, both in zip(sizes, shared, strict=True)]
    index_M = np.zeros(len(group_M), np.int64)
    for read, size in zip(reads, shape, strict=True):
        index_M = index_M * size + digit.get(read, 0)
    chosen = np.zeros((groups, prod(shape)), np.bool_)
    chosen[group_M, index_M] = True
    return chosen.reshape(groups, *shape)
