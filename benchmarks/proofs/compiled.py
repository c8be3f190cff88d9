"""A compiled library against its core on 100,000 random problems, and how fast it runs.

    python -m benchmarks.proofs.compiled

The core is computed step by step, without tables; statuses, steps and everything that the world shows at the end must
be the same. Then the tables are timed, many problems at once and one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import ROOT, recipe
from npi.core.config import TrainConfig
from npi.jobs.train import learn_into, train_library
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.running.compiled_library import CompiledLibrary
from npi.running.evaluate import MAX_BATCH, run_problems
from npi.training.learn_rows import LearnConfig
from traces.machine import lockstep

COMPARED = {"addition.add": (range(1, 31), 50_000), "bubblesort.sort": (range(2, 11), 25_000),
            "max.max": (range(2, 11), 25_000)}  # fmt: skip
"""Task → sizes, and how many problems of all of them together."""

TIMED = {"addition.add": (100, 1000), "bubblesort.sort": (60, 200), "max.max": (60, 200)}
"""Task → size, and problems at once."""


def run(seed: int) -> Result:
    """Train, learn MAX, compile, compare, time."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "library"
        files = [ROOT / "programs" / f"{n}.npi" for n in ("addition", "bubblesort")]
        train_library(files, out=place, training=TrainConfig(seed=seed), device="cpu")
        learn_into(place, [ROOT / "programs" / "max.npi"], config=LearnConfig(seed=seed), device="cpu")
        library = Library.open(place)
        began = time.process_time()
        CompiledLibrary.of(library).save(Path(folder) / "library.npic")
        found: Result = {"compile_seconds": time.process_time() - began}
        compiled = CompiledLibrary.open(Path(folder) / "library.npic")
        found["entries"] = compiled.entries
        found["bytes"] = (Path(folder) / "library.npic").stat().st_size
    for name, (sizes, count) in COMPARED.items():
        found[name] = compared(library, compiled, name, sizes, count, seed) | timed(compiled, name, seed)
        print(f"  {name}: {found[name]}", flush=True)
    return found


def compared(
    library: Library, compiled: CompiledLibrary, name: str, sizes: range, count: int, seed: int
) -> dict[str, float]:
    """On how many problems core and tables end alike."""
    (programs, task), (held, _) = library.task(name), compiled.task(name)
    core, tables = library.stepper(programs.table, memo=False), compiled.stepper(held.table)
    generator = torch.Generator().manual_seed(10_000_000 + seed)
    same = total = steps = 0
    for size in sizes:
        left = round(count / len(sizes))
        while left > 0:
            drawn = task.draw(size, min(left, MAX_BATCH), generator=generator, spread=False)
            one, two = run_problems(core, programs, drawn), run_problems(tables, held, drawn)
            walked = ((one.steps_N == two.steps_N) & (one.status_N == two.status_N)).tolist()
            ends = zip(walked, one.read(programs.world), two.read(held.world), strict=True)
            same += sum(w and a == b for w, a, b in ends)
            total, steps = total + len(drawn), steps + int(one.steps_N.sum())
            left -= len(drawn)
    return {"same": same, "compared": total, "steps_compared": steps}


def timed(compiled: CompiledLibrary, name: str, seed: int) -> dict[str, float]:
    """Program steps a second (CPU time), the best of several: many problems at once, one of that size, one of ten.

    The problems are laid out before the clock starts; ``laid``: many, and laying them out.
    """
    programs, task = compiled.task(name)
    stepper, world, found = compiled.stepper(programs.table), programs.world, dict[str, float]()
    size, many = TIMED[name]
    for label, amount, length in (("many", many, size), ("one", 1, size), ("short", 1, 10)):
        drawn = task.draw(length, amount, generator=torch.Generator().manual_seed(seed), spread=False)
        program = torch.tensor([p.program for p in drawn])
        given = torch.tensor([list(p.arguments) for p in drawn])
        alone, whole, steps = float("inf"), float("inf"), 0
        for _ in range(7 if amount > 1 else 200):
            began = time.process_time()
            state = world.reset([p.layout for p in drawn])
            laid = time.process_time()
            outcome = lockstep.run(stepper, world, state, programs.table, program, given)
            ended = time.process_time()
            alone, whole = min(alone, ended - laid), min(whole, ended - began)
            steps = int(outcome.steps_N.sum())
        found[label] = steps / alone
        if amount > 1:
            found["laid"] = steps / whole
    return found


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table and figures."""
    rows = [["seed", "task", "ended alike", "steps compared", "steps/s, many at once", "with laying out", "one problem",
             "one of size 10"]]  # fmt: skip
    for r in done:
        for name in COMPARED:
            c = r[name]
            rates = [f"{c[key] / 1e6:.1f} M" for key in ("many", "laid", "one", "short")]
            rows.append([r["seed"], name, f"{c['same']:,}/{c['compared']:,}", f"{c['steps_compared']:,}", *rates])
    seconds = max(r["compile_seconds"] for r in done)
    return {"tasks": rows, "seconds": f"{seconds:.2f}", "bytes": f"{done[0]['bytes']:,}"}


def main() -> None:
    recipe(__doc__, "compiled", run, contents, seeds=[0])


if __name__ == "__main__":
    main()
