"""Traces for people: a run as an indented tree of calls, in the style of NPI figure 4 and its listings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from envs.product import Product
from envs.spec import RETURN, ProgramTable, WorldSpec
from envs.world import Drawn, World
from traces.recording.batch import Ints, TraceBatch


def name_text(table: ProgramTable, callee: int) -> str:
    """A callable's bare name where only one has it, else the qualified one; ``?7`` for an id outside the table."""
    signatures = table.signatures
    if not 0 <= callee < len(signatures):
        return f"?{callee}"
    bare = signatures[callee].name.rpartition(".")[2]
    same = sum(s.name.rpartition(".")[2] == bare for s in signatures)
    return bare if same == 1 else signatures[callee].name


def call_text(table: ProgramTable, call: Sequence[int] | Ints) -> str:
    """``ACT(OUT, WRITE, 1)``, ``ADD1`` or ``return``; tokens outside the vocabulary as ``?40``."""
    callee, *arguments = (int(n) for n in call)
    if callee == RETURN:
        return "return"
    tokens = table.world.tokens
    while arguments and arguments[-1] == 0:
        arguments.pop()
    texts = [tokens[a] if 0 <= a < len(tokens) else f"?{a}" for a in arguments]
    return name_text(table, callee) + (f"({', '.join(texts)})" if texts else "")


def observation_text(table: ProgramTable, obs_F: Sequence[int] | Ints) -> str:
    """``IN1=6 CARRY=blank last(P1)``: each field with the name of its value; of yes and no, the ones that are yes."""
    texts = []
    for field, value in zip(table.world.fields, (int(n) for n in obs_F), strict=True):
        if field.values != ("no", "yes"):
            texts.append(f"{field.name}={field.values[value] if 0 <= value < field.size else f'?{value}'}")
        elif value:
            texts.append(field.name)
    return " ".join(texts)


def state_lines(world: World[Any], state: Any, *, width: int = 100) -> list[str]:
    """The first instance of a state: as its world draws it; of a world that cannot, what it reads, a line a part. Of
    joined worlds one after the other."""
    if isinstance(world, Product):
        pairs = zip(world.parts, state.parts, strict=True)
        return [line for part, own in pairs for line in state_lines(part, own, width=width)]
    if isinstance(world, Drawn):
        return world.draw(state, width=width).splitlines()
    (reading,) = world.read(state)
    return [f"{part}: {content_text(world.spec, part, content)}" for part, content in reading.items()]


def content_text(spec: WorldSpec, part: str, content: Sequence[int]) -> str:
    """What a part of a reading holds; of a part that is a field, by the names of its values: ``AZIMUTH`` as ``60``."""
    names = next((field.values for field in (*spec.fields, *spec.hidden) if field.name == part), ())
    words = [names[value] if 0 <= value < len(names) else str(value) for value in content]
    return ", ".join(words) or "nothing"


def lines(trace: TraceBatch, *, observations: bool = False, returns: bool = False) -> Iterator[str]:
    """The lines of one trace (``batch.trace(i)``; else ``ValueError``): two blanks deeper for each frame.

    Args:
        observations: add what was observed when each call was decided. returns: show returns as lines of their own.
    """
    if len(trace) != 1:
        raise ValueError(f"one trace can be shown at a time, this batch has {len(trace)}; take batch.trace(i)")
    table = trace.table
    first = trace.frame(0)
    yield call_text(table, (first.program, *first.arguments))
    for depth, step in walk(trace):
        call = trace.calls[step]
        if returns or call[0] != RETURN:
            seen = f"    # {observation_text(table, trace.obs[step])}" if observations else ""
            yield "  " * depth + call_text(table, call) + seen


def walk(trace: TraceBatch) -> Iterator[tuple[int, int]]:
    """Depth (1 in the first frame) and index of one trace's steps in the order of time: a called frame's steps follow
    the step that called it."""
    start, end = trace.start.tolist(), (trace.start + trace.length).tolist()
    parents = zip(trace.parent.tolist(), trace.parent_step.tolist(), strict=True)
    called = {start[parent] + step: frame for frame, (parent, step) in enumerate(parents) if parent >= 0}
    stack = [(start[0], end[0])] if start else []
    while stack:
        step, last = stack.pop()
        while step < last:
            yield len(stack) + 1, step
            frame = called.get(step)
            step += 1
            if frame is not None:
                stack.append((step, last))
                step, last = start[frame], end[frame]


def time_order(trace: TraceBatch) -> Ints:
    """Indices of one trace's steps in the order of time."""
    return np.array([step for _, step in walk(trace)], np.int64)


def text(trace: TraceBatch, *, observations: bool = False, returns: bool = False) -> str:
    """:func:`lines` as one text, each line ended by a newline."""
    return "".join(f"{line}\n" for line in lines(trace, observations=observations, returns=returns))
