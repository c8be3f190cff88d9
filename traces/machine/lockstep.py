"""The machine: Algorithm 1 of NPI (Reed & de Freitas 2016, section 3.1) for a batch, in lockstep.

It runs any stepper (teacher, network, table, script) in any world. Each instance has a stack of frames; at every step
all running instances decide one call: a return pops, a primitive acts on the world, a program pushes a frame.

Shapes: ``B`` instances still in the batch, ``D`` depth of the stacks, ``F`` observation fields, ``H`` hidden numbers,
``K`` steps of a chunk, ``N`` instances that the run began with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Literal, cast

import torch

from envs.product import Product
from envs.spec import SLOTS, ProgramTable
from envs.stepper import Draw, Stepper
from envs.world import Ending, Hosted, State, World
from traces.machine import compiled as compiled_machine
from traces.machine.call_rules import ACT, PUSH, REFUSED, CallRules, call_rules
from traces.machine.cuda_graphs import Capture, Stretches, cuda_graph
from traces.machine.outcome import Budget, Chunk, Outcome, S, Status, Stopped, Watcher

__all__ = ["Budget", "Outcome", "Status", "Watcher", "advance", "run"]


def run(
    stepper: Stepper,
    world: World[S],
    state: S,
    table: ProgramTable,
    program_N: torch.Tensor,
    arguments_N3: torch.Tensor,
    *,
    budget: Budget | None = None,
    recorder: Watcher | None = None,
    check_every: int = 16,
    compact: bool = True,
    compiled: bool = True,
    capture: Capture | Literal["auto"] | None = "auto",
    seed: int | None = None,
    all_end: bool = False,
) -> Outcome[S]:
    """Run a program in every instance until it returns or its budget is spent; ``state`` changes in place.

    Args:
        stepper: decides; it is also asked for instances that have ended (their first frame again), and not heard.
        program_N: int64, ids of programs of the table. arguments_N3: int64, their tokens.
        check_every: steps between looks at which instances have ended (on a GPU each is a synchronisation).
        compact: leave ended instances behind when fewer than half still run.
        compiled: use machine code where it can be (:mod:`traces.machine.compiled`), a third of a second to load.
        capture: how steps are captured to be replayed (:mod:`traces.machine.cuda_graphs`); by default in CUDA graphs.
        seed: of random actions, as learned programs can take, by number of the instance; without one the likeliest.
        all_end: stop all instances with the first that is stopped for its steps, depth or endlessness.

    Raises:
        ValueError: where batch sizes differ, the world is not the table's, or a first call is not a program's.
    """
    budget = budget or Budget()
    device = state.device
    program_N, arguments_N3 = program_N.to(device, torch.int64), arguments_N3.to(device, torch.int64)
    first_N4 = torch.cat([program_N[:, None], arguments_N3], dim=1)
    rules = call_rules(world, table, device)
    _check_start(world, state, table, first_N4, rules)
    if compiled and compiled_machine.applies(stepper, world, state, recorder):
        taken: Any = (stepper, world, state, first_N4, rules)
        found = compiled_machine.run(*taken, budget=budget, recorder=cast(Any, recorder), all_end=all_end)
        return cast("Outcome[S]", found)
    stack = Stack(first_N4, width=stepper.width, dtype=stepper.dtype)
    ledger: Ledger[S] = Ledger(len(program_N), device)
    if capture == "auto":  # channels can need the host, or gradients; draws depend on the step
        held = not world.spec.channels and not isinstance(world, Hosted) and seed is None
        capture = cuda_graph if device.type == "cuda" and held else None
    draws = None if seed is None else (lambda step: Draw(seed, ledger.origin_B, ledger.clock + step))
    onward = partial(advance, stepper, world, rules, watched=recorder is not None, draws=draws)
    stretches: Stretches[S] | None = None if capture is None else Stretches(onward, capture)
    if recorder is not None:
        recorder.begin(program_N, arguments_N3)
    with torch.no_grad():
        while stack.running and ledger.clock < budget.most_steps and not (all_end and ledger.stopped):
            limit = min(budget.depth, budget.stack_bytes // stack.bytes_a_level)
            steps = max(1, min(check_every, budget.most_steps - ledger.clock, limit + 1 - stack.deepest))
            moved = stack.reserve(stack.deepest + steps) | world.prepare(state, steps)
            if stretches is None:
                chunk = onward(state, stack, steps)
            else:
                chunk = stretches.next(state, stack, steps, moved=moved)
            if recorder is not None:
                assert chunk.obs_KBF is not None
                recorder.chunk(ledger.origin_B, chunk.running_KB, chunk.obs_KBF, chunk.call_KB4)
            stack.look()
            ledger.settle(chunk, stack, limit)
            if compact and 0 < 2 * stack.running < len(stack):
                state = ledger.leave_behind(state, stack)
                if stretches is not None:
                    stretches.forget()
    outcome = ledger.close(state, stack)
    if recorder is not None:
        recorder.end(outcome.status_N)
    return outcome


def advance(
    stepper: Stepper,
    world: World[S],
    rules: CallRules,
    state: S,
    stack: Stack,
    steps: int,
    *,
    watched: bool,
    draws: Callable[[int], Draw] | None = None,
) -> Chunk:
    """NPI Algorithm 1, ``steps`` times round its loop (lines 4 to 9), for all instances at once.

    An instance whose top is its slot 0 has ended. It goes on deciding about its first frame, and nothing comes of it.
    """
    ends = world.ended_parts if isinstance(world, Product) else world.ended if isinstance(world, Ending) else None
    B, tops, changes, calls, fields = len(stack), [], [], [], []
    for step in range(steps):
        top_B, frame_B4, hidden_BH = stack.read()
        seen = world.observe(state)  # line 5: s ← f_enc(e, a); h ← f_lstm(s, p, h)
        ended_B, draw = ends and ends(state), draws and draws(step)
        action, hidden_BH = stepper.step(  # lines 5 to 7
            seen, frame_B4[:, 0], frame_B4[:, 1:], hidden_BH, ended_B=ended_B, draw=draw
        )
        call_B4 = action.call_B4
        running_B = top_B >= B
        change_B = rules.change(call_B4) * running_B
        world.act(state, action, running_B & (change_B == ACT))  # line 8: if i = ACT then e ← f_env(e, p, a)
        stack.write(hidden_BH, call_B4, change_B, running_B)  # line 9: else RUN(i₂, a₂); line 4: until it returns
        tops.append(top_B)
        changes.append(change_B)
        calls.append(call_B4)
        if watched:
            fields.append(seen.fields_BF.to(torch.int16))
    obs_KBF = torch.stack(fields) if watched else None
    return Chunk(torch.stack(tops), torch.stack(changes), torch.stack(calls), obs_KBF)


class Stack:
    """The stacks of B instances: flat, level by level, so that slot ``depth * B + instance`` holds a frame.

    Level 0 holds a copy of the first frame, where ended instances idle; level 1 the first frame; whatever lies above
    an instance's top is free to be overwritten, and is.
    """

    def __init__(self, first_B4: torch.Tensor, *, width: int, dtype: torch.dtype) -> None:
        B, device = len(first_B4), first_B4.device
        self.frame_D4 = first_B4.repeat(2, 1)
        self.hidden_DH = torch.zeros(2 * B, width, dtype=dtype, device=device)
        self.floor_B = torch.arange(B, device=device)
        self.top_B = self.floor_B + B
        self.running, self.deepest = B, 1

    def __len__(self) -> int:
        return len(self.floor_B)

    @property
    def bytes_a_level(self) -> int:
        return len(self) * (self.frame_D4.element_size() * 4 + self.hidden_DH.element_size() * self.hidden_DH.shape[1])

    def read(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """top_B (slots), and what lies there: frame_B4 (program, arguments), hidden_BH."""
        top_B = self.top_B.clone()
        return top_B, self.frame_D4.index_select(0, top_B), self.hidden_DH.index_select(0, top_B)

    def write(
        self, hidden_BH: torch.Tensor, call_B4: torch.Tensor, change_B: torch.Tensor, running_B: torch.Tensor
    ) -> None:
        """Keep the frames' new hidden numbers, lay the call with zeros above them, and move the tops."""
        B, top_B = len(self), self.top_B
        self.hidden_DH.index_copy_(0, top_B, hidden_BH)
        self.hidden_DH.index_fill_(0, torch.add(top_B, running_B, alpha=B), 0)  # of ended ones, their own slot
        self.frame_D4.index_copy_(0, top_B + B, call_B4)
        torch.maximum(torch.add(top_B, change_B, alpha=B), self.floor_B, out=self.top_B)

    def reserve(self, depth: int) -> bool:
        """Make room for frames of that depth, and one more; True where the memory is another than before."""
        B = len(self)
        levels = self.frame_D4.shape[0] // B
        if levels < depth + 2:
            more = (max(depth + 2, 2 * levels) - levels) * B
            self.frame_D4 = torch.cat([self.frame_D4, self.frame_D4.new_zeros(more, 4)])
            self.hidden_DH = torch.cat([self.hidden_DH, self.hidden_DH.new_zeros(more, self.hidden_DH.shape[1])])
            return True
        return False

    def stopped(self, place: int, instance: int) -> Stopped:
        """A copy of the frames at one place of the batch, which are those of an instance of the run."""
        slots = torch.arange(len(self) + place, int(self.top_B[place]) + 1, len(self), device=self.floor_B.device)
        return Stopped(instance, self.frame_D4[slots], self.hidden_DH[slots])

    @classmethod
    def resumed(cls, stopped: Stopped) -> Stack:
        """The stack of one stopped instance, to go on with."""
        hidden_DH = stopped.hidden_DH
        found = cls(stopped.frame_D4[:1], width=hidden_DH.shape[1], dtype=hidden_DH.dtype)
        found.frame_D4 = torch.cat([found.frame_D4[:1], stopped.frame_D4])
        found.hidden_DH = torch.cat([found.hidden_DH[:1], hidden_DH])
        found.top_B = found.floor_B + len(hidden_DH)
        found.look()
        return found

    def look(self) -> None:
        """Bring ``running`` (instances) and ``deepest`` (frames now) up to date."""
        level_B = self.top_B.div(len(self), rounding_mode="floor")
        self.running = int(torch.count_nonzero(level_B))
        self.deepest = int(level_B.max()) if len(self) else 0

    def stop(self, stopped_B: torch.Tensor) -> None:
        self.top_B.copy_(torch.where(stopped_B, self.floor_B, self.top_B))
        self.look()

    def select(self, index_B: torch.Tensor) -> None:
        """Keep only the instances named, in that order."""
        B, levels = len(self), self.deepest + 1
        level_B = self.top_B[index_B].div(B, rounding_mode="floor")
        self.frame_D4 = self.frame_D4.view(-1, B, 4)[:levels, index_B].flatten(0, 1)
        width = self.hidden_DH.shape[1]
        self.hidden_DH = self.hidden_DH.view(-1, B, width)[:levels, index_B].flatten(0, 1)
        self.floor_B = torch.arange(len(index_B), device=index_B.device)
        self.top_B = self.floor_B + level_B * len(index_B)


