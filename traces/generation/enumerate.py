"""Every input of a small size, one and all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, count, islice, product

from dsl.tasks.graphs import check_graph
from dsl.tasks.inputs import GRAPH, LIST, NUMBER, Input
from dsl.tasks.task import Problem, Task
from dsl.tasks.values import Value, symbol_value


def rounds(task: Task, also: Sequence[Problem], *, most: int) -> Iterator[tuple[int, int, list[Problem]]]:
    """All inputs of size 1, 2, … as long as they are few enough: the size, all inputs so far, and what to run.

    Args:
        also: further problems, run after those of size 1, and alone (with size 0) where these are too many.
        most: inputs in all; a size is run whole or not at all.
    """
    total = 0
    for size in count(1):
        problems = list(islice(problems_of_size(task, size), most - total + 1))
        if not 0 < len(problems) <= most - total:
            if size == 1:
                yield 0, 0, list(also)
            return
        total += len(problems)
        yield size, total, [*problems, *(also if size == 1 else ())]
        if not any(item.sized for item in task.inputs):
            return


def problems_of_size(task: Task, size: int) -> Iterator[Problem]:
    """Every problem whose largest input has this size, in a fixed order; those that the task's condition allows."""
    sizes = [range(1, size + 1) if item.sized else (1,) for item in task.inputs]
    for chosen in product(*sizes):
        if any(item.sized for item in task.inputs) and max(chosen, default=0) < size:
            continue
        choices = [values_of_size(item, length) for item, length in zip(task.inputs, chosen, strict=True)]
        for values in product(*choices):
            named = {item.name: value for item, value in zip(task.inputs, values, strict=True)}
            if task.allows(named):
                yield task.problem(named)


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
