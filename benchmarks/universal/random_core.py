"""What rows of held-out programs owe to the universal core: the same search beside cores that learned nothing.

    python -m benchmarks.universal.random_core

The first 60 held-out random programs are learned as rows by the settings of ``npi learn`` beside the shipped core,
beside one of its shape with random weights, and beside the shipped core with the numbers of each tensor permuted. Where
nothing was learned nothing is proposed, and searches start at random. A row is exact where it is proved to decide as
its text does in every configuration. A seed is that of the random numbers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import cache

import torch

from benchmarks.common import recipe
from benchmarks.universal.frozen_rows import learn_rows
from benchmarks.universal.heldout_programs import Sample, drawn_batches
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.universal.code_search import SearchConfig
from npi.universal.core import SHIPPED, UniversalCore
from npi.universal.network import Interpreter

COUNT = 60
CORES = ("shipped", "random weights", "permuted weights")


@cache
def programs(core: UniversalCore) -> Sequence[Sample]:
    """The first held-out programs that fit into rows of the core."""
    every = [one for batch in drawn_batches(core.config) for one in batch if one.plan is not None]
    return every[:COUNT]


def changed(core: UniversalCore, kind: str, generator: torch.Generator) -> None:
    """Make the core one that learned nothing, in place."""
    if kind == "random weights":
        core.net = Interpreter(core.config, generator=generator)
    if kind == "permuted weights":
        with torch.no_grad():
            for parameter in core.parameters():
                order = torch.randperm(parameter.numel(), generator=generator)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def run(seed: int) -> Result:
    """Exact rows, updates and CPU seconds beside each core."""
    found: Result = {}
    for kind in CORES:
        core = Library.open(SHIPPED).core
        assert isinstance(core, UniversalCore)
        chosen = programs(core)
        changed(core, kind, torch.Generator().manual_seed(seed))
        began = time.process_time()
        rows = learn_rows(core, chosen, SearchConfig(seed=seed, propose=kind == CORES[0]))
        found[kind] = {
            "programs": len(rows),
            "exact": sum(row.exact for row in rows),
            "updates": statistics.median(row.updates for row in rows),
            "seconds": time.process_time() - began,
        }
        print(f"  {kind}: {found[kind]}", flush=True)
    return found


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table."""
    rows: list[list[object]] = [["core", "programs", "exact rows", "updates in the median", "CPU s for all"]]
    for kind in CORES:
        mine = [r[kind] for r in done]
        figures = [spread([r[name] for r in mine], digits) for name, digits in (("exact", 0), ("updates", 0))]
        rows.append([kind, mine[0]["programs"], *figures, spread([r["seconds"] for r in mine])])
    return {"cores": rows}


def main() -> None:
    recipe(__doc__, "universal-random-core", run, contents)


if __name__ == "__main__":
    main()
