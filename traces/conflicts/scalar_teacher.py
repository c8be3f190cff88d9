"""The teacher on small inputs, one after another and in plain Python: what ``npi check`` runs.

It does what the machine does with a batch (:mod:`traces.machine.lockstep`), without tensors, whose import alone takes
longer than all runs of a check. Frames are kept as a tree: a path of observations from the root of a program with its
arguments, with the call that was made at each, so a frame that contradicts another one is met on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsl.analysis.learnability import check_tables
from dsl.lowering.decision_tables import NodeTable
from dsl.lowering.ir import Read
from dsl.program import Program, ProgramSet
from dsl.tasks.task import Problem, Task
from envs.scratchpad.config import NOWHERE
from envs.scratchpad.scalar import Plan, SinglePad, plan_of
from envs.scratchpad.world import Scratchpad
from envs.spec import GO_ON, RETURN
from traces.generation.enumerate import rounds

if TYPE_CHECKING:
    from traces.conflicts.explain import Explanation

Call = tuple[int, int, int, int]
Seen = tuple[int, ...]


@dataclass
class Step:
    """What was called after some observations of a frame, and what followed by the next observation."""

    call: Call
    onward: Tree = field(default_factory=dict)


Tree = dict[Seen, Step]


@dataclass(frozen=True)
class Kind:
    """One program with its arguments.

    Attributes:
        nodes: of its table; ``bases`` is what the arguments add to the number of an entry of each.
        known: for each node, what it decides by observation: the call and the next node.
        tree: the frames that were seen.
    """

    nodes: tuple[NodeTable, ...]
    bases: tuple[int, ...]
    known: tuple[dict[Seen, tuple[Call, int]], ...]
    tree: Tree

    def decide(self, number: int, seen: Seen) -> tuple[Call, int]:
        """The call of a node and the node that decides next."""
        first = number
        while True:
            node = self.nodes[number]
            entry = self.bases[number]
            for read, stride in zip(node.reads, node.strides, strict=True):
                if read.kind == "field":
                    entry += stride * seen[read.index]
            callee, one, two, three = node.call_M4[entry].tolist()
            number = int(node.next_M[entry])
            if callee != GO_ON:
                self.known[first][seen] = found = ((callee, one, two, three), number)
                return found


class Trouble(Exception):
    """A run that does not end as its task expects, or steps that contradict each other."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem.values))
        self.problem = problem


@dataclass(frozen=True)
class Search:
    """What a search over small inputs found.

    Attributes:
        problems, sizes: how many inputs there are up to this size, all of which were run; 0 where not even the smallest
            size was.
        frames: how many different ones were seen in all runs.
        conflict: two steps that contradict each other, where the search goes on to compare them.
    """

    problems: int
    sizes: int
    frames: int
    conflict: Explanation | None = None


def try_task(
    program_set: ProgramSet, task: Task, also: Sequence[Problem], *, most: int, decisions: int, steps: int, depth: int
) -> Search:
    """Run a task on further problems, and on all small inputs (:func:`~traces.generation.enumerate.rounds`).

    Args:
        decisions: no further size is begun after so many.
        steps: a run that takes more, or ``depth`` frames, is taken for an endless one.

    Raises:
        Trouble: at the first problem whose run does not end, ends wrong, or contradicts an earlier one.
    """
    check_tables(program_set)
    teacher, done = SingleTeacher(program_set, depth), (0, 0)
    for size, inputs, problems in rounds(task, also, most=most):
        teacher.try_all(task, problems, steps=steps)
        done = inputs, size
        if teacher.steps > decisions:
            break
    return Search(*done, teacher.frames)


class SingleTeacher:
    """The teacher of a program set on scratch pads; ``frames`` counts different ones, ``steps`` decisions."""

    def __init__(self, program_set: ProgramSet, depth: int) -> None:
        assert isinstance(program_set.world, Scratchpad), "other worlds run in batches only"
        self.program_set, self.depth = program_set, depth
        self.plan: Plan = plan_of(program_set.world.config)
        self.kinds: dict[Call, Kind] = {}
        self.frames = self.steps = 0

    def try_all(self, task: Task, problems: Iterable[Problem], *, steps: int) -> None:
        """Run problems and judge them; see :func:`try_task`."""
        for problem in problems:
            pad = SinglePad(self.plan, problem.layout) if fits(self.plan, problem) else None
            if pad is None or not self.run(pad, problem, steps) or not task.judge(problem, pad.read()):
                raise Trouble(problem)

    def run(self, pad: SinglePad, problem: Problem, most: int) -> bool:
        """Algorithm 1 of NPI for one instance; whether it came to an end without contradicting an earlier frame."""
        primitives, acts = self.program_set.table.primitives, self.plan.acts
        kind = self.kind((problem.program, *problem.arguments))
        number, tree, seen = 0, kind.tree, pad.seen
        stack: list[tuple[Kind, int, Tree]] = []
        for _ in range(most):
            self.steps += 1
            decided = kind.known[number].get(seen)
            call, number = kind.decide(number, seen) if decided is None else decided
            step = tree.get(seen)
            if step is None:
                step = tree[seen] = Step(call)
                self.frames += call[0] == RETURN
            elif step.call != call:
                return False
            callee = call[0]
            if callee == RETURN:
                if not stack:
                    return True
                kind, number, tree = stack.pop()
            elif callee < primitives:
                tree = step.onward
                pad.act(acts[call[1:]])
                seen = pad.seen
            else:
                stack.append((kind, number, step.onward))
                if len(stack) >= self.depth:
                    return False
                kind = self.kind(call)
                number, tree = 0, kind.tree
        return False

    def kind(self, call: Call) -> Kind:
        found = self.kinds.get(call)
        if found is None:
            found = self.kinds[call] = kind_of(self.program_set.program(call[0]), call)
        return found


def kind_of(program: Program, call: Call) -> Kind:
    assert program.table is not None, f"{program.name} has no body"
    nodes = program.table.nodes
    bases = tuple(
        sum(stride * argument(program, read, call) for read, stride in zip(n.reads, n.strides, strict=True))
        for n in nodes
    )
    return Kind(nodes, bases, tuple({} for _ in nodes), {})


def argument(program: Program, read: Read, call: Call) -> int:
    """The position of an argument among what its slot allows; 0 for a read of a field."""
    return program.signature.slots[read.index].tokens.index(call[1 + read.index]) if read.kind == "slot" else 0


def fits(plan: Plan, problem: Problem) -> bool:
    """Whether the world takes the layout: each list has a cell, and places are columns that there are."""
    layout = problem.layout
    widest = max([1, *map(len, layout.values())])
    return all(
        (row.blank or len(layout.get(row.name, ())) > 0)
        and (not row.places or all(cell == NOWHERE or 0 <= cell < widest for cell in layout.get(row.name, ())))
        for row in plan.config.rows
    )
