"""Two steps that contradict each other, side by side, and what of the world would tell them apart.

A core decides on its program, its arguments and the observations so far in the frame. Where two steps agree in these
and call differently, no core can learn both. What differs is something that the world holds and does not show: the
symbol under a counter, which of two pointers stands further left, a cell that no pointer stands on, or who called.

For programs of the language there are no such steps, by construction (``dsl/analysis/learnability.py`` has the
argument); :func:`search` puts it to the test. Traces that no program file made may well contradict each other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsl.analysis.learnability import check_tables
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.teacher import compile_teacher
from envs.spec import BLANK, ProgramTable
from envs.stepper import Action, Stepper
from envs.world import Layout, World
from traces.conflicts.scalar_teacher import Search
from traces.generation.enumerate import rounds
from traces.generation.generate import load_sources, record_problems
from traces.machine.lockstep import Budget
from traces.recording.batch import Ints, TraceBatch, joint_table, same_table
from traces.recording.text import call_text, name_text, observation_text, time_order
from traces.recording.unique_frames import Place, find_conflict, shared_programs, unique_frames
from traces.storage.trace_set import TraceSet

Key = tuple[int, tuple[int, ...], bytes]
"""A program, its arguments, and the observations up to a step."""


@dataclass(frozen=True)
class Sight:
    """Something that could be observed: its name, and what to do so that a core sees it."""

    name: str
    fix: str


@dataclass(frozen=True)
class Side:
    """One of the two steps: where, in which input (the rows that were laid out), what it calls, who called it."""

    place: Place
    layout: str
    call: str
    caller: str


@dataclass(frozen=True)
class Apart:
    """A sight that tells all steps of the conflict apart, with what it is on either side."""

    sight: Sight
    values: tuple[str, str]


@dataclass(frozen=True)
class Explanation:
    """A conflict.

    Attributes:
        frame: the program and its arguments. seen: the observations up to the step, the same on both sides.
        sides: the two smallest steps that disagree.
        apart: what would tell them apart, the simplest first; () where nothing that was looked at does.
        steps: how many steps look the same in all traces.
    """

    frame: str
    seen: tuple[str, ...]
    sides: tuple[Side, Side]
    apart: tuple[Apart, ...]
    steps: int

    def __str__(self) -> str:
        one, two = self.sides
        rows = [("where", str(one.place), str(two.place)), ("input", one.layout, two.layout)]
        rows += [("called by", one.caller, two.caller), ("calls", one.call, two.call)]
        width = max(len(left) for _, left, _ in rows)
        lines = [f"{self.frame} decides differently after the same observations ({self.steps} steps look like this):"]
        lines += [f"  {name:10}{left:{width}}   {right}".rstrip() for name, left, right in rows if left or right]
        lines += [f"  both see  {text}" if i == 0 else f"            {text}" for i, text in enumerate(self.seen)]
        if not self.apart:
            lines.append(
                "  nothing that the world holds tells them apart: the traces were made with a memory of their own"
            )
        for apart in self.apart[:3]:
            lines.append(f"  they differ in {apart.sight.name}: {apart.values[0]} and {apart.values[1]}")
            lines.append(f"    to fix: {apart.sight.fix}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Step:
    """A step that looks like others: its place, its index in the batch, and how large its trace is."""

    place: Place
    frame: int
    step: int
    call: tuple[int, ...]
    size: int


def explain(
    batches: Sequence[TraceBatch],
    *,
    world: World[Any] | None = None,
    layouts: Sequence[Sequence[Layout]] | None = None,
) -> Explanation | None:
    """The smallest conflict in these traces; None where there is none.

    Args:
        world, layouts: with them the traces are played again up to the steps in question, and what the world then
            holds is compared; ``layouts[batch][trace]`` is what was laid out.
    """
    groups: dict[Key, list[_Step]] = {}
    for number, batch in enumerate(batches):
        for key, step in steps_of(batch, number):
            groups.setdefault(key, []).append(step)
    conflicts = [group for group in groups.values() if len({step.call for step in group}) > 1]
    if not conflicts:
        return None

    def laid(step: _Step) -> Layout:
        return layouts[step.place.batch][step.place.trace] if layouts is not None else {}

    def order(step: _Step) -> tuple[int, ...]:
        """The smallest input first, then the shortest trace, then the first."""
        place = step.place
        return sum(map(len, laid(step).values())), step.size, place.batch, place.trace, place.frame, place.step

    ordered = [sorted(group, key=order) for group in conflicts]
    group = min(ordered, key=lambda group: (group[0].step, order(group[0])))
    one = group[0]
    two = next(step for step in group if step.call != one.call)
    table = batches[0].table
    sights = [look(batches[step.place.batch], step, world, laid(step)) for step in group]
    apart = tuple(
        Apart(sight, (sights[0][sight], sights[group.index(two)][sight]))
        for sight in sights[0]
        if tells_apart([found.get(sight) for found in sights], [step.call for step in group])
    )
    batch = batches[one.place.batch]
    frame = batch.frame(one.frame)
    return Explanation(
        frame=call_text(table, (frame.program, *frame.arguments)),
        seen=tuple(observation_text(table, obs) for obs in frame.obs[: one.step + 1]),
        sides=(side(batch, one, world, laid(one)), side(batches[two.place.batch], two, world, laid(two))),
        apart=apart,
        steps=len(group),
    )


def steps_of(batch: TraceBatch, number: int) -> Iterator[tuple[Key, _Step]]:
    """Every step of a batch with what a core knows there."""
    for trace in range(len(batch)):
        first, frames = int(batch.first_frame[trace]), int(batch.frames[trace])
        size = int(batch.length[first : first + frames].sum())
        for index in range(first, first + frames):
            frame = batch.frame(index)
            for step, call in enumerate(frame.calls.tolist()):
                key = (frame.program, frame.arguments, frame.obs[: step + 1].tobytes())
                yield key, _Step(Place(number, trace, index - first, step), index, step, tuple(call), size)


def tells_apart(values: Sequence[str | None], calls: Sequence[tuple[int, ...]]) -> bool:
    """Whether a sight that is there at every step decides the call, and is not a name for each step."""
    if None in values:
        return False
    decided: dict[str | None, tuple[int, ...]] = {}
    return all(decided.setdefault(value, call) == call for value, call in zip(values, calls, strict=True))


def side(batch: TraceBatch, step: _Step, world: World[Any] | None, layout: Layout) -> Side:
    parent = int(batch.parent[step.frame])
    caller = "" if parent < 0 else name_text(batch.table, int(batch.program[parent]))
    symbols = row_symbols(world) if world is not None else {}
    rows = [f"{row} = {' '.join(symbols[row][i] for i in cells)}" for row, cells in layout.items() if row in symbols]
    return Side(step.place, ", ".join(rows), call_text(batch.table, step.call), caller)


def look(batch: TraceBatch, step: _Step, world: World[Any] | None, layout: Layout) -> dict[Sight, str]:
    """Everything that could be observed at a step and is not, the simplest first."""
    found = hidden_sights(world, replay(batch, step, world, layout)) if world is not None else {}
    parent = int(batch.parent[step.frame])
    if parent >= 0:
        call = Sight("the program that called", "make two programs of it, or hand the difference over as an argument")
        found[call] = name_text(batch.table, int(batch.program[parent]))
        above = batch.frame(parent)
        where = Sight("the place in the caller from which it was called", "hand the difference over as an argument")
        found[where] = f"step {int(batch.parent_step[step.frame])}"
        for slot, token in enumerate(above.arguments):
            if token:
                handed = Sight(f"argument {slot + 1} of its caller", "hand it on as an argument")
                found[handed] = batch.table.world.tokens[token]
    return found


def replay(batch: TraceBatch, target: _Step, world: World[Any], layout: Layout) -> Mapping[str, list[int]]:
    """What the world holds just before a step: the trace's primitive calls carried out again up to there."""
    state = world.reset([layout])
    active = torch.ones(1, dtype=torch.bool)
    trace = batch.trace(target.place.trace)
    wanted = int(trace.start[target.place.frame]) + target.step
    for index in time_order(trace).tolist():
        if index == wanted:
            return world.read(state)[0]
        call = trace.calls[index]
        if 0 <= call[0] < batch.table.primitives:
            world.act(state, Action(torch.tensor(call[None].tolist())), active)
    raise AssertionError("a step of the trace is not in the trace")


