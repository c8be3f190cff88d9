"""What the rows of MAX owe to the core beside which they are learned: the same rows beside cores that learned nothing.

    python -m benchmarks.paper.row_controls

A core is trained on addition and bubble sort to a proof. RJMP and MAX are then learned as rows beside it, beside a core
of random weights that was never trained, and beside the trained core with the numbers of each tensor permuted. Counted
are the updates until some start of four has every step of its frames right; nothing is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import ROOT, recipe
from npi.core.base import Core
from npi.core.config import TrainConfig
from npi.core.recurrent import RecurrentCore, recurrent
from npi.jobs.train import gather, train_library
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig, RowObjective, new_rows
from npi.training.loop import Descent, frozen
from npi.training.ranks import ALONE

FILES = [ROOT / "programs" / f"{name}.npi" for name in ("addition", "bubblesort")]
CORES = ("trained", "never trained", "permuted")


def changed(core: Core, kind: str, generator: torch.Generator) -> Core:
    """The core as it is, one of its shape with random weights, or with the numbers of each tensor permuted."""
    if kind == "never trained":
        return RecurrentCore(recurrent(core).config, core.worlds, generator=generator)
    if kind == "permuted":
        with torch.no_grad():
            for parameter in core.parameters():
                order = torch.randperm(parameter.numel(), generator=generator)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return core


def updates(library: Library, seed: int) -> int | None:
    """Updates until every step of the new programs is right in one start; None where the settings' are spent."""
    config = LearnConfig(seed=seed)
    datasets = gather([ROOT / "programs" / "max.npi"], traces=8, seed=seed)
    fresh = new_rows(library, datasets)
    near = library.near(fresh[0].sees or ())
    objective = RowObjective(near, datasets, fresh, config, finders_of(datasets)[0])
    with frozen(objective.core):
        descent = Descent(objective.groups(), objective.schedule)
        for update in range(config.updates):
            descent.update(objective, update)
            if (update + 1) % config.check_every == 0:
                wrong = objective.supervision.check(ALONE)[0]
                if len({(row - objective.old) // len(fresh) for row in wrong}) < config.starts:
                    return update + 1
    return None


def run(seed: int) -> Result:
    """One core, and the rows beside it and its controls."""
    found: Result = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "library"
        train_library(FILES, out=out, training=TrainConfig(seed=seed, certify=True), device="cpu")
        for kind in CORES:
            library = Library.open(out)
            library.core = changed(library.core, kind, torch.Generator().manual_seed(seed))
            found[kind] = updates(library, seed)
    print(f"  {found}", flush=True)
    return found


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table."""
    rows: list[list[object]] = [["core", "seeds", "rows right", "updates, median (range)"]]
    for kind in CORES:
        right = [one[kind] for one in done if one[kind] is not None]
        rows.append([kind, len(done), f"{len(right)} of {len(done)}", spread(right, 0) if right else "–"])
    return {"cores": rows}


def main() -> None:
    recipe(__doc__, "row-controls", run, contents)


if __name__ == "__main__":
    main()
