"""Program files, random ones and those of ``programs``: trained to a proof, or from traces alone; what it takes.

    python -m benchmarks.language.trained_and_certified                              # npi train FILE --certify
    python -m benchmarks.language.trained_and_certified --from traces                # npi train SETS
    python -m benchmarks.language.trained_and_certified --only random --count 36 --first-seed 5000000
    python -m benchmarks.language.trained_and_certified --only files --files examples/gray addition
    python -m benchmarks.language.trained_and_certified --table                      # only the page

A random file holds one generated program; its sizes 1 to 12 and the worlds of the shipped universal core take turns.
Its tasks lay random symbols into every row and train it with all of its arguments. Each file is trained by a process
of its own, one after the other, with one thread, for ``--limit`` seconds of the clock at most. CPU seconds are those
of that process, user and system: it is a fork of one that has imported what ``npi train`` does. Trace sets are made
before, are not counted, and do not carry the text; their libraries run test problems: a random program is right where
the pad ends as the text leaves it, another where its task says so. Results lie in ``runs/trained-and-certified``, so
that the recipe resumes where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import entry_points
from itertools import product
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import RESULTS, ROOT, finished, plain_arguments, results, write
from dsl import load, loads, shown_by
from dsl.formatting.printer import domain, format_tree
from dsl.generator import GeneratedProgram, Vocabulary, stream
from dsl.names.worlds import DIRECTIONS
from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.spec import BLANK
from envs.stepper import Stepper
from npi.library.library import Library
from npi.proof.prove import prove
from npi.reproduce.ledger import Result
from npi.reproduce.pages import NOTHING, Content, Rows, spread
from npi.running.evaluate import bounded_budget, run_problems
from npi.training.dataset import training_tasks
from npi.universal.training_stream import SIZES, WORLDS, vocabularies
from traces.generation.generate import make_shards, plan_set
from traces.machine.lockstep import Status
from traces.storage.trace_set import TraceSetWriter

NAME = "trained-and-certified"
FIRST_SEED = 4_000_000
COUNT = 25 * len(SIZES)
LIMIT = 120.0
TRACES = 32
PROBLEMS = 20
"""Test problems of each task and size."""
TEST_SEED = 6_000_000
GRACE = 20.0
"""Seconds of the clock that an interrupted process has to say how far it came."""

WARM = """import sys
from npi.cli.main import main
main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    print(*sys.modules, sep="\\n", file=file)
"""
"""Runs a command, and notes what it has imported."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
(NPI,) = entry_points(group="console_scripts", name="npi")

WAYS = ("text", "traces")
SOURCES = ("random", "files")

# --- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A random program file: the seed that drew it, its world's name, the program's size, and the text with tasks."""

    seed: int
    world: str
    size: int
    text: str


