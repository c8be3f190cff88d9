"""Worlds to draw programs for, random pads of them, and many drawn programs run side by side."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

import dsl
from benchmarks.language.random_programs import layouts
from dsl.formatting.printer import format_tree
from dsl.generator import GeneratedProgram, Vocabulary, stream, vocabulary_of
from dsl.program import ProgramSet
from tests.support.paths import PROGRAMS
from traces.machine.lockstep import Budget, Outcome, run
from traces.recording.recorder import Recorder

WORLDS = {
    "list": "world list is scratchpad:\n    row A of 0..2\n    pointer P, Q on A\n    counter K on A\n",
    "mixed": (
        "world pad is scratchpad:\n    row IN, OUT of 0..2 or blank\n    row A of 0..2\n    pointer P, Q on A\n"
        '    counter K on A\n    row S of "(" or ")" or blank at left\n'
    ),
    "places": (
        "world pad is scratchpad:\n    row A of 0..2 or blank\n    pointer LO, I, J on A at left\n"
        "    row S, T of place at left\n    order LO, I\n    order I, J\n    jump TO, HALFWAY\n"
    ),
    "words": 'world w is scratchpad:\n    row A of -1..1 or "x"\n    row B of "b" or 3 or "x" or blank\n',
    "addition": (PROGRAMS / "addition.npi").read_text(encoding="utf-8"),
    "sorting": (PROGRAMS / "bubblesort.npi").read_text(encoding="utf-8"),
}

TINY = "world tiny is scratchpad:\n    row A of 0..1\n    pointer P on A\n"


@cache
def vocabulary(world: str) -> Vocabulary:
    return vocabulary_of(dsl.loads(WORLDS[world]))


@cache
def drawn(world: str, each: int = 10, seed: int = 0) -> tuple[GeneratedProgram, ...]:
    """So many programs of each size from 1 to 12."""
    sizes = dict.fromkeys(range(1, 13), each)
    return tuple(stream(vocabulary(world), sizes, generator=np.random.default_rng(seed)))


def together(world: str, programs: Sequence[GeneratedProgram]) -> tuple[ProgramSet, list[int]]:
    """A checked file of drawn programs, and their ids."""
    found = dsl.loads(format_tree(vocabulary(world).file([p.tree for p in programs])))
    return found, [found.table.id(f"text.{p.tree.name}") for p in programs]


def arguments(programs: ProgramSet, ids: Sequence[int], chooser: np.random.Generator) -> torch.Tensor:
    """Random arguments of these programs, three tokens each."""
    found = torch.zeros(len(ids), 3, dtype=torch.int64)
    for i, number in enumerate(ids):
        for j, slot in enumerate(programs.table.signatures[number].slots):
            found[i, j] = slot.tokens[int(chooser.integers(len(slot.tokens)))]
    return found


def run_all(
    programs: ProgramSet, ids: Sequence[int], pads: int, *, seed: int = 0, recorder: Recorder | None = None,
    compiled: bool = True, steps: int = 100_000,
) -> Outcome:  # fmt: skip
    """Run each program on so many random pads."""
    chooser = np.random.default_rng(seed)
    every = [number for number in ids for _ in range(pads)]
    state = programs.world.reset(layouts(programs, len(every), chooser))
    return run(
        dsl.compile_teacher(programs), programs.world, state, programs.table, torch.tensor(every),
        arguments(programs, every, chooser), budget=Budget(steps=steps, depth=2_000), recorder=recorder,
        compiled=compiled,
    )  # fmt: skip
