"""CPU seconds until addition is learned from 640 traces: 32 of each length from 1 to 20 digits.

    python -m benchmarks.paper.addition

The clock is the process's CPU time and includes tracing, checks and validation. Then 1,000 problems of 10 digits, 100
of 100 and 10 of 1,000 are run with seeds that training does not use.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.common import ROOT, recipe
from dsl import load
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.running.evaluate import score_sizes
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.loop import fit
from npi.training.validation import TaskValidator
from traces.generation.generate import record_traces

SIZES = (10, 100, 1000)
COUNTS = {10: 1000, 100: 100, 1000: 10}


def run(seed: int) -> Result:
    """Train on the 640 traces alone, then test."""
    began = time.process_time()
    programs = load(ROOT / "programs" / "addition.npi")
    traces = record_traces(programs, task="add", traces=dict.fromkeys(range(1, 21), 32), seed=seed)
    dataset = Dataset.from_batches([traces], programs, name="add", source=programs.digest)
    training = TrainConfig(seed=seed)
    library = new_library(CoreConfig(), [dataset], seed=seed)
    add = programs.task("add")
    validator = TaskValidator(library, [programs], training, tasks=[add.name])
    objective = FrameObjective.on(library, [dataset], training, validate=validator)
    progress = fit(objective, objective.schedule)
    seconds = time.process_time() - began
    found: Result = {"solved": progress.solved, "updates": progress.update, "seconds": seconds}
    stepper = library.stepper(programs.table)
    scored = score_sizes(stepper, programs, add, name="addition.add", sizes=SIZES, seed=seed, count=COUNTS.__getitem__)
    found["scores"] = {str(s.size): [s.right, s.count] for s in scored}
    print(f"  {found}", flush=True)
    return found


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table and figure."""
    rows = [["seed", "CPU s", "updates", *[f"{size} digits" for size in SIZES]]]
    for r in done:
        cells = [f"{right}/{count}" for right, count in (r["scores"][str(size)] for size in SIZES)]
        rows.append([r["seed"], f"{r['seconds']:.1f}", r["updates"], *cells])
    return {"seeds": rows, "seconds": spread([r["seconds"] for r in done])}


def main() -> None:
    recipe(__doc__, "addition-640-traces", run, contents, name="addition")


if __name__ == "__main__":
    main()
