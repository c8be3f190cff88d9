"""What rows owe to the universal core: the same held-out programs beside the trained core, and beside random ones.

    python -m benchmarks.universal.random_cores

Sixty held-out programs over the worlds of training are learned as rows of the core that comes with the engine, and of a
core of the same shape whose weights were drawn and never trained. Rows of both are made of as many numbers, by the same
search; a row is exact where it is proved to decide as its text does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from benchmarks.common import recipe
from benchmarks.universal.frozen_rows import learn_rows
from benchmarks.universal.heldout_programs import drawn_batches
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.universal.code_search import SearchConfig
from npi.universal.core import SHIPPED, UniversalCore

COUNT = 60
"""Programs."""

CORES = ("trained", "random")


def run(seed: int) -> Result:
    """Rows that are exact, beside the trained core and beside one of random weights."""
    core = Library.open(SHIPPED).core
    assert isinstance(core, UniversalCore)
    cores = {"trained": core, "random": UniversalCore(core.config, generator=torch.Generator().manual_seed(seed))}
    programs = [one for one in drawn_batches(core.config, count=COUNT)[0] if one.plan is not None and not one.reason]
    found: Result = {"programs": len(programs)}
    for name, one in cores.items():
        began = time.process_time()
        rows = learn_rows(one.eval().requires_grad_(False), programs, SearchConfig(seed=seed))
        found[name] = [sum(row.exact for row in rows), time.process_time() - began]
    print(f"  {found}", flush=True)
    return found


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table."""
    rows: list[list[object]] = [["core", *(f"seed {one['seed']}: exact" for one in done), "CPU s a row"]]
    for name in CORES:
        exact = [f"{one[name][0]} of {one['programs']}" for one in done]
        rows.append([name, *exact, f"{sum(one[name][1] / one['programs'] for one in done) / len(done):.1f}"])
    return {"cores": rows}


def main() -> None:
    recipe(__doc__, "universal-random", run, contents, seeds=range(3))


if __name__ == "__main__":
    main()
