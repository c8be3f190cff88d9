"""A frozen universal core with rows that it has already, and new programs' rows beside them.

Everything is checked: a row is *exact* where it is proved to decide as its text in every configuration that any
observations can lead to, and *unchanged* says that the core and every logit of the old rows are bit-identical.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from benchmarks.universal import alternatives
from benchmarks.universal.alternatives import Codes, Memory, TuneConfig
from benchmarks.universal.heldout_programs import Sample, kind_of
from npi.library.kinds import fingerprint
from npi.program_memory import ProgramMemory, RowInfo
from npi.reproduce.ledger import Result
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore
from npi.universal.network import Interpreter
from npi.universal.plan import Plan, State, Step
from npi.universal.proof import prove
from npi.universal.row_search import Drafts, search
from npi.universal.rows import learned_numbers, row_of, tabulate, wired, wiring_of
from npi.universal.training_stream import function_key


@dataclass(frozen=True)
class Bench:
    """A frozen core, and rows that it has already.

    Attributes:
        core: of the library. memory: its old rows, all of them right. codes: the numbers of their states.
        decisions: what the old rows decide.
    """

    core: UniversalCore
    memory: ProgramMemory
    codes: Codes
    decisions: Memory

    @classmethod
    def of(cls, core: UniversalCore, programs: Sequence[Sample]) -> Bench:
        """Learn the old rows; those that are not right are left out."""
        rows = learn_rows(core, programs)
        kept = [i for i, row in enumerate(rows) if row.exact]
        if not kept:
            raise ValueError("no row is right, so there is nothing to compare with: the core is not trained")
        right = [programs[i] for i in kept]
        states = [function for i in kept for function in rows[i].functions]
        owners = [number for number, i in enumerate(kept) for _ in rows[i].functions]
        codes = Codes(*(torch.cat([getattr(rows[i].codes, part) for i in kept]) for part in ("code_NC", "gain_NG")))
        memory = extended(core, empty(core), right, [rows[i] for i in kept])
        decisions = Memory.of(states, owners, codes, core.config.inputs, seed=0)
        return cls(core, memory, codes, decisions)


@dataclass(frozen=True)
class Row:
    """What learning one row came to.

    Attributes:
        codes: of its functions. plan: its states, in as many steps as they took.
        exact: whether it is proved. updates: until its last function was right.
        note: why there is no proof, where that is not a wrong decision.
    """

    codes: Codes
    plan: Plan
    exact: bool
    updates: int
    note: str = ""

    @property
    def functions(self) -> list[State | Step]:
        """What the core has learned of it, a code for each."""
        return [function for state in self.plan.states for function in state.functions]


def learn_rows(core: UniversalCore, programs: Sequence[Sample], config: SearchConfig | None = None) -> list[Row]:
    """Learn rows of programs that fit as one batch, and prove each of them."""
    plans = [one.plan for one in programs if one.plan is not None]
    drafts = [Drafts(plan, one.table, core.config) for plan, one in zip(plans, programs, strict=True)]
    search(core.net, core.proposer, drafts, config or SearchConfig())
    return [_row(core, one, draft) for one, draft in zip(programs, drafts, strict=True)]


def _row(core: UniversalCore, one: Sample, draft: Drafts) -> Row:
    codes = Codes(*draft.numbers)
    wiring = wiring_of(draft.plan, one.table)
    row_P = row_of(wiring, codes.code_NC, codes.gain_NG, core.config)
    plan = wired(wiring, one.program.id, one.table)
    try:
        proof = prove(one.program, tabulate(core.net, plan, row_P, wiring, one.table))
    except ValueError as error:
        return Row(codes, draft.plan, False, draft.updates, str(error))
    return Row(codes, draft.plan, proof.holds, draft.updates)


def empty(core: UniversalCore) -> ProgramMemory:
    return core.memory()


def extended(
    core: UniversalCore, memory: ProgramMemory, programs: Sequence[Sample], rows: Sequence[Row]
) -> ProgramMemory:
    """A memory with these rows appended."""
    infos, numbers = [], []
    for one, row in zip(programs, rows, strict=True):
        wiring = wiring_of(row.plan, one.table)
        infos.append(RowInfo(one.name, 0, 0, one.program.signature, primitive=False, source="", wiring=wiring))
        numbers.append(row_of(wiring, row.codes.code_NC, row.codes.gain_NG, core.config))
    if not infos:
        return memory
    none = torch.zeros(len(infos), 0)
    return memory.extended(infos, {"embeddings_NP": torch.stack(numbers), "keys_NK": none, "gates_NF": none})


def learn_batch(bench: Bench, batch: Sequence[Sample], *, tuned: int) -> Result:
    """Learn rows as one batch, and compare them with the other ways; ``tuned`` of them with cores that change, too."""
    fitting = [one for one in batch if one.plan is not None and not one.reason]
    old = len(bench.memory)
    before = bench.core.digest(), fingerprint(bench.core, bench.memory, old)
    began = time.process_time()
    rows = learn_rows(bench.core, fitting)
    seconds = time.process_time() - began
    after = bench.core.digest(), fingerprint(bench.core, extended(bench.core, bench.memory, fitting, rows), old)
    chosen = set(torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))[:tuned].tolist())
    more = {one.name for place, one in enumerate(batch) if place in chosen}
    found = compared(bench, fitting, rows, tuned=more)
    found += [left_out(one, tuned=one.name in more) for one in batch if one.reason]
    return {"programs": found, "seconds": seconds, "unchanged": before == after, "core": after[0]}


def compared(bench: Bench, programs: Sequence[Sample], rows: Sequence[Row], *, tuned: Collection[str]) -> list[Result]:
    """For each program what its row came to, and whether it is exact in each other way.

    Args:
        tuned: names of those that are tried in the ways in which the core changes, too.
    """
    found = []
    for one, row in zip(programs, rows, strict=True):
        wrong = alternatives.errors(bench.core.net, row.functions, row.codes)
        functions = [
            {"kind": kind_of(function), "key": function_key(function).hex()[:16], "wrong": count}
            for function, count in zip(row.functions, wrong, strict=True)
        ]
        found.append(
            about(one)
            | {"exact": row.exact, "updates": row.updates, "note": row.note, "functions": functions,
               "numbers": learned_numbers(row.plan, bench.core.config)}
            | ways(bench, one, tuned=one.name in tuned)
        )  # fmt: skip
    return found


def left_out(one: Sample, *, tuned: bool) -> Result:
    """A program that does not fit the core: a failure in every way."""
    return about(one) | dict.fromkeys(("exact", *_others(tuned)), False)


def _others(tuned: bool) -> tuple[str, ...]:
    return ("mean", "nearest", "proposed", *(("tuned", "scratch") if tuned else ()))


def about(one: Sample) -> Result:
    return {"world": one.world, "size": one.size, "name": one.name, "reason": one.reason}


def ways(bench: Bench, one: Sample, *, tuned: bool) -> Result:
    """Whether a program is exact in each of the ways beside learning its row, and what a changed core forgets."""
    net, proposer, states = bench.core.net, bench.core.proposer, one.states
    generator = torch.Generator().manual_seed(0)
    if not states:
        return dict.fromkeys(_others(tuned), True)
    if not one.whole:  # these ways know one function for each state
        return dict.fromkeys(_others(tuned), False)

    def right(tried: Codes, core: Interpreter = net) -> bool:
        return not any(alternatives.errors(core, states, tried))

    start = alternatives.proposed(net, proposer, states, generator=generator)
    found: Result = {
        "mean": right(alternatives.mean(bench.codes, len(states))),
        "nearest": right(alternatives.nearest(net, bench.codes, states, generator=generator)),
        "proposed": right(start),
    }
    if tuned:
        whole = alternatives.tune(net, states, start, TuneConfig(), generator=generator)
        random, codes = alternatives.fresh(net, len(states), generator=generator)
        anew = alternatives.tune(random, states, codes, TuneConfig(), generator=generator)
        found |= {
            "tuned": right(whole.codes, whole.net),
            "scratch": right(anew.codes, anew.net),
            "lost": bench.decisions.lost(whole.net),
        }
    return found
