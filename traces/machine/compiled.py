"""Running tables, and networks of two layers, on scratch pads by :mod:`traces.machine.compiled_kernel`, on the CPU:
some fifty times as fast as in lockstep for tables, two to three hundred times for networks and one problem.

:func:`traces.machine.lockstep.run` uses it where it can: the stepper is a table or has a network, the world is a
scratch pad in memory, and whoever watches takes the steps instance by instance. The outcome of tables is bit-identical;
a network's sums are taken in another order, which matters where two of its logits are equal but for rounding.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable
from weakref import WeakKeyDictionary, proxy

import numpy as np
import torch

from envs.scratchpad.config import PadConfig
from envs.scratchpad.world import PadState, Scratchpad, pad_tables
from envs.spec import GO_ON, SLOTS, UNKNOWN, ProgramTable
from envs.stepper import Stepper
from envs.steppers.decision_tables import TableStepper
from traces.machine.call_rules import ACT, MAX_CACHED, PUSH, CallRules, allowed_tokens
from traces.machine.outcome import Budget, Outcome, Status, Stopped, Watcher

RECORDED = 2**18
"""Steps recorded before the recorder gets them."""

LEVELS = 16
"""Depth of the stacks' memory at first; it doubles."""

PIECES, MIN_PIECE = 4, 8
"""Parts of a batch that a thread takes, one after the other, and the fewest instances of one."""

FIRST_MARK = 1024
"""Steps after which a run is compared with what it was before, to prove that it never ends."""

STOPPED = (Status.STEPS, Status.DEPTH, Status.ENDLESS)
"""What an instance is stopped for, where another would end."""

STATE_PART = 8
"""Bits of a network's state whose vectors are tabulated together."""

PADDING = 16
"""Numbers behind the weights in a network's rows: a cache line, so that all of them begin alike."""


class Tables(NamedTuple):
    """Where each node's entries begin (-1: it has none yet), its reads (from, to), and of each of these the source
    (field, or F + slot) and its stride."""

    base_N: np.ndarray
    reads_N2: np.ndarray
    source_R: np.ndarray
    stride_R: np.ndarray


class Entries(NamedTuple):
    """Decisions: what the call does to the stack (or GO_ON, UNKNOWN), the node that decides next, the first node of a
    program that is called, the arguments as its nodes read them, the combination of an act, and the call."""

    change_M: np.ndarray
    next_M: np.ndarray
    push_M: np.ndarray
    position_M3: np.ndarray
    act_M: np.ndarray
    call_M4: np.ndarray


class Network(NamedTuple):
    """Two layers of H units that decide for programs: relu(scale · (sum of the vectors of what is seen) + shift), and
    once more behind a linear map; then linear heads. A node is program · (2^K + 1) + state code, which is 0 at a
    frame's beginning, else 1 + K bits.

    Attributes:
        bits: K.
        open_NSI: which of its I inputs (state, fields, slots) a program sees in each code; S = 1 where these are the
            same in all. Whether it sees its state says code 0.
        offset_I: the first row of each input's vectors, one a value; that of the state's is not there.
        row_XW: float32, W = H + :data:`PADDING`; behind the H weights of a head stands its bias. Heads first: return
            (where positive), the K bits of the next state (1 where not negative), N callables, V tokens for each slot;
            then scale, shift, scale and shift of each callable, the second shift with the linear map's bias in it; the
            map, a row for each unit of the first layer; vectors of the state, 2^:data:`STATE_PART` for so many bits;
            those of the other inputs.
        span_N42, choice_R: where (from, to) the callables that a program may call, then the tokens of its slots lie.
    """

    bits: int
    open_NSI: np.ndarray
    offset_I: np.ndarray
    row_XW: np.ndarray
    span_N42: np.ndarray
    choice_R: np.ndarray


@runtime_checkable
class NetworkStepper(Stepper, Protocol):
    """A stepper whose decisions a network in memory makes."""

    table: ProgramTable

    @property
    def native_network(self) -> Network: ...


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
        isinstance(world, Scratchpad)
        and isinstance(state, PadState)
        and state.device.type == "cpu"
        and (recorder is None or isinstance(recorder, RowWatcher))
        and available()
        and isinstance(stepper, TableStepper | NetworkStepper)
        and (not isinstance(stepper, TableStepper) or stepper.tables.entry_M5.device.type == "cpu")
    )