def row_symbols(world: World[Any]) -> dict[str, tuple[str, ...]]:
    """Row → the name of each index that a cell can hold; {} for worlds without rows."""
    rows = world.spec.config.get("rows", ())
    return {row["name"]: (*row["symbols"], BLANK) for row in rows}


def hidden_sights(world: World[Any], reading: Mapping[str, list[int]]) -> dict[Sight, str]:
    """What a world holds and does not show; of a pad: cells under counters, orders of pointers, cells beside them."""
    fields = {field.name for field in world.spec.fields}
    symbols, pointers = row_symbols(world), {p["name"]: p["row"] for p in world.spec.config.get("pointers", ())}
    if not pointers:
        return {Sight(part, "let the world show it"): str(v) for part, v in reading.items() if part not in fields}
    found: dict[Sight, str] = {}
    for name, row in pointers.items():
        if name not in fields and f"under({name})" in reading:
            sight = Sight(f"the symbol under {name}", f"declare {name} as a pointer, not as a counter")
            found[sight] = symbols[row][reading[f"under({name})"][0]]
    for one, two in combinations(pointers, 2):
        if not {f"order({one}, {two})", f"order({two}, {one})"} & fields:
            left, right = reading[f"at({one})"][0], reading[f"at({two})"][0]
            sight = Sight(f"the order of {one} and {two}", f"add to the world: order {one}, {two}")
            found[sight] = "before" if left < right else "same" if left == right else "after"
    edges: Sequence[tuple[int, str]] = ((-1, "left"), (1, "right"))
    for name, row in pointers.items():
        if BLANK not in {f for field in world.spec.fields if field.name == name for f in field.values}:
            for step, direction in edges:
                place = reading[f"at({name})"][0] + step
                cells = reading.get(row, [])
                inside = 0 <= place < len(cells)
                sight = Sight(f"the cell {direction} of {name}", f"add a pointer that stands {direction} of {name}")
                found[sight] = symbols[row][cells[place]] if inside else "the end"
    return found


