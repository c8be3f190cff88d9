"""How many traces a row needs where the program's text is not used: states are inferred, codes learned, rows proved.

    python -m benchmarks.universal.few_traces                       # the shipped core; --library DIR for another
    python -m benchmarks.universal.few_traces --only human 1 2 4    # some numbers of traces
    python -m benchmarks.universal.few_traces --table               # only write the page from what is finished

The text only draws the traces and, at the end, proves the rows. Results lie under ``runs/universal/``, a file for each
number of traces, so that the recipe resumes where it stopped.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import ROOT, each_seed, plain_arguments, results, write
from benchmarks.universal.frozen_rows import Row, empty, extended, learn_rows
from benchmarks.universal.heldout_programs import TOGETHER, Sample, fitted, sample
from benchmarks.universal.main import core_of, runs_of
from benchmarks.universal.random_frames import drawn_frames
from dsl import compile_teacher, load, loads
from dsl.generator import size_of, vocabulary_of
from dsl.program import Program, ProgramSet
from dsl.teacher import Teacher
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.reproduce.plots import panels, png
from npi.running.evaluate import solve_bounded
from npi.training.dataset import training_tasks
from npi.universal.core import SHIPPED, UniversalCore
from npi.universal.induction.plan_from_traces import plan_of_frames
from npi.universal.induction.replay import replay
from npi.universal.rows import UniversalStepper, row_of, tabulate, wired, wiring_of
from npi.universal.training_stream import WORLDS, checked, held_programs
from traces.generation.generate import record_problems
from traces.recording.unique_frames import FrameSet, unique_frames

FILES = (
    "addition", "max", "examples/compare", "examples/subtract", "examples/copy", "examples/count", "examples/brackets",
    "examples/insertionsort", "examples/reverse", "examples/vote",
)  # fmt: skip
"""Files of ``programs``, all of whose tasks are traced; max.npi has the programs of bubble sort beside its own."""

TRACES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
HELD = 200
"""Held-out generated programs."""

NEW = 100
"""Frames and problems that nothing was learned from."""


def inferred(program: Sample, frames: FrameSet, core: UniversalCore) -> Sample:
    """The program with a plan from frames in place of the one from its text, or the reason why there is none."""
    try:
        plan = plan_of_frames(frames, program.program.id)
    except ValueError as error:
        return replace(program, plan=None, reason=str(error))
    return fitted(program, plan, core.config)


def learned(core: UniversalCore, programs: Sequence[Sample]) -> list[Row | None]:
    """Rows of those that have a plan, learned as one batch."""
    rows = iter(learn_rows(core, [one for one in programs if fits(one)]))
    return [next(rows) if fits(one) else None for one in programs]


def fits(program: Sample) -> bool:
    """Whether it has a plan within the sizes of the core."""
    return program.plan is not None and not program.reason


def blank(world: str, size: int, name: str, program: Program, programs: ProgramSet) -> Sample:
    """A program whose plan is not known yet."""
    return Sample(world, size, name, program, programs.table, None, "")


# --- programs that people wrote --------------------------------------------------------------------------------------


def human(core: UniversalCore, traces: int) -> Result:
    """Every file: its programs from so many traces of its tasks together."""
    return {"files": {file: of_file(core, load(ROOT / "programs" / f"{file}.npi"), traces) for file in FILES}}


def of_file(core: UniversalCore, programs: ProgramSet, traces: int) -> Result:
    """Which rows are exact, and how many problems of the first task, twice the training size, they solve."""
    frames = some_traces(programs, traces)
    every = [blank("", size_of(p.tree), p.name, p, programs) for p in programs.programs]
    found = [inferred(one, frames, core) for one in every]
    rows = learned(core, found)
    exact = {one.name: row is not None and row.exact for one, row in zip(found, rows, strict=True)}
    reasons = {one.name: one.reason for one in found if one.reason}
    solved = {t.name: _solved(core, programs, found, rows, t.name) for t in training_tasks(programs)}
    name = programs.path.rpartition("/")[2]
    print(f"  {name}: {sum(exact.values())}/{len(exact)} exact; solved {solved}", flush=True)
    return {"exact": exact, "reasons": reasons, "solved": solved}


def some_traces(programs: ProgramSet, traces: int) -> FrameSet:
    """The different frames of so many traces; tasks and their training sizes in turn, from all over."""
    generator = torch.Generator().manual_seed(0)
    tasks = training_tasks(programs)
    batches = []
    for number, task in enumerate(tasks):
        count = len(range(number, traces, len(tasks)))
        sizes = torch.tensor(task.train_sizes)[torch.randint(len(task.train_sizes), (count,), generator=generator)]
        problems = [p for size in sizes.tolist() for p in task.draw(size, 1, generator=generator, spread=True)]
        batches += [record_problems(programs, task, problems)] if problems else []
    return unique_frames(batches)


def _solved(
    core: UniversalCore, programs: ProgramSet, found: Sequence[Sample], rows: Sequence[Row | None], name: str
) -> float:
    """The share of problems of one task that the rows solve; 0 where a row is missing."""
    task = programs.task(name)
    problems = task.draw(2 * max(task.train_sizes), NEW, generator=torch.Generator().manual_seed(1), spread=True)
    kept = [(one, row) for one, row in zip(found, rows, strict=True) if row is not None]
    place = {one.program.id: number for number, (one, _) in enumerate(kept)}
    if reached(programs, {problem.program for problem in problems}) - set(place):
        return 0.0
    memory = extended(core, empty(core), [one for one, _ in kept], [row for _, row in kept])
    stepper = UniversalStepper(Library(core, memory, []), place, programs.table)
    return solve_bounded(stepper, programs, task, problems, free=2000).count / len(problems)


def reached(programs: ProgramSet, begin: set[int]) -> set[int]:
    """The programs that some programs call, directly or not, and these themselves."""
    found, waiting = set(begin), list(begin)
    while waiting:
        called = set(programs.program(waiting.pop()).calls) - found
        fresh = {c for c in called if c >= programs.table.primitives}
        found |= fresh
        waiting += fresh
    return found


# --- generated programs ----------------------------------------------------------------------------------------------


@cache
def drawn() -> list[tuple[Sample, FrameSet, FrameSet]]:
    """Held-out programs of all worlds of training, mixed; frames to learn from, and others."""
    every = [(world, vocabulary_of(loads(text))) for world, text in WORLDS.items()]
    held = [(world, words, one) for world, words in every for one in held_programs(words)]
    chosen = [held[i] for i in np.random.default_rng(0).permutation(len(held))[:HELD].tolist()]
    teachers: dict[str, Teacher] = {}
    found = []
    for world, words in every:
        mine = [one for name, _, one in chosen if name == world]
        for one, program, programs in checked(words, mine):
            if programs.digest not in teachers:
                teachers[programs.digest] = compile_teacher(programs)
            teacher = teachers[programs.digest]
            generator = torch.Generator().manual_seed(program.id)
            try:
                frames = drawn_frames(programs, program.id, max(TRACES) + NEW, generator=generator, teacher=teacher)
            except ValueError:
                continue  # it never returns where any observation may follow any call
            index = torch.arange(len(frames))
            sample = blank(world, one.size, one.hash[:12], program, programs)
            found.append((sample, frames.select(index[:-NEW]), frames.select(index[-NEW:])))
    return found


def generated(core: UniversalCore, count: int) -> Result:
    """Which rows of so many frames are exact, and which are right in every new frame."""
    began = time.process_time()
    found = [inferred(one, frames.select(torch.arange(count)), core) for one, frames, _ in drawn()]
    seconds = time.process_time() - began
    rows = [row for begin in range(0, len(found), TOGETHER) for row in learned(core, found[begin : begin + TOGETHER])]
    programs = []
    for one, row, (_, _, new) in zip(found, rows, drawn(), strict=True):
        right = row is not None and _right(core, one, row, new)
        programs.append({"name": one.name, "size": one.size, "world": one.world, "reason": one.reason,
                         "exact": row is not None and row.exact, "right": right})  # fmt: skip
    print(f"  {count} frames: {share(programs, 'exact'):.2f} exact, {share(programs, 'right'):.2f} right", flush=True)
    return {"programs": programs, "seconds": seconds}


def from_texts(core: UniversalCore) -> Result:
    """How many of the same programs are exact where the states are read off their texts."""
    found = [sample(o.world, o.size, o.name, o.program, o.table, core.config) for o, _, _ in drawn()]
    rows = [row for begin in range(0, len(found), TOGETHER) for row in learned(core, found[begin : begin + TOGETHER])]
    return {"exact": sum(row is not None and row.exact for row in rows), "programs": len(found)}


def _right(core: UniversalCore, one: Sample, row: Row, frames: FrameSet) -> bool:
    wiring = wiring_of(row.plan, one.table)
    row_P = row_of(wiring, row.codes.code_NC, row.codes.gain_NG, core.config)
    plan = wired(wiring, one.program.id, one.table)
    return replay(tabulate(core.net, plan, row_P, wiring, one.table), frames, plan.signature).holds


# --- the page --------------------------------------------------------------------------------------------------------


def contents(people: Sequence[Result], drawn_ones: Sequence[Result], texts: Result) -> dict[str, Content | bytes]:
    """The page's tables and picture: files of people, generated programs, and these read off their texts."""
    head = ["frames of each program", "exact", "right", "no row", "exact up to size 4", "seconds a program to infer"]
    return {
        "people": [["traces", *(f"{r['seed']}" for r in people)], *_lines(people)],
        "generated": [head, *([f"{one['seed']}", *_shares(one)] for one in drawn_ones)],
        "held": f"{texts['programs']} held-out",
        "texts": f"{texts['exact']} of the {texts['programs']}",
        "universal-traces.png": picture(people, drawn_ones),
    }