class Ledger(Generic[S]):
    """Who of the N instances is still in the batch, and how the others ended."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.clock = 0
        self.origin_B = torch.arange(count, device=device)
        self._status_N = torch.zeros(count, dtype=torch.int64, device=device)
        self._steps_N = torch.zeros(count, dtype=torch.int64, device=device)
        self._depth_N = torch.ones(count, dtype=torch.int64, device=device)
        self._refused_N4 = torch.zeros(count, 1 + SLOTS, dtype=torch.int64, device=device)
        self._parts: list[tuple[torch.Tensor, S]] = []
        self.stopped: Stopped | None = None

    def settle(self, chunk: Chunk, stack: Stack, limit: int) -> None:
        """Enter a chunk's steps, refusals and depths; stop the instances that went too deep."""
        B, origin_B = len(stack), self.origin_B
        self.clock += len(chunk.top_KB)
        self._steps_N.index_add_(0, origin_B, chunk.running_KB.sum(0))
        top_B = torch.maximum(chunk.top_KB.max(0).values, stack.top_B)
        depth_B = top_B.div(B, rounding_mode="floor")
        self._depth_N[origin_B] = torch.maximum(self._depth_N[origin_B], depth_B.clamp(max=limit))
        if stack.deepest > limit:
            overrun_B = stack.top_B >= (limit + 1) * B
            self._status_N[origin_B[overrun_B]] = Status.DEPTH
            self._note(overrun_B, stack)
            stack.stop(overrun_B)
        step, instance = (chunk.change_KB == REFUSED).nonzero(as_tuple=True)
        if len(step):
            self._status_N[origin_B[instance]] = Status.ILLEGAL
            self._refused_N4[origin_B[instance]] = chunk.call_KB4[step, instance]

    def leave_behind(self, state: S, stack: Stack) -> S:
        """Set the ended instances aside; returns the states of those that run, and shrinks the stack to them."""
        running_B = stack.top_B >= len(stack)
        ended, kept = (~running_B).nonzero().squeeze(1), running_B.nonzero().squeeze(1)
        self._parts.append((self.origin_B[ended], state.select(ended)))
        self.origin_B = self.origin_B[kept]
        stack.select(kept)
        return state.select(kept)

    def close(self, state: S, stack: Stack) -> Outcome[S]:
        """The outcome, with those that still run stopped for their steps."""
        running_B = stack.top_B >= len(stack)
        self._status_N[self.origin_B[running_B]] = Status.STEPS
        self._note(running_B, stack)
        parts = (*self._parts, (self.origin_B, state))
        return Outcome(self._status_N, self._steps_N, self._depth_N, self._refused_N4, parts, self.stopped)

    def _note(self, stopped_B: torch.Tensor, stack: Stack) -> None:
        """Keep the stack of one instance that is stopped."""
        if self.stopped is None and bool(stopped_B.any()):
            place = int(stopped_B.int().argmax())
            self.stopped = stack.stopped(place, int(self.origin_B[place]))


def _check_start(
    world: World[Any], state: State, table: ProgramTable, first_N4: torch.Tensor, rules: CallRules
) -> None:
    if world.spec != table.world and world.spec.digest != table.world.digest:
        raise ValueError(f"world {world.spec.name!r} is not the world {table.world.name!r} that the table is for")
    if len(first_N4) != state.batch or first_N4.shape[1] != 1 + SLOTS:
        raise ValueError(
            f"{state.batch} states need as many programs and {SLOTS} arguments each; "
            f"there are {len(first_N4)} programs and {first_N4.shape[1] - 1} arguments"
        )
    wrong = (rules.change(first_N4) != PUSH).nonzero()
    if len(wrong):
        instance = int(wrong[0])
        raise ValueError(
            f"instance {instance} begins with {first_N4[instance].tolist()}, which calls no program: expected an id "
            f"from {table.primitives} to {len(table) - 1} and arguments that its signature allows"
        )
