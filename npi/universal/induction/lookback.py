"""What a program remembers without calling anything else: two branches that begin with the same call.

``if P > Q: A; B else: A; C`` calls A in both cases, and what comes next follows from what was seen before A. Such a
call is told apart by *tags*, one for each thing that can be remembered, so that its two continuations are two states.

Shape legend: ``S`` steps of all frames, ``I`` those of one state.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from dsl.lowering.value_grid import Array
from npi.universal.induction.state_merging import Machine, Node
from npi.universal.induction.steps import STATE_BITS, Needed, Steps

LAGS = (1, 2, 3)
"""Steps before at which it may have been seen."""

MANY = 12.0
"""Bits of inputs beyond which a state may look at too much, for want of a memory."""


def tags(machine: Machine) -> Array | None:
    """tag_S of the calls after which something is remembered, 0 for the others; None where nothing is."""
    tag_S = np.zeros(len(machine.label_S), np.int64)
    for node in machine.nodes.values():
        found = _remembers(machine.steps, node)
        if found is not None:
            lag, needed = found
            step_I = node.at_I - lag
            tag_S[step_I] = 8 * tag_S[step_I] + 1 + _classes(machine.steps, node, lag, needed)
    return tag_S if tag_S.any() else None


def _remembers(steps: Steps, node: Node) -> tuple[int, Needed] | None:
    """At which lag something was seen by which a state decides with fewer bits than by what it sees now."""
    assert node.needed is not None
    now = steps.bits(node.needed.inputs)
    if now < MANY:
        return None
    outcome_I, _ = steps.outcome(node.at_I)
    found = []
    for lag in LAGS:
        if (steps.step_S[node.at_I] >= lag).all():
            past = steps.past(lag)
            needed = steps.fewest(node.at_I, outcome_I, [*steps.present, *past])
            if needed.settled and set(needed.inputs) & set(past):
                found.append((steps.bits(needed.inputs) + STATE_BITS, lag, needed))
    bits, lag, needed = min(found, default=(now, 0, node.needed), key=lambda one: one[0])
    return (lag, needed) if bits < now else None


def _classes(steps: Steps, node: Node, lag: int, needed: Needed) -> Array:
    """For each step of a state, which of a few things is remembered: those after which it decides alike are one."""
    past = [i for i in needed.inputs if i in steps.past(lag)]
    now = [i for i in needed.inputs if i not in past]
    past_I, now_I = (np.unique(steps.key(i, node.at_I), return_inverse=True)[1].ravel() for i in (past, now))
    outcome_I, _ = steps.outcome(node.at_I)
    decided: dict[int, dict[int, int]] = {}
    for before, seen, outcome in zip(past_I.tolist(), now_I.tolist(), outcome_I.tolist(), strict=True):
        decided.setdefault(before, {})[seen] = outcome
    classes: list[dict[int, int]] = []
    place: dict[int, int] = {}
    for before in sorted(decided, key=lambda b: (-len(decided[b]), sorted(decided[b].items()))):
        fitting = [n for n, known in enumerate(classes) if _agree(known, decided[before])]
        if not fitting:
            fitting = [len(classes)]
            classes.append({})
        place[before] = fitting[0]
        classes[fitting[0]] |= decided[before]
    class_I = np.array([place[before] for before in past_I.tolist()])
    order = sorted(range(len(classes)), key=lambda n: Counter(outcome_I[class_I == n].tolist()).most_common(1)[0][0])
    return np.argsort(order)[class_I]


def _agree(known: dict[int, int], other: dict[int, int]) -> bool:
    return all(known.get(seen, outcome) == outcome for seen, outcome in other.items())