def search(
    program_set: ProgramSet,
    task: Task,
    *,
    most: int = 1000,
    seconds: float = 1.0,
    budget: Budget | None = None,
    also: Sequence[Problem] = (),
    teacher: Stepper | None = None,
) -> Search:
    """Run a task on all small inputs (:func:`~traces.generation.enumerate.rounds`), and compare the frames.

    Args:
        seconds: no further size is begun after this time.

    Raises:
        TeacherError: for a run that does not end as its task expects.
    """
    check_tables(program_set)
    teacher = teacher or compile_teacher(program_set)
    began, batches, done = time.monotonic(), [], (0, 0)
    for size, inputs, problems in rounds(task, also, most=most):
        if problems:
            batches.append(record_problems(program_set, task, problems, teacher=teacher, budget=budget))
        done = inputs, size
        if time.monotonic() - began > seconds:
            break
    if not batches:
        return Search(0, 0, 0)
    frames = unique_frames(batches)
    conflict = explain(batches) if find_conflict(frames) is not None else None
    return Search(*done, len(frames), conflict)


@dataclass(frozen=True)
class SetReport:
    """Whether a trace set can be learned: how many different frames it has, and two that contradict each other."""

    frames: int
    conflict: Explanation | None


def look_at_set(found: TraceSet) -> SetReport:
    """Compare all frames of a trace set. Where its inputs can be drawn again, a conflict is explained by what the world
    held and did not show.

    Raises:
        ValueError: for a set without traces, a damaged one, or one with runs that did not finish.
    """
    batches = list(found.batches())
    frames = unique_frames(batches)
    if find_conflict(frames) is None:
        return SetReport(len(frames), None)
    played = inputs_of(found, batches)
    world, layouts = played if played is not None else (None, None)
    return SetReport(len(frames), explain(batches, world=world, layouts=layouts))


