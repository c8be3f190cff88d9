"""When two programs are one: the canonical form of a program's decisions, and a hash of it.

A program is a finite Mealy machine: a node and what is observed give a call and the next node, and the arguments stay
as they are while a frame runs. Two programs *behave alike* when they have the same signature and, for the same
arguments and the same sequence of observations, make the same calls up to their return. Any observation may follow any
call: what a call does to the pad is not taken into account, so a program that asks again what it knows already is
another one. The equivalence is that of Mealy machines, decided exactly, by partition refinement (Moore, Gedanken-
experiments on sequential machines, 1956) of the machine that each choice of arguments leaves.

What a machine calls is named by behaviour, too: a callee by its own hash, a program that calls itself by ``self``. So
names of programs, parameters and loop variables do not count; only programs that call each other in a circle call each
other by name.

Shape legend: ``M`` combinations of what a node reads, an array with one axis for each of its reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from dsl.lowering.decision_tables import DecisionTable, NodeTable
from dsl.lowering.ir import Read, reached
from dsl.lowering.value_grid import Array, essential, ordered, read_size
from dsl.program import Program, ProgramSet
from envs.spec import GO_ON, RETURN
from envs.support import mixed_radix

SELF = "self"
"""How a program's calls of itself are named."""

MAX_ENTRIES = 2**22
"""A node whose decision is cut into several tables may not read more combinations than this together."""


@dataclass(frozen=True)
class Choice:
    """What one node decides: for each combination of its reads the number of a call, and the next node."""

    reads: tuple[Read, ...]
    call: Array
    next: Array


def behaviours(programs: ProgramSet) -> dict[int, str]:
    """The hash of every program of a set that has a body, by its id; see :func:`behaviour`."""
    keys = {number: s.name for number, s in enumerate(programs.table.world.primitives)}
    found: dict[int, str] = {}
    waiting = [program for program in programs.programs if program.table is not None]
    while waiting:
        left = {program.id for program in waiting}
        ready = [p for p in waiting if not (set(p.calls) & left) - {p.id}] or waiting[:1]
        for program in ready:
            names = {n: keys.get(n, programs.table.signatures[n].name) for n in program.calls}
            found[program.id] = keys[program.id] = behaviour(program, names)
        waiting = [program for program in waiting if program.id not in keys]
    return found


def behaviour(program: Program, keys: Mapping[int, str]) -> str:
    """32 hexadecimal digits that two programs of one world share if, and only if, they behave alike.

    ("Only if" up to collisions of sha256, cut to 128 bits.)

    Args:
        program: one with a body.
        keys: how the callees are named, by id; the program's own id is named :data:`SELF` whatever stands here.

    Raises:
        ValueError: for a program without a body, or a decision that reads more than :data:`MAX_ENTRIES` combinations.
    """
    if program.table is None:
        raise ValueError(f"{program.name} has a signal in place of a body, so it has no behaviour; give it a body")
    names = {**keys, program.id: SELF, RETURN: ""}
    calls: dict[tuple[str, ...], int] = {}
    machine = smallest([choice(n, program, names, calls) for n in range(len(program.table.nodes))])
    slots = ordered({read for node in machine for read in node.reads if read.kind == "slot"})
    sizes = [read_size(read, program.scope) for read in slots]
    spelled = list(calls)
    forms: dict[bytes, int] = {}
    form_M = np.array(
        [
            forms.setdefault(form(restricted(machine, slots, at), spelled), len(forms))
            for at in product(*map(range, sizes))
        ]
    ).reshape(sizes)
    slots, form_M = essential(slots, form_M)
    sorts = [sorted(slot.tokens) for slot in program.signature.slots]
    for axis, read in enumerate(slots):
        form_M = form_M.take(np.argsort(program.signature.slots[read.index].tokens), axis)
    whole = list(forms)
    text = repr((program.scope.face.spec.digest, sorts, [read.index for read in slots]))
    digest = hashlib.sha256(text.encode())
    for number in form_M.ravel().tolist():
        digest.update(hashlib.sha256(whole[number]).digest())
    return digest.hexdigest()[:32]


