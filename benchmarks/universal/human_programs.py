"""Programs that people wrote, never used in training, as rows of a frozen universal core; called by
:mod:`benchmarks.universal.main`.

Each file of ``programs`` over symbols is learned by :func:`npi.jobs.train.learn_into` in a library of its own that has
no other rows, but for what the file uses. The files of ``programs/composition`` are learned one after the other in one
library, each after those that it calls.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, each_seed, results
from benchmarks.language.examples import count, scores
from benchmarks.universal.alternatives import Codes
from benchmarks.universal.frozen_rows import Bench, Row, compared, empty, learn_rows, left_out
from benchmarks.universal.heldout_programs import Sample, sample
from benchmarks.universal.page import WAYS
from dsl import load
from dsl.generator import size_of
from npi.core.base import tensors_digest
from npi.jobs.train import learn_into
from npi.library.library import Library, LibraryError
from npi.reproduce.ledger import Result
from npi.reproduce.pages import NOTHING, Content
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore
from npi.universal.proof import prove
from npi.universal.rows import tabulate, unpacked, wired

PROGRAMS = ROOT / "programs"

FILES = [
    *(PROGRAMS / f"{name}.npi" for name in ("addition", "bubblesort", "max")),
    *sorted((PROGRAMS / "examples").glob("*.npi")),
    *sorted((PROGRAMS / "recursive").glob("*.npi")),
]

CHAINS = (
    ("keep", "least", "select", "median", "order"),
    ("columns", "plus", "minus", "calculate", "fetch", "chain"),
)
"""Files of ``programs/composition``, in the order in which they are learned."""


def run_all(folder: Path, name: str, bench: Bench, *, only: Sequence[str] | None) -> None:
    """Every file that has no result yet."""
    for path in FILES:
        if not only or path.stem in only:
            each_seed(f"{name}/{label(path)}", [0], partial(run, folder, path, bench))


def label(path: Path) -> str:
    """``examples/copy``."""
    return str(path.relative_to(PROGRAMS).with_suffix(""))


def used_by(path: Path) -> list[Path]:
    """The files that one uses, in an order in which they can be learned, itself last."""
    return [path.parent / source for source, _ in load(path).sources]


def run(folder: Path, path: Path, bench: Bench, seed: int) -> Result:
    """Learn a file, and what it uses before it; then prove its rows, run its tasks, and try the other ways."""
    programs = load(path)
    own = [p for p in programs.programs if p.name.startswith(f"{path.stem}.")]
    config, names = bench.core.config, [p.name for p in own]
    every = [sample(label(path), size_of(p.tree), p.name, p, programs.table, config) for p in own]
    with tempfile.TemporaryDirectory() as place:
        library = bare(folder, Path(place))
        *before, _ = used_by(path)
        try:
            for used in before:
                learn_into(library, [used], config=SearchConfig(seed), device="cpu", keep_unsolved=True)
            began = time.process_time()
            learned = learn_into(library, [path], config=SearchConfig(seed), device="cpu", keep_unsolved=True)
        except LibraryError as error:
            return {"reason": str(error), "programs": _anyway(bench, every)}
        seconds = time.process_time() - began
        opened = Library.open(library)
        found: Result = {
            "reason": "",
            "solved": learned.solved,
            "seconds": seconds,
            "unchanged": learned.unchanged,
            "programs": compared(bench, every, [row_of(opened, one) for one in every], tuned=names),
            "scores": scores(opened, programs, path),
        }
    print("  " + ", ".join(f"{t} {size}: {right}/{n}" for t, size, _, right, n in found["scores"]), flush=True)
    return found


def _anyway(bench: Bench, every: Sequence[Sample]) -> list[Result]:
    """The programs of a file that cannot be learned as a whole."""
    fitting = [one for one in every if not one.reason]
    left = [left_out(one, tuned=True) for one in every if one.reason]
    rows = learn_rows(bench.core, fitting)
    return compared(bench, fitting, rows, tuned=[one.name for one in fitting]) + left


def bare(folder: Path, place: Path) -> Path:
    """A library with the core of another one, and no rows."""
    core = Library.open(folder).core
    assert isinstance(core, UniversalCore)
    Library(core, empty(core), []).save(place)
    return place


def row_of(library: Library, one: Sample) -> Row:
    """A learned row as it stands in a library, and whether it is proved."""
    core = library.core
    assert isinstance(core, UniversalCore)
    place = library.memory.index(one.name)
    row_P, wiring = library.memory.embeddings_NP[place].detach(), library.memory.infos[place].wiring or ()
    code_DC, gain_DG = unpacked(row_P, wiring, core.config)
    plan = wired(wiring, one.program.id, one.table)
    codes = Codes(code_DC, gain_DG).at(slice(sum(len(state.functions) for state in plan.states)))
    try:
        proof = prove(one.program, tabulate(core.net, plan, row_P, wiring, one.table))
    except ValueError as error:
        return Row(codes, plan, False, 0, str(error))
    return Row(codes, plan, proof.holds, 0, proof.where)


def contents(name: str) -> tuple[dict[str, Content], list[Result]]:
    """The page of the files that are finished, and their results."""
    done = {label(path): kept[0] for path in FILES if (kept := results(f"{name}/{label(path)}"))}
    programs = [p for found in done.values() for p in found["programs"]]
    rows = [["file", "programs exact", *WAYS.values(), "parameters a row", "CPU s", "right of problems, by size"]]
    rows += [_line(file, found) for file, found in done.items()]
    right = [s[3] == s[4] for found in done.values() for s in found.get("scores", ())]
    lost = [100 * p["lost"][0] for p in programs if "lost" in p]
    missed = [f"{p['name']}: {p['reason'] or p.get('note') or 'not exact'}" for p in programs if not p["exact"]]
    same = all(found.get("unchanged", True) for found in done.values())
    page: dict[str, Content] = {
        "files": rows,
        "core": Path(name).name,
        "exact": f"{len(programs) - len(missed)} of {len(programs)}",
        "right": f"{sum(right)} of {len(right)}",
        "unchanged": "bit-identical" if same else "CHANGED",
        "lost": f"{sum(lost) / len(lost):.1f}" if lost else NOTHING,
        "missed": "; ".join(missed) or "nothing",
    }
    return page, list(done.values())


def _line(file: str, found: Result) -> list[str]:
    programs = found["programs"]
    numbers = [p["numbers"] for p in programs if "numbers" in p]
    return [
        file,
        f"{sum(p['exact'] for p in programs)}/{len(programs)}",
        *[f"{sum(bool(p.get(way)) for p in programs)}" for way in WAYS],
        f"{sum(numbers) / max(1, len(numbers)):.0f}, {max(numbers, default=0)}",
        f"{found['seconds']:.1f}" if "seconds" in found else "–",
        by_task(found.get("scores", ())) or found["reason"],
    ]


def by_task(scores: Iterable[Sequence[Any]]) -> str:
    """Problems that are right, by task and size."""
    cells: dict[str, list[str]] = {}
    for task, size, _, right, n in scores:
        cells.setdefault(task.rpartition(".")[2], []).append(f"{size}: {right}/{n}")
    return "; ".join(f"{task} {', '.join(parts)}" for task, parts in cells.items())


# --- composition -----------------------------------------------------------------------------------------------------


def composed(folder: Path) -> dict[str, Content]:
    """Learn the files of each chain one after the other in one library: a table."""
    rows = [["file", "programs", "calls learned before", "exact", "right of problems, by size", "old rows", "CPU s"]]
    for chain in CHAINS:
        with tempfile.TemporaryDirectory() as place:
            library = bare(folder, Path(place))
            rows += [learned_line(library, PROGRAMS / "composition" / f"{stem}.npi") for stem in chain]
    return {"files": rows}


def learned_line(
    folder: Path, path: Path, *, config: SearchConfig | None = None, count: Callable[[int], int] = count
) -> list[str]:
    """Learn one file into a library, look at everything again, and say it as a line of the table."""
    old = Library.open(folder)
    before = proofs(old)
    began = time.process_time()
    learned = learn_into(folder, [path], config=config, device="cpu", keep_unsolved=True)
    seconds = time.process_time() - began
    library = Library.open(folder)
    after = proofs(library)
    same = learned.unchanged and {name: after[name] for name in before} == before
    programs = load(path)
    own = [p for p in programs.programs if p.name.startswith(f"{path.stem}.")]
    called = sorted({programs.table.signatures[c].name for p in own for c in p.calls if c >= programs.table.primitives})
    return [
        path.stem,
        ", ".join(p.name.rpartition(".")[2] for p in own),
        ", ".join(name for name in called if name in before) or "–",
        f"{sum(after[p.name][1] == 0 for p in own)}/{len(own)}",
        by_task(scores(library, programs, path, count=count)),
        f"{len(before)}: {'the same' if same else 'CHANGED'}" if before else "none",
        f"{seconds:.1f}",
    ]


def proofs(library: Library) -> dict[str, tuple[int, int, str]]:
    """For each row: decisions compared, those wrong, and a digest of its tables."""
    core, found = library.core, {}
    assert isinstance(core, UniversalCore)
    for programs in library.sets:
        for program in programs.programs:
            if program.name in found:
                continue
            place = library.memory.index(program.name)
            wiring = library.memory.infos[place].wiring or ()
            plan = wired(wiring, program.id, programs.table)
            row = tabulate(core.net, plan, library.memory.embeddings_NP[place].detach(), wiring, programs.table)
            proof = prove(program, row)
            digest = tensors_digest({str(i): entry for i, (_, _, entry, _) in enumerate(row)})
            found[program.name] = (proof.cases, proof.wrong, digest)
    return found
