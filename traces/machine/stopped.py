"""What a run may use where nobody says, and why one was stopped: the program, and the line of its loop or its text.

A program is a finite machine on rows without ends, so no analysis tells of each whether it ends. Two things do: a run
that comes back to what it was is proved endless (:func:`traces.machine.compiled_kernel.repeats`), and any other is
stopped after more steps than a program of that text needs on inputs of that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dsl.lowering import ir
from dsl.lowering.decision_tables import successors
from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem
from dsl.teacher import Teacher
from envs.scratchpad.world import KIND
from envs.stepper import Stepper
from traces.machine.call_rules import call_rules
from traces.machine.lockstep import Stack, advance
from traces.machine.outcome import MAX_STEPS, Budget, Outcome, Status, Stopped

FREE_NODES, FREE_CELLS, OTHER_WORLDS = 100, 200, 200
"""Of :func:`by_size`. Multiplying numbers of 1,000 digits takes an eighth of that, sorting 1,000 items a thirteenth."""

WATCHED = 1000
"""Steps for which a stopped run goes on, to see in which loop it is."""

CYCLE = 64
"""Frames on top of a stack that was too deep among which the programs are that call each other."""


def by_size(
    programs: ProgramSet, problems: Sequence[Problem], budget: Budget | None = None, *, kept: bool = False
) -> Budget:
    """The budget with a number of steps: where it has none, (nodes of the text + 100) × (cells of the input + 200)².

    In worlds other than scratch pads, whose steps take a thousand times as long, it is a 200th of that; where every
    step is ``kept``, at most :data:`~traces.machine.outcome.MAX_STEPS`.
    """
    budget = budget or Budget()
    if budget.steps is not None:
        return budget
    nodes = sum(len(program.table.nodes) for program in programs.programs if program.table is not None)
    cells = max((sum(map(len, problem.layout.values())) for problem in problems), default=0)
    steps = (nodes + FREE_NODES) * (cells + FREE_CELLS) ** 2
    if programs.world.spec.kind != KIND:
        steps //= OTHER_WORLDS
    return replace(budget, steps=min(steps, MAX_STEPS) if kept else steps)


Move = tuple[int, tuple[int, ...], int]
"""A decision of a frame: the node that decides, the call, and the node that decides next."""


@dataclass(frozen=True)
class Stop:
    """Why a run was stopped.

    Attributes:
        status: STEPS, DEPTH or ENDLESS. amount: the steps that it took, or the frames on its stack.
        programs: the one in whose loop it was, or those that call each other.
        place: file and line of that loop, or of the first of the programs; empty where no text decides.
        full: whether the memory of all stacks together allowed no deeper one.
    """

    status: Status
    amount: int
    programs: tuple[str, ...]
    place: str
    full: bool = False

    def __str__(self) -> str:
        names, place = " and ".join(self.programs), f" ({self.place})" if self.place else ""
        if self.status == Status.ENDLESS:
            mend = f"its loop{place} goes round for ever; correct the condition, or return in it"
            return f"{names} never ends: {mend if place else 'it goes round for ever'}"
        if self.status == Status.DEPTH:
            calls = "calls itself" if len(self.programs) == 1 else "call each other"
            more = (
                "run fewer problems at once, their stacks fill the memory" if self.full else "allow more with --depth N"
            )
            return f"calls reached the depth {self.amount:,}: {names}{place} {calls}; end the recursion, or {more}"
        loop, mend = ("a loop of ", "correct the loop, or ") if place else ("", "")
        return f"still running after {self.amount:,} steps, in {loop}{names}{place}; {mend}allow more with --steps N"


def why_stopped(
    programs: ProgramSet, stepper: Stepper, outcome: Outcome[Any], budget: Budget | None = None
) -> Stop | None:
    """Why the instance of ``outcome.stopped`` was, in a run by this stepper with this budget; None where none was."""
    stopped = outcome.stopped
    if stopped is None:
        return None
    status = Status(int(outcome.status_N[stopped.instance]))
    if status == Status.DEPTH:
        calling = [programs.program(n) for n in dict.fromkeys(stopped.frame_D4[-CYCLE:, 0].tolist())]
        place = _place(calling[0], calling[0].tree.line) if isinstance(stepper, Teacher) else ""
        depth = int(outcome.depth_N[stopped.instance])
        full = depth < (budget or Budget()).depth
        return Stop(status, depth, tuple(p.name for p in calling), place, full)
    number, moves = _watch(programs, stepper, outcome, stopped)
    program = programs.program(number)
    line = loop_line(program, moves) if moves and isinstance(stepper, Teacher) else 0
    place = _place(program, line) if line else ""
    return Stop(status, int(outcome.steps_N[stopped.instance]), (program.name,), place)


def _place(program: Program, line: int) -> str:
    return f"{program.scope.source.name}, line {line}"


def _watch(
    programs: ProgramSet, stepper: Stepper, outcome: Outcome[Any], stopped: Stopped
) -> tuple[int, frozenset[Move]]:
    """Go on for a while: the program of the lowest frame that decides, and its decisions."""
    (origin_B, whole) = next(part for part in outcome.parts if bool((part[0] == stopped.instance).any()))
    world, state = programs.world, whole.select((origin_B == stopped.instance).nonzero()[:, 0])
    rules, stack = call_rules(world, programs.table, state.device), Stack.resumed(stopped)
    lowest, seen = stack.deepest, set[Move]()
    number = int(stopped.frame_D4[-1, 0])
    with torch.no_grad():
        for _ in range(WATCHED if isinstance(stepper, Teacher) else WATCHED // 10):
            if not stack.running:  # it was about to end
                return number, frozenset()
            level, top = stack.deepest, int(stack.top_B[0])
            if level < lowest or not seen:
                seen.clear()
                lowest, number = level, int(stack.frame_D4[top, 0])
            stack.reserve(level + 1)
            world.prepare(state, 1)
            before = int(stack.hidden_DH[top, 0])
            chunk = advance(stepper, world, rules, state, stack, 1, watched=False)
            if level == lowest:
                seen.add((before, tuple(chunk.call_KB4[0, 0].tolist()), int(stack.hidden_DH[top, 0])))
            stack.look()
    return number, frozenset(seen)


def loop_line(program: Program, moves: frozenset[Move]) -> int:
    """The line of the innermost loop of a body in which all of these calls can be; 0 where there is none."""
    graph, table = program.graph, program.table
    if graph is None or table is None:
        return 0
    made = [_acts(graph, table.places[code], call, table.places[onward]) for code, call, onward in moves]
    found: list[tuple[int, int]] = []
    for fork in graph.forks:
        ways = {n: () if n in fork.branches else _onward(node) for n, node in enumerate(graph.nodes)}
        inside = ir.reached([fork.yes], ways.__getitem__)
        if inside & fork.branches and all(acts & inside for acts in made):
            found.append((len(inside), fork.line))
    return min(found, default=(0, 0))[1]


def _acts(graph: ir.Graph, begin: int, call: tuple[int, ...], then: int) -> set[int]:
    """The nodes that can have made a call: met behind a node without another call between, and before ``then``."""
    near = ir.reached([begin], lambda n: successors(graph.nodes[n]))
    return {
        n for n in near if isinstance(node := graph.nodes[n], ir.Act) and node.then == then and fits(node.call, call)
    }


def fits(text: ir.Invoke, call: tuple[int, ...]) -> bool:
    """Whether a call of a text can be this one: the callee, and the arguments that are symbols."""
    given = zip(text.arguments, call[1:], strict=False)
    return text.callee == call[0] and all(code.id == token for code, token in given if isinstance(code, ir.Symbol))


def _onward(node: ir.GraphNode) -> tuple[int, ...]:
    return (node.then,) if isinstance(node, ir.Act) else successors(node)
