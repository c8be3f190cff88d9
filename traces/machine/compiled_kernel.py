"""The machine of tables on scratch pads in machine code: one instance after the other, each until it has to stop.

Numba compiles this at its first use and keeps the result on disk. It is plain Python over numpy arrays besides. What it
computes is Algorithm 1 of NPI as :mod:`traces.machine.lockstep` has it and the acts as :mod:`envs.scratchpad.world` and
:mod:`envs.scratchpad.jumps` have them; tests hold the two against each other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.scratchpad.config import FIRST, LAST, NOWHERE, PLACED, UNDER
from envs.scratchpad.world import NOTHING
from envs.spec import GO_ON, UNKNOWN
from traces.machine.call_rules import ACT, POP, PUSH, REFUSED

RUNNING, DONE, STEPS, DEPTH, ILLEGAL, ROOM, DEEP, MISSING = range(-1, 7)
"""How an instance stands: DONE to ILLEGAL are those of :class:`traces.machine.outcome.Status`. ROOM: a pointer would
leave the storage. DEEP: the stack's memory is full. MISSING: an entry of the tables has to be filled first."""


@njit(cache=True, inline="always")
def look(kind, one, two, cells, at_P, low_P, high_P, width):  # type: ignore[no-untyped-def]
    """The value of one field."""
    if kind == UNDER:
        return np.int64(cells[at_P[one]])
    if kind == PLACED:
        return np.int64(cells[at_P[one]] == NOWHERE)
    if kind == FIRST:
        return np.int64(at_P[one] == low_P[one])
    if kind == LAST:
        return np.int64(at_P[one] == high_P[one])
    difference = at_P[one] % width - at_P[two] % width
    return np.int64(1 + (difference > 0) - (difference < 0))


@njit(cache=True)
def act(pair, symbol, jump, mover, by, listed_P, wanders, cells, at_P, low_P, high_P, width, origin):  # type: ignore[no-untyped-def]
    """One act of one instance; False, and nothing done, where a pointer would leave the storage."""
    if mover >= 0 and not listed_P[mover]:
        place = at_P[mover] + by
        if place < low_P[mover] or place > high_P[mover]:
            return False
    one, two = at_P[pair[0]], at_P[pair[1]]
    left, right = cells[two], cells[one]
    if symbol != NOTHING:
        left, right = symbol, symbol
    if wanders:
        jumper, other = jump[0], jump[1]
        column, target = at_P[jumper] % width, at_P[other] % width
        written = np.int64(cells[at_P[other]])
        if jump[4]:
            left = right = cells.dtype.type(target - origin)
        if jump[2] and not (jump[3] and written == NOWHERE):
            way = (written + origin if jump[3] else target) - column
            at_P[jumper] += way >> jump[5]
            if listed_P[jumper]:
                at_P[jumper] = min(max(at_P[jumper], low_P[jumper]), high_P[jumper])
    cells[one] = left
    cells[two] = right
    if mover >= 0:
        at_P[mover] += by
        if listed_P[mover]:
            at_P[mover] = min(max(at_P[mover], low_P[mover]), high_P[mover])
    return True


@njit(cache=True, nogil=True)
def advance(  # type: ignore[no-untyped-def]
    base_N, reads_N2, source_R, stride_R, change_M, next_M, push_M, position_M3, act_M, call_M4,
    pair_C2, symbol_C, jump_C6, mover_C, by_C, listed_P, wanders, field_F3,
    cells, at_BP, low_BP, high_BP, width, origin,
    stack_BD4, level_B, status_B, steps_B, depth_B, where_B2, most_steps, most_depth,
    seen_KF, made_K4, instance_K, first,
):  # fmt: skip
    """Run the instances from ``first`` on that are RUNNING; returns the rows recorded and the instance to go on with.

    Rows are recorded where ``seen_KF`` has any; the run stops where it is full.
    """
    fields, rows, room = len(field_F3), 0, len(seen_KF)
    for b in range(first, len(status_B)):
        if status_B[b] != RUNNING:
            continue
        level = level_B[b]
        stack, at_P, low_P, high_P = stack_BD4[b], at_BP[b], low_BP[b], high_BP[b]
        while True:
            if steps_B[b] >= most_steps:
                status_B[b] = STEPS
                break
            node = stack[level, 0]
            change = GO_ON
            entry = np.int64(-1)
            while change == GO_ON:
                entry = base_N[node]
                if entry < 0:
                    change = UNKNOWN
                    break
                for r in range(reads_N2[node, 0], reads_N2[node, 1]):
                    source = source_R[r]
                    if source < fields:
                        kind, one, two = field_F3[source, 0], field_F3[source, 1], field_F3[source, 2]
                        entry += stride_R[r] * look(kind, one, two, cells, at_P, low_P, high_P, width)
                    else:
                        entry += stride_R[r] * stack[level, 1 + source - fields]
                change = change_M[entry]
                if change == GO_ON:
                    node = next_M[entry]
            if change == UNKNOWN:
                status_B[b] = MISSING
                where_B2[b, 0], where_B2[b, 1] = node, entry
                break
            if change == PUSH and level + 1 < most_depth and level + 1 == len(stack):
                status_B[b] = DEEP
                break
            if room:
                if rows == room:
                    level_B[b] = level
                    return rows, b
                for f in range(fields):
                    kind, one, two = field_F3[f, 0], field_F3[f, 1], field_F3[f, 2]
                    seen_KF[rows, f] = look(kind, one, two, cells, at_P, low_P, high_P, width)
            if change == ACT:
                c = act_M[entry]
                if not act(
                    pair_C2[c], symbol_C[c], jump_C6[c], mover_C[c], by_C[c], listed_P, wanders,
                    cells, at_P, low_P, high_P, width, origin,
                ):  # fmt: skip
                    status_B[b] = ROOM
                    break
            if room:
                for part in range(4):
                    made_K4[rows, part] = call_M4[entry, part]
                instance_K[rows] = b
                rows += 1
            steps_B[b] += 1
            if change == ACT:
                stack[level, 0] = next_M[entry]
            elif change == PUSH:
                stack[level, 0] = next_M[entry]
                if level + 1 >= most_depth:
                    status_B[b] = DEPTH
                    break
                level += 1
                stack[level, 0] = push_M[entry]
                stack[level, 1:4] = position_M3[entry]
                depth_B[b] = max(depth_B[b], level + 1)
            elif change == POP:
                level -= 1
                if level < 0:
                    status_B[b] = DONE
                    break
            elif change == REFUSED:
                status_B[b] = ILLEGAL
                where_B2[b, 1] = entry
                break
        level_B[b] = level
    return rows, len(status_B)
