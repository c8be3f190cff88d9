"""Random programs: how fast they are drawn, how many are doubles, whether all end, and how large their tables are.

    python -m benchmarks.language.random_programs

For each world, 10,000 programs of sizes 1 to 12 are drawn in one stream; each runs on eight random pads. In two tiny
worlds all programs without parameters are enumerated. It takes some five minutes.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.common import ROOT, plain_arguments, write
from benchmarks.language.every_program import enumerate_programs
from dsl import compile_teacher, loads
from dsl.formatting.printer import format_tree
from dsl.generator import GeneratedProgram, Tally, Vocabulary, stream, vocabulary_of
from dsl.program import ProgramSet
from envs.scratchpad.config import NOWHERE
from traces.machine.lockstep import Budget, Status, run

SIZES = range(1, 13)
WANTED = 10_000
PADS = 8
TOGETHER = 200
"""Programs that run side by side."""

WORLDS = {
    "list": "world list is scratchpad:\n    row A of 0..9\n    pointer P, Q on A\n    counter K on A\n",
    "digits": "world pad is scratchpad:\n    row IN1, IN2, CARRY, OUT of digit\n",
    "places": (
        "world pad is scratchpad:\n    row A of digit\n    pointer LO, I, J on A at left\n"
        "    row S, T of place at left\n    order LO, I\n    order I, J\n    jump TO, HALFWAY\n"
    ),
    "bubble sort": (ROOT / "programs" / "bubblesort.npi").read_text(encoding="utf-8"),
}

TINY = {
    "one list of bits": "world tiny is scratchpad:\n    row A of 0..1\n    pointer P on A\n",
    "one endless row of bits": "world tiny is scratchpad:\n    row A of bit\n",
}

Row = list[str]


def draw(vocabulary: Vocabulary) -> tuple[list[GeneratedProgram], dict[int, Tally], dict[int, float]]:
    """Programs of all sizes, the tallies of their draws, and the CPU seconds of each size."""
    generator = np.random.default_rng(0)
    found: list[GeneratedProgram] = []
    tally = {size: Tally() for size in SIZES}
    seconds: dict[int, float] = {}
    for size in SIZES:
        began = time.process_time()
        left = (WANTED - len(found)) // (SIZES[-1] + 1 - size)
        known = {program.hash for program in found}
        found += stream(vocabulary, {size: left}, generator=generator, exclude=known, tally=tally)
        seconds[size] = time.process_time() - began
    return found, tally, seconds


def layouts(
    programs: ProgramSet, count: int, chooser: np.random.Generator, most: int = 6
) -> list[dict[str, list[int]]]:
    """Random pads of up to so many cells a row."""
    found = []
    rows = programs.world.spec.config["rows"]
    for _ in range(count):
        length = {row["name"]: int(chooser.integers(not row["blank"], most + 1)) for row in rows}
        columns = max((length[row["name"]] for row in rows if row["blank"]), default=0)
        layout = {}
        for row in rows:
            cells = (NOWHERE, *range(columns)) if row.get("places") else range(len(row["symbols"]) + row["blank"])
            layout[row["name"]] = [cells[i] for i in chooser.integers(0, len(cells), length[row["name"]])]
        found.append(layout)
    return found


def steps_of(vocabulary: Vocabulary, programs: list[GeneratedProgram], chooser: np.random.Generator) -> np.ndarray:
    """Steps of each program on its pads; raises where one does not end."""
    found = loads(format_tree(vocabulary.file([program.tree for program in programs])))
    every = [found.table.id(f"text.{program.tree.name}") for program in programs for _ in range(PADS)]
    arguments = torch.zeros(len(every), 3, dtype=torch.int64)
    for i, number in enumerate(every):
        for j, slot in enumerate(found.table.signatures[number].slots):
            arguments[i, j] = slot.tokens[int(chooser.integers(len(slot.tokens)))]
    state = found.world.reset(layouts(found, len(every), chooser))
    outcome = run(
        compile_teacher(found), found.world, state, found.table, torch.tensor(every), arguments,
        budget=Budget(steps=1_000_000),
    )  # fmt: skip
    ended = outcome.status_N == Status.DONE
    assert bool(ended.all()), programs[int(ended.logical_not().nonzero()[0, 0]) // PADS].text
    return outcome.steps_N.numpy()


def of_world(name: str, text: str) -> tuple[list[Row], str]:
    """The rows of a world, and a line about it."""
    vocabulary = vocabulary_of(loads(text))
    found, tally, seconds = draw(vocabulary)
    chooser = np.random.default_rng(1)
    steps: dict[int, list[np.ndarray]] = {size: [] for size in SIZES}
    for size in SIZES:
        mine = [program for program in found if program.size == size]
        for begin in range(0, len(mine), TOGETHER):
            steps[size].append(steps_of(vocabulary, mine[begin : begin + TOGETHER], chooser))
    rows = []
    for size in SIZES:
        counted, mine = tally[size], [program for program in found if program.size == size]
        made = np.concatenate(steps[size])
        doubles = counted.repeated + counted.excluded
        rows.append(
            [
                name, str(size), f"{len(mine):,}", f"{counted.draws / seconds[size]:,.0f}",
                f"{100 * doubles / counted.draws:.1f} %", f"{100 * counted.empty / counted.draws:.1f} %",
                f"{np.mean([program.nodes for program in mine]):.1f}", f"{np.median(made):.0f}", f"{made.max():,}",
            ]
        )  # fmt: skip
    total = sum(seconds.values())
    line = f"* {name}: {len(found):,} programs in {total:.1f} s, {1000 * total / len(found):.1f} ms each."
    print(line, flush=True)
    return rows, line


def enumerated() -> list[str]:
    """How many behaviours tiny worlds have."""
    found = []
    for name, text in TINY.items():
        vocabulary = vocabulary_of(loads(text))
        counts, seen = [], set[str]()
        for size in (1, 2, 3):
            new = {program.hash for program in enumerate_programs(vocabulary, size)} - seen
            seen |= new
            counts.append(f"{len(new):,} of size {size}")
        found.append(f"* {name}: {', '.join(counts)}.")
        print(found[-1], flush=True)
    return found


def main() -> None:
    plain_arguments(__doc__).parse_args()
    rows = [["world", "size", "programs", "draws a second", "doubles", "no calls", "nodes", "steps, median", "most"]]
    lines = []
    for name, text in WORLDS.items():
        more, line = of_world(name, text)
        rows += more
        lines.append(line)
    write("generated-programs", {"worlds": "\n".join(lines), "tiny": "\n".join(enumerated()), "sizes": rows})


if __name__ == "__main__":
    main()