@dataclass(frozen=True)
class SetsReport:
    """Whether trace sets of one world that share programs can be learned together: their folders, and two steps that
    contradict each other."""

    folders: tuple[Path, ...]
    conflict: Explanation | None


def look_at_sets(found: Sequence[TraceSet]) -> list[SetsReport]:
    """Compare the frames of trace sets with those of the others, where they share programs, by name and world.

    Raises as :func:`look_at_set` does, which comes first: a set that contradicts itself does so here, too.
    """
    worlds: dict[str, list[TraceSet]] = {}
    for one in found:
        worlds.setdefault(one.table.world.digest, []).append(one)
    return [_together(group) for group in worlds.values() if shared_programs([one.table for one in group])]


def _together(group: Sequence[TraceSet]) -> SetsReport:
    folders = tuple(one.folder for one in group)
    table, ids = joint_table([one.table for one in group])
    own = [list(one.batches()) for one in group]
    batches = [_renumbered(b, table, ids_N) for mine, ids_N in zip(own, ids, strict=True) for b in mine]
    if find_conflict(unique_frames(batches)) is None:
        return SetsReport(folders, None)
    played = [inputs_of(one, mine) for one, mine in zip(group, own, strict=True)]
    known = [one for one in played if one is not None]
    whole = len(known) == len(played)
    layouts = [layout for _, mine in known for layout in mine]
    conflict = explain(batches, world=known[0][0] if whole else None, layouts=layouts if whole else None)
    assert conflict is not None, "what hashes tell apart, the steps do, too"
    sources = [(str(folder), len(mine)) for folder, mine in zip(folders, own, strict=True)]
    one, two = (replace(side, place=side.place.of(sources)) for side in conflict.sides)
    return SetsReport(folders, replace(conflict, sides=(one, two)))


def _renumbered(batch: TraceBatch, table: ProgramTable, ids_N: Ints) -> TraceBatch:
    """The batch with the ids of another table."""
    calls = np.array(batch.calls)
    calls[:, 0] = ids_N[calls[:, 0]]
    return replace(batch, table=table, program=ids_N[batch.program], calls=calls)


def inputs_of(
    found: TraceSet, batches: Sequence[TraceBatch]
) -> tuple[World[Any], list[list[Mapping[str, Sequence[int]]]]] | None:
    """The world of a set and what was laid out in it for each trace, drawn again with the seeds that the traces name;
    None where no program file came with the set, or its inputs do not begin as the traces do."""
    if not found.info.sources:
        return None
    program_set = load_sources(found.info.sources)
    known = found.info.task in {task.name for task in program_set.tasks}
    if not known or not same_table(program_set.table, found.table):
        return None
    task, layouts = program_set.task(found.info.task), []
    for batch in batches:
        drawn: list[Mapping[str, Sequence[int]]] = []
        for (size, seed), traces in groupby(zip(batch.size.tolist(), batch.seed.tolist(), strict=True)):
            if size < 1 or seed < 0:
                return None
            generator = torch.Generator().manual_seed(seed)
            drawn += [p.layout for p in task.draw(size, len(list(traces)), generator=generator, spread=True)]
        begin = program_set.world.observe(program_set.world.reset(drawn)).fields_BF.numpy()
        if not np.array_equal(begin, batch.obs[batch.start[batch.first_frame]]):
            return None
        layouts.append(drawn)
    return program_set.world, layouts
