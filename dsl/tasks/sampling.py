"""Random inputs of tasks. The generator is the only source of randomness, so one seed always gives one set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsl.tasks.graphs import draw_graphs
from dsl.tasks.inputs import GRAPH, NUMBER, SCALAR, Input
from dsl.tasks.rng import integers
from dsl.tasks.values import Value, number_from_digits, symbol_value
from envs.support.lazy_torch import torch


def draw_values(
    inputs: Sequence[Input], size: int, count: int, *, generator: torch.Generator | np.random.Generator, spread: bool
) -> list[dict[str, Value]]:
    """Inputs of ``count`` problems; see :meth:`dsl.tasks.task.Task.draw`."""
    sized = [item for item in inputs if item.sized]
    sizes = draw_sizes(len(sized), size, count, generator=generator, spread=spread)
    columns: dict[str, list[Value]] = {}
    for item in inputs:
        if item.kind == SCALAR:
            chosen = integers(0, len(item.symbols), (count,), generator).tolist()
            columns[item.name] = [symbol_value(item.symbols[index]) for index in chosen]
        else:
            lengths = sizes[sized.index(item)]
            columns[item.name] = draw_sized(item, lengths, generator=generator)
    return [{name: column[i] for name, column in columns.items()} for i in range(count)]


def draw_sizes(
    inputs: int, size: int, count: int, *, generator: torch.Generator | np.random.Generator, spread: bool
) -> list[list[int]]:
    """For each input the size that it has in each problem."""
    if not spread or inputs < 2:
        return [[size] * count for _ in range(inputs)]
    exact = integers(0, inputs, (count,), generator)
    smaller = integers(1, size + 1, (inputs, count), generator)
    keep = integers(0, 2, (inputs, count), generator).astype(bool)
    keep |= np.arange(inputs)[:, None] == exact
    return np.where(keep, size, smaller).tolist()


def draw_sized(item: Input, lengths: Sequence[int], *, generator: torch.Generator | np.random.Generator) -> list[Value]:
    """Numbers without leading zeros (one digit may be 0), lists, or graphs, of the given sizes."""
    if item.kind == GRAPH:
        return list(draw_graphs(lengths, acyclic=item.acyclic, generator=generator))
    choices = item.base if item.kind == NUMBER else len(item.symbols)
    flat = integers(0, choices, (sum(lengths),), generator).tolist()
    leads = integers(1, item.base, (len(lengths),), generator).tolist() if item.kind == NUMBER else []
    found: list[Value] = []
    start = 0
    for number, length in enumerate(lengths):
        drawn = flat[start : start + length]
        start += length
        if item.kind == NUMBER:
            if length > 1:
                drawn[0] = leads[number]
            found.append(number_from_digits(drawn, item.base))
        else:
            found.append(tuple(symbol_value(item.symbols[index]) for index in drawn))
    return found
