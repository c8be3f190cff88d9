"""The plan of a program from its frames alone: which states it has, what each looks at, what it can do next.

Its states are those of the machine of :mod:`npi.training.induction.machine`.

Shape legend: ``S`` steps of all frames, ``I`` those of one state, ``R`` its inputs, ``M`` frames.
"""

from __future__ import annotations

import numpy as np

from dsl.lowering.value_grid import Array
from envs.spec import RETURN, Signature
from npi.training.induction.machine import machine_of_frames, odd
from npi.training.induction.state_merging import Machine
from npi.training.induction.steps import Steps
from npi.universal.plan import Plan, State, as_met, fold
from npi.universal.symbols import numbers_of, seen_words
from traces.recording.text import call_text
from traces.recording.unique_frames import FrameSet


def plan_of_frames(frames: FrameSet, program: int) -> Plan:
    """The plan of the shortest description found that explains the frames of a program.

    Its states know the configurations that occurred. A search that gave up may leave frames unexplained, so whoever
    needs to know follows them (:func:`npi.universal.induction.replay.replay`).

    Raises ``ValueError`` where there are no frames of it, or no few states explain them.
    """
    signature = frames.table.signatures[program]
    own = frames.select(frames.program_M == program)
    if not len(own):
        raise ValueError("no trace shows it; give traces of a task that runs it")
    return Plan(program, signature, _states(machine_of_frames(own, signature), signature))


def _conflict(steps: Steps, at_I: Array, outcome_I: Array, signature: Signature) -> str:
    """Two steps that nothing tells apart, in words, and what would help."""
    table, key_I = steps.frames.table, steps.key(steps.present, at_I)
    place = int(np.flatnonzero(odd(key_I, outcome_I))[0])
    first, other = at_I[place], at_I[(key_I == key_I[place]) & (outcome_I != outcome_I[place])][0]
    seen = seen_words(steps.reads, steps.index_SX[first].tolist(), table.world, signature)
    one, two = (call_text(table, steps.call_S4[step]) for step in (first, other))
    calls = f"{one} in one frame and {two} in another" if one != two else f"{one}, and frames go on in two ways"
    before = (call_text(table, steps.call_S4[step - 1]) for step in (first, other) if steps.step_S[step])
    after = " and ".join(dict.fromkeys(before)) or "its beginning"
    return (
        f"after {after}, seeing {seen}, it calls {calls}, and no few states tell which; hand what it must remember to "
        "a program that it calls, as an argument"
    )


def _states(machine: Machine, signature: Signature) -> tuple[State, ...]:
    order = machine.order()
    place = {node: number for number, node in enumerate(order)}
    return tuple(_state(machine, node, place, signature) for node in order)


def _state(machine: Machine, number: int, place: dict[int, int], signature: Signature) -> State:
    steps, node = machine.steps, machine.nodes[number]
    table, at_I = steps.frames.table, node.at_I
    call_I4 = steps.call_S4[at_I]
    label_I = machine.label_S[at_I].tolist()
    next_I = np.array([place[node.next[label]] if label in node.next else 0 for label in label_I])
    next_I[call_I4[:, 0] == RETURN] = 0
    outcomes, outcome_I, value_I = fold(call_I4, next_I, steps.reads, steps.index_SX[at_I].T, signature, table)
    both_I = outcome_I * 1000 + value_I
    needed = steps.fewest(at_I, both_I, steps.present)
    if not needed.settled:
        raise ValueError(_conflict(steps, at_I, both_I, signature))
    inputs = sorted(needed.inputs, key=lambda i: (-steps.sizes[i], i))
    reads = tuple(steps.reads[i] for i in inputs)
    columns = [numbers_of(steps.reads[i], table.world, signature)[steps.index_SX[at_I, i]] for i in inputs]
    both_I3 = np.column_stack([*columns, outcome_I, value_I])
    _, first = np.unique(both_I3, axis=0, return_index=True)
    first.sort()
    order, outcome_M = as_met(outcome_I[first])
    seen_MR = both_I3[first][:, : len(inputs)]
    return State(reads, tuple(outcomes[i] for i in order), seen_MR, outcome_M, value_I[first])
