"""Every program file of ``programs/examples`` and ``programs/recursive``: trained, then tested far beyond its training.

    python -m benchmarks.language.examples                          # five seeds of every file
    python -m benchmarks.language.examples --only multiply hanoi    # some of them
    python -m benchmarks.language.examples --folder recursive

Each file is trained alone with the settings of ``npi train FILE --certify``; its tasks are tested at the sizes of their
``test`` lines on problems drawn with seeds that training does not use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.common import ROOT, arguments, each_seed, results, write
from dsl import load
from dsl.program import ProgramSet
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.library.library import Library
from npi.proof.prove import Certifier
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.running.evaluate import score_sizes
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.loop import fit
from npi.training.validation import TaskValidator

FOLDERS = ["examples", "recursive"]

TEST_SEED = 2_000_000
"""Added to the training seed; test problems have a seed label of their own besides."""


def count(size: int) -> int:
    """Problems of a size: 1,000 small ones, fewer of long ones."""
    return 1000 if size <= 10 else 200 if size <= 50 else 100 if size <= 100 else 10


def run(path: Path, seed: int) -> Result:
    """Train one file and test its tasks."""
    programs = load(path)
    training = TrainConfig(seed=seed, certify=True)
    began = time.process_time()
    dataset = Dataset.from_programs(programs, traces=32, seed=seed)
    library = new_library(CoreConfig(), [dataset], seed=seed)
    tasks = TaskValidator(library, [programs], training)
    validator = Certifier(tasks, library, [programs], states=training.states)
    objective = FrameObjective.on(library, [dataset], training, validate=validator)
    progress = fit(objective, objective.schedule)
    seconds = time.process_time() - began
    found: Result = {"solved": progress.solved, "updates": progress.update, "seconds": seconds}
    print(f"  {path.stem}: solved {progress.solved}, {progress.update} updates, {seconds:.0f} s", flush=True)
    found["scores"] = scores(library, programs, path, seed=TEST_SEED + seed)
    print("  " + ", ".join(f"{t} {size}: {right}/{n}" for t, size, _, right, n in found["scores"]), flush=True)
    return found


def scores(
    library: Library, programs: ProgramSet, path: Path, *, seed: int = TEST_SEED, count: Callable[[int], int] = count
) -> list[list[object]]:
    """Task, size, whether training may use it, right, problems; at every test size of the file's tasks."""
    stepper = library.stepper(programs.table)
    return [
        [s.task, s.size, s.trained, s.right, s.count]
        for task in programs.tasks
        for s in score_sizes(
            stepper, programs, task, name=f"{path.stem}.{task.name}", sizes=task.test_sizes, seed=seed, count=count
        )
    ]


def contents(folder: str) -> tuple[dict[str, Content], list[Result]]:
    """The page's table and what was not all right, of the files and seeds that are finished; and their results."""
    every: list[Result] = []
    missed: list[str] = []
    rows = [["task", "lines", "trained on", "right of problems, all seeds", "seeds", "CPU s"]]
    for path in files(folder):
        done = results(f"{folder}/{path.stem}")
        every += done
        lines = sum(1 for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#"))
        for r in done:
            missed += [f"{t} at size {size}, seed {r['seed']}: {right}/{n}" for t, size, _, right, n in r["scores"]
                       if right < n]  # fmt: skip
        for task in load(path).tasks if done else ():
            scores = [s for r in done for s in r["scores"] if s[0] == f"{path.stem}.{task.name}"]
            cells = []
            for size in task.test_sizes:
                right, all_ = (sum(s[column] for s in scores if s[1] == size) for column in (3, 4))
                cells.append(f"{size}: {right}/{all_}")
            trained = f"{min(task.train_sizes)}..{max(task.train_sizes)}" if task.train_sizes else "none"
            name = path.stem if task.name == path.stem else f"{path.stem}, {task.name}"
            seconds = spread([r["seconds"] for r in done], 0)
            rows.append([name, str(lines), trained, "; ".join(cells), str(len(done)), seconds])
    return {"programs": rows, "missed": "; ".join(missed) or "nothing"}, every


def files(folder: str) -> list[Path]:
    return sorted((ROOT / "programs" / folder).glob("*.npi"))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folder", choices=FOLDERS, nargs="+", default=FOLDERS)
    parser.add_argument("--only", nargs="+", help="names of files, without .npi")
    options = parser.parse_args()
    for folder in options.folder:
        for path in files(folder) if not options.table else ():
            if not options.only or path.stem in options.only:
                each_seed(f"{folder}/{path.stem}", options.seeds, partial(run, path))
        found, done = contents(folder)
        if done:
            write(f"programs-{folder}", found, done)


if __name__ == "__main__":
    main()
