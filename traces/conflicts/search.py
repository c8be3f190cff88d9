"""Before any training: are there two configurations that look the same to a core and call differently?

For programs of the language there are none, by construction (``dsl/analysis/learnability.py`` has the argument). Here
it is put to the test: every input up to a small size, run by the teacher, and all frames compared. The same runs show
whether the program does what its task expects on every small input. Traces that no program file made may well
contradict each other; :func:`traces.conflicts.explain.explain` shows two steps that do, and what would tell them apart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from dsl.analysis.learnability import check_tables
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.teacher import compile_teacher
from envs.stepper import Stepper
from envs.world import World
from traces.conflicts.explain import Explanation, explain
from traces.conflicts.scalar_teacher import Search
from traces.generation.enumerate import rounds
from traces.generation.generate import load_sources, record_problems
from traces.machine.lockstep import Budget
from traces.recording.batch import TraceBatch, same_table
from traces.recording.unique_frames import find_conflict, unique_frames
from traces.storage.trace_set import TraceSet


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
    """Whether a trace set can be learned.

    Attributes:
        frames: different ones.
        conflict: two steps that contradict each other; None where there are none.
    """

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
