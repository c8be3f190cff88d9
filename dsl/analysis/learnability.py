"""What can be said about a program's frames before anything runs or is trained.

Whether a core can learn a program at all is settled by the language. A frame begins at node 0 of its program's table;
at every step the observation and the arguments, and nothing else, choose an entry, which holds the call and the next
node. So by induction over the steps the node, and with it the call, is a function of the program, its arguments and
the observations so far: two frames that look the same so far cannot call differently, in whatever world, whatever the
callees do, and whatever is not observed. :func:`check_tables` checks what this rests on;
``traces/conflicts/explain.py`` looks for a counterexample by running, and explains one in traces that no program file
made.

What is left to say is how long frames get, and what in a text can never matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod

from dsl.check.reachable_calls import ReachableCalls
from dsl.check.tasks import EPISODE, EPISODE_INPUT
from dsl.errors.error import Remark, Source
from dsl.lowering.decision_tables import DecisionTable, NodeTable, longest_ways
from dsl.lowering.ir import Body, Fork, Leave, Loop, Step, every_step, reached, reads
from dsl.lowering.value_grid import read_size
from dsl.names.worlds import PAD, describe_symbols
from dsl.program import Program, ProgramSet
from dsl.tasks.expressions import reads_world
from dsl.tasks.inputs import NUMBER, Input
from dsl.text import syntax as s
from envs.scratchpad.actions import BY_NAME, SYMBOL
from envs.spec import GO_ON, RETURN
from envs.support.mixed_radix import strides


@dataclass(frozen=True)
class FrameShape:
    """How long a program's frames can get.

    Attributes:
        longest: decisions of the longest frame, the return among them; None where a loop makes it grow with the input.
        recursive: whether the program can be on the stack twice, so that the stack may grow with the input.
        nodes: places of the body between which its teacher tells apart.
    """

    longest: int | None
    recursive: bool
    nodes: int

    def __str__(self) -> str:
        length = "grows with the input" if self.longest is None else f"at most {self.longest}"
        return f"{length}, recursive" if self.recursive else length


@dataclass(frozen=True)
class Outlook:
    """What is known of a program set before it runs: the frames of each program by id, and remarks on its text."""

    frames: Mapping[int, FrameShape]
    remarks: tuple[Remark, ...]


def look(programs: ProgramSet, tree: s.File) -> Outlook:
    """The outlook of a program set; remarks are on the file itself (``tree``), not on those that it uses."""
    calls = ReachableCalls(programs.programs, programs.world.spec, programs.table.signatures)
    frames: dict[int, FrameShape] = {}
    remarks: list[Remark] = []
    recursive = in_circles(programs.programs)
    for program in programs.programs:
        if program.table is None:
            continue
        frames[program.id] = FrameShape(longest_frame(program.table), program.id in recursive, len(program.table.nodes))
        if program.scope.source.name == programs.path:
            remarks += [*idle_conditions(program), *endless_loops(program, calls)]
    remarks += [*unreached(programs), *symbols_never_there(programs, tree), *blind_tasks(programs, tree)]
    remarks += lone_episodes(programs, tree)
    return Outlook(frames, tuple(sorted(remarks, key=lambda remark: (remark.line, remark.column))))


def check_tables(programs: ProgramSet) -> None:
    """Check what the argument above rests on: each table is a total function of declared reads.

    Raises:
        ValueError: for a table with an entry that is missing, leads nowhere, or is chosen by anything but observation
            fields and argument slots. No program text can bring this about.
    """
    for program in programs.programs:
        for number, node in enumerate(program.table.nodes if program.table is not None else ()):
            if not is_function(node, program):
                raise ValueError(f"{program.name}: the table of node {number} is not a function of what it reads")


def is_function(node: NodeTable, program: Program) -> bool:
    """Whether each combination of what a node reads has one entry, which leads to a node of the program."""
    assert program.table is not None, "the node is of the program's table"
    sizes = [read_size(read, program.scope) for read in node.reads]
    if len(node.next_M) != prod(sizes) or len(node.call_M4) != prod(sizes) or node.strides != strides(sizes):
        return False
    onward = node.next_M[node.call_M4[:, 0] != RETURN]
    return bool(((onward >= 0) & (onward < len(program.table.nodes))).all())


def in_circles(programs: Sequence[Program]) -> set[int]:
    """The programs that can call themselves, directly or through others."""
    calls = {program.id: set(program.calls) for program in programs}
    sorter = TopologicalSorter(calls)
    with suppress(CycleError):
        sorter.prepare()
    while ready := sorter.get_ready():  # what calls nothing, or nothing that is left, is in no circle
        sorter.done(*ready)
        for number in ready:
            calls.pop(number, None)
    return {number for number in calls if number in reached(calls[number], lambda n: calls.get(n, ()))}


def longest_frame(table: DecisionTable) -> int | None:
    """Decisions on the longest way through a table; None where a way leads back to where it was."""
    onward: list[list[tuple[int, int]]] = []
    for node in table.nodes:
        calls = node.call_M4[:, 0]
        kinds = ((calls >= 0, 1), (calls == GO_ON, 0))
        onward.append([(n, cost) for chosen, cost in kinds for n in set(node.next_M[chosen].tolist())])
    try:
        return longest_ways(onward)[0]
    except CycleError:
        return None


def idle_conditions(program: Program) -> Iterator[Remark]:
    """Conditions that no observation satisfies, or every one, where they are asked."""
    if program.graph is None or program.table is None or program.body is None:
        return
    loops = {(loop.line, loop.column): loop for _, loop in variant_loops(program.body)}
    forks: dict[tuple[int, int], list[Fork]] = {}
    for fork in program.graph.forks:
        if fork.yes != fork.no:
            forks.setdefault((fork.line, fork.column), []).append(fork)
    asked = {node for node, _ in program.table.taken}
    for place, copies in forks.items():
        if not any(fork.branches & asked for fork in copies):
            continue  # what stands around it is told
        yes = any((branch, fork.yes) in program.table.taken for fork in copies for branch in fork.branches)
        no = any((branch, fork.no) in program.table.taken for fork in copies for branch in fork.branches)
        loop = loops.get(place)
        if not yes:
            message = "no observation satisfies this condition: its block is never run"
            yield remark(program, place, message, "remove the block, or correct the condition", "NPI201")
        elif not no and loop is None:
            message = "every observation satisfies this condition: it decides nothing"
            yield remark(program, place, message, "remove it with what stands under else, or correct it", "NPI201")
        elif not no and loop is not None and not leaves(loop.body):
            message = "this loop never ends: every observation satisfies its condition"
            yield remark(program, place, message, "correct the condition, or return in the loop", "NPI202")


def endless_loops(program: Program, calls: ReachableCalls) -> Iterator[Remark]:
    """Loops that go on for ever once they are entered: what they call cannot change what their condition reads."""
    told: set[tuple[int, int]] = set()
    fields = program.scope.face.spec.fields
    for variant, loop in variant_loops(program.body):
        asked = {read.index for read in reads(loop.condition) if read.kind == "field"}
        place = (loop.line, loop.column)
        if not asked or place in told or leaves(loop.body) or calls.can_change(loop.body, program, asked):
            continue
        told.add(place)
        names = ", ".join(fields[index].name for index in sorted(asked))
        when = ""
        if program.body is not None and program.body.slots:
            tokens = program.scope.face.spec.tokens
            slots = [program.signature.slots[slot].name for slot in program.body.slots]
            when = " when " + ", ".join(f"{n} = {tokens[t]}" for n, t in zip(slots, variant, strict=True))
        message = f"this loop may not end{when}: nothing that it calls changes {names}, which its condition asks for"
        yield remark(program, place, message, "move that pointer or write under it in the loop, or return", "NPI202")


def variant_loops(body: Body | None) -> Iterator[tuple[tuple[int, ...], Loop]]:
    """Every loop of a body with the tokens of its variant."""
    for variant in body.variants if body is not None else ():
        yield from ((variant.tokens, step) for step in every_step(variant.steps) if isinstance(step, Loop))


def leaves(steps: Sequence[Step]) -> bool:
    return any(isinstance(step, Leave) for step in every_step(steps))


def unreached(programs: ProgramSet) -> Iterator[Remark]:
    """Programs of the file that are called, but only by programs that no task runs."""
    if not programs.tasks:
        return
    calls = {program.id: program.calls for program in programs.programs}
    run = reached((task.program for task in programs.tasks), lambda number: calls.get(number, ()))
    called = {callee for number, callees in calls.items() for callee in callees if callee != number}
    for program in programs.programs:
        own = program.scope.source.name == programs.path
        if own and program.id in called - run and program.signal is None:
            bare = program.name.rpartition(".")[2]
            message = f"program {bare} is called only by programs that no task runs: it will have no traces"
            yield remark(
                program, (program.tree.line, program.tree.column), message, "add a task that runs it", "NPI203"
            )


def blind_tasks(programs: ProgramSet, tree: s.File) -> Iterator[Remark]:
    """Tasks none of whose ``expect`` lines reads what a run leaves: whatever it does is right, or wrong."""
    by_name = {task.name: task for task in programs.tasks}
    for item in tree.of(s.Task):
        task = by_name.get(item.name)
        inputs = {one.name: one for one in task.inputs} if task is not None else {}
        if task is not None and not any(reads_world(one, task.rows, inputs) for one in task.expectations):
            line = next(part for part in item.items if isinstance(part, s.Expect))
            message = f"task {task.name} expects nothing of the world, so every run has the same verdict"
            fix = "compare a row or pointer, for example expect number(OUT) == a"
            yield Remark(Source(programs.path, programs.sources[-1][1]), line.line, line.column, message, fix, "NPI205")


def lone_episodes(programs: ProgramSet, tree: s.File) -> Iterator[Remark]:
    """Tasks that leave the episode of a world to be 0, so that all of their problems are the same one there."""
    if not programs.programs or programs.world.spec.kind == PAD:
        return
    by_name = {task.name: task for task in programs.tasks}
    for item in tree.of(s.Task):
        if (task := by_name.get(item.name)) is None:
            continue
        laid = {one.row for one in task.laid}
        for row in task.rows:
            if row.rpartition(".")[2] == EPISODE and row not in laid:
                message = f"task {item.name} lays out no {row}, so all of its problems are episode 0"
                fix = f"add an input and a line: {EPISODE_INPUT}: number; {row} = digits({EPISODE_INPUT})"
                source = Source(programs.path, programs.sources[-1][1])
                yield Remark(source, item.line, item.column, message, fix, "NPI206")


def symbols_never_there(programs: ProgramSet, tree: s.File) -> Iterator[Remark]:
    """Rows of the file's own world some of whose symbols never appear in any of its tasks."""
    source = next((p.scope.source for p in programs.programs if p.scope.source.name == programs.path), None)
    if source is None or not programs.tasks or programs.world.spec.kind != PAD:
        return
    rows = programs.programs[0].scope.face.rows
    there = written(programs)
    for task in programs.tasks:
        inputs = {item.name: item for item in task.inputs}
        for laid in task.laid:
            there[laid.row] |= laid_symbols(laid.value, inputs, frozenset(rows[laid.row].symbols))
    for item in (item for world in tree.of(s.World) for item in world.items if isinstance(item, s.Row)):
        for name in item.names:
            missing = [] if rows[name].places else [x for x in rows[name].symbols if x not in there[name]]
            if missing:
                message = f"row {name} can hold {describe_symbols(tuple(missing))}, which nothing lays or writes there"
                fix = "narrow the row to what it holds: the core then sees fewer cases"
                yield Remark(source, item.line, item.column, message, fix, "NPI204")