def states(program: Program) -> int:
    """How many states a machine needs that does as a body does, its arguments being known: the most for any of them.

    Raises:
        ValueError: as :func:`behaviour`.
    """
    if program.table is None:
        raise ValueError(f"{program.name} has a signal in place of a body, so it has no states; give it a body")
    calls: dict[tuple[str, ...], int] = {}
    names = {number: str(number) for number in (*program.calls, RETURN)}
    machine = smallest([choice(n, program, names, calls) for n in range(len(program.table.nodes))])
    slots = ordered({read for node in machine for read in node.reads if read.kind == "slot"})
    sizes = [read_size(read, program.scope) for read in slots]
    return max(len(restricted(machine, slots, at)) for at in product(*map(range, sizes)))


def choice(number: int, program: Program, names: Mapping[int, str], calls: dict[tuple[str, ...], int]) -> Choice:
    """A node's decisions; new calls are numbered in ``calls``."""
    table = program.table
    assert table is not None, "only programs with a body are asked"
    node = flat(number, table, program)
    call_M4 = node.call_M4
    spans = [int(call_M4.max(initial=0)) + 2] * call_M4.shape[1]
    code_M = mixed_radix.number((call_M4[:, 0] + 1, *call_M4[:, 1:].T), spans)
    returns_M = call_M4[:, 0] == RETURN
    next_M = np.where(returns_M, 0, node.next_M)
    code_M = np.where(returns_M, 0, code_M)
    sizes = [read_size(read, program.scope) for read in node.reads]
    both_M = (code_M * (len(table.nodes) + 1) + next_M).reshape(sizes)
    reads, both_M = essential(node.reads, both_M)
    code_M, next_M = np.divmod(both_M, len(table.nodes) + 1)
    known: dict[int, int] = {}
    for code in np.unique(code_M).tolist():
        callee, *words = mixed_radix.digits(code, spans)
        call = (names[callee - 1], *map(str, words)) if code else ("",)
        known[code] = calls.setdefault(call, len(calls))
    keys = np.array(list(known))  # ascending, as np.unique gives them
    return Choice(reads, np.array(list(known.values()))[np.searchsorted(keys, code_M)], next_M)


def flat(number: int, table: DecisionTable, program: Program) -> NodeTable:
    """A node whose decision is one table, also where it is cut into several."""
    node = table.nodes[number]
    if not (node.call_M4[:, 0] == GO_ON).any():
        return node

    def onward(number: int) -> list[int]:
        part = table.nodes[number]
        return np.unique(part.next_M[part.call_M4[:, 0] == GO_ON]).tolist()

    reads = ordered({read for part in reached([number], onward) for read in table.nodes[part].reads})
    sizes = [read_size(read, program.scope) for read in reads]
    if prod(sizes) > MAX_ENTRIES:
        raise ValueError(f"{program.name} reads {prod(sizes)} combinations in one decision, more than {MAX_ENTRIES}")
    index_M = np.arange(prod(sizes))
    value = dict(zip(reads, mixed_radix.digits(index_M, sizes), strict=True))
    call_M4, next_M = np.zeros((len(index_M), 4), np.int64), np.full(len(index_M), number)
    open_M = np.ones(len(index_M), np.bool_)
    while open_M.any():
        for at in np.unique(next_M[open_M]).tolist():
            part = table.nodes[at]
            chosen = np.flatnonzero(open_M & (next_M == at))
            entry = np.zeros(len(chosen), np.int64)
            for read, stride in zip(part.reads, part.strides, strict=True):
                entry += value[read][chosen] * stride
            call_M4[chosen], next_M[chosen] = part.call_M4[entry], part.next_M[entry]
            open_M[chosen] = part.call_M4[entry, 0] == GO_ON
    return NodeTable(reads, mixed_radix.strides(sizes), call_M4, next_M)


