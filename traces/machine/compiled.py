"""Running tables on scratch pads by :mod:`traces.machine.compiled_kernel`, on the CPU, some fifty times as fast as in
lockstep.

:func:`traces.machine.lockstep.run` uses it where it can: the stepper is a table, the world a scratch pad in memory, and
whoever watches takes the steps instance by instance. The outcome is bit-identical.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import torch

from envs.scratchpad.config import PadConfig
from envs.scratchpad.world import PadState, Scratchpad, pad_tables
from envs.spec import GO_ON, SLOTS, UNKNOWN
from envs.steppers.decision_tables import TableStepper
from traces.machine.call_rules import ACT, PUSH, CallRules
from traces.machine.outcome import Budget, Outcome, Status, Stopped, Watcher

RECORDED = 2**18
"""Steps recorded before the recorder gets them."""

LEVELS = 16
"""Depth of the stacks' memory at first; it doubles."""


FIRST_MARK = 1024
"""Steps after which a run is compared with what it was before, to prove that it never ends."""

STOPPED = (Status.STEPS, Status.DEPTH, Status.ENDLESS)
"""What an instance is stopped for, where another would end."""


@runtime_checkable
class RowWatcher(Watcher, Protocol):
    """A watcher that takes steps instance by instance, too."""

    def rows(self, instance_K: np.ndarray, obs_KF: np.ndarray, call_K4: np.ndarray) -> None:
        """K more steps; those of one instance come in the order of time."""
        ...


@cache
def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def applies(stepper: object, world: object, state: object, recorder: object) -> bool:
    """Whether :func:`run` can run this."""
    return (
        isinstance(stepper, TableStepper)
        and isinstance(world, Scratchpad)
        and isinstance(state, PadState)
        and state.device.type == "cpu"
        and stepper.tables.entry_M5.device.type == "cpu"
        and (recorder is None or isinstance(recorder, RowWatcher))
        and available()
    )


