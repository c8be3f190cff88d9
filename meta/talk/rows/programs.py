"""Neural Programmer-Interpreters (Reed & de Freitas 2016): its table, MAX beside a frozen core, and many programs
beside one core that never changes.

The first two are stages of the paper's own reproduction (:mod:`npi.reproduce.stages`), which both rows share.

Shape legend: ``B`` problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dsl import load
from meta.talk.comparison import unpaired
from meta.talk.row import Effort, Found, Row, Run
from npi.core.config import CoreConfig
from npi.jobs.train import learn_into
from npi.library.examples import examples
from npi.library.library import Library
from npi.library.wiring import SEAL
from npi.reproduce.ledger import Result
from npi.reproduce.recipe import FILES, FULL, LEARNED, QUICK, ROWS, Recipe
from npi.reproduce.score import every_problem, random_problems, score
from npi.reproduce.stages import Work, begin, check_stage, learn_stage, trace_stage, train_stage
from npi.training.learn_rows import LearnConfig
from npi.universal.core import SHIPPED

SMALL = replace(
    QUICK,
    traces={**QUICK.traces, "addition": 16, "bubblesort": 16, "goto": 3000},
    training={**QUICK.training, "multi": {"updates": 600, "check_every": 50, "problems": 64}},
    poses=100,
    pixels=24,
)
"""Of the paper's quick recipe, as much as takes two minutes."""

RECIPES = {"small": SMALL, "full": FULL}


def work_of(run: Run) -> Work:
    """The paper in a folder beside those of the rows."""
    recipe: Recipe = RECIPES[run.effort.more["recipe"]]
    return begin(run.folder.parent / f"npi-paper-{recipe.name}", None, recipe, stop=run.stop)


def done(work: Work, run: Run, *, maximum: bool) -> dict[str, Result]:
    """The stages of one core for all files, and of MAX beside it if wanted; by the last part of their names."""
    stages = [trace_stage(work, run.seed, file) for file in FILES]
    stages += [train_stage(work, run.seed, "multi", tuple(FILES)), check_stage(work, run.seed, "multi")]
    stages += [learn_stage(work, run.seed), check_stage(work, run.seed, "max")] * maximum
    found = {}
    for stage in stages:
        run.heed()
        record = work.ledger.read(stage) or work.ledger.run(stage, run.say)
        found[stage.name.rpartition("/")[2]] = record.result
    return found


def outcomes(tests: Mapping[str, Mapping[str, Any]]) -> torch.Tensor:
    """float64 B: 1 for each problem that was right, 0 for the others; in no order."""
    return torch.cat([
        (torch.arange(test["count"]) < test["right"]).double() for test in tests.values()
    ])  # fmt: skip


def table(run: Run) -> Found:
    """One core for addition, sorting and cars, beside the same core before training."""
    work = work_of(run)
    tests = done(work, run, maximum=False)["test-multi"]["tests"]
    trained = Library.open(work.library(run.seed, "multi"))
    before = _untrained(trained, run.seed)
    control = {}
    for row in (row for row in ROWS if row.key in tests):
        run.heed()
        programs = load(work.file(row.file))
        task = programs.task(row.task)
        few = every_problem(task, 20) if row.poses else random_problems(task, row.size, 20, seed=run.seed)
        control[row.key] = vars(score(before, programs, task, few))
    return Found(
        unpaired(100 * outcomes(tests), 100 * outcomes(control)),
        beside={row.label: 100 * tests[row.key]["right"] / tests[row.key]["count"] for row in ROWS if row.key in tests},
    )


def maximum(run: Run) -> Found:
    """MAX and RJMP as rows beside that core, and the two rows as they begin."""
    work = work_of(run)
    found = done(work, run, maximum=True)
    hashes = found[f"learn-{LEARNED}"]["hashes"]
    same = all(before == after for before, after in hashes.values())
    row = next(row for row in ROWS if row.key == LEARNED)
    programs = load(work.file(row.file))
    task = programs.task(row.task)
    problems = random_problems(task, row.size, run.effort.problems, seed=run.seed)

    def right(library: Library) -> torch.Tensor:
        return 100 * outcomes({row.key: vars(score(library, programs, task, problems))})

    return Found(
        unpaired(right(Library.open(work.library(run.seed, LEARNED))), right(_rows_as_they_begin(work, run))),
        facts={
            "parameters": f"{found[f'learn-{LEARNED}']['numbers']} of the two rows",
            "core, old rows and their outputs": "bit-identical before and after" if same else "CHANGED",
            "what it does not show": "that it owes much to the core: beside random weights such rows are learned, too",
        },
    )


