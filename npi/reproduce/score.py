"""Tests of a library: problems that training never saw, a digest of all that comes out, and what must not change."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dsl import compile_teacher
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from npi.library.library import Library
from npi.running.evaluate import MAX_BATCH, bounded_budget, run_problems, test_seed
from npi.training.learn_rows import Digests
from traces.machine.lockstep import Status

SEED = 1_000_000
"""Added to the seed of a core, for that of its test problems; their label keeps them apart from training besides."""


@dataclass(frozen=True)
class Score:
    """How a test went.

    Attributes:
        right, count: problems solved whole, and run. seconds: CPU seconds.
        digest: sha256 of how every run ended: its status, its steps and what the world shows at the end.
    """

    right: int
    count: int
    seconds: float
    digest: str


def score(library: Library, programs: ProgramSet, task: Task, problems: Sequence[Problem]) -> Score:
    """Run the problems by the library's core and judge them; a run that takes longer than the teacher's is wrong."""
    began = time.process_time()
    stepper, teacher = library.stepper(programs.table), compile_teacher(programs)
    digest = hashlib.sha256()
    right = 0
    for begin in range(0, len(problems), MAX_BATCH):
        chunk = problems[begin : begin + MAX_BATCH]
        budget = bounded_budget(run_problems(teacher, programs, chunk).steps_N.tolist())
        outcome = run_problems(stepper, programs, chunk, budget=budget)
        status, readings = outcome.status_N.tolist(), outcome.read(programs.world)
        right += sum(s == Status.DONE and task.judge(p, r) for p, r, s in zip(chunk, readings, status, strict=True))
        digest.update(json.dumps([status, outcome.steps_N.tolist(), readings], sort_keys=True).encode())
    return Score(right, len(problems), time.process_time() - began, digest.hexdigest())


def random_problems(task: Task, size: int, count: int, *, seed: int) -> list[Problem]:
    """Problems of a size; a seed has its own."""
    generator = torch.Generator().manual_seed(test_seed(SEED + seed, task.name, size))
    return task.draw(size, count, generator=generator, spread=False)


def every_problem(task: Task, most: int = 0) -> list[Problem]:
    """All problems of a task whose inputs are single symbols, or ``most`` of them, chosen once and for all."""
    found = [task.problem(values) for values in task.combinations()]
    if 0 < most < len(found):
        generator = torch.Generator().manual_seed(test_seed(SEED, task.name, most))
        chosen = torch.randperm(len(found), generator=generator)[:most].sort().values
        found = [found[i] for i in chosen.tolist()]
    return found


def hashes(before: Library, after: Library) -> dict[str, list[str]]:
    """sha256 before and after of the core, of the rows that were there before, and of every logit of these rows in
    random configurations of all worlds."""
    count = len(before.memory)
    pairs = zip(Digests._fields, Digests.of(before, count), Digests.of(after, count), strict=True)
    return {name: [old, new] for name, old, new in pairs}
