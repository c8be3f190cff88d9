"""Before any training: are there two situations that look the same to a core and call differently?

For programs of the language there are none, by construction (``dsl/learnable.py`` has the argument). Here it is put to
the test: every input up to a small size, run by the teacher, and all frames compared. The same runs show whether the
program does what its task expects on every small input. Traces that no program file made may well contradict each
other; :func:`traces.explain.explain` shows two steps that do, and what would tell them apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, count, islice, product

from dsl.expect import Facts, NoValue, evaluate
from dsl.graphs import check_graph
from dsl.inputs import GRAPH, LIST, NUMBER, Input
from dsl.learnable import check_tables
from dsl.program import ProgramSet
from dsl.tasks import Problem, Task
from dsl.teacher import compile_teacher
from dsl.values import Value, symbol_value
from traces.explain import Explanation, explain
from traces.frames import find_conflict, unique_frames
from traces.generate import record_problems
from traces.machine import Budget
from traces.stepper import Stepper


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        task: which one was run.
        problems: how many inputs were run. sizes: up to this size, all inputs; 0 where not even the smallest fit.
        frames: different frames that were compared.
        conflict: two steps that contradict each other; None where there are none.
    """

    task: str
    problems: int
    sizes: int
    frames: int
    conflict: Explanation | None


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
    """Run a task on all inputs of size 1, 2, … as long as they are few enough, and compare the frames.

    Args:
        most: inputs in all; a size is run whole or not at all.
        seconds: no further size is begun after this time.
        also: further problems, run with those of size 1.

    Raises:
        TeacherError: for a run that does not end as its task expects.
    """
    check_tables(program_set)
    teacher = teacher or compile_teacher(program_set)
    began, batches, total, done = time.monotonic(), [], 0, 0
    for size in count(1):
        problems = list(islice(problems_of_size(task, size), most - total + 1))
        fits = 0 < len(problems) <= most - total
        total += len(problems) if fits else 0
        run = [*(problems if fits else ()), *(also if size == 1 else ())]
        if run:
            batches.append(record_problems(program_set, task, run, teacher=teacher, budget=budget))
        if not fits:
            break
        done = size
        if time.monotonic() - began > seconds or not any(item.sized for item in task.inputs):
            break
    if not batches:
        return Search(task.name, 0, 0, 0, None)
    frames = unique_frames(batches)
    conflict = explain(batches) if find_conflict(frames) is not None else None
    return Search(task.name, total, done, len(frames), conflict)


def problems_of_size(task: Task, size: int) -> Iterator[Problem]:
    """Every problem whose largest input has this size, in a fixed order; those that the task's condition allows."""
    sizes = [range(1, size + 1) if item.sized else (1,) for item in task.inputs]
    for chosen in product(*sizes):
        if any(item.sized for item in task.inputs) and max(chosen, default=0) < size:
            continue
        choices = [values_of_size(item, length) for item, length in zip(task.inputs, chosen, strict=True)]
        for values in product(*choices):
            named = {item.name: value for item, value in zip(task.inputs, values, strict=True)}
            if allowed(task, named):
                yield task.problem(named)


def allowed(task: Task, values: dict[str, Value]) -> bool:
    """Whether the task's condition holds; a condition without a value does not."""
    if task.where is None:
        return True
    try:
        return evaluate(task.where, Facts(values, task.rows, task.pointers, None)) is True
    except NoValue:
        return False


def values_of_size(item: Input, size: int) -> Iterator[Value]:
    """Every value of an input that has this size; without one, every value."""
    if item.kind == NUMBER:
        return iter(range(0 if size == 1 else item.base ** (size - 1), item.base**size))
    symbols = [symbol_value(symbol) for symbol in item.symbols]
    if item.kind == LIST:
        return iter(product(symbols, repeat=size))
    return graphs(size, acyclic=item.acyclic) if item.kind == GRAPH else iter(symbols)


def graphs(size: int, *, acyclic: bool) -> Iterator[Value]:
    """Every graph of that many vertices, without loops and double edges, edges in ascending order."""
    others = [[v for v in range(size) if v != vertex] for vertex in range(size)]
    following = [[*chain.from_iterable(combinations(o, n) for n in range(size))] for o in others]
    for graph in product(*following):
        try:
            yield check_graph(graph, acyclic=acyclic)
        except ValueError:
            continue  # it has a cycle, which is not wanted