def smallest(machine: Sequence[Choice]) -> list[Choice]:
    """The machine with alike nodes merged and those left out that are never reached; node 0 is the entry."""
    numbers = coarsest(machine)
    merged, group = [onto(node, numbers) for node in machine], numbers.tolist()
    by_group = dict(zip(group, merged, strict=True))
    order, found = {group[0]: 0}, [by_group[group[0]]]
    for node in found:  # as they are reached; those decided for first, first
        targets, first = np.unique(node.next, return_index=True)  # a return leads back to node 0, which has a number
        for target in targets[np.argsort(first)].tolist():
            if target not in order:
                order[target] = len(order)
                found.append(by_group[target])
    place = np.zeros(len(by_group), np.int64)
    place[list(order)] = list(order.values())
    return [Choice(node.reads, node.call, place[node.next]) for node in found]


def coarsest(machine: Sequence[Choice]) -> Array:
    """group_N: the coarsest partition of the nodes in which those of a group decide alike and go on to alike groups.

    A node is looked at again where a node that it leads to has left its group. Of a group that splits the largest part
    keeps its number (Hopcroft 1971), so that a body of N calls in a row takes of the order of N looks, not N².
    """
    group_N = np.zeros(len(machine), np.int64)
    before: list[list[int]] = [[] for _ in machine]
    for number, node in enumerate(machine):
        for target in np.unique(node.next).tolist():
            before[target].append(number)
    sizes = [len(machine)]
    shared: dict[int, tuple[object, ...]] = {}
    waiting = set(range(len(machine)))
    while waiting:
        touched: dict[int, dict[tuple[object, ...], list[int]]] = {}
        for number in sorted(waiting):
            look = signature(onto(machine[number], group_N))
            touched.setdefault(int(group_N[number]), {}).setdefault(look, []).append(number)
        left: list[int] = []
        for group, parts in touched.items():
            others = sizes[group] - sum(map(len, parts.values()))
            if others == 0:
                shared[group] = max(parts, key=lambda look: len(parts[look]))
            for look, part in parts.items():
                if look != shared[group]:
                    sizes[group] -= len(part)
                    shared[len(sizes)] = look
                    group_N[part] = len(sizes)
                    sizes.append(len(part))
                    left += part
        waiting = {number for target in left for number in before[target]}
    return group_N


def onto(node: Choice, group_N: Array) -> Choice:
    """A node that goes on at groups of nodes, with no read on which that does not depend."""
    count = len(group_N) + 1
    reads, both_M = essential(node.reads, node.call * count + group_N[node.next])
    call_M, next_M = np.divmod(both_M, count)
    return Choice(reads, call_M, next_M)


def signature(node: Choice) -> tuple[object, ...]:
    return node.reads, node.call.shape, node.call.tobytes(), node.next.tobytes()


def restricted(machine: Sequence[Choice], slots: Sequence[Read], at: Sequence[int]) -> list[Choice]:
    """The smallest machine for one choice of arguments."""
    if not slots:
        return list(machine)
    given = dict(zip(slots, at, strict=True))
    found = []
    for node in machine:
        index = tuple(given.get(read, slice(None)) for read in node.reads)
        left = tuple(read for read in node.reads if read not in given)
        found.append(Choice(left, np.asarray(node.call[index]), np.asarray(node.next[index])))
    return smallest(found)


def form(machine: Sequence[Choice], spelled: Sequence[tuple[str, ...]]) -> bytes:
    """A machine written down; its nodes are in the order in which they are reached, which the order of reads fixes."""
    count = len(machine)
    parts: list[bytes] = []
    for node in machine:
        both, first, where = np.unique(node.call * count + node.next, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        outcomes = [(spelled[code // count], code % count) for code in both[order].tolist()]
        head = repr(([(read.kind, read.index) for read in node.reads], node.call.shape, outcomes))
        parts += [head.encode(), rank[where.ravel()].astype("<i4").tobytes()]
    return b"\n".join(parts)