def written(programs: ProgramSet) -> dict[str, set[str]]:
    """Row → symbols that the programs may write there; a program with a signal may write any."""
    face = programs.programs[0].scope.face
    tokens = face.spec.tokens
    found: dict[str, set[str]] = {name: set(row.symbols if programs.signals else ()) for name, row in face.rows.items()}
    for program in programs.programs:
        for _, pointer, action, operand in program.table.acts if program.table is not None else ():
            if BY_NAME[tokens[action]].writes == SYMBOL:
                found[face.pointers[tokens[pointer]]].add(tokens[operand])
    return found


def laid_symbols(node: s.Expression, inputs: Mapping[str, Input], every: frozenset[str]) -> frozenset[str]:
    """The symbols that a laid expression can hold, at most; ``every`` one of the row where that cannot be told."""
    if isinstance(node, s.Name) and node.text in inputs:
        return every if inputs[node.text].kind == NUMBER else frozenset(inputs[node.text].symbols)
    if isinstance(node, s.Number | s.Text):
        return frozenset((str(node.value),))
    if isinstance(node, s.Blank):
        return frozenset()
    if isinstance(node, s.Items | s.Choice):
        parts = node.items if isinstance(node, s.Items) else (node.value, node.other)
        return frozenset[str]().union(*(laid_symbols(part, inputs, every) for part in parts))
    if isinstance(node, s.Apply) and node.name in ("sorted", "reversed"):
        return laid_symbols(node.arguments[0], inputs, every)
    if isinstance(node, s.Apply) and node.name == "digits":
        base = node.arguments[1] if len(node.arguments) > 1 else s.Number(10)
        return frozenset(map(str, range(base.value))) if isinstance(base, s.Number) else every
    return every


def remark(program: Program, place: tuple[int, int], message: str, fix: str, code: str) -> Remark:
    return Remark(program.scope.source, *place, message, fix, code)
