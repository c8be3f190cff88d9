"""Random inputs of tasks. The generator is the only source of randomness, so one seed always gives one set.

It is one of torch (whose streams training has used from the start) or of numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dsl.tasks.graphs import Graph
from dsl.tasks.inputs import GRAPH, NUMBER, SCALAR, Input
from dsl.tasks.values import Value, number_from_digits, symbol_value
from envs.support.lazy_torch import torch

Random: TypeAlias = "torch.Generator | np.random.Generator"

Numbers = npt.NDArray[np.int64]

EDGES_A_VERTEX = 2
"""A drawn graph has at most this many edges a vertex, on average."""


def integers(low: int, high: int, shape: tuple[int, ...], generator: Random) -> Numbers:
    """Numbers from ``low`` up to, not with, ``high``."""
    if isinstance(generator, np.random.Generator):
        return generator.integers(low, high, shape)
    return torch.randint(low, high, shape, generator=generator).numpy()


def draw_values(
    inputs: Sequence[Input], size: int, count: int, *, generator: Random, spread: bool
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


def draw_sizes(inputs: int, size: int, count: int, *, generator: Random, spread: bool) -> list[list[int]]:
    """For each input the size that it has in each problem."""
    if not spread or inputs < 2:
        return [[size] * count for _ in range(inputs)]
    exact = integers(0, inputs, (count,), generator)
    smaller = integers(1, size + 1, (inputs, count), generator)
    keep = integers(0, 2, (inputs, count), generator).astype(bool)
    keep |= np.arange(inputs)[:, None] == exact
    return np.where(keep, size, smaller).tolist()


def draw_sized(item: Input, lengths: Sequence[int], *, generator: Random) -> list[Value]:
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


def draw_graphs(sizes: Sequence[int], *, acyclic: bool, generator: Random) -> list[Graph]:
    """Random graphs of these numbers of vertices, without loops and double edges, from sparse to dense.

    The vertices of an acyclic graph are numbered at random, so their numbers say nothing about their order.
    """
    found = []
    for size in sizes:
        most = EDGES_A_VERTEX * size
        edges = int(integers(0, most + 1, (), generator)) if size > 1 else 0
        pairs = integers(0, size, (edges, 2), generator)
        if acyclic:
            if isinstance(generator, np.random.Generator):
                name = generator.permutation(size)
            else:
                name = torch.randperm(size, generator=generator).numpy()
            pairs = name[np.sort(pairs, axis=1) * (pairs[:, :1] != pairs[:, 1:])]
        following: list[dict[int, None]] = [{} for _ in range(size)]
        for one, two in pairs.tolist():
            if one != two:
                following[one][two] = None
        found.append(tuple(map(tuple, following)))
    return found