def run(
    stepper: TableStepper,
    world: Scratchpad,
    state: PadState,
    first_N4: torch.Tensor,
    rules: CallRules,
    *,
    budget: Budget,
    recorder: RowWatcher | None = None,
    all_end: bool = False,
) -> Outcome[PadState]:
    """As :func:`traces.machine.lockstep.run`, whose checks have been made; ``first_N4`` are the first calls."""
    from traces.machine import compiled_kernel

    batch = len(first_N4)
    depth = max(1, min(budget.depth, budget.stack_bytes // max(1, batch * 16)))
    tables, pad = native_tables(stepper, world, rules), native_pad(world.config)
    program_N = first_N4[:, 0].numpy()
    stack_BD4 = np.zeros((batch, min(LEVELS, depth), 4), np.int32)
    stack_BD4[:, 0, 0] = stepper.tables.first_C.numpy()[program_N]
    positions = stepper.tables.position_C3V.numpy()
    stack_BD4[:, 0, 1:] = positions[program_N[:, None], np.arange(SLOTS), first_N4[:, 1:].numpy()]
    level_B, status_B = np.zeros(batch, np.int64), np.full(batch, compiled_kernel.RUNNING)
    steps_B, depth_B, where_B2 = np.zeros(batch, np.int64), np.ones(batch, np.int64), np.zeros((batch, 2), np.int64)
    size = RECORDED if recorder is not None else 0
    rows = np.empty((size, len(world.spec.fields)), np.int16), np.empty((size, 4), np.int32), np.empty(size, np.int32)
    if recorder is not None:
        recorder.begin(first_N4[:, 0], first_N4[:, 1:])
    first = 0
    while True:
        recorded, first = compiled_kernel.advance(
            *tables.columns, *pad, *_columns(state), state.width, state.origin, stack_BD4, level_B, status_B,
            steps_B, depth_B, where_B2, budget.most_steps, depth, *rows, first, FIRST_MARK, all_end,  # type: ignore[call-arg]
        )  # fmt: skip
        if recorder is not None and recorded:
            seen_KF, made_K4, instance_K = rows
            recorder.rows(*(x[:recorded].copy() for x in (instance_K, seen_KF, made_K4)))
        if all_end and np.isin(status_B, STOPPED).any():
            break
        if first < batch:
            continue
        waits = status_B > compiled_kernel.ENDLESS
        if not waits.any():
            break
        missing_B = status_B == compiled_kernel.MISSING
        if missing_B.any():
            stepper.fill(*np.unique(where_B2[missing_B], axis=0).T)
            tables.update()
        if (status_B == compiled_kernel.DEEP).any():
            more = np.zeros((batch, min(stack_BD4.shape[1], depth - stack_BD4.shape[1]), 4), np.int32)
            stack_BD4 = np.concatenate([stack_BD4, more], 1)
        if (status_B == compiled_kernel.ROOM).any():
            world.make_room(state)
        status_B[waits] = compiled_kernel.RUNNING
        first = int(np.argmax(waits))
    state.slack = 0
    refused_N4 = np.zeros((batch, 1 + SLOTS), np.int64)
    illegal_B = status_B == Status.ILLEGAL
    refused_N4[illegal_B] = tables.call_M4[where_B2[illegal_B, 1]]
    stopped = _stopped(stepper, status_B, level_B, stack_BD4)
    status_B[~np.isin(status_B, list(Status))] = Status.STEPS
    status_N = torch.from_numpy(status_B)
    if recorder is not None:
        recorder.end(status_N)
    return Outcome(
        status_N,
        torch.from_numpy(steps_B),
        torch.from_numpy(depth_B),
        torch.from_numpy(refused_N4),
        ((torch.arange(batch), state),),
        stopped,
    )


def _stopped(stepper: TableStepper, status_B: np.ndarray, level_B: np.ndarray, stack_BD4: np.ndarray) -> Stopped | None:
    """The stack of the first instance that took too much, or never ends: nodes and positions as programs and tokens."""
    found = np.flatnonzero(np.isin(status_B, STOPPED))
    if not len(found):
        return None
    table, first_C = stepper.table, stepper.tables.first_C.numpy()
    stack_D4 = stack_BD4[found[0], : level_B[found[0]] + 1]
    programs = np.arange(table.primitives, len(table))
    order = programs[np.argsort(first_C[programs], kind="stable")]
    program_D = order[np.searchsorted(first_C[order], stack_D4[:, 0], side="right") - 1]
    frame_D4 = np.zeros((len(stack_D4), 1 + SLOTS), np.int64)
    frame_D4[:, 0] = program_D
    for level, program in enumerate(program_D.tolist()):
        for place, slot in enumerate(table.signatures[program].slots, 1):
            frame_D4[level, place] = slot.tokens[stack_D4[level, place]]
    hidden_D1 = torch.from_numpy(stack_D4[:, :1] - first_C[program_D, None]).to(stepper.dtype)
    return Stopped(int(found[0]), torch.from_numpy(frame_D4), hidden_D1)


def _columns(state: PadState) -> tuple[np.ndarray, ...]:
    """What an act changes or looks at, as views of the state's memory."""
    return tuple(x.numpy() for x in (state.cells, state.at_BP, state.low_BP, state.high_BP))


class NativeTables:
    """A stepper's tables as the kernel reads them, kept up to date with what is filled.

    Attributes:
        columns: base_N, reads_N2 (from, to), source_R (field, or F + slot), stride_R, change_M (what a call does to the
            stack, GO_ON or UNKNOWN), next_M and push_M (nodes), position_M3, act_M (combination), call_M4.
    """

    def __init__(self, stepper: TableStepper, world: Scratchpad, rules: CallRules) -> None:
        self.stepper, self.world, self.rules = stepper, world, rules
        strides = torch.cat([stepper.tables.stride_NF, stepper.tables.stride_N3], 1).numpy()
        node_R, source_R = strides.nonzero()
        ends = np.searchsorted(node_R, np.arange(len(strides) + 1))
        self.reads = np.stack([ends[:-1], ends[1:]], 1), source_R, strides[node_R, source_R]
        first_C = stepper.tables.first_C.numpy()
        programs = np.arange(stepper.table.primitives, len(stepper.table))
        order = programs[np.argsort(first_C[programs], kind="stable")]
        begins = first_C[order]
        self.first_N = begins[np.searchsorted(begins, np.arange(len(strides)), side="right") - 1]
        self.update()

    def update(self) -> None:
        """Work the entries out anew after some were filled."""
        self.version = self.stepper.version
        tables = self.stepper.tables
        entry_M5 = tables.entry_M5
        call_M4, callee = entry_M5[:, :4].contiguous(), entry_M5[:, 0]
        open_M = (callee == GO_ON) | (callee == UNKNOWN)
        change_M = torch.where(open_M, callee, self.rules.change(call_M4)).numpy()
        begins_M = change_M == PUSH
        program_M = np.where(begins_M, callee.numpy(), 0)
        token_M3 = np.where(begins_M[:, None], call_M4[:, 1:].numpy(), 0)
        position_M3 = tables.position_C3V.numpy()[program_M[:, None], np.arange(SLOTS), token_M3]
        acts = torch.from_numpy(change_M == ACT)
        self.call_M4 = call_M4.numpy()
        base_N = tables.base_N.numpy()
        first_M = np.zeros(len(entry_M5), np.int64)
        known = base_N >= 0
        nodes = np.flatnonzero(known)[np.argsort(base_N[known], kind="stable")]
        sizes = np.diff([*base_N[nodes], len(entry_M5)])
        first_M[base_N[nodes[0]] if len(nodes) else 0 :] = np.repeat(self.first_N[nodes], sizes)
        self.columns = (
            base_N,
            *self.reads,
            change_M,
            first_M + entry_M5[:, 4].numpy(),
            tables.first_C.numpy()[program_M],
            position_M3.astype(np.int32),
            (self.world.combination(call_M4) * acts).numpy(),
            self.call_M4.astype(np.int32),
        )


@cache
def native_pad(config: PadConfig) -> tuple[Any, ...]:
    """A pad's tables as the kernel reads them: pair_C2, symbol_C, jump_C6, mover_C (the pointer that steps, −1 for
    none), by_C, listed_P, whether pointers jump, field_F3 (:attr:`~envs.scratchpad.config.PadConfig.shows`), fill_P
    (what an untouched cell of a pointer's row holds)."""
    tables = pad_tables(config)
    step_CP = tables.step_CP.numpy()
    return (
        tables.pair_C2.numpy(),
        tables.symbol_C1[:, 0].numpy(),
        tables.jumps_C6.numpy(),
        np.where(step_CP.any(1), np.abs(step_CP).argmax(1), -1),
        step_CP.sum(1),
        tables.listed_P.numpy(),
        config.wanders,
        np.array(config.shows, np.int64).reshape(-1, 3),
        tables.fill_R[tables.row_P].numpy(),
    )


_TABLES: WeakKeyDictionary[TableStepper, NativeTables] = WeakKeyDictionary()


def native_tables(stepper: TableStepper, world: Scratchpad, rules: CallRules) -> NativeTables:
    """The tables of a stepper, kept as long as the stepper lives."""
    found = _TABLES.get(stepper)
    if found is None or found.rules is not rules:
        found = _TABLES[stepper] = NativeTables(stepper, world, rules)
    elif found.version != stepper.version:
        found.update()
    return found
