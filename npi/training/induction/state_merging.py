"""The states of a program, found by merging places in its frames that go on alike.

The frames are first one tree: a node for every sequence of calls with which a frame begins. Nodes are merged while one
machine explains all steps, each with few inputs of the present observation, as in learning automata from examples
(red-blue merging: Lang, Pearlmutter and Price 1998). What may be merged is decided by the length of the description
(Rissanen 1978): bits for every state and for every input that a state looks at.

An edge is a *label* of the call that leads along it; labels of equal calls are equal, unless what comes next depends on
what was seen before (:func:`npi.training.induction.machine.tags`).

Shape legend: ``S`` steps, ``I`` chosen ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dsl.lowering.value_grid import Array
from npi.training.induction.steps import STATE_BITS, UNSETTLED, Needed, Steps

MOST = 36
"""Nodes that may stand beside each other as states before merging gives up."""

LEFT = 200
"""Nodes beyond which they are not tried in pairs: no few states explain the frames."""

PAIRS = 20
"""States that are tried in pairs at the end."""


@dataclass
class Node:
    """A place of the machine: the steps that are decided in it, where each label leads, and what it looks at."""

    at_I: Array
    next: dict[int, int]
    needed: Needed | None = None

    @property
    def bits(self) -> float:
        assert self.needed is not None
        return STATE_BITS + self.needed.bits


@dataclass
class Fold:
    """What merging two nodes comes to: the nodes that become one, and the bits that are saved."""

    groups: list[list[int]]
    merged: dict[int, Node]
    saved: float = 0.0
    support: int = 0


@dataclass
class Machine:
    """A machine in the making; it begins at node 0.

    Attributes:
        steps: what it explains. label_S: of each step's call.
        nodes: by number. states: those that are states already, and the one that is looked at.
    """

    steps: Steps
    label_S: Array
    nodes: dict[int, Node] = field(default_factory=dict)
    states: set[int] = field(default_factory=set)

    @classmethod
    def tree(cls, steps: Steps, label_S: Array, frames: Iterable[int]) -> Machine:
        """A node for every sequence of labels with which one of these frames begins."""
        at: list[list[int]] = [[]]
        onward: list[dict[int, int]] = [{}]
        label = label_S.tolist()
        for frame in frames:
            node = 0
            begin = int(steps.start_M[frame])
            end = begin + int(steps.length_M[frame])
            for step in range(begin, end):
                at[node].append(step)
                if step + 1 == end:
                    break
                if label[step] not in onward[node]:
                    onward[node][label[step]] = len(at)
                    at.append([])
                    onward.append({})
                node = onward[node][label[step]]
        nodes = {n: Node(np.array(a), o) for n, (a, o) in enumerate(zip(at, onward, strict=True))}
        machine = cls(steps, label_S, nodes)
        for one in nodes.values():
            one.needed = steps.needed(one.at_I)
        return machine

    @property
    def bits(self) -> float:
        """What states and inputs cost, without configurations that occurred; states that settle nothing cost most."""
        needed = [n.needed for n in self.nodes.values() if n.needed is not None]
        unsettled = UNSETTLED * sum(not one.settled for one in needed)
        return STATE_BITS * len(self.nodes) + sum(self.steps.bits(one.inputs) for one in needed) + unsettled

    # --- merging -----------------------------------------------------------------------------------------------------

    def shrink(self) -> None:
        """Merge what goes on alike: first what needs no new inputs, then what is cheaper with them."""
        states = [0]
        while len(states) <= MOST:
            waiting = {child for state in states for child in self.nodes[state].next.values()} - set(states)
            if not waiting:
                break
            fresh = max(waiting, key=lambda n: (len(self.nodes[n].at_I), -n))
            self.states = {*states, fresh}
            folds = [f for s in states if (f := self.fold(s, fresh, strict=True)) is not None]
            if not folds:
                states.append(fresh)
                continue
            best = max(folds, key=lambda f: (f.support, f.saved))
            self.merge(best)
            states = [s for s in states if s in self.nodes]
        self.states = set(self.nodes)
        if len(self.nodes) > LEFT:
            return
        while (better := self._pair()) is not None:
            self.merge(better)

    def _pair(self) -> Fold | None:
        """The pair of states that saves most, where new inputs may be looked at."""
        first = self.order()[:PAIRS]
        folds = []
        for place, one in enumerate(first):
            for other in first[place + 1 :]:
                if self._share(one, other):
                    fold = self.fold(one, other, strict=False)
                    if fold is not None and fold.saved > 0:
                        folds.append(fold)
        return max(folds, key=lambda f: f.saved, default=None)

    def _share(self, one: int, other: int) -> bool:
        labels = [set(self.label_S[self.nodes[n].at_I].tolist()) for n in (one, other)]
        return bool(labels[0] & labels[1])

    def order(self) -> list[int]:
        """Nodes as they are reached from the first."""
        found = [0]
        for node in found:
            found += [n for n in dict.fromkeys(self.nodes[node].next.values()) if n not in found]
        return found

    def fold(self, one: int, other: int, *, strict: bool) -> Fold | None:
        """What merging two nodes, and all that must then be one, comes to; None where it is not to be.

        Args:
            strict: whether a state that looks at more than the two largest that it is made of must save bits by itself.
        """
        if not self._goes_round(one, other):
            return None
        groups, onward = self._together(one, other)
        found = Fold([sorted(members) for members in groups.values()], {})
        for root, members in sorted(groups.items(), key=lambda g: g[0] != one):
            node = self._united(members, onward[root], strict=strict, first=root == one)
            if node is None:
                return None
            found.merged[min(members)] = node
            found.saved += sum(self.nodes[m].bits for m in members) - node.bits
        if strict and found.saved <= 0:
            return None
        kept = next(iter(found.merged.values()))
        found.support = self._support(one, other, kept)
        return found

    def _goes_round(self, one: int, other: int) -> bool:
        """False where merging would close a circle that no frame was seen to go round twice."""
        for begin, end in ((one, other), (other, one)):
            ways = {label for label, child in self.nodes[begin].next.items() if end in self._reached(child)}
            if ways and not ways & set(self.nodes[end].next):
                return False
        return True

    def _reached(self, node: int) -> set[int]:
        found, waiting = {node} & self.states, [node]
        while waiting:
            fresh = set(self.nodes[waiting.pop()].next.values()) & self.states - found
            found |= fresh
            waiting += fresh
        return found

    def _together(self, one: int, other: int) -> tuple[dict[int, list[int]], dict[int, dict[int, int]]]:
        """Nodes that become one when two do, by the first of each; and where each label then leads."""
        root: dict[int, int] = {}
        members: dict[int, list[int]] = {}
        onward: dict[int, dict[int, int]] = {}

        def find(node: int) -> int:
            while node in root:
                node = root[node]
            return node

        waiting = [(one, other)]
        while waiting:
            a, b = (find(n) for n in waiting.pop())
            if a == b:
                continue
            for n in (a, b):
                members.setdefault(n, [n])
                onward.setdefault(n, dict(self.nodes[n].next))
            root[b] = a
            members[a] += members.pop(b)
            for label, child in onward.pop(b).items():
                if label in onward[a]:
                    waiting.append((onward[a][label], child))
                else:
                    onward[a][label] = child
        return members, onward

    def _united(self, members: Sequence[int], onward: Mapping[int, int], *, strict: bool, first: bool) -> Node | None:
        nodes = [self.nodes[m] for m in members]
        at_I = np.concatenate([n.at_I for n in nodes])
        most = sorted(nodes, key=lambda n: -len(n.at_I))[:2]
        known = sorted({i for n in most if n.needed is not None for i in n.needed.inputs})
        needed = self.steps.settle(at_I, known)
        if needed is None:
            needed = self.steps.needed(at_I, quick=strict)
            if not needed.settled or (strict and first and STATE_BITS + needed.bits > sum(n.bits for n in most)):
                return None
        return Node(at_I, dict(onward), needed)

    def _support(self, one: int, other: int, merged: Node) -> int:
        """How many steps of the one are the same as a step of the other, as far as the state looks."""
        assert merged.needed is not None
        keys = [self.steps.key(merged.needed.inputs, self.nodes[n].at_I) for n in (one, other)]
        return int(np.isin(keys[1], keys[0]).sum())

    def merge(self, fold: Fold) -> None:
        """Carry a fold out; of the nodes that become one, the lowest number stays."""
        place = {m: min(members) for members in fold.groups for m in members}
        for members in fold.groups:
            for member in members:
                del self.nodes[member]
        self.nodes |= fold.merged
        for node in self.nodes.values():
            node.next = {label: place.get(child, child) for label, child in node.next.items()}

    # --- walking -----------------------------------------------------------------------------------------------------

    def walk(self) -> Array:
        """The node of every step of all frames; −1 after a label that the node has not seen."""
        node_S = np.full(len(self.label_S), -1)
        going = np.arange(len(self.steps.start_M))
        at_M = np.zeros(len(going), np.int64)
        place = 0
        tables = {n: node.next for n, node in self.nodes.items()}
        while len(going):
            step = self.steps.start_M[going] + place
            node_S[step] = at_M
            label = self.label_S[step]
            last = self.steps.length_M[going] == place + 1
            onward = np.array(
                [tables[a].get(b, -1) for a, b in zip(at_M.tolist(), label.tolist(), strict=True)], np.int64
            )
            stays = ~last & (onward >= 0)
            going, at_M = going[stays], onward[stays]
            place += 1
        return node_S
