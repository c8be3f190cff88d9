"""Every program file: how long it is, and whether its teacher is right on thousands of random inputs.

    python -m benchmarks.language.teachers

Each task runs on at least 5,000 random inputs of its training sizes and of the sizes of its ``test`` line, fewer of the
long ones. What must come out is worked out by the task, apart from the program. A file that has not changed since is
not run again (``runs/programs-teachers``).
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import torch

from benchmarks.common import ROOT, finished, plain_arguments, write
from dsl import compile_teacher, load
from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.stepper import Stepper
from npi.reproduce.ledger import Result
from npi.running.evaluate import run_problems
from traces.machine.lockstep import Status

SEED = 3_000_000
LEAST = 5000
"""Inputs of a task."""

TOGETHER = 250
"""Inputs that run side by side."""


def inputs_by_size(task: Task) -> dict[int, int]:
    """How many inputs of each size: up to 500 of a test size, and what is missing to 5,000 from the training sizes."""
    counts = {size: 500 if size <= 20 else 200 if size <= 100 else 20 for size in task.test_sizes}
    small = sorted(task.train_sizes) or [size for size in task.test_sizes if size <= 20]
    each, more = divmod(max(0, LEAST - sum(counts.values())), len(small))
    for place, size in enumerate(small):
        counts[size] = counts.get(size, 0) + each + (place < more)
    return dict(sorted(counts.items()))


def right(programs: ProgramSet, task: Task, teacher: Stepper, size: int, count: int) -> int:
    """How many of so many random inputs of a size the teacher gets right."""
    generator = torch.Generator().manual_seed(SEED + size)
    problems = task.draw(size, count, generator=generator, spread=True)
    found = 0
    for begin in range(0, count, TOGETHER):
        together = problems[begin : begin + TOGETHER]
        outcome = run_problems(teacher, programs, together)
        ends = zip(together, outcome.status_N.tolist(), outcome.read(programs.world), strict=True)
        found += sum(status == Status.DONE and task.judge(problem, reading) for problem, status, reading in ends)
    return found


def run(path: Path) -> Result:
    """Run all tasks of a file."""
    programs = load(path)
    teacher = compile_teacher(programs)
    tasks = []
    for task in programs.tasks:
        began = time.process_time()
        scores = [[n, right(programs, task, teacher, n, count), count] for n, count in inputs_by_size(task).items()]
        tasks.append({"task": task.name, "scores": scores, "seconds": time.process_time() - began})
        print(f"  {path.stem}, {task.name}: {tasks[-1]['seconds']:.1f} s", flush=True)
    text = path.read_text(encoding="utf-8")
    lines = sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))
    return {"lines": lines, "programs": len(programs.programs), "tasks": tasks}


def files() -> list[Path]:
    """The program files with a teacher: those without programs that have a signal in place of a body."""
    return [path for path in sorted((ROOT / "programs").rglob("*.npi")) if not load(path).signals]


def main() -> None:
    plain_arguments(__doc__).parse_args()
    rows = [["file", "task", "lines", "programs", "sizes", "teacher right", "CPU s"]]
    for path in files():
        name = path.relative_to(ROOT / "programs").with_suffix("").as_posix()
        digest = load(path).digest
        done = finished(f"programs-teachers/{name}-{digest[:12]}", partial(run, path), digest=digest)
        for item in done["tasks"]:
            sizes = [size for size, _, _ in item["scores"]]
            good, count = (sum(score[column] for score in item["scores"]) for column in (1, 2))
            shown = f"{min(sizes)} to {max(sizes):,}"
            cells = [name, item["task"], done["lines"], done["programs"], shown, f"{good:,} of {count:,}"]
            rows.append([*cells, f"{item['seconds']:.1f}"])
    write("programs-teachers", {"tasks": rows})


if __name__ == "__main__":
    main()