def drawn(first_seed: int, count: int) -> Iterator[Drawn]:
    """So many random files, no two of which behave alike, from seeds that follow each other.

    A seed that brings nothing new (small programs are few) gives no file.
    """
    every, known = vocabularies(), set[str]()
    for number in range(count):
        size, world = SIZES[number % len(SIZES)], [*WORLDS][number // len(SIZES) % len(WORLDS)]
        generator = np.random.default_rng(first_seed + number)
        for found in stream(every[world], {size: 1}, generator=generator, exclude=known):
            known.add(found.hash)
            yield Drawn(first_seed + number, world, size, with_tasks(every[world], found))


def with_tasks(vocabulary: Vocabulary, found: GeneratedProgram) -> str:
    """A file of one generated program; a task for each choice of pointers, directions and blanks; symbols are drawn."""
    face, tree = vocabulary.face, found.tree
    alone = format_tree(vocabulary.file([tree]))
    programs = loads(alone)
    slots = programs.program(f"text.{tree.name}").signature.slots
    choices, symbols = [], {}
    for param, slot in zip(tree.params, slots, strict=False):
        names = [face.spec.tokens[token] for token in slot.tokens]
        name = vocabulary.fresh(f"given_{param.name}")
        fixed = [one for one in names if one in face.pointers or one in DIRECTIONS or one == BLANK]
        choices.append(fixed + [name] * (len(fixed) < len(names)))
        symbols[name] = domain(param.domain)
    rows = {name: vocabulary.fresh(f"cells_{name}") for name, row in face.rows.items() if not row.places}
    places = [name for name, row in face.rows.items() if row.places]
    return alone + "".join(
        task_text(f"task{number}", tree.name, chosen, symbols, rows, places)
        for number, chosen in enumerate(product(*choices), start=1)
    )


def task_text(
    name: str, program: str, chosen: Sequence[str], symbols: Mapping[str, str], rows: Mapping[str, str],
    places: Sequence[str],
) -> str:  # fmt: skip
    """A task that runs a program with these arguments, of which those in ``symbols`` (name, domain) are drawn.

    ``rows`` are laid from inputs, row and input; into those of ``places`` go the columns of the first one.
    """
    first, sizes = next(iter(rows)), ", ".join(rows.values())
    inputs = [f"{cells}: list of {row}" for row, cells in rows.items()]
    inputs += [f"{one}: {symbols[one]}" for one in chosen if one in symbols]
    lines = [
        f"\ntask {name}({', '.join(inputs)}):",
        *(f"    {row} = {cells}" for row, cells in rows.items()),
        *(f"    {row} = places({rows[first]})" for row in places),
        f"    run {program}" + ("(" + ", ".join(chosen) + ")") * bool(chosen),
        f"    expect len({first}) >= 0",
        f"    train {sizes} of 1..6",
        f"    test {sizes} of 6, 12\n",
    ]
    return "\n".join(lines)


@cache
def written() -> list[Path]:
    """The files of ``programs`` whose programs have bodies and see symbols."""
    every, without = sorted((ROOT / "programs").rglob("*.npi")), ("learning", "tools")
    found = [path for path in every if path.parent.name not in without]
    return [path for path in found if not load(path).world.spec.rendered]


def label(path: Path) -> str:
    """``examples/copy``."""
    return path.relative_to(ROOT / "programs").with_suffix("").as_posix()


# --- processes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit status, CPU seconds (user and system), what it printed on stdout, and its last
    line on stderr. ``late``: it was interrupted at the limit."""

    status: int
    seconds: float
    out: str
    said: str
    late: bool


def import_all() -> None:
    """Import into this process what ``npi train`` imports; no thread is started, so that processes can be forked."""
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "modules"
        path, out = ROOT / "programs" / "examples" / "increment.npi", Path(folder) / "library"
        words = ["-c", WARM, str(names), "train", str(path), "--certify", "--out", str(out)]
        subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT, env=os.environ | ONE_THREAD)
        for name in names.read_text(encoding="utf-8").split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def measured(words: Sequence[str], limit: float) -> Ran:
    """One ``npi`` command in a fork of this process, which has imported everything; it is interrupted at the limit."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if not (child := os.fork()):
            signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it was ignored when this began
            sys.stdout, sys.stderr = out, err
            os._exit(command(words))
        late, ends = False, time.monotonic() + limit
        while not (waited := os.wait4(child, os.WNOHANG))[0]:
            if time.monotonic() > ends:
                os.kill(child, signal.SIGKILL if late else signal.SIGINT)
                late, ends = True, ends + GRACE
            time.sleep(0.02)
        for file in (out, err):
            file.seek(0)
        said = (err.read().strip().splitlines() or [""])[-1].strip()
        used = waited[2]
        return Ran(os.waitstatus_to_exitcode(waited[1]), used.ru_utime + used.ru_stime, out.read(), said, late)


def command(words: Sequence[str]) -> int:
    """The exit status of a command; an error of ours is told and is 70."""
    try:
        return int(NPI.load()(words))
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def trained(words: Sequence[str], out: Path, limit: float) -> Result:
    """``npi train`` with these words: whether it solved, and CPU seconds, updates, and why not."""
    ran = measured(["train", *words, "--out", str(out), "--device", "cpu", "--json"], limit)
    told = json.loads(ran.out) if ran.out.strip() else {}
    wrong = {item["program"]: item["wrong"] for item in told.get("programs", ()) if item["wrong"]}
    missing = [f"wrong frames: {', '.join(f'{n} {name}' for name, n in wrong.items())}"] if wrong else []
    if told.get("problems_solved") != told.get("problems"):
        missing.append(f"{told['problems_solved']} of {told['problems']} problems and proofs")
    said = f"stopped after {limit:.0f} s" if ran.late else ran.said.replace(str(out), "DIR")
    why = [said] * bool(said) + missing
    solved = ran.status == 0 and not ran.late
    return {
        "solved": solved,
        "seconds": ran.seconds,
        "updates": told.get("updates"),
        "reason": "" if solved else "; ".join(why) or f"exit status {ran.status}",
    }


def from_text(path: Path, limit: float, _: bool) -> Result:
    """Train a file to a proof of all of its programs; the library is proved again apart from that."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "library"
        found = trained([str(path), "--certify"], out, limit)
        proofs = [proof for _, mine in prove(Library.open(out)) for proof in mine] if out.is_dir() else []
        return found | {"certified": bool(proofs) and all(proof.proved for proof in proofs)}


def from_traces(path: Path, limit: float, by_text: bool) -> Result:
    """Train on sets of a file's traces that do not carry its text, then run the test problems of its tasks."""
    programs = load(path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "library"
        sets = [traces_without_text(programs, task, Path(folder)) for task in training_tasks(programs)]
        found = trained([str(each) for each in sets], out, limit)
        stepper = Library.open(out).stepper(programs.table) if out.is_dir() else None
        scores = [
            [task.name, size, PROBLEMS if stepper else 0, right(stepper, programs, task, size, by_text=by_text)]
            for task in programs.tasks
            for size in task.test_sizes
        ]
    return found | {"scores": scores}


def traces_without_text(programs: ProgramSet, task: Task, folder: Path) -> Path:
    """The set that ``npi trace`` writes of a task, as one of traces that no program file came with."""
    counts = dict.fromkeys(task.train_sizes, task.traces or TRACES)
    plan = plan_set(programs, task=task.name, traces=counts, sizes=None, seed=0, shard_traces=512)
    info = replace(plan.info, sources=())
    writer = TraceSetWriter(folder / f"traces-{task.name}", programs.table, info)
    return writer.finish(make_shards(plan, plan.shards, writer, processes=1, progress=None, budget=None)).folder


def right(stepper: Stepper | None, programs: ProgramSet, task: Task, size: int, *, by_text: bool) -> int:
    """How many test problems of a size are right: by the task, or where the pad ends as the text leaves it."""
    if stepper is None:
        return 0
    problems = task.draw(size, PROBLEMS, generator=torch.Generator().manual_seed(TEST_SEED + size), spread=False)
    text = run_problems(shown_by(programs), programs, problems)
    core = run_problems(stepper, programs, problems, budget=bounded_budget(text.steps_N.tolist()))
    ended = core.status_N == Status.DONE
    ends = zip(problems, ended.tolist(), core.read(programs.world), text.read(programs.world), strict=True)
    return sum(done and (is_ == was if by_text else task.judge(problem, is_)) for problem, done, is_, was in ends)


TRAIN: dict[str, Callable[[Path, float, bool], Result]] = {"text": from_text, "traces": from_traces}


def run_random(one: Drawn, way: str, limit: float) -> Result:
    """Train one random file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.npi"
        path.write_text(one.text, encoding="utf-8")
        found = TRAIN[way](path, limit, True)
    return tell({"world": one.world, "size": one.size, **found})


def run_file(path: Path, way: str, limit: float) -> Result:
    """Train one file of ``programs``."""
    return tell(TRAIN[way](path, limit, False))


def tell(found: Result) -> Result:
    print(f"  {'; '.join(f'{name} {value}' for name, value in found.items() if name != 'scores')}", flush=True)
    return found


# --- the page --------------------------------------------------------------------------------------------------------


def done_of(way: str, source: str) -> list[tuple[str, Result]]:
    """Finished results with what names each: seed or file."""
    if source == "random":
        return [(f"seed {r['seed']}", r) for r in results(f"{NAME}/{way}/random")]
    return [(label(path), r) for path in written() for r in results(f"{NAME}/{way}/files/{label(path)}")]


def good(found: Result) -> bool:
    """Certified, or every test problem right."""
    if "certified" in found:
        return bool(found["solved"] and found["certified"])
    return all(count == problems > 0 for *_, problems, count in found["scores"])


def line(found: Sequence[Result]) -> list[object]:
    """Cells of some results: solved, certified or all right, updates, CPU seconds."""
    updates = [r["updates"] for r in found if r["updates"] is not None]
    counts = [sum(r["solved"] for r in found), sum(map(good, found))]
    shares = [f"{count} of {len(found)}" if len(found) > 1 else "yes" if count else "no" for count in counts]
    return [*shares, spread(updates, 0) if updates else "", spread([r["seconds"] for r in found])]


def table(way: str, source: str) -> Rows:
    """By size, or by file; and all together."""
    done = done_of(way, source)
    groups = {name: [r for _, r in done if r["size"] == name] for name in SIZES} if source == "random" else {}
    groups |= {} if source == "random" else {name: [r] for name, r in done}
    head = ["size" if source == "random" else "file", "trained", "proved" if way == "text" else "tests all right"]
    rows = [[name, *line(found)] for name, found in groups.items() if found]
    return [[*head, "updates", "CPU s"], *rows, ["all", *line([r for _, r in done])]] if done else []


def failed(way: str, source: str) -> str:
    """What was not proved, or not all right, and why; a list."""
    lines, done = [], done_of(way, source)
    for name, found in done:
        if not good(found):
            tests = ", ".join(f"{t} at {size} {n}/{of}" for t, size, of, n in found.get("scores", ()) if n < of)
            where = f" ({found['world']}, size {found['size']})" if source == "random" else ""
            lines.append(f"* {name}{where}: {'; '.join(filter(None, (found['reason'], tests))) or 'not proved again'}")
    return "\n".join(lines) or ("nothing" if done else NOTHING)


PAGE = """# Trained and certified

Made by `python -m benchmarks.language.trained_and_certified`, and with `--from traces`. <!-- made --><!-- end -->.

Random program files (seeds <!-- seeds --><!-- end -->) and the files of `programs/` that see symbols. Each is
trained by a process of its own, one after the other, with one thread, for at most <!-- limit --><!-- end --> s of
the clock. CPU seconds: of the whole command, user and system, after imports (a fork of a process that has imported what
`npi train` does); median (range). The machine may be shared with other work.

## To a proof

`npi train FILE --certify --out DIR`. Proved: once more apart from training. Random files, by size of the program:

<!-- table: text-random -->
<!-- end -->

Not proved:

<!-- table: text-random-failed -->
<!-- end -->

Files of `programs/`:

<!-- table: text-files -->
<!-- end -->

Not proved:

<!-- table: text-files-failed -->
<!-- end -->

## From traces alone

`npi train SETS --out DIR` on what `npi trace` records of each task, without the text; tracing is not counted. Tests:
20 problems of each size of the `test` lines. A random program is right where the pad ends as the text leaves it,
another where its task says so.

<!-- table: traces-random -->
<!-- end -->

Not all right:

<!-- table: traces-random-failed -->
<!-- end -->

Files of `programs/`:

<!-- table: traces-files -->
<!-- end -->

Not all right:

<!-- table: traces-files-failed -->
<!-- end -->
"""
"""Of the page where there is none yet."""


def page(limit: float) -> None:
    """Write the page of all that is finished."""
    every = {(way, source): done_of(way, source) for way in WAYS for source in SOURCES}
    seeds = sorted({r["seed"] for (_, source), done in every.items() if source == "random" for _, r in done})
    found = [r for done in every.values() for _, r in done]
    if not found:
        raise SystemExit("nothing is finished yet, so there is nothing to write")
    contents: dict[str, Content] = {"seeds": f"{seeds[0]} to {seeds[-1]}" if seeds else "none", "limit": f"{limit:.0f}"}
    for way, source in every:
        contents |= {f"{way}-{source}": table(way, source), f"{way}-{source}-failed": failed(way, source)}
    place = RESULTS / f"{NAME}.md"
    if not place.exists():
        place.write_text(PAGE, encoding="utf-8")
    write(NAME, contents, found)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--from", dest="way", choices=WAYS, default="text")
    parser.add_argument("--only", choices=SOURCES, nargs="+", default=SOURCES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help=f"of random files; {FIRST_SEED}")
    parser.add_argument("--count", type=int, default=COUNT, help=f"of random files, a seed each; {COUNT}")
    parser.add_argument("--files", nargs="+", help="such as examples/gcd; all by default")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds of the clock for each file; {LIMIT:.0f}")
    parser.add_argument("--table", action="store_true", help="only write the page from what is finished")
    options = parser.parse_args()
    way, limit = options.way, options.limit
    if not options.table:
        import_all()
        for one in drawn(options.first_seed, options.count) if "random" in options.only else ():
            run = partial(run_random, one, way, limit)
            finished(f"{NAME}/{way}/random/{one.seed}", run, seed=one.seed, text=one.text, limit=limit)
        for path in written() if "files" in options.only else ():
            if not options.files or label(path) in options.files:
                run = partial(run_file, path, way, limit)
                finished(f"{NAME}/{way}/files/{label(path)}/0", run, digest=load(path).digest, limit=limit)
    page(limit)


if __name__ == "__main__":
    main()
