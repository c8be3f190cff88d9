"""The machine on scratch pads in machine code: one instance after the other, each until it has to stop.

What decides is looked up in tables, or computed by a network of two layers. Numba compiles this at its first use and
keeps the result on disk, for each of the two; the branch of the other is left out of it. It is plain Python over numpy
arrays besides. What it computes is Algorithm 1 of NPI as :mod:`traces.machine.lockstep` has it and the acts as
:mod:`envs.scratchpad.world` and :mod:`envs.scratchpad.jumps` have them; tests hold them against each other.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from envs.scratchpad.config import COMPARED, FIRST, LAST, NOWHERE, PLACED, UNDER
from envs.scratchpad.world import NOTHING
from envs.spec import GO_ON, RETURN, SLOTS, UNKNOWN
from traces.machine.call_rules import ACT, POP, PUSH, REFUSED
from traces.machine.compiled import STATE_PART

SUMS = {"reassoc", "contract"}
"""What machine code may do to a sum of products: take it in another order, and round once a product."""

machine_code = partial(njit, cache=True, _nrt=False)
"""Without counts of references: nothing is allocated here, and counting took four fifths of the time of tables."""

RUNNING, DONE, STEPS, DEPTH, ILLEGAL, ENDLESS, ROOM, DEEP, MISSING = range(-1, 8)
"""How an instance stands: DONE to ENDLESS are those of :class:`traces.machine.outcome.Status`. ROOM: a pointer would
leave the storage. DEEP: the stack's memory is full. MISSING: an entry of the tables has to be filled first."""


@machine_code(inline="always")
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


@machine_code()
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


@machine_code(inline="always")
def same(frame_4, mark_4):  # type: ignore[no-untyped-def]
    """Whether a frame is at the same place with the same arguments as another was."""
    return frame_4[0] == mark_4[0] and frame_4[1] == mark_4[1] and frame_4[2] == mark_4[2] and frame_4[3] == mark_4[3]


@machine_code()
def repeats(at_P, was_P, least_P, most_P, listed_P, wanders, fill_P, field_F3, cells, before, begin, width):  # type: ignore[no-untyped-def]
    """0 where a pad stands as it did at a mark, each pointer and what it can meet moved along its row together; else
    how many cells were compared before they differed, and one.

    ``was_P`` are addresses at the mark and ``before`` the cells; ``least_P`` and ``most_P`` the ends of where each
    pointer has been since. If the frame that was on top at the mark decides now from the same place, and never
    returned, then what happened since happens again, so far along, for ever: a pointer that moved meets behind its
    first cell what it met, up to the blanks at the end of its row, and no other pointer's cells.
    """
    for f in range(len(field_F3)):
        one, two = field_F3[f, 1], field_F3[f, 2]
        if field_F3[f, 0] == COMPARED:
            by = at_P[one] - was_P[one] - (at_P[two] - was_P[two])
            behind = most_P[two] % width < least_P[one] % width  # and ever further: the order stays
            if (by > 0 and not behind) or (by < 0 and not most_P[one] % width < least_P[two] % width):
                return 1
    for p in range(len(at_P)):
        by = at_P[p] - was_P[p]
        if by != 0 and (wanders or listed_P[p]):
            return 1
        for q in range(len(at_P)):
            apart = most_P[q] < least_P[p] if by > 0 else least_P[q] > most_P[p]
            if by != 0 and at_P[q] - was_P[q] != by and at_P[q] // width == at_P[p] // width and not apart:
                return 1
    looked = 1
    for p in range(len(at_P)):
        by = at_P[p] - was_P[p]
        row = at_P[p] // width * width
        first, last = least_P[p], most_P[p]
        if by > 0 or wanders:
            last = row + width - 1
        if by < 0 or wanders:
            first = row
        for place in range(last + 1 - first):  # where the pointer has been comes first
            cell = last - place if by < 0 else first + place
            there = cell + by
            now = cells[there] if row <= there < row + width else fill_P[p]
            looked += 1
            if now != before[cell - begin]:
                return looked
    return 0


@machine_code()
def copy(to_X, from_X, begin):  # type: ignore[no-untyped-def]
    """Fill one array from a place of another on."""
    for x in range(len(to_X)):
        to_X[x] = from_X[begin + x]


@machine_code(forceinline=True)
def look_up(  # type: ignore[no-untyped-def]
    base_N, reads_N2, source_R, stride_R, change_M, next_M, stack, level,
    field_F3, cells, at_P, low_P, high_P, width,
):  # fmt: skip
    """The entry that decides for a frame (-1: its node has none), what its call does to the stack, and its node."""
    fields, node, entry, change = len(field_F3), np.int64(stack[level, 0]), np.int64(-1), np.int64(GO_ON)
    while change == GO_ON:
        entry = base_N[node]
        if entry < 0:
            return entry, np.int64(UNKNOWN), node
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
    return entry, change, node


