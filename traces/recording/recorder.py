"""The recorders: one that the machine fills, and one for traces made without a program file.

The recorder keeps only what each instance saw and decided. Which frame a step belongs to follows from the calls alone
(a program goes one level down, a return one up), so the frames are put together afterwards, for all traces at once.

Shapes: ``S`` steps, ``M`` frames, ``N`` traces, ``F`` observation fields; ``B``, ``K`` as in
:mod:`traces.machine.lockstep`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from envs.spec import NONE, RETURN, SLOTS, ProgramTable, SpecError
from traces.recording import frame_tree
from traces.recording.batch import DTYPES, Ints, TraceBatch, batch_from, check_batch


class Recorder:
    """Records one run of the machine: ``run(..., recorder=recorder)``, then ``recorder.batch()``."""

    def __init__(self, table: ProgramTable) -> None:
        large = [f.name for f in table.world.fields if f.size > np.iinfo(DTYPES["obs"]).max]
        if large:
            raise SpecError(f"observation {large[0]!r} has more values than a trace can hold (32767)")
        self.table = table
        self._first_N4: Ints = np.zeros((0, 1 + SLOTS), np.int64)
        self._status_N: Ints | None = None
        self._rows: list[tuple[Ints, Ints, Ints]] = []  # instance, obs, call of each step, in the order of time

    def begin(self, program_N: torch.Tensor, arguments_N3: torch.Tensor) -> None:
        self._first_N4 = torch.cat([program_N[:, None], arguments_N3], dim=1).cpu().numpy()
        self._rows, self._status_N = [], None

    def chunk(
        self, origin_B: torch.Tensor, running_KB: torch.Tensor, obs_KBF: torch.Tensor, call_KB4: torch.Tensor
    ) -> None:
        instance_KB = origin_B.to(torch.int32).expand_as(running_KB)
        if not running_KB.all():
            rows = (instance_KB[running_KB], obs_KBF[running_KB], call_KB4[running_KB])
        else:
            rows = (instance_KB.flatten(), obs_KBF.flatten(0, 1).clone(), call_KB4.flatten(0, 1).clone())
        instance, obs, call = (r.cpu() for r in rows)
        self._rows.append((instance.numpy(), obs.to(torch.int16).numpy(), call.to(torch.int32).numpy()))

    def rows(self, instance_K: Ints, obs_KF: Ints, call_K4: Ints) -> None:
        """K more steps; those of one instance come in the order of time."""
        self._rows.append((instance_K, obs_KF, call_K4))

    def end(self, status_N: torch.Tensor) -> None:
        self._status_N = status_N.cpu().numpy()

    def batch(self, *, size: Sequence[int] | None = None, seed: Sequence[int] | None = None) -> TraceBatch:
        """The traces in the order of the instances. Raises ``ValueError`` before a run has ended."""
        if self._status_N is None:
            raise ValueError("nothing is recorded yet: give this recorder to a run of the machine first")
        fields_, count = len(self.table.world.fields), len(self._status_N)
        instance = np.concatenate([np.zeros(0, np.int32), *(r[0] for r in self._rows)])
        obs = np.concatenate([np.zeros((0, fields_), np.int16), *(r[1] for r in self._rows)])
        calls = np.concatenate([np.zeros((0, 1 + SLOTS), np.int32), *(r[2] for r in self._rows)])
        nothing = np.full(count, -1)
        meta = {
            "size": nothing if size is None else np.asarray(size, np.int64),
            "seed": nothing if seed is None else np.asarray(seed, np.int64),
            "status": self._status_N,
        }
        if len(meta["size"]) != count or len(meta["seed"]) != count:
            raise ValueError(f"{count} traces need {count} sizes and seeds: {len(meta['size'])}, {len(meta['seed'])}")
        return assemble(self.table, self._first_N4, instance, obs, calls, meta)


class ManualRecorder:
    """Traces by hand, for teachers that are not program files: any Python code that knows what to call next.

    ::

        recorder = ManualRecorder(table, observe=lambda: world.observe(state)[0].tolist(), perform=perform)
        with recorder.trace("ADD"):
            with recorder.call("ADD1"):
                recorder.act("ACT", "OUT", "WRITE", "1")
        batch = recorder.batch()

    Returns are recorded where a block ends. Everything is checked where it happens: names, arguments, observations.

    Args:
        observe: the present observation, F integers; asked at every call and return.
        perform: carries out a primitive call, four integers, in whatever world this is.
    """

    def __init__(
        self,
        table: ProgramTable,
        *,
        observe: Callable[[], Sequence[int]],
        perform: Callable[[tuple[int, ...]], None] | None = None,
    ) -> None:
        self.table = table
        self._observe, self._perform = observe, perform
        self._first: list[tuple[int, ...]] = []
        self._meta: list[tuple[int, int]] = []
        self._steps: list[tuple[int, list[int], tuple[int, ...]]] = []
        self._depth = 0

    @contextmanager
    def trace(self, name: str, *arguments: str, size: int = -1, seed: int = -1) -> Iterator[None]:
        """One trace, of this program. A block that raises leaves no trace."""
        if self._depth:
            raise ValueError("a trace cannot begin inside another; use call() for a program that this one calls")
        first, steps = self._resolve(name, arguments, programs=True), len(self._steps)
        self._first.append(first)
        self._meta.append((size, seed))
        self._depth = 1
        try:
            yield
            self._step((RETURN, 0, 0, 0))
        except BaseException:
            self._first.pop()
            self._meta.pop()
            del self._steps[steps:]
            raise
        finally:
            self._depth = 0

    @contextmanager
    def call(self, name: str, *arguments: str) -> Iterator[None]:
        """The running program calls another; what it does is the block."""
        self._step(self._resolve(name, arguments, programs=True))
        self._depth += 1
        yield
        self._step((RETURN, 0, 0, 0))
        self._depth -= 1

    def act(self, name: str, *arguments: str) -> None:
        """The running program calls a primitive."""
        call = self._resolve(name, arguments, programs=False)
        self._step(call)
        if self._perform is not None:
            self._perform(call)

    def batch(self) -> TraceBatch:
        """All traces so far. Raises ``ValueError`` inside a trace."""
        if self._depth:
            raise ValueError("the trace has not ended yet: take the batch after its block")
        steps, fields = len(self._steps), len(self.table.world.fields)
        instance = np.array([s[0] for s in self._steps], np.int32)
        obs = np.array([s[1] for s in self._steps], np.int16).reshape(steps, fields)
        calls = np.array([s[2] for s in self._steps], np.int32).reshape(steps, 1 + SLOTS)
        first = np.array(self._first, np.int64).reshape(-1, 1 + SLOTS)
        pairs = np.array(self._meta, np.int64).reshape(-1, 2)
        meta: dict[str, Ints] = {"size": pairs[:, 0], "seed": pairs[:, 1], "status": np.zeros(len(first), np.int8)}
        batch = assemble(self.table, first, instance, obs, calls, meta)
        check_batch(batch)
        return batch

    def _step(self, call: tuple[int, ...]) -> None:
        if not self._depth:
            raise ValueError("no trace is being recorded: begin one with `with recorder.trace(...)`")
        obs = [int(n) for n in self._observe()]
        fields = self.table.world.fields
        if len(obs) != len(fields):
            raise ValueError(f"an observation of {len(obs)} numbers, the world declares {len(fields)} fields")
        for field, value in zip(fields, obs, strict=True):
            if not 0 <= value < field.size:
                raise ValueError(f"observation {field.name} is {value}, expected 0 to {field.size - 1}")
        self._steps.append((len(self._first) - 1, obs, call))

    def _resolve(self, name: str, arguments: Sequence[str], *, programs: bool) -> tuple[int, ...]:
        """The four integers of a call. Raises ``ValueError`` that says what the name or the argument could be."""
        try:
            callee = self.table.id(name)
        except KeyError as error:
            raise ValueError(str(error.args[0])) from None
        if programs != (callee >= self.table.primitives):
            kind, method = ("primitive", "act") if programs else ("program", "call")
            raise ValueError(f"{name} is a {kind}: record it with {method}()")
        slots, tokens = self.table.signatures[callee].slots, self.table.world.tokens
        if len(arguments) > len(slots):
            raise ValueError(f"{name} takes {len(slots)} arguments, here are {len(arguments)}")
        call = [callee] + [0] * SLOTS
        for place, slot in enumerate(slots):
            allowed = {tokens[token]: token for token in slot.tokens}
            given = arguments[place] if place < len(arguments) else NONE
            if given not in allowed:
                raise ValueError(f"{name}: argument {slot.name} is {given!r}, expected one of {', '.join(allowed)}")
            call[1 + place] = allowed[given]
        return tuple(call)


MIN_COMPILED_STEPS = 5000
"""Fewer steps are put together in less time than machine code takes to load."""


def assemble(
    table: ProgramTable, first_N4: Ints, instance_S: Ints, obs_SF: Ints, call_S4: Ints, meta: Mapping[str, Ints]
) -> TraceBatch:
    """Put steps that lie in the order of time into frames and traces.

    Args:
        first_N4: each trace's first program and arguments. instance_S: the trace of each step.
        meta: the columns ``size``, ``seed``, ``status`` of N traces.
    """
    traces = len(first_N4)
    if len(instance_S) and (instance_S[1:] < instance_S[:-1]).any():
        order = np.argsort(instance_S, kind="stable")  # by trace, then time
        instance_S, obs_SF, call_S4 = instance_S[order], obs_SF[order], call_S4[order]
    call_S4 = np.where(call_S4[:, :1] == RETURN, np.array([RETURN, 0, 0, 0], call_S4.dtype), call_S4)
    tree = frame_tree.tree if len(instance_S) < MIN_COMPILED_STEPS else frame_tree.compiled_tree()
    frame_S, place_S, length_M, parent_M, parent_step_M, begin_M = tree(instance_S, call_S4[:, 0], table.primitives)
    start_M = np.cumsum(length_M) - length_M
    inner_M, origin_M = parent_M >= 0, instance_S[begin_M]
    started_M4 = np.array(first_N4[origin_M], np.int64).reshape(-1, 1 + SLOTS)
    started_M4[inner_M] = call_S4[begin_M[inner_M] - 1]  # the step before a frame's first is the call that began it
    at_S = start_M[frame_S] + place_S
    obs, calls = np.empty_like(obs_SF), np.empty_like(call_S4)
    obs[at_S], calls[at_S] = obs_SF, call_S4
    frames_N = np.bincount(origin_M, minlength=traces)
    return batch_from(
        table,
        {
            "obs": obs,
            "calls": calls,
            "program": started_M4[:, 0],
            "arguments": started_M4[:, 1:],
            "parent": parent_M,
            "parent_step": parent_step_M,
            "start": start_M,
            "length": length_M,
            "first_frame": np.cumsum(frames_N) - frames_N,
            "frames": frames_N,
            **meta,
        },
    )