def run(
    stepper: TableStepper | NetworkStepper,
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
    decider, pad = native(stepper, world, rules), native_pad(world.config)
    stack_BD4 = np.zeros((batch, min(LEVELS, depth), 4), np.int32)
    stack_BD4[:, 0] = decider.begin(first_N4.numpy())
    level_B, status_B = np.zeros(batch, np.int64), np.full(batch, compiled_kernel.RUNNING)
    steps_B, depth_B, where_B2 = np.zeros(batch, np.int64), np.ones(batch, np.int64), np.zeros((batch, 2), np.int64)
    size = RECORDED if recorder is not None else 0
    rows = np.empty((size, len(world.spec.fields)), np.int16), np.empty((size, 4), np.int32), np.empty(size, np.int32)
    if recorder is not None:
        recorder.begin(first_N4[:, 0], first_N4[:, 1:])
    refused_N4 = np.zeros((batch, 1 + SLOTS), np.int64)

    def advance(begin: int, end: int) -> tuple[int, int]:
        """Go on with these instances; as the kernel, counted from ``begin``."""
        part, cells = slice(begin, end), state.cells.numpy()
        size, pointers = len(cells) // max(1, batch), state.at_BP.shape[1]
        places = (x[part].numpy() for x in (state.at_BP, state.low_BP, state.high_BP))
        columns = (x[part] for x in (stack_BD4, level_B, status_B, steps_B, depth_B, where_B2, refused_N4))
        return compiled_kernel.advance(
            *decider.arguments(), *pad, cells, *places, state.width, state.origin, *columns,
            budget.most_steps, depth, *rows, begin, FIRST_MARK, all_end, np.empty(size, cells.dtype),
            np.empty(4, np.int32), *np.empty((3, pointers), np.int64),  # type: ignore[call-arg]
        )  # fmt: skip

    first = 0
    while True:
        if recorder is None and not all_end:
            recorded, done = _in_threads(advance, first, batch)
        else:
            recorded, done = advance(first, batch)
        if recorder is not None and recorded:
            seen_KF, made_K4, instance_K = rows
            recorder.rows(instance_K[:recorded] + first, seen_KF[:recorded].copy(), made_K4[:recorded].copy())
        if all_end and np.isin(status_B, STOPPED).any():
            break
        first += done
        if first < batch:
            continue
        waits = status_B > compiled_kernel.ENDLESS
        if not waits.any():
            break
        missing_B = status_B == compiled_kernel.MISSING
        if isinstance(decider, NativeTables) and missing_B.any():
            decider.fill(*np.unique(where_B2[missing_B], axis=0).T)
        if (status_B == compiled_kernel.DEEP).any():
            more = np.zeros((batch, min(stack_BD4.shape[1], depth - stack_BD4.shape[1]), 4), np.int32)
            stack_BD4 = np.concatenate([stack_BD4, more], 1)
        if (status_B == compiled_kernel.ROOM).any():
            world.make_room(state)
        status_B[waits] = compiled_kernel.RUNNING
        first = int(np.argmax(waits))
    state.slack = 0
    stopped = _stopped(decider, status_B, level_B, stack_BD4)
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


def _stopped(
    decider: NativeTables | NativeNetwork, status_B: np.ndarray, level_B: np.ndarray, stack_BD4: np.ndarray
) -> Stopped | None:
    """The stack of the first instance that took too much, or never ends."""
    found = np.flatnonzero(np.isin(status_B, STOPPED))
    if not len(found):
        return None
    frame_D4, hidden_D = decider.frames(stack_BD4[found[0], : level_B[found[0]] + 1])
    return Stopped(int(found[0]), torch.from_numpy(frame_D4), torch.from_numpy(hidden_D[:, None]).to(torch.int64))


def _in_threads(advance: Callable[[int, int], tuple[int, int]], first: int, batch: int) -> tuple[int, int]:
    """Advance the instances from ``first`` on in as many threads as torch has; instances share nothing."""
    threads = min(torch.get_num_threads(), (batch - first) // MIN_PIECE)
    if threads < 2:
        return advance(first, batch)
    ends = np.linspace(first, batch, min(PIECES * threads, (batch - first) // MIN_PIECE) + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return 0, sum(done for _, done in pool.map(advance, ends, ends[1:]))


NETWORK = len(Network._fields) + 6
"""Arrays by which a network decides: its own, three of the rules of calls, three of scratch."""


class NativeTables:
    """A stepper's tables as the kernel reads them, kept up to date with what is filled."""

    def __init__(self, stepper: TableStepper, world: Scratchpad, rules: CallRules) -> None:
        self.stepper, self.world, self.rules = proxy(stepper), world, rules  # the stepper is what keeps this
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
        base_N = tables.base_N.numpy()
        first_M = np.zeros(len(entry_M5), np.int64)
        known = base_N >= 0
        nodes = np.flatnonzero(known)[np.argsort(base_N[known], kind="stable")]
        sizes = np.diff([*base_N[nodes], len(entry_M5)])
        first_M[base_N[nodes[0]] if len(nodes) else 0 :] = np.repeat(self.first_N[nodes], sizes)
        self.tables = Tables(base_N, *self.reads)
        self.entries = Entries(
            change_M,
            first_M + entry_M5[:, 4].numpy(),
            tables.first_C.numpy()[program_M],
            position_M3.astype(np.int32),
            (self.world.combination(call_M4) * acts).numpy(),
            call_M4.numpy().astype(np.int32),
        )

    def begin(self, first_N4: np.ndarray) -> np.ndarray:
        """frame_N4 of first calls: their programs' first nodes, and the arguments as these read them."""
        tables, program_N = self.stepper.tables, first_N4[:, 0]
        position_N3 = tables.position_C3V.numpy()[program_N[:, None], np.arange(SLOTS), first_N4[:, 1:]]
        return np.concatenate([tables.first_C.numpy()[program_N, None], position_N3], 1)

    def frames(self, stack_D4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """frame_D4 (programs and tokens) and the hidden numbers of a stack."""
        table, first_C = self.stepper.table, self.stepper.tables.first_C.numpy()
        programs = np.arange(table.primitives, len(table))
        order = programs[np.argsort(first_C[programs], kind="stable")]
        program_D = order[np.searchsorted(first_C[order], stack_D4[:, 0], side="right") - 1]
        frame_D4 = np.zeros((len(stack_D4), 1 + SLOTS), np.int64)
        frame_D4[:, 0] = program_D
        for level, program in enumerate(program_D.tolist()):
            for place, slot in enumerate(table.signatures[program].slots, 1):
                frame_D4[level, place] = slot.tokens[stack_D4[level, place]]
        return frame_D4, stack_D4[:, 0] - first_C[program_D]

    def arguments(self) -> tuple[Any, ...]:
        """What the kernel takes first: tables, no network, entries."""
        return *self.tables, *[None] * NETWORK, *self.entries

    def fill(self, node_M: np.ndarray, entry_M: np.ndarray) -> None:
        """Decide where an instance waits for it; see :meth:`TableStepper.fill`."""
        self.stepper.fill(node_M, entry_M)
        self.update()


class NativeNetwork:
    """A stepper's network, beside the rules of calls, as the kernel reads it."""

    def __init__(self, stepper: NetworkStepper, world: Scratchpad, rules: CallRules) -> None:
        self.network, self.rules = stepper.native_network, rules
        table = stepper.table
        calls = [torch.zeros(2, 1 + SLOTS, dtype=torch.int64)]
        for callee, signature in enumerate(table.signatures[: table.primitives]):
            calls.append(torch.cartesian_prod(torch.tensor([callee]), *allowed_tokens(signature)))
        rank_N3V = rules.rank_X.view(len(table) + 3, SLOTS, -1)[2:-1, :, 1:-1]
        act_R = world.combination(torch.cat(calls))
        self.calls = tuple(x.contiguous().numpy() for x in (rank_N3V, rules.change_X, act_R))

    def begin(self, first_N4: np.ndarray) -> np.ndarray:
        """frame_N4 of first calls: their programs in state 0, and the arguments' tokens."""
        return first_N4 * [2**self.network.bits + 1, 1, 1, 1]

    def frames(self, stack_D4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """frame_D4 (programs and tokens) and the hidden numbers of a stack."""
        program_D, code_D = np.divmod(stack_D4[:, :1].astype(np.int64), 2**self.network.bits + 1)
        return np.concatenate([program_D, stack_D4[:, 1:]], 1), code_D[:, 0]

    def arguments(self) -> tuple[Any, ...]:
        """What the kernel takes first: no tables, the network, and for one thread scratch and an entry."""
        hidden = self.network.row_XW.shape[1] - PADDING
        second_H, value_H = torch.empty(2, 16 * (hidden // 16 + 2)).numpy()[:, : hidden + 3]
        scratch = second_H, np.empty(hidden + 3, np.int64), value_H
        change_M, next_M, push_M, act_M = np.zeros((4, 1), np.int64)
        position_M3, call_M4 = np.zeros((1, SLOTS), np.int32), np.zeros((1, 1 + SLOTS), np.int32)
        entries = Entries(change_M, next_M, push_M, position_M3, act_M, call_M4)
        return *[None] * len(Tables._fields), *self.network, *self.calls, *scratch, *entries


@lru_cache(maxsize=MAX_CACHED)
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


_NATIVE: WeakKeyDictionary[Any, NativeTables | NativeNetwork] = WeakKeyDictionary()


def native(stepper: TableStepper | NetworkStepper, world: Scratchpad, rules: CallRules) -> NativeTables | NativeNetwork:
    """What decides for a stepper, kept as long as the stepper lives."""
    found = _NATIVE.get(stepper)
    if found is None or found.rules is not rules:
        if isinstance(stepper, TableStepper):
            found = NativeTables(stepper, world, rules)
        else:
            found = NativeNetwork(stepper, world, rules)
        _NATIVE[stepper] = found
    elif isinstance(found, NativeTables) and found.version != found.stepper.version:
        found.update()
    return found