def _lines(people: Sequence[Result]) -> Iterator[list[str]]:
    """For each file a line of cells, one for each number of traces; then all files together."""
    for file in FILES:
        found = [result["files"][file] for result in people]
        shares = [f"{sum(f['exact'].values())}/{len(f['exact'])}" for f in found]
        yield [file, *(f"{s}, {100 * min(f['solved'].values()):.0f} %" for s, f in zip(shares, found, strict=True))]
    yield ["all", *(f"{sum(_exact(r))}/{len(_exact(r))}, {100 * _solving(r):.0f} %" for r in people)]


def _exact(result: Result) -> list[bool]:
    return [exact for file in result["files"].values() for exact in file["exact"].values()]


def _solving(result: Result) -> float:
    """The share of problems solved, every task counting alike."""
    return statistics.fmean(one for file in result["files"].values() for one in file["solved"].values())


def _shares(one: Result) -> Iterator[str]:
    programs = one["programs"]
    small = [program for program in programs if program["size"] <= 4]
    none = sum(bool(program["reason"]) for program in programs) / len(programs)
    for part in (share(programs, "exact"), share(programs, "right"), none, share(small, "exact")):
        yield f"{100 * part:.0f} %"
    yield f"{one['seconds'] / len(programs):.2f}"


def share(programs: Sequence[Result], what: str) -> float:
    """Of how many programs something holds."""
    return sum(one[what] for one in programs) / max(1, len(programs))


