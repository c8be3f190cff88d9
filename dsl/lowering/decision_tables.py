"""Control-flow graph → decision tables: for each node, every combination of what it reads gives a call and a next node.

A program of the language is a finite Mealy machine over (node, arguments, observation): bodies read nothing else. A
table's node is the place after a call (or the entry, node 0), and what follows up to the next call is one look-up,
unless it reads so much that it is cut into several.

Shape legend: ``M`` combinations of a node's reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import numpy.typing as npt

from dsl.errors.error import Gather, LanguageError, joined
from dsl.lowering import ir
from dsl.lowering.value_grid import Array, Grid, Uncomputable, ordered, read_size
from dsl.names.scope import Scope
from dsl.names.worlds import RowFace, describe_symbols
from envs.scratchpad.actions import BY_NAME, COLUMN, EXCHANGE, PLACE, SYMBOL
from envs.scratchpad.config import acts_of
from envs.scratchpad.world import Scratchpad
from envs.spec import GO_ON, NONE, RETURN, SLOTS
from envs.stepper import Action
from envs.support.lazy_torch import torch
from envs.world import World

MAX_MERGED_ENTRIES = 2**16
"""A chain of branches becomes one table up to this many combinations."""

MAX_ENTRIES = 2**22
"""A single condition or argument may not read more combinations than this."""


@dataclass(frozen=True)
class NodeTable:
    """One node's decisions.

    Attributes:
        reads, strides: combination = sum of (value index of a read) × (its stride).
        call_M4: callee, :data:`RETURN` or :data:`~envs.spec.GO_ON`, and three tokens.
        next_M: the local number of the node that decides next.
    """

    reads: tuple[ir.Read, ...]
    strides: tuple[int, ...]
    call_M4: Array
    next_M: Array


@dataclass(frozen=True, eq=False)
class Doubt:
    """Combinations of a node's reads for which the text has no decision: a mistake, if one of them can come.

    Attributes:
        node: of the table.
        combination_C: ascending.
        error: what to say of one of the combinations.
    """

    node: int
    combination_C: Array
    error: Callable[[int], LanguageError]


@dataclass(frozen=True)
class DecisionTable:
    """A program as tables.

    Attributes:
        nodes: the first one is the entry.
        hops: how many look-ups decide in the worst case.
        taken: (node, next node) of the graph for every way that some observation takes from a branch.
        acts: the calls of primitives that some observation leads to.
        places: the node of the graph at which each of the nodes begins.
        doubts: a program that has any is not checked to its end.
    """

    nodes: tuple[NodeTable, ...]
    hops: int
    taken: frozenset[tuple[int, int]] = frozenset()
    acts: frozenset[tuple[int, ...]] = frozenset()
    places: tuple[int, ...] = ()
    doubts: tuple[Doubt, ...] = ()


class _Tabulator:
    def __init__(self, graph: ir.Graph, scope: Scope) -> None:
        self.graph, self.scope = graph, scope
        self.local: dict[int, int] = {}
        self.queue: list[int] = []
        self.calls: dict[tuple[int, ...], list[tuple[int, ir.Invoke]]] = {}  # of each the nodes that make it
        self.found = Gather()
        self.doubts: list[Doubt] = []
        self.node = 0  # whose table is made
        self.taken: set[tuple[int, int]] = set()
        self.cut = False  # whether some chain of branches takes several tables
        self.reads = [node_reads(node) for node in graph.nodes]
        self.slots: dict[tuple[int, int], npt.NDArray[np.bool_]] = {}

    def number(self, node: int) -> int:
        """The local number of a graph node that begins a table."""
        if node not in self.local:
            self.local[node] = len(self.local)
            self.queue.append(node)
        return self.local[node]

    def run(self, legality: Legality) -> DecisionTable:
        self.number(self.graph.entry)
        tables: list[NodeTable] = []
        while len(tables) < len(self.queue):
            self.node = len(tables)
            tables.append(self.table(self.queue[self.node]))
        self.doubts += self.refused(tables, legality)
        taken, calls = frozenset(self.taken), frozenset(self.calls)
        return DecisionTable(tuple(tables), self.hops(tables), taken, calls, tuple(self.queue), tuple(self.doubts))

    def table(self, start: int) -> NodeTable:
        chain = ir.reached([start], lambda index: successors(self.graph.nodes[index]))
        grid = Grid(self.scope, ordered(frozenset[ir.Read]().union(*(self.reads[index] for index in chain))))
        merged = grid.size <= MAX_MERGED_ENTRIES
        if not merged:
            grid = Grid(self.scope, ordered(self.reads[start]))
            self.check_size(grid, self.graph.nodes[start])
        call_M4 = np.zeros((grid.size, 4), dtype=np.int64)
        call_M4[:, 0] = RETURN
        next_M = np.zeros(grid.size, dtype=np.int64)
        waiting: list[tuple[int, Array, tuple[int, ...]]] = [(start, np.arange(grid.size), ())]
        while waiting:
            index, chosen, path = waiting.pop()
            if index in path:
                self.found.add(self.silent_loop(index, grid, int(chosen[0])))
                continue
            if not merged and index != start:
                self.cut = True
                call_M4[chosen, 0] = GO_ON
                next_M[chosen] = self.number(index)
                continue
            node = self.graph.nodes[index]
            if isinstance(node, ir.Act):
                known, call_C4 = self.call(node.call, grid, chosen)
                call_M4[known] = call_C4
                next_M[chosen] = self.number(node.then)
            elif not isinstance(node, ir.Leave):
                parts = self.split(node, grid, chosen)
                waiting += [(target, part, (*path, index)) for target, part in parts if part.size]
                self.taken.update((index, target) for target, part in parts if part.size)
        return NodeTable(grid.reads, grid.strides, call_M4, next_M)

    def split(self, node: ir.Branch | ir.Switch, grid: Grid, chosen: Array) -> list[tuple[int, Array]]:
        """The combinations that go to each target."""
        if isinstance(node, ir.Branch):
            value, chosen = self.evaluate(node.condition, grid, chosen, node)
            holds = value != 0
            return [(node.yes, chosen[holds]), (node.no, chosen[~holds])]
        found = []
        for tokens, target in zip(node.tokens, node.targets, strict=True):
            fits = np.ones(chosen.shape, dtype=bool)
            for slot, token in zip(node.slots, tokens, strict=True):
                position = self.scope.slots[slot].tokens.index(token)
                fits &= grid.values(ir.Read("slot", slot), chosen) == position
            found.append((target, chosen[fits]))
        return found

    def evaluate(self, code: ir.Code, grid: Grid, chosen: Array, place: ir.Branch | ir.Invoke) -> tuple[Array, Array]:
        """A code's value in those of the combinations in which it has one, and these; it is in doubt in the others."""
        while True:
            try:
                return grid.evaluate(code, chosen), chosen
            except Uncomputable as error:
                self.doubt(grid, error.combination_C, partial(self.uncomputable, code, place))
                chosen = np.setdiff1d(chosen, error.combination_C, assume_unique=True)

    def doubt(self, grid: Grid, combination_C: Array, error: Callable[[Grid, int], LanguageError]) -> None:
        """Combinations of the node's grid for which there is no decision."""
        without_columns = Grid(self.scope, grid.reads)
        self.doubts.append(Doubt(self.node, combination_C, partial(error, without_columns)))

    def uncomputable(self, code: ir.Code, place: ir.Branch | ir.Invoke, grid: Grid, combination: int) -> LanguageError:
        """What to say of a code that has no value in a combination."""
        try:
            grid.evaluate(code, np.array([combination]))
        except Uncomputable as error:
            line, column = error.operation.line or place.line, error.operation.column or place.column
            when = f" when {grid.describe(combination)}" if grid.reads else ""
            message = f"{error.message}{when}"
            return LanguageError(self.scope.source, line, column, message, error.fix, code=error.code)
        raise AssertionError("it has a value")

    def call(self, call: ir.Invoke, grid: Grid, chosen: Array) -> tuple[Array, Array]:
        """The combinations in which the callee's signature takes the arguments, and the call in each of them."""
        call_C4 = np.zeros((chosen.size, 1 + SLOTS), dtype=np.int64)
        call_C4[:, 0] = call.callee
        varying = []
        for i, code in enumerate(call.arguments):
            if isinstance(code, ir.Symbol):
                call_C4[:, i + 1] = code.id
                fits = np.full(chosen.size, self.allowed(call.callee, i)[code.id])
            else:
                varying.append(i + 1)
                before = chosen
                value, chosen = self.evaluate(code, grid, chosen, call)
                if chosen.size < before.size:
                    call_C4 = call_C4[np.isin(before, chosen)]
                call_C4[:, i + 1] = value
                fits = self.allowed(call.callee, i)[value]
            if not fits.all():
                self.doubt(grid, chosen[~fits], partial(self.outside, call, i))
                chosen, call_C4 = chosen[fits], call_C4[fits]
        if call.callee < len(self.scope.face.spec.primitives):
            for position in first_of_each(call_C4[:, varying], len(self.scope.face.ids)):
                self.calls.setdefault(tuple(call_C4[position].tolist()), []).append((self.node, call))
        return chosen, call_C4

    def refused(self, tables: Sequence[NodeTable], legality: Legality) -> Iterator[Doubt]:
        """The calls of primitives that the world cannot carry out; it is asked about every one that the tables hold."""
        legality.ask(self.calls)
        for row, makers in self.calls.items():
            for node, call in () if legality.known[row] else makers:
                table = tables[node]
                combination_C = np.flatnonzero((table.call_M4 == row).all(1))
                yield Doubt(node, combination_C, partial(self.illegal, row, call, Grid(self.scope, table.reads)))

    def illegal(self, row: tuple[int, ...], call: ir.Invoke, grid: Grid, combination: int) -> LanguageError:
        """A call that the world cannot carry out."""
        words = [self.scope.face.spec.tokens[token] for token in row[1:]]
        while words and words[-1] == NONE:
            words.pop()
        text = f"{self.scope.callables[row[0]].name}({', '.join(words)})"
        when = f" when {grid.describe(combination)}" if grid.reads else ""
        message = f"world {self.scope.face.spec.name} cannot carry out {text}{when}"
        return self.scope.error(call, message, fix_for(row, self.scope), "NPI075")

    def allowed(self, callee: int, slot: int) -> npt.NDArray[np.bool_]:
        """Whether a callee's slot takes each interned symbol; the last one stands for :data:`NO_SYMBOL`."""
        if (callee, slot) not in self.slots:
            fits = np.zeros(len(self.scope.face.ids) + 1, dtype=np.bool_)
            slots = self.scope.callables[callee].slots
            fits[list(slots[slot].tokens) if slot < len(slots) else [0]] = True
            self.slots[callee, slot] = fits
        return self.slots[callee, slot]

    def outside(self, call: ir.Invoke, argument: int, grid: Grid, combination: int) -> LanguageError:
        """An argument that becomes something which its slot does not allow."""
        signature = self.scope.callables[call.callee]
        slot, names = signature.slots[argument], self.scope.face.spec.tokens
        seen = self.shown(call.arguments[argument], grid, combination)
        when = f" when {grid.describe(combination)}" if grid.reads else ""
        message = f"argument {slot.name} of {signature.name} becomes {seen}{when}"
        allowed = describe_symbols(tuple(names[token] for token in slot.tokens if names[token] != NONE))
        rows = self.rows_under(call) if argument == 2 else ()
        held = "; ".join(f"row {row.name} holds {row.describe()}" for row in rows)
        can_be = held or f"it can be {allowed}"
        fix = f"{can_be}; keep a number inside with mod, or ask with if first"
        return self.scope.error(call, message, fix, "NPI074")

    def rows_under(self, call: ir.Invoke) -> tuple[RowFace, ...]:
        """The rows on which an act of a pad may write: that of its pointer, or of each that a parameter can be."""
        face, code = self.scope.face, call.arguments[0]
        if call.callee >= len(face.spec.primitives) or not isinstance(code, ir.Symbol | ir.Parameter):
            return ()
        tokens = (code.id,) if isinstance(code, ir.Symbol) else self.scope.slots[code.slot].tokens
        names = [face.pointers.get(face.spec.tokens[token], "") for token in tokens]
        return tuple(face.rows[name] for name in dict.fromkeys(names) if name in face.rows)

    def shown(self, code: ir.Code, grid: Grid, combination: int) -> str:
        """An argument in one combination, for people."""
        chosen = np.array([combination])
        if isinstance(code, ir.Operation) and code.operator == "symbol":
            return str(grid.evaluate(code.operands[0], chosen)[0])
        return list(self.scope.face.ids)[int(grid.evaluate(code, chosen)[0])]

    def silent_loop(self, index: int, grid: Grid, combination: int) -> LanguageError:
        node = self.graph.nodes[index]
        assert isinstance(node, ir.Branch), "only branches can repeat without a call"
        when = f" when {grid.describe(combination)}" if grid.reads else ""
        message = f"this loop calls nothing and never ends{when}"
        fix = "make sure that each round calls something, or returns"
        return self.scope.error(node, message, fix, "NPI092")

    def check_size(self, grid: Grid, node: ir.GraphNode) -> None:
        if grid.size > MAX_ENTRIES:
            assert isinstance(node, ir.Branch | ir.Act), "returns read nothing"
            place = node if isinstance(node, ir.Branch) else node.call
            sizes = " × ".join(str(read_size(read, self.scope)) for read in grid.reads)
            message = f"this reads {sizes} combinations of cells at once, more than {MAX_ENTRIES}"
            raise self.scope.error(place, message, "split it with if, cell by cell", "NPI096")

    def hops(self, tables: list[NodeTable]) -> int:
        """The longest way through undecided combinations; a way that never ends is a silent loop."""
        if not self.cut:
            return 1
        undecided = [t.call_M4[:, 0] == GO_ON for t in tables]
        onward = [np.unique(t.next_M[open_M]).tolist() for t, open_M in zip(tables, undecided, strict=True)]
        try:
            return max(longest_ways([[(target, 1) for target in targets] for targets in onward]))
        except CycleError as error:
            circle = error.args[1]  # backwards, its first node twice
            last = circle[circle.index(min(circle)) + 1]
            raise self.silent_loop(self.queue[last], Grid(self.scope, ()), 0) from None