@machine_code(fastmath=SUMS)
def logit(row_XW, x, second_H, hidden):  # type: ignore[no-untyped-def]
    """What the second layer is read by with one row; its bias stands behind its weights."""
    found = row_XW[x, hidden]
    for h in range(hidden):
        found += row_XW[x, h] * second_H[h]
    return found


@machine_code(fastmath=SUMS)
def best_of(row_XW, first, choice_R, begin, end, second_H, hidden):  # type: ignore[no-untyped-def]
    """The choice with the largest logit, the first of equal ones."""
    found, best = choice_R[begin], np.float32(-np.inf)
    if end > begin + 1:
        for r in range(begin, end):
            value = logit(row_XW, first + choice_R[r], second_H, hidden)
            if value > best:
                found, best = choice_R[r], value
    return found


@machine_code(fastmath=SUMS, error_model="numpy", forceinline=True)
def compute(  # type: ignore[no-untyped-def]
    bits, open_NSI, offset_I, row_XW, span_N42, choice_R, rank_N3V, second_H, active_H, value_H,
    program, code, arguments, field_F3, cells, at_P, low_P, high_P, width,
):  # fmt: skip
    """What the network decides for a frame: callee, tokens, its rank in the rules of calls, next state code."""
    fields, hidden = len(field_F3), len(value_H) - 3
    key = 1 + bits
    token = key + len(span_N42)
    film = token + SLOTS * rank_N3V.shape[2] + 4 * program
    middle = film + 4 * (len(span_N42) - program)
    for h in range(hidden):
        second_H[h] = 0
    gates = code if open_NSI.shape[1] > 1 else 0
    if code > 0 and open_NSI[program, 0, 0]:
        for part in range((bits + STATE_PART - 1) // STATE_PART):
            row = middle + hidden + (part << STATE_PART) + (((code - 1) >> (part * STATE_PART)) & (2**STATE_PART - 1))
            for h in range(hidden):
                second_H[h] += row_XW[row, h]
    for i in range(fields + SLOTS):
        if open_NSI[program, gates, 1 + i]:
            if i < fields:
                row = look(field_F3[i, 0], field_F3[i, 1], field_F3[i, 2], cells, at_P, low_P, high_P, width)
            else:
                row = arguments[i - fields]
            row += offset_I[i]
            for h in range(hidden):
                second_H[h] += row_XW[row, h]
    count = 0  # of the first layer's units that are not zero: only their weights are read
    for h in range(hidden):
        unit = second_H[h] * row_XW[film, h] + row_XW[film + 1, h]
        value_H[count], active_H[count] = unit, h
        count += unit > 0
        second_H[h] = 0
    for n in range(count, count + 3):
        value_H[n], active_H[n] = 0, 0
    for n in range(0, count, 4):
        one, two, three, four = value_H[n], value_H[n + 1], value_H[n + 2], value_H[n + 3]
        a, b, c, d = middle + active_H[n], middle + active_H[n + 1], middle + active_H[n + 2], middle + active_H[n + 3]
        for h in range(hidden):
            second_H[h] += one * row_XW[a, h] + two * row_XW[b, h] + three * row_XW[c, h] + four * row_XW[d, h]
    for h in range(hidden):
        second_H[h] = max(second_H[h] * row_XW[film + 2, h] + row_XW[film + 3, h], np.float32(0))
    if logit(row_XW, 0, second_H, hidden) > 0:
        return RETURN, 0, 0, 0, 0, 0
    callee = best_of(row_XW, key, choice_R, span_N42[program, 0, 0], span_N42[program, 0, 1], second_H, hidden)
    rank, call = np.int64(0), (0, 0, 0)
    for slot in range(SLOTS):
        begin, end = span_N42[callee, 1 + slot, 0], span_N42[callee, 1 + slot, 1]
        found = best_of(row_XW, token, choice_R, begin, end, second_H, hidden)
        call = (call[1], call[2], found)
        rank += rank_N3V[callee, slot, found]
        token += rank_N3V.shape[2]
    code = 1
    for bit in range(bits):
        code += np.int64(logit(row_XW, 1 + bit, second_H, hidden) >= 0) << bit
    return callee, call[0], call[1], call[2], rank, code


@machine_code(nogil=True)
def advance(  # type: ignore[no-untyped-def]
    base_N, reads_N2, source_R, stride_R,
    bits, open_NSI, offset_I, row_XW, span_N42, choice_R, rank_N3V, change_R, act_R, second_H, active_H, value_H,
    change_M, next_M, push_M, position_M3, act_M, call_M4,
    pair_C2, symbol_C, jump_C6, mover_C, by_C, listed_P, wanders, field_F3, fill_P,
    cells, at_BP, low_BP, high_BP, width, origin,
    stack_BD4, level_B, status_B, steps_B, depth_B, where_B2, refused_B4, most_steps, most_depth,
    seen_KF, made_K4, instance_K, first, first_mark, all_end, before, mark_4, was_P, least_P, most_P,
):  # fmt: skip
    """Run the instances that are RUNNING; returns the rows recorded and the instance to go on with.

    Tables decide, or a network; what the other one has is None. Rows are recorded where ``seen_KF`` has any; the run
    stops where it is full, and with the first instance that is stopped where ``all_end``. The instances are those of
    the batch from ``first`` on; ``before`` holds the cells of one, and with what follows it a mark.
    """
    codes = 1 if bits is None else 2**bits + 1
    fields, rows, room = len(field_F3), 0, len(seen_KF)
    size = len(before)
    for b in range(len(status_B)):
        if status_B[b] != RUNNING:
            continue
        level = level_B[b]
        stack, at_P, low_P, high_P = stack_BD4[b], at_BP[b], low_BP[b], high_BP[b]
        steps = next_look = steps_B[b]
        mark_level, next_mark, wait = -1, max(first_mark, steps), 0  # marks at doubling steps (Brent 1980)
        while True:
            if steps >= most_steps:
                status_B[b] = STEPS
                break
            if steps >= next_mark:
                mark_level, next_mark, next_look = level, 2 * steps, steps
                copy(mark_4, stack[level], 0)
                copy(was_P, at_P, 0)
                copy(least_P, at_P, 0)
                copy(most_P, at_P, 0)
                copy(before, cells, (first + b) * size)
            elif level == mark_level and steps >= next_look and same(stack[level], mark_4):
                looked = repeats(
                    at_P, was_P, least_P, most_P, listed_P, wanders, fill_P, field_F3, cells, before,
                    (first + b) * size, width,
                )  # fmt: skip
                if looked == 0:
                    status_B[b] = ENDLESS
                    break
                next_look = steps + looked // 4  # so that looking takes about as long as running
            entry, change, node = np.int64(0), np.int64(GO_ON), np.int64(0)
            if base_N is not None:
                entry, change, node = look_up(
                    base_N, reads_N2, source_R, stride_R, change_M, next_M, stack, level,
                    field_F3, cells, at_P, low_P, high_P, width,
                )  # fmt: skip
            if bits is not None:
                program, code = stack[level, 0] // codes, stack[level, 0] % codes
                callee, one, two, three, rank, code = compute(
                    bits, open_NSI, offset_I, row_XW, span_N42, choice_R, rank_N3V, second_H, active_H, value_H,
                    program, code, (stack[level, 1], stack[level, 2], stack[level, 3]),
                    field_F3, cells, at_P, low_P, high_P, width,
                )  # fmt: skip
                call_M4[0, 0], call_M4[0, 1], call_M4[0, 2], call_M4[0, 3] = callee, one, two, three
                position_M3[0, 0], position_M3[0, 1], position_M3[0, 2] = one, two, three
                next_M[0], push_M[0] = program * codes + code, callee * codes
                change = change_R[rank]
                if change == ACT:
                    act_M[0] = act_R[rank]
            if change == UNKNOWN:
                status_B[b] = MISSING
                where_B2[b, 0], where_B2[b, 1] = node, entry
                break
            if change == PUSH and level + 1 < most_depth and level + 1 == len(stack):
                status_B[b] = DEEP
                break
            if room:
                if rows == room:
                    level_B[b], steps_B[b] = level, steps
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
                if mark_level >= 0 and mover_C[c] >= 0:
                    p = mover_C[c]
                    least_P[p], most_P[p] = min(least_P[p], at_P[p]), max(most_P[p], at_P[p])
            if room:
                for part in range(4):
                    made_K4[rows, part] = call_M4[entry, part]
                instance_K[rows] = b
                rows += 1
            steps += 1
            if change == ACT:
                stack[level, 0] = next_M[entry]
            elif change == PUSH:
                stack[level, 0] = next_M[entry]
                if level + 1 >= most_depth:
                    status_B[b] = DEPTH
                    break
                level += 1
                stack[level, 0] = push_M[entry]
                for slot in range(SLOTS):
                    stack[level, 1 + slot] = position_M3[entry, slot]
                depth_B[b] = max(depth_B[b], level + 1)
            elif change == POP:
                level -= 1
                if level < 0:
                    status_B[b] = DONE
                    break
                if level < mark_level:  # the frame of the mark has returned; a mark is a copy, so each waits longer
                    mark_level, next_mark, wait = -1, steps + wait, 2 * wait + 1
            elif change == REFUSED:
                status_B[b] = ILLEGAL
                for part in range(1 + SLOTS):
                    refused_B4[b, part] = call_M4[entry, part]
                break
        level_B[b], steps_B[b] = level, steps
        if all_end and (status_B[b] == STEPS or status_B[b] == DEPTH or status_B[b] == ENDLESS):
            return rows, b
    return rows, len(status_B)