def picture(people: Sequence[Result], drawn_ones: Sequence[Result]) -> bytes:
    """Shares of programs against traces or frames."""
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    figure, (panel,) = panels(1, across=1, size=(7, 4.2), dpi=110)
    traces, frames = ([r["seed"] for r in found] for found in (people, drawn_ones))
    panel.plot(traces, [_solving(r) for r in people], "o--", color="C0", label="by people: problems solved")
    panel.plot(traces, [sum(_exact(r)) / len(_exact(r)) for r in people], "o-", color="C0", label="by people: exact")
    for what, style, name in (("right", "s--", "right in 100 new frames"), ("exact", "s-", "exact")):
        shares = [share(r["programs"], what) for r in drawn_ones]
        panel.plot(frames, shares, style, color="C1", label=f"generated: {name}")
    panel.set(xlabel="traces of a file; frames of a generated program", ylabel="share", ylim=(0, 1.03))
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(ScalarFormatter())
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right")
    return png(figure)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--library", type=Path, default=SHIPPED, help="of the core; rows in it are left alone")
    parser.add_argument("--only", nargs="+", help="human or generated, and numbers of traces")
    parser.add_argument("--table", action="store_true", help="only write the page from the stages that are finished")
    options = parser.parse_args()
    _, core = core_of(options.library)
    name = runs_of(core)
    only = options.only or []
    counts = [int(n) for n in only if n.isdigit()] or TRACES
    kinds = [kind for kind in ("human", "generated") if kind in only] or ["human", "generated"]
    for kind in kinds if not options.table else ():
        each_seed(f"{name}/traces-{kind}", counts, partial(human if kind == "human" else generated, core))
        if kind == "generated":
            each_seed(f"{name}/traces-texts", [0], lambda _: from_texts(core))
    people, drawn_ones, texts = (results(f"{name}/traces-{what}") for what in ("human", "generated", "texts"))
    if not people or not texts:
        raise SystemExit(f"nothing is finished in runs/{name} yet, so there is nothing to write")
    page = contents(people, drawn_ones, texts[0])
    write("universal-traces", {**page, "core": Path(name).name}, [*people, *drawn_ones, *texts])


if __name__ == "__main__":
    main()
