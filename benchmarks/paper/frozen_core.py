"""One core for addition and sorting, then MAX and RJMP as rows with the core frozen, seed by seed.

    python -m benchmarks.paper.frozen_core                  # the discrete core, five seeds
    python -m benchmarks.paper.frozen_core --core lstm      # the published core, 2 × 256, on the same traces

Sizes and counts go far beyond NPI's (section 4): there 10 digits, 5 items; sorting breaks beyond 60.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.common import ROOT, RUNS, arguments, finished, run_recipe
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import learn_into, train_library
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.score import score
from npi.running.evaluate import test_seed
from npi.training.learn_rows import LearnConfig
from npi.training.loop import Progress

Sizes = Mapping[str, Mapping[int, int]]
"""Task → size → problems."""

SIZES: Sizes = {
    "addition.add": {10: 1000, 100: 100, 1000: 10, 10000: 3},
    "bubblesort.sort": {5: 1000, 20: 1000, 60: 100, 120: 20},
    "max.max": {5: 1000, 20: 1000, 60: 100, 120: 20},
}

UNLEARNED = {"addition.add": {10: 1000, 100: 100}, "bubblesort.sort": {5: 1000, 20: 1000}, "max.max": {5: 1000}}
"""After rows of MAX that are not right: enough to see that nothing old has changed, and how wrong they are."""

PAPER = {"addition.add 10": "97.0 %", "bubblesort.sort 5": "100.0 %", "max.max 5": "100.0 % (fixed core)"}

TEST_SEED = 1_000_000
"""Added to the training seed; test problems have a seed label of their own besides."""


def scores(library: Library, seed: int, sizes: Sizes) -> Result:
    """For each task and size: problems, how many were right, and a digest of everything that the runs put out."""
    found: Result = {}
    for name, counts in sizes.items():
        programs, task = library.task(name)
        for size, count in counts.items():
            generator = torch.Generator().manual_seed(test_seed(TEST_SEED + seed, name, size))
            problems = task.draw(size, count, generator=generator, spread=False)
            scored = score(library, programs, task, problems)
            found[f"{name} {size}"] = vars(scored)
            print(f"  {name} {size}: {scored.right}/{count}, {scored.seconds:.1f} s", flush=True)
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

    def say(found: Progress) -> None:
        print(
            f"  learning: update {found.update}, loss {found.loss:.4f}, wrong frames {dict(found.scores)}", flush=True
        )

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
        "core_before": learned.before.core,
        "core_after": learned.after.core,
        "unchanged": learned.unchanged,
    }


def run(seed: int, core: CoreConfig) -> Result:
    """Train, test, learn MAX, test again: each a stage."""
    name = f"paper-{core.kind}/{seed}"
    folder = RUNS / name
    stage = partial(finished, seed=seed, core=core.to_json())
    trained = stage(f"{name}/train", lambda: train(seed, core, folder / "trained"))
    learned = stage(f"{name}/learn", lambda: learn(seed, folder / "trained", folder / "learned"))
    old = {name: SIZES[name] for name in ("addition.add", "bubblesort.sort")}
    new = SIZES if learned["learned"] else UNLEARNED
    before = stage(f"{name}/before", lambda: scores(Library.open(folder / "trained"), seed, old))
    after = stage(f"{name}/after", lambda: scores(Library.open(folder / "learned"), seed, new))
    same = all(before[key]["digest"] == one["digest"] for key, one in after.items() if key in before)
    return {**trained, **learned, "outputs_identical": same, "before": before, "after": after}


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table and figures."""
    rows = [["", *[f"seed {r['seed']}" for r in done], "NPI (2016), multi-task"]]
    for key in done[0]["before"] | done[0]["after"]:
        found = [(r["before"] | r["after"])[key] for r in done]
        rows.append([key, *[f"{each['right']}/{each['count']}" for each in found], PAPER.get(key, "")])

    def line(label: str, cell: Callable[[Result], str]) -> None:
        rows.append([label, *map(cell, done), ""])

    line("training, CPU s (updates)", lambda r: f"{r['train_seconds']:.0f} ({r['updates']})")
    line("learning MAX and RJMP, CPU s", lambda r: f"{r['learn_seconds']:.1f}")
    line("core hash after MAX", lambda r: "same" if r["core_before"] == r["core_after"] else "CHANGED")
    line("old rows and logits after MAX", lambda r: "identical" if r["unchanged"] else "CHANGED")
    line("rows of MAX and RJMP right", lambda r: "yes" if r["learned"] else "no")
    line("runs of ADD and BUBBLESORT after MAX", lambda r: "identical" if r["outputs_identical"] else "CHANGED")
    failed = [
        f"Seed {r['seed']}: no rows of MAX and RJMP were found that are right, in {r['learn_updates']:,}\n"
        f"updates from {LearnConfig().starts} random starts; tests with them were cut short."
        for r in done
        if not r["learned"]
    ]
    return {
        "tests": rows,
        "training": spread([r["train_seconds"] for r in done], 0),
        "learning": spread([r["learn_seconds"] for r in done]),
        "numbers": str(done[0]["numbers"]),
        "failed": "\n\n".join(failed) or "Rows that are right were found with every seed.",
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--core", choices=["discrete", "lstm"], default="discrete")
    options = parser.parse_args()
    core = CoreConfig() if options.core == "discrete" else CoreConfig.published()
    run_recipe(options, f"paper-{options.core}", partial(run, core=core), contents, core=core.to_json())


if __name__ == "__main__":
    main()
