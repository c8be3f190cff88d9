"""One core for every program file on symbols, trained to a proof of all programs; then MAX as rows beside it.

    python -m benchmarks.language.one_core

The recursive variants, whose programs have the names of others, make a library of their own. The clock is the process's
CPU time: traces, training, proofs, checks. Composition files that use what is learned are there, too.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import ROOT, recipe
from benchmarks.language.trained_and_certified import label, written
from npi.core.config import TrainConfig
from npi.jobs.train import learn_into, train_library
from npi.library.library import Library
from npi.proof.prove import prove
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.training.frame_objective import Report
from npi.training.learn_rows import LearnConfig

MAX = ROOT / "programs" / "max.npi"


def run(seed: int) -> Result:
    """Both libraries, and the rows of MAX beside the first."""
    recursive = [path for path in written() if path.parent.name == "recursive"]
    others = [path for path in written() if path not in [*recursive, MAX]]
    found: Result = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, files in (("all", others), ("recursive", recursive)):
            found[name] = trained(files, Path(folder) / name, seed)
            print(f"  {name}: {found[name]}", flush=True)
        learned = learn_into(Path(folder) / "all", [MAX], config=LearnConfig(seed=seed), device="cpu")
        found["max"] = {"solved": learned.solved, "updates": learned.updates, "seconds": learned.seconds}
        found["max"] |= {"unchanged": learned.unchanged}
    return found


def trained(files: Sequence[Path], out: Path, seed: int) -> Result:
    """A library of some files: whether it is solved, and proved once more apart from training."""
    began = time.process_time()

    def report(found: Report) -> None:
        if found.update % 100 == 0:
            spent = time.process_time() - began
            print(f"    {found.update} updates, {spent:.0f} s, wrong steps {sum(found.wrong.values())}", flush=True)

    training = TrainConfig(seed=seed, certify=True)
    result = train_library(files, out=out, training=training, device="cpu", report=report)
    seconds = time.process_time() - began
    proofs = [proof for _, mine in prove(Library.open(out)) for proof in mine]
    steps = result.report.steps.values()
    return {
        "files": [label(path) for path in files],
        "programs": len(result.frames),
        "steps": [sum(different for different, _ in steps), sum(every for _, every in steps)],
        "solved": result.solved,
        "updates": result.report.update,
        "seconds": seconds,
        "proved": [sum(proof.proved for proof in proofs), len(proofs)],
        "configurations": sum(proof.configurations for proof in proofs),
    }


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's tables and figures."""
    rows = [["seed", "library", "files", "programs", "different steps", "steps in the traces", "solved", "updates",
             "CPU minutes", "programs proved", "configurations"]]  # fmt: skip
    learned = [["seed", "solved and proved", "updates", "CPU s", "core and old rows unchanged"]]
    for one in done:
        for name in ("all", "recursive"):
            x = one[name]
            rows.append([one["seed"], name, len(x["files"]), x["programs"], *(f"{n:,}" for n in x["steps"]),
                         "yes" if x["solved"] else "no", f"{x['updates']:,}", f"{x['seconds'] / 60:.1f}",
                         f"{x['proved'][0]} of {x['proved'][1]}", f"{x['configurations']:,}"])  # fmt: skip
        x = one["max"]
        said = ["yes" if x[key] else "no" for key in ("solved", "unchanged")]
        learned.append([one["seed"], said[0], x["updates"], f"{x['seconds']:.1f}", said[1]])
    files = ", ".join(f"`{name}`" for name in done[0]["all"]["files"])
    minutes = spread([one["all"]["seconds"] / 60 for one in done])
    return {"libraries": rows, "max": learned, "files": files, "minutes": minutes}


def main() -> None:
    recipe(__doc__, "one-core", run, contents, seeds=[0])


if __name__ == "__main__":
    main()