def longest_ways(onward: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
    """From each node the largest sum of costs to an end, which counts 1.

    Args:
        onward: of each node the nodes to which it leads, with the costs. Raises ``CycleError`` for circles.
    """
    found = [1] * len(onward)
    for node in TopologicalSorter({n: [target for target, _ in ways] for n, ways in enumerate(onward)}).static_order():
        found[node] = max((found[target] + cost for target, cost in onward[node]), default=1)
    return found


def first_of_each(row_CV: Array, symbols: int) -> list[int]:
    """Where each different row stands first; rows hold interned symbols."""
    count, width = row_CV.shape
    if width == 0:
        return [0] if count else []
    key_C = row_CV[:, 0]
    for column in range(1, width):
        key_C = key_C * symbols + row_CV[:, column]
    if symbols**width > MAX_MERGED_ENTRIES:
        return np.unique(key_C, return_index=True)[1].tolist()
    first = np.full(symbols**width, -1)
    first[key_C[::-1]] = np.arange(count)[::-1]  # of equal keys the last one written stays: the first of them
    return first[first >= 0].tolist()


def node_reads(node: ir.GraphNode) -> frozenset[ir.Read]:
    if isinstance(node, ir.Branch):
        return ir.reads(node.condition)
    if isinstance(node, ir.Act):
        return frozenset[ir.Read]().union(*map(ir.reads, node.call.arguments))
    if isinstance(node, ir.Switch):
        return frozenset(ir.Read("slot", slot) for slot in node.slots)
    return frozenset()


def successors(node: ir.GraphNode) -> tuple[int, ...]:
    """Where control can go from a node without a call."""
    if isinstance(node, ir.Branch):
        return (node.yes, node.no)
    return node.targets if isinstance(node, ir.Switch) else ()


class Legality:
    """What a world says of primitive calls; it is asked once about each."""

    def __init__(self, world: World[Any]) -> None:
        self.world = world
        self.acts = acts_of(world.config) if isinstance(world, Scratchpad) else None
        self.known: dict[tuple[int, ...], bool] = {}

    def ask(self, rows: Iterable[tuple[int, ...]]) -> None:
        """Make sure that these calls are known."""
        new = [row for row in rows if row not in self.known]
        if self.acts is not None:
            self.known.update((row, row[0] == 0 and row[1:] in self.acts) for row in new)
        elif new:
            legal = self.world.legal(Action(torch.tensor(new, dtype=torch.int64)))
            self.known.update(zip(new, legal.tolist(), strict=True))


def tabulate(graph: ir.Graph, scope: Scope, legality: Legality) -> DecisionTable:
    """The decision tables of a body.

    Where some observation leads to a call that leaves its callee's signature, that the world cannot carry out, or to
    an operation without a result, the tables have a :class:`Doubt`: whether that observation can come depends on what
    other programs do.

    Raises:
        LanguageError: for a loop that can go round without a call, with an observation for which it does.
    """
    tabulator = _Tabulator(graph, scope)
    with tabulator.found:
        table = tabulator.run(legality)
        tabulator.found.close()
        return table
    raise joined(tabulator.found.errors)


def fix_for(row: tuple[int, ...], scope: Scope) -> str:
    """What a refused call of a pad should look like."""
    names = scope.face.spec.tokens
    pointer, action = names[row[1]], BY_NAME.get(names[row[2]])
    face_row = scope.face.rows.get(scope.face.pointers.get(pointer, ""))
    if face_row is None or action is None:
        return f"look up what {scope.callables[row[0]].name} takes: {scope.callables[row[0]].doc}"
    act = f"ACT({pointer}, {action.name}"
    if action.operand == SYMBOL and names[row[3]] == NONE:
        return f"say what to write: {act}, symbol); row {face_row.name} holds {face_row.describe()}"
    if action.operand == SYMBOL:
        return f"write {face_row.describe()}, which is what row {face_row.name} holds; keep a number inside with mod"
    if action.writes == COLUMN:
        return f"{pointer} stands on row {face_row.name}, which holds no places: declare one with of place"
    if action.writes == EXCHANGE:
        others = [p for p, r in scope.face.pointers.items() if r == face_row.name and p != pointer]
        return f"swap with a pointer on the same row: {', '.join(others) or 'declare one'}"
    if action.operand:
        where = " on a row of places" if action.moves == PLACE else ""
        return f"write {act}, Q) for a pointer Q{where}"
    return f"write {act}), without a third argument"
