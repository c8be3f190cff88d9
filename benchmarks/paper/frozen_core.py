"""One core for addition and sorting, then MAX and RJMP as rows with the core frozen, seed by seed.

    python -m benchmarks.paper.frozen_core                  # the discrete core, five seeds
    python -m benchmarks.paper.frozen_core --core lstm      # the published core, 2 × 256, on the same traces

Sizes and counts go far beyond NPI's (section 4): there 10 digits, 5 items; sorting breaks beyond 60.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, RUNS, Result, arguments, each_seed, results, spread, write_table
from dsl import compile_teacher
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import learn_into, train_library
from npi.library.library import Library
from npi.library.tensor_files import write_whole
from npi.running.evaluate import bounded_budget, run_problems, test_seed
from npi.training.learn_rows import LearnConfig

Sizes = Mapping[str, Mapping[int, int]]
"""Task → size → problems."""

SIZES: Sizes = {
    "addition.add": {10: 1000, 100: 100, 1000: 10, 10000: 3},
    "bubblesort.sort": {5: 1000, 20: 1000, 60: 100, 120: 20},
    "max.max": {5: 1000, 20: 1000, 60: 100, 120: 20},
}

UNLEARNED = {"addition.add": {10: 1000, 100: 100}, "bubblesort.sort": {5: 1000, 20: 1000}, "max.max": {5: 1000}}
"""After rows of MAX that are not right: enough to see that nothing old has changed, and how wrong they are."""

TEST_SEED = 1_000_000
"""Added to the training seed; test problems have a seed label of their own besides."""


def scores(library: Library, seed: int, sizes: Sizes) -> dict[str, Any]:
    """For each task and size: problems, how many were right, and a digest of everything that the runs put out."""
    found: dict[str, Any] = {}
    for name, counts in sizes.items():
        programs, task = library.task(name)
        stepper, teacher = library.stepper(programs.table), compile_teacher(programs)
        for size, count in counts.items():
            generator = torch.Generator().manual_seed(test_seed(TEST_SEED + seed, name, size))
            problems = task.draw(size, count, generator=generator, spread=False)
            budget = bounded_budget(run_problems(teacher, programs, problems).steps_N.tolist())
            began = time.perf_counter()
            outcome = run_problems(stepper, programs, problems, budget=budget)
            readings = outcome.read(programs.world)
            seconds = time.perf_counter() - began
            status, steps = outcome.status_N.tolist(), outcome.steps_N.tolist()
            right = sum(s == 0 and task.judge(p, r) for p, r, s in zip(problems, readings, status, strict=True))
            digest = hashlib.sha256(json.dumps([status, steps, readings], sort_keys=True).encode()).hexdigest()
            found[f"{name} {size}"] = {"right": right, "count": count, "seconds": seconds, "digest": digest}
            print(f"  {name} {size}: {right}/{count}, {seconds:.1f} s", flush=True)
    return found


def staged(path: Path, make: Callable[[], Result]) -> Result:
    """What ``make`` finds, kept in ``path``: a recipe that was stopped does not repeat its finished stages."""
    if not path.exists():
        write_whole(path, (json.dumps(make(), indent=1) + "\n").encode())
    found: Result = json.loads(path.read_text())
    return found


def train(seed: int, core: CoreConfig, out: Path) -> Result:
    """Train one core on addition and sorting."""
    files = [ROOT / "programs" / f"{n}.npi" for n in ("addition", "bubblesort")]
    training = TrainConfig.for_core(core, seed=seed)
    report = train_library(files, out=out, core=core, training=training, device="cpu").report
    print(f"  trained: {report.solved}, {report.update} updates, {report.seconds:.0f} s", flush=True)
    return {"solved": report.solved, "updates": report.update, "train_seconds": report.seconds}


def learn(seed: int, trained: Path, out: Path) -> Result:
    """Learn MAX and RJMP beside the frozen core."""

    def say(update: int, loss: float, wrong: dict[str, int]) -> None:
        print(f"  learning: update {update}, loss {loss:.4f}, wrong frames {wrong}", flush=True)

    config = LearnConfig(seed=seed)
    learned = learn_into(
        trained, [ROOT / "programs" / "max.npi"], config=config, out=out, device="cpu", report=say, keep_unsolved=True
    )
    print(f"  learned: {learned.solved}, {learned.updates} updates, {learned.seconds:.1f} s", flush=True)
    return {
        "learned": learned.solved,
        "learn_updates": learned.updates,
        "learn_seconds": learned.seconds,
        "numbers": learned.numbers,
        "core_before": learned.core_before,
        "core_after": learned.core_after,
        "unchanged": learned.unchanged,
    }


def run(seed: int, core: CoreConfig) -> Result:
    """Train, test, learn MAX, test again."""
    folder = RUNS / f"paper-{core.kind}" / f"{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    trained = staged(folder / "trained.json", lambda: train(seed, core, folder / "trained"))
    learned = staged(folder / "learned.json", lambda: learn(seed, folder / "trained", folder / "learned"))
    old = {name: SIZES[name] for name in ("addition.add", "bubblesort.sort")}
    new = SIZES if learned["learned"] else UNLEARNED
    before = staged(folder / "before.json", lambda: scores(Library.open(folder / "trained"), seed, old))
    after = staged(folder / "after.json", lambda: scores(Library.open(folder / "learned"), seed, new))
    return {
        **trained,
        **learned,
        "outputs_identical": all(before[k]["digest"] == v["digest"] for k, v in after.items() if k in before),
        "before": before,
        "after": after,
    }


def table(name: str, core: CoreConfig) -> None:
    """Write the dated table of the seeds that are done."""
    done = results(name)
    head = ["", *[f"seed {r['seed']}" for r in done], "NPI (2016), multi-task"]
    paper = {"addition.add 10": "97.0 %", "bubblesort.sort 5": "100.0 %", "max.max 5": "100.0 % (fixed core)"}
    rows: list[list[str]] = [head]
    for key in done[0]["before"] | done[0]["after"]:
        found = [(r["before"] | r["after"])[key] for r in done]
        cells = [f"{each['right']}/{each['count']}" for each in found]
        rows.append([key, *cells, paper.get(key, "")])
    rows.append(["training, CPU s (updates)", *[f"{r['train_seconds']:.0f} ({r['updates']})" for r in done], ""])
    rows.append(["learning MAX and RJMP, CPU s", *[f"{r['learn_seconds']:.1f}" for r in done], ""])
    hashes = ["same" if r["core_before"] == r["core_after"] else "CHANGED" for r in done]
    rows.append(["core hash after MAX", *hashes, ""])
    rows.append(["old rows and logits after MAX", *["identical" if r["unchanged"] else "CHANGED" for r in done], ""])
    rows.append(["rows of MAX and RJMP right", *["yes" if r["learned"] else "no" for r in done], ""])
    same = ["identical" if r["outputs_identical"] else "CHANGED" for r in done]
    rows.append(["runs of ADD and BUBBLESORT after MAX", *same, ""])
    training = [r["train_seconds"] for r in done]
    learning = [r["learn_seconds"] for r in done]
    text = [
        f"One `{core.kind}` core trained on addition (1–20 digits) and sorting (2–20 items), 32 traces of each",
        "size; then MAX and RJMP learned as rows with the core frozen. Right of problems drawn with seeds that",
        "training does not use; the number after a task is the size of the inputs (digits, items).",
        "",
        f"Training: {spread(training, 0)} CPU seconds{', median (range)' if len(done) > 1 else ''}. "
        f"Learning two rows of {done[0]['numbers']} numbers: {spread(learning)}.",
    ]
    for r in done:
        if not r["learned"]:
            text += [
                "",
                f"Seed {r['seed']}: no rows of MAX and RJMP were found that are right, in {r['learn_updates']:,}",
                f"updates from {LearnConfig().starts} random starts; tests with them were cut short.",
            ]
    command = f"python -m benchmarks.paper.frozen_core --core {core.kind}"
    write_table(name, f"Addition, sorting and maximum, `{core.kind}` core", command, text, rows)


def main() -> None:
    parser = arguments("Addition, sorting and maximum on one core, with seeds.")
    parser.add_argument("--core", choices=["discrete", "lstm"], default="discrete")
    options = parser.parse_args()
    core = CoreConfig() if options.core == "discrete" else CoreConfig.published()
    name = f"paper-{options.core}"
    if not options.table:
        each_seed(name, options.seeds, lambda seed: run(seed, core))
    table(name, core)


if __name__ == "__main__":
    main()