def _untrained(trained: Library, seed: int) -> Library:
    """A core of the same shape, with random weights and random rows."""
    config, tables = trained.core.config, [programs.table for programs in trained.sets]
    assert isinstance(config, CoreConfig)
    return Library.create(config, tables, sets=trained.sets, seed=1000 + seed)


def _rows_as_they_begin(work: Work, run: Run) -> Library:
    """After a single update."""
    library = Library.open(work.library(run.seed, "multi"))
    config = LearnConfig(seed=run.seed, updates=1, starts=1)
    learn_into(library, [work.file(LEARNED)], config=config, device="cpu", stop=run.stop, keep_unsolved=True)
    return library


# --- many programs beside one core -----------------------------------------------------------------------------------

FEW_FILES = ("binary", "brackets", "compare", "copy", "double", "insertionsort", "minimum", "parity", "reverse", "vote")

SIZE = 8
"""Of test inputs, or the nearest test size of a task."""


def many(run: Run) -> Found:
    """Files of programs that no training of the shipped universal core saw, each written as rows beside it."""
    names = run.effort.more["files"] or tuple(path.stem for path in sorted((examples() / "examples").glob("*.npi")))
    right, control, rows = list[torch.Tensor](), list[torch.Tensor](), 0
    before = Library.open(SHIPPED).core.digest()
    generator = torch.Generator().manual_seed(run.seed)
    for number, name in enumerate(names):
        run.heed()
        run.say(number, len(names), name)
        library, path = Library.open(SHIPPED), examples() / "examples" / f"{name}.npi"
        rows += len(learn_into(library, [path], device="cpu", stop=run.stop, keep_unsolved=True).rows)
        assert library.core.digest() == before
        right.append(_solved(library, path, run.effort.problems, run.seed))
        permute_rows(library, generator)
        control.append(_solved(library, path, run.effort.problems, run.seed))
    return Found(
        unpaired(100 * torch.cat(right), 100 * torch.cat(control)),
        facts={"rows": f"{rows} programs of {len(names)} files", "core": f"{before[:16]} before and after each"},
    )


def permute_rows(library: Library, generator: torch.Generator) -> None:
    """Put the numbers of each row in another order, behind those that are the hash of its wiring."""
    with torch.no_grad():
        for row_P in library.memory.embeddings_NP:
            place = SEAL + row_P[SEAL:].nonzero()[:, 0]
            row_P[place] = row_P[place[torch.randperm(len(place), generator=generator)]]


def _solved(library: Library, path: Path, problems: int, seed: int) -> torch.Tensor:
    """float64 B: which problems of a file's tasks are solved, so many of each task."""
    programs, tests = load(path), dict[str, Mapping[str, Any]]()
    for task in programs.tasks:
        size = min(task.test_sizes, key=lambda one: abs(one - SIZE))
        tests[task.name] = vars(score(library, programs, task, random_problems(task, size, problems, seed=seed)))
    return outcomes(tests)


TABLE = Row(
    key="npi",
    title="NPI: one core for addition, sorting and cars",
    claim="Multi-task: same network and same core parameters",
    paper="addition 97.0 %, sorting 100 %, seen cars 91.4 %, unseen 89.9 % (Reed & de Freitas 2016, table 1, Multi)",
    score="% of whole sequences right, over all tasks",
    control="a core of the same shape before training",
    run=table,
    quick=Effort(more={"recipe": "small"}),
    full=Effort(more={"recipe": "full"}),
)

MAXIMUM = Row(
    key="max",
    title="NPI + MAX: a new program beside the frozen core",
    claim="Learn the new program by backpropagation with the NPI core and all other parameters fixed",
    paper="maximum 100 %, and the old tasks as before (Reed & de Freitas 2016, table 1, + Max)",
    score="% of maxima of five items right",
    control="the two rows as they begin, after one update",
    run=maximum,
    quick=Effort(problems=200, more={"recipe": "small"}),
    full=Effort(problems=1000, more={"recipe": "full"}),
)

MANY = Row(
    key="many-programs",
    title="Frozen core, many programs",
    claim="A net with recursion that learns a finite set of programs",
    paper="21 programs in one network (Reed & de Freitas 2016); no row of a program outside training",
    score="% of problems right, by rows written beside the frozen universal core that comes with the engine",
    control="the same rows with their numbers in another order",
    run=many,
    quick=Effort(problems=30, more={"files": FEW_FILES}),
    full=Effort(problems=200, more={"files": ()}),
)
