"""Rows beside a core of random weights, and beside the trained one: ``python -m benchmarks.universal.random_core``.

What of a row's success is the core's? The same search finds rows for the same held-out programs beside the core that
comes with the engine, beside a core whose every weight is drawn anew with the mean and the deviation of the trained
tensor, and beside one as training begins. The random ones get four times the updates that the trained one took.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.common import arguments, each_seed, results, write
from benchmarks.universal.frozen_rows import proved_row
from benchmarks.universal.heldout_programs import Sample, samples
from dsl import loads
from dsl.generator import vocabulary_of
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.universal.code_search import SearchConfig
from npi.universal.core import SHIPPED, UniversalCore, new_universal, universal
from npi.universal.row_search import Drafts, search
from npi.universal.training_stream import SIZES, WORLDS, held_programs

EACH = 5
"""Programs of each size."""

TIMES = 4
"""How many times the updates of the trained core the others get."""

MAX_SECONDS = 400
"""CPU seconds after which a search ends."""

KINDS = ("trained", "random, at the scales of the trained one", "random, as training begins")


def programs(core: UniversalCore) -> list[Sample]:
    """Five held-out programs of each size from 1 to 12 that fit a core, over the worlds of training."""
    found: list[Sample] = []
    left = dict.fromkeys(SIZES, EACH)
    known = {name: vocabulary_of(loads(text)) for name, text in WORLDS.items()}
    every = [(name, program) for name, words in known.items() for program in held_programs(words)]
    for place in np.random.default_rng(0).permutation(len(every)).tolist():
        name, program = every[place]
        if left[program.size]:
            (one,) = samples(name, known[name], [program], core.config)
            if one.plan is not None and not one.reason:
                found.append(one)
                left[program.size] -= 1
        if not any(left.values()):
            break
    return found


def core_of(kind: str, seed: int) -> UniversalCore:
    """The core that comes with the engine, or one of the same sizes with random weights."""
    if kind == KINDS[2]:
        return universal(new_universal(core_of(KINDS[0], seed).config, seed=seed).core)
    core = universal(Library.open(SHIPPED).core)
    if kind == KINDS[1]:
        core, generator = copy.deepcopy(core), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for part in core.parameters():
                part.copy_(part.mean() + part.std(correction=0) * torch.randn(part.shape, generator=generator))
    return core


def learn(core: UniversalCore, chosen: Sequence[Sample], *, budget: float, seed: int, propose: bool) -> Result:
    """Rows of some programs as one batch: which are proved, after how many updates, and the CPU seconds.

    Args:
        budget: updates at which the search ends.
        propose: whether codes begin at the core's own proposals; else they are random.
    """
    began, spent = time.process_time(), 0

    def note(updates: int) -> None:
        nonlocal spent
        spent = updates

    def stop() -> bool:
        return spent >= budget or time.process_time() - began > MAX_SECONDS

    drafts = [Drafts(one.plan, one.table, core.config) for one in chosen if one.plan is not None]
    search(core.net, core.proposer, drafts, SearchConfig(seed=seed, propose=propose), report=note, stop=stop)
    seconds = time.process_time() - began
    rows = [proved_row(core, one, draft) for one, draft in zip(chosen, drafts, strict=True)]
    found = [
        {"name": one.name, "size": one.size, "exact": row.exact, "updates": row.updates}
        for one, row in zip(chosen, rows, strict=True)
    ]
    return {"programs": found, "seconds": seconds, "spent": spent}


def run(kind: str, seed: int) -> Result:
    """One core. The random ones take their budget from the trained one's result, which is there before."""
    core, budget = core_of(kind, seed), float("inf")
    if kind != KINDS[0]:
        trained = next(r for r in results(stage(KINDS[0])) if r["seed"] == seed)
        budget = TIMES * needed(trained)
    found = learn(core, programs(core), budget=budget, seed=seed, propose=kind == KINDS[0])
    exact = [one for one in found["programs"] if one["exact"]]
    print(f"  {kind}: {len(exact)} exact, {found['spent']} updates, {found['seconds']:.0f} CPU s", flush=True)
    return found


def needed(trained: Result) -> int:
    """The updates after which the trained core's last row was right."""
    return max(one["updates"] for one in trained["programs"] if one["exact"])


def stage(kind: str) -> str:
    return f"universal-random-core/{kind.replace(' ', '-').replace(',', '')}"


def contents(done: Mapping[str, Sequence[Result]]) -> dict[str, Content]:
    """The table of the page."""
    most = max(needed(r) for r in done[KINDS[0]])
    limits = sorted({0, 20, 100, most, TIMES * most})
    table: list[list[Any]] = [
        ["core", "programs", *(f"exact within {limit} updates" for limit in limits), "CPU seconds"]
    ]
    for kind, found in done.items():
        every = [one for r in found for one in r["programs"]]
        exact = [sum(one["exact"] and one["updates"] <= limit for one in every) for limit in limits]
        table.append([kind, len(every), *exact, f"{sum(r['seconds'] for r in found):.0f}"])
    return {"cores": table, "needed": str(most)}


def main() -> None:
    options = arguments(__doc__, seeds=[0]).parse_args()
    for kind in KINDS if not options.table else ():
        each_seed(stage(kind), options.seeds, partial(run, kind), programs=EACH, times=TIMES, most=MAX_SECONDS)
    done = {kind: results(stage(kind)) for kind in KINDS}
    write("universal-random-core", contents(done), [r for found in done.values() for r in found])


if __name__ == "__main__":
    main()
