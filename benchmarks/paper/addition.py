"""CPU seconds until addition is learned from 640 traces: 32 of each length from 1 to 20 digits.

    python -m benchmarks.paper.addition

The clock is the process's CPU time and includes tracing, checks and validation. Then 1,000 problems of 10 digits, 100
of 100 and 10 of 1,000 are run with seeds that training does not use.
"""

from __future__ import annotations

import time

import torch

from benchmarks.common import ROOT, Result, arguments, each_seed, results, spread, write_table
from dsl import load
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.running.evaluate import score_sizes
from npi.training.dataset import Material, TaskValidator
from npi.training.trainer import Trainer, place
from traces.generation.generate import record_traces

SIZES = (10, 100, 1000)
COUNTS = {10: 1000, 100: 100, 1000: 10}


def run(seed: int) -> Result:
    """Train on the 640 traces alone, then test."""
    began = time.process_time()
    programs = load(ROOT / "programs" / "addition.npi")
    traces = record_traces(programs, task="add", traces=dict.fromkeys(range(1, 21), 32), seed=seed)
    material = Material.from_batches([traces], programs, name="add", source=programs.digest)
    training = TrainConfig(seed=seed, frames=192)
    library = new_library(CoreConfig(), [material], seed=seed)
    add = programs.task("add")
    validator = TaskValidator(library, [programs], training, tasks=[add.name])
    trainer = Trainer(library, [place(library, material.frames)], training, validate=validator)
    solved = trainer.run()
    seconds = time.process_time() - began
    found: Result = {"solved": solved, "updates": trainer.progress.update, "seconds": seconds}
    stepper = library.stepper(programs.table)
    scored = score_sizes(stepper, programs, add, name="addition.add", sizes=SIZES, seed=seed, count=COUNTS.__getitem__)
    found["scores"] = {str(s.size): [s.right, s.count] for s in scored}
    print(f"  {found}", flush=True)
    return found


def table() -> None:
    """Write the dated table."""
    done = results("addition")
    rows = [["seed", "CPU s", "updates", *[f"{size} digits" for size in SIZES]]]
    for r in done:
        cells = [f"{r['scores'][str(s)][0]}/{r['scores'][str(s)][1]}" for s in SIZES]
        rows.append([r["seed"], f"{r['seconds']:.1f}", r["updates"], *cells])
    text = [
        f"CPU seconds from nothing to every frame and every validation problem right: "
        f"{spread([r['seconds'] for r in done])}, median (range). The strongest public peer was measured at 495 CPU",
        "seconds and 20,400 updates for the same traces (32 × lengths 1–20).",
    ]
    write_table("addition-640-traces", "Addition from 640 traces", "python -m benchmarks.paper.addition", text, rows)


def main() -> None:
    options = arguments("CPU seconds until addition is learned from 640 traces.").parse_args()
    torch.set_num_threads(1)
    if not options.table:
        each_seed("addition", options.seeds, run)
    table()


if __name__ == "__main__":
    main()
