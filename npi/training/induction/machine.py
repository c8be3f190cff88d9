"""The smallest machine found that explains the frames of a program: its states, and what each looks at.

Several readings of what tells one call from another are tried (:func:`npi.training.induction.steps.maskings`), and the
machine with the shortest description is taken.

A program may remember without calling anything else: ``if P > Q: A; B else: A; C`` calls A in both cases, and what
comes next follows from what was seen before A. Such a call is told apart by *tags* (:func:`tags`), one for each thing
that can be remembered, so that its two continuations are two states.

Shape legend: ``S`` steps of all frames, ``I`` those of one state, ``R`` its inputs, ``M`` frames.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from dsl.lowering.value_grid import Array
from envs.spec import Signature
from npi.training.induction.state_merging import LEFT, Machine, Node
from npi.training.induction.steps import LAGS, STATE_BITS, Needed, Steps, maskings
from traces.recording.unique_frames import FrameSet

FIRST = 3000
"""Steps of the frames that states are looked for in first; frames that contradict them are added."""

ROUNDS = 8
"""So often frames are added, and so often calls are told apart by what was seen before them."""

MANY = 12.0
"""Bits of inputs beyond which a state may look at too much, for want of a memory."""


def machine_of_frames(frames: FrameSet, signature: Signature) -> Machine:
    """The machine with the shortest description, whichever arguments tell calls apart for what comes next."""
    columns = [Steps(frames, signature, masked) for masked in maskings(frames, signature)]
    labels = [(steps, steps.kind_S) for steps in columns] + [(columns[-1], columns[-1].number_S)]
    best: Machine | None = None
    for steps, label_S in {label_S.tobytes(): (steps, label_S) for steps, label_S in labels}.values():
        found = machine_of(steps, label_S, at_most=2 * best.bits if best else math.inf)
        if best is None or found.bits < best.bits:
            best = found
    assert best is not None
    return _remembering(best)


def _remembering(best: Machine) -> Machine:
    """The machine, or a shorter one that tells equal calls apart by what was seen before them."""
    for _ in range(ROUNDS):
        tag_S = tags(best)
        if tag_S is None:
            break
        steps = best.steps.tagged(tag_S)
        numbers = len(np.unique(best.label_S)) == len(np.unique(best.steps.number_S))
        found = machine_of(steps, steps.number_S if numbers else steps.kind_S, at_most=2 * best.bits)
        if found.bits >= best.bits:
            break
        best = found
    return best


def machine_of(steps: Steps, label_S: Array, *, at_most: float = math.inf) -> Machine:
    """The machine of some labels: from a few frames, and then from those that contradict it as well.

    Frames are added no longer where it is described by more bits than ``at_most``.
    """
    chosen = _few(steps)
    for _ in range(ROUNDS):
        machine = Machine.tree(steps, label_S, sorted(chosen))
        machine.shrink()
        fresh = _contradicting(machine) - chosen
        if not fresh or len(machine.nodes) > LEFT or machine.bits > at_most:
            break
        chosen |= set(sorted(fresh)[: max(16, len(chosen))])
    return machine


def _few(steps: Steps) -> set[int]:
    """Frames of all lengths, as many as have few steps together; the shortest always."""
    order = np.random.default_rng(0).permutation(len(steps.length_M))
    total = np.cumsum(steps.length_M[order])
    return set(order[: max(1, int((total <= FIRST).sum()))].tolist())


def _contradicting(machine: Machine) -> set[int]:
    """Frames that lead where the machine does not, or decide otherwise; its states look at what all frames need."""
    steps = machine.steps
    node_S = machine.walk()
    found = set(steps.frame_S[node_S < 0].tolist())
    for number, node in machine.nodes.items():
        at_I = np.flatnonzero(node_S == number)
        assert node.needed is not None
        settled = steps.settle(at_I, node.needed.inputs)
        if settled is None:
            odd_I = odd(steps.key(node.needed.inputs, at_I), steps.outcome(at_I)[0])
            found |= set(steps.frame_S[at_I[odd_I]].tolist())
            settled = steps.needed(at_I)
        node.at_I, node.needed = at_I, settled
    return found


def odd(key_I: Array, outcome_I: Array) -> npt.NDArray[np.bool_]:
    """Whether each step shares its key, what a state looks at, with a step of another outcome."""
    _, place_I = np.unique(key_I, return_inverse=True)
    low, high = np.full(place_I.max() + 1, 2**62), np.full(place_I.max() + 1, -(2**62))
    np.minimum.at(low, place_I, outcome_I)
    np.maximum.at(high, place_I, outcome_I)
    return (low < high)[place_I]


# --- what was seen before --------------------------------------------------------------------------------------------


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
    for lag in range(1, LAGS + 1):
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
