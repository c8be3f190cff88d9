"""A tiny world, steppers with random tables, and Algorithm 1 of NPI in plain Python as the second way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from envs.spec import NONE, RETURN, Field, ProgramTable, Signature, Slot, WorldSpec
from envs.stepper import Action, Decision, Observation, Stepper
from traces.machine.lockstep import Budget, run
from traces.recording.recorder import Recorder, TraceBatch

SPEC = WorldSpec(
    name="line",
    kind="line",
    config={"modulus": 3},
    fields=(Field("rest", ("zero", "one", "two")), Field("odd", ("no", "yes"))),
    tokens=(NONE, "LEFT", "RIGHT", "a", "b", "c"),
    primitives=(
        Signature("MOVE", (Slot("direction", (1, 2)),)),
        Signature("PUT", (Slot("what", (3, 4, 5)), Slot("where", (0, 1, 2)))),
    ),
)
TABLE = ProgramTable(
    world=SPEC,
    programs=(
        Signature("file.MAIN"),
        Signature("file.TURN", (Slot("direction", (1, 2)),)),
        Signature("other.PAIR", (Slot("what", (3, 4)), Slot("where", (0, 5)))),
    ),
    calls=((3, 4), (2,), ()),
)
MOVE, PUT, MAIN, TURN, PAIR = range(5)
FIRSTS = [(MAIN, 0, 0, 0), (TURN, 2, 0, 0), (PAIR, 3, 5, 0)]
"""Programs with their arguments, to begin with."""


@dataclass
class LineState:
    x_B: torch.Tensor

    @property
    def batch(self) -> int:
        return len(self.x_B)

    @property
    def device(self) -> torch.device:
        return self.x_B.device

    def select(self, index_B: torch.Tensor) -> LineState:
        return LineState(self.x_B[index_B])

    def spend(self, acts):
        pass


class LineWorld:
    spec = SPEC

    def reset(self, layouts, *, given=None, device="cpu"):
        return LineState(torch.tensor([layout["x"][0] for layout in layouts], device=device))

    def observe(self, state):
        return Observation(torch.stack([state.x_B.remainder(3), state.x_B.remainder(2)], dim=1))

    def act(self, state, action, active_B):
        call_B4 = action.call_B4
        change = torch.where(call_B4[:, 0] == MOVE, 2 * call_B4[:, 1] - 3, 7 * call_B4[:, 1] + call_B4[:, 2])
        state.x_B += change * active_B

    def prepare(self, state, acts):
        return False

    def legal(self, action):
        call_B4 = action.call_B4
        return ~((call_B4[:, 0] == PUT) & (call_B4[:, 1] == 5) & (call_B4[:, 2] == 2))

    def read(self, state):
        return [{"x": [x]} for x in state.x_B.tolist()]

    def close(self, state):
        pass


def act_plainly(x: int, call: tuple[int, ...]) -> int:
    return x + (2 * call[1] - 3 if call[0] == MOVE else 7 * call[1] + call[2])


def allowed_plainly(call: tuple[int, ...]) -> bool:
    callee, *arguments = call
    if callee == RETURN:
        return True
    if not 0 <= callee < len(TABLE):
        return False
    slots = [set(slot.tokens) for slot in TABLE.signatures[callee].slots]
    slots += [{0}] * (3 - len(slots))
    inside = all(token in slot for token, slot in zip(arguments, slots, strict=True))
    return inside and (callee != PUT or arguments[:2] != [5, 2])


GOOD = [
    (RETURN, 0, 0, 0),
    (MOVE, 1, 0, 0),
    (MOVE, 2, 0, 0),
    (PUT, 3, 0, 0),
    (PUT, 5, 1, 0),
    (TURN, 1, 0, 0),
    (TURN, 2, 0, 0),
    (PAIR, 4, 5, 0),
    (MAIN, 0, 0, 0),
]
BAD = [(PUT, 5, 2, 0), (17, 0, 0, 0), (-2, 0, 0, 0), (MOVE, 3, 0, 0), (TURN, 1, 1, 0), (MOVE, 1, 9, 0), (PUT, -4, 0, 0)]
HIDDEN = 4


@dataclass
class TableStepper:
    """Decides by a table over (program, first argument, both observations, hidden)."""

    table: dict[tuple[int, int, int, int, int], tuple[tuple[int, ...], int]]
    width: int = 1
    dtype: torch.dtype = torch.int64
    asked: list[int] = field(default_factory=list)

    def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
        obs_BF = seen.fields_BF
        self.asked.append(len(obs_BF))
        keys = torch.cat([program_B[:, None], arguments_B3[:, :1], obs_BF, hidden_BH], dim=1).tolist()
        found = [self.table[tuple(key)] for key in keys]
        return Decision(Action(torch.tensor([f[0] for f in found])), torch.tensor([[f[1]] for f in found]))


def random_stepper(seed: int, *, bad: float, returns: float) -> TableStepper:
    draw = random.Random(seed)
    keys = [
        (p, a, r, o, h) for p in (MAIN, TURN, PAIR) for a in range(6) for r in range(3) for o in range(2)
        for h in range(HIDDEN)
    ]  # fmt: skip
    table = {}
    for key in keys:
        chance = draw.random()
        pool = BAD if chance < bad else GOOD[:1] if chance < bad + returns else GOOD
        table[key] = (draw.choice(pool), draw.randrange(HIDDEN))
    return TableStepper(table)


@dataclass
class PlainFrame:
    program: int
    arguments: tuple[int, ...]
    parent: int
    parent_step: int
    obs: list[tuple[int, int]] = field(default_factory=list)
    calls: list[tuple[int, ...]] = field(default_factory=list)


@dataclass
class PlainRun:
    status: int
    steps: int
    depth: int
    refused: tuple[int, ...]
    x: int
    frames: list[PlainFrame]


def run_plainly(stepper: TableStepper, x: int, first: tuple[int, ...], *, steps: int, depth: int) -> PlainRun:
    """Algorithm 1, one instance, a list for a stack."""
    frames = [PlainFrame(first[0], first[1:], -1, -1)]
    stack = [[0, 0]]  # frame, hidden
    taken, deepest = 0, 1
    while taken < steps:
        number, hidden = stack[-1]
        frame = frames[number]
        seen = (x % 3, x % 2)
        call, hidden = stepper.table[(frame.program, frame.arguments[0], *seen, hidden)]
        taken += 1
        frame.obs.append(seen)
        frame.calls.append(call)
        stack[-1][1] = hidden
        if not allowed_plainly(call):
            return PlainRun(3, taken, deepest, call, x, [f for f in frames if f.calls])
        if call[0] == RETURN:
            stack.pop()
            if not stack:
                return PlainRun(0, taken, deepest, (0, 0, 0, 0), x, frames)
        elif call[0] < TABLE.primitives:
            x = act_plainly(x, call)
        else:
            if len(stack) == depth:
                return PlainRun(2, taken, deepest, (0, 0, 0, 0), x, [f for f in frames if f.calls])
            frames.append(PlainFrame(call[0], call[1:], number, len(frame.calls) - 1))
            stack.append([len(frames) - 1, 0])
            deepest = max(deepest, len(stack))
    return PlainRun(1, taken, deepest, (0, 0, 0, 0), x, [f for f in frames if f.calls])


WORLD = LineWorld()


def record(stepper: Stepper, instances: Sequence[tuple[int, tuple[int, ...]]], **budget: int) -> TraceBatch:
    """The traces of a stepper from these x and first calls; the size of a trace is the absolute value of x."""
    recorder = Recorder(TABLE)
    state = WORLD.reset([{"x": [x]} for x, _ in instances])
    first = torch.tensor([first for _, first in instances])
    run(
        stepper, WORLD, state, TABLE, first[:, 0], first[:, 1:],
        budget=Budget(**budget), recorder=recorder, check_every=3,
    )  # fmt: skip
    return recorder.batch(size=[abs(x) for x, _ in instances])
