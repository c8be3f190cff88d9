"""Programs as rows of a frozen universal core: held-out random programs, and programs that people wrote.

    python -m benchmarks.universal.main held                    # with the shipped core; --library DIR for another one
    python -m benchmarks.universal.main held --only 0 1         # two of twelve batches of a hundred programs
    python -m benchmarks.universal.main human
    python -m benchmarks.universal.main composed
    python -m benchmarks.universal.main held --table            # only write the page from what is finished

Results lie under ``runs/universal/``, in a folder for each core, so that a recipe resumes where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.common import each_seed, finished, plain_arguments, results, write
from benchmarks.universal import heldout_programs, human_programs, page
from benchmarks.universal.frozen_rows import Bench, learn_batch, learn_rows
from benchmarks.universal.heldout_programs import Sample
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.universal.core import SHIPPED, UniversalCore
from npi.universal.training_stream import draw_pool, vocabularies

OLD = 2
"""Old programs of each size and world."""

TUNED = 20
"""Programs of a batch of a hundred that are tried with cores that change."""

BATCHES = range(12)
"""The last two are over worlds that no training had."""


def core_of(folder: Path) -> tuple[Library, UniversalCore]:
    library = Library.open(folder)
    if not isinstance(library.core, UniversalCore):
        raise SystemExit(f"{folder} has a {library.core.config.kind} core; give a library of a universal one")
    return library, library.core


def runs_of(core: UniversalCore) -> str:
    """Where results with a core are kept, under ``runs``."""
    return f"universal/{core.digest()[:12]}"


def held(core: UniversalCore, batches: Sequence[int], *, tuned: int) -> None:
    """Every batch that has no result yet, and each program of the first one by itself."""

    @cache
    def programs() -> list[list[Sample]]:
        return heldout_programs.drawn_batches(core.config)

    @cache
    def bench() -> Bench:
        return Bench.of(core, heldout_programs.old_programs(core.config, each=OLD))

    each_seed(f"{runs_of(core)}/alone", [0], lambda seed: alone(core, programs()[seed]))
    each_seed(f"{runs_of(core)}/held", batches, lambda seed: learn_batch(bench(), programs()[seed], tuned=tuned))


def alone(core: UniversalCore, batch: Sequence[Sample]) -> Result:
    """CPU seconds of each row that is learned by itself, proof included."""
    seconds, exact = [], []
    for one in batch:
        if not one.reason:
            began = time.process_time()
            exact.append(learn_rows(core, [one])[0].exact)
            seconds.append(time.process_time() - began)
    return {"seconds": seconds, "exact": exact}


def known_functions(library: Library, core: UniversalCore) -> set[str] | None:
    """Keys of the functions that a core was trained on, drawn again as its history says; None where it does not."""
    entry = next((e for e in library.history if "functions" in e and "settings" in e), None)
    if entry is None:
        return None
    settings = entry["settings"]

    def draw() -> Result:
        pool = draw_pool(core.config, vocabularies(), each=settings["each"], seed=settings["seed"])
        return {"functions": len(pool.states), "keys": [key.hex()[:16] for key in pool.known]}

    found = finished(f"{runs_of(core)}/known", draw, **settings)
    if found["functions"] != entry["functions"]:
        print(f"the stream has changed since: {found['functions']} functions, not {entry['functions']}", flush=True)
        return None
    return set(found["keys"])


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("what", choices=["held", "human", "composed"])
    parser.add_argument("--library", type=Path, default=SHIPPED, help="of the core; rows in it are left alone")
    parser.add_argument("--only", nargs="+", help="held: numbers of batches; human: names of files, without .npi")
    parser.add_argument("--tuned", type=int, default=TUNED, metavar="N", help="held: programs of a batch whose core is "
                        "fine-tuned, and trained from scratch, as well")  # fmt: skip
    parser.add_argument("--table", action="store_true", help="only write the page from the stages that are finished")
    options = parser.parse_args()
    library, core = core_of(options.library)
    name = runs_of(core)
    if options.what == "held":
        if not options.table:
            held(core, [int(n) for n in options.only or BATCHES], tuned=options.tuned)
        if not (batches := results(f"{name}/held")):
            raise SystemExit("no batch is finished yet, so there is nothing to write")
        known = known_functions(library, core)
        write("universal-held", page.contents(batches, results(f"{name}/alone"), known), batches)
    elif options.what == "human":
        if not options.table:
            bench = Bench.of(core, heldout_programs.old_programs(core.config, each=OLD))
            human_programs.run_all(options.library, name, bench, only=options.only)
        write("universal-programs", *human_programs.contents(name))
    else:
        write("universal-composition", {**human_programs.composed(options.library), "core": Path(name).name})


if __name__ == "__main__":
    main()
