"""Hostile files: JSON and tensors of every format changed and sealed again, every byte of small files, and certificates
forged for cores that are wrong.

    python -m benchmarks.faults.hostile_files

A changed file is given to the commands that read it, in a process with little memory and time. It must be refused in
one message that names it, or do what a file of its format may do. A forged certificate must not hold.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from benchmarks.common import RUNS, arguments, each_seed, results, write
from benchmarks.faults.changes import (
    bytes_of,
    changed,
    changed_tensors,
    command,
    digest_of,
    manifest_bytes,
    outcomes,
    parts_of,
    tensor_file,
)
from benchmarks.faults.forgeries import forgeries
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import learn_into, train_library
from npi.library import operations, row_file
from npi.library.library import Library
from npi.library.program_files import parsed
from npi.proof.certificate import Certificate
from npi.proof.prove import certificate_of, prove
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.running.compiled_library import CompiledLibrary
from npi.training.checkpoint import FileCheckpoint
from npi.training.frame_objective import Report
from npi.training.learn_rows import LearnConfig
from npi.universal.code_search import SearchConfig
from npi.universal.core import SHIPPED
from traces.generation.generate import generate

TEXT = """
world tape is scratchpad:
    row A, B of "x" or "y" or blank at left
    row N of 1 or blank

program CLEAR "Blank what is marked, and note that something was":
    while A:
        if A == B:
            NOTE(RIGHT)
        ACT(A, WRITE, blank)
        MOVE(RIGHT)

program NOTE(d: direction) "Write a mark":
    ACT(N, WRITE, 1)
    ACT(B, d)

program MOVE(d: direction) "One step":
    ACT(A, d)

task clear(word: list of "x" or "y", other: list of "x" or "y"):
    A = word
    B = other
    run CLEAR
    expect len(A) == 0
    train word, other of 1..5
    test word, other of 20
"""

MORE = """
use "tape.npi"

program TWICE "Clear, and clear what is left":
    CLEAR
    CLEAR

task twice(word: list of "x" or "y"):
    A = word
    run TWICE
    expect len(A) == 0
    train word of 1..5
    test word of 20
"""

CORE = CoreConfig(hidden=64, bits=4, row=32, key=8)
TINY = CoreConfig(hidden=6, bits=2, row=3, key=2)
TRAINING = TrainConfig(problems=16, updates=3000, certify=True)
HALF = TrainConfig(problems=8, updates=28, check_every=10, rate=1e-5, states="learned")
CASES = {
    "library": 300,
    "universal library": 100,
    "row file": 180,
    "universal row file": 100,
    "certificate": 200,
    "compiled library": 200,
    "compiled library, indices": 72,
    "state": 100,
    "state, forced": 50,
    "trace set": 250,
}
"""How many changed files of each format."""


@dataclass(frozen=True)
class Instances:
    """A folder with one small file of each format, and the texts they come from."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / name.replace("_", "-")


def instances(folder: Path) -> Instances:
    """Make one of each format."""
    found = Instances(folder)
    for name, text in (("tape", TEXT), ("more", MORE)):
        (folder / f"{name}.npi").write_text(text)
    tape, more = folder / "tape.npi", folder / "more.npi"
    assert train_library([tape], out=found.library, core=CORE, training=TRAINING, device="cpu").solved
    library = Library.open(found.library)
    certificate_of(library, prove(library)).save(found.certificate)
    CompiledLibrary.of(library).save(found.compiled)
    shutil.copytree(found.library, found.grown)
    learn_into(found.grown, [more], config=LearnConfig(), device="cpu")
    operations.pack(Library.open(found.grown), ["TWICE"]).save(found.rows)
    shutil.copytree(SHIPPED, found.universal)
    learn_into(found.universal, [tape], config=SearchConfig(), device="cpu")
    operations.pack(Library.open(found.universal), ["CLEAR"]).save(found.universal_rows)
    generate(parsed(tape), task="clear", traces={1: 4, 3: 4}, out=found.traces)
    for name, states in (("state", "learned"), ("forced", "forced")):
        interrupted(found.folder / "tape.npi", folder / name, replace(HALF, states=states), CORE, 4)
    return found


def interrupted(text: Path, out: Path, training: TrainConfig, core: CoreConfig, traces: int) -> None:
    """A training run that is stopped after its second check, so that its state stays."""

    def stopped(report: Report) -> None:
        if report.update == 25:
            raise KeyboardInterrupt

    try:
        train_library([text], out=out, core=core, training=training, traces=traces, device="cpu", report=stopped)
    except KeyboardInterrupt:
        return


# --- changed files ----------------------------------------------------------------------------------------------------


def change_library(source: Path, chooser: random.Random, place: Path) -> str:
    """Copy a library with its manifest, its texts or its tensors changed, and their hashes; what was changed."""
    shutil.copytree(source, place)
    manifest = json.loads((place / "manifest.json").read_text())
    way = chooser.choices(["manifest", "texts-", "core-", "rows-"], [7, 1, 1, 1])[0]
    if way == "manifest":
        manifest, what = changed(manifest, chooser)
    else:
        name = next(name for name in manifest["files"] if name.startswith(way))
        data = (place / name).read_bytes()
        if way == "texts-":
            value, what = changed(json.loads(data), chooser)
            data = bytes_of(value)
        else:
            tensors, _ = parts_of(data)
            what = changed_tensors(tensors, chooser)
            data = tensor_file(tensors, {})
            if way == "core-":
                manifest["core"] = digest_of(tensors)
        (place / name).write_bytes(data)
        manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (place / "manifest.json").write_bytes(manifest_bytes(manifest))
    return what


def change_rows(source: Path, chooser: random.Random, place: Path) -> str:
    """Copy a row file with its head, its packages or its parameters changed; what was changed."""
    tensors, about = parts_of(source.read_bytes())
    way = chooser.choices(["head", "tensors", "folded"], [3, 4, 13])[0]
    if way == "head":
        about, what = changed(about, chooser)
    elif way == "tensors":
        what = changed_tensors(tensors, chooser)
    else:
        folded, what = changed(row_file.unfold(tensors["folded"], source), chooser)
        tensors["folded"] = torch.frombuffer(bytearray(zlib.compress(bytes_of(folded))), dtype=torch.uint8)
    place.write_bytes(tensor_file(tensors, about))
    return what


def change_tensor_file(source: Path, chooser: random.Random, place: Path, keep: str = "") -> str:
    """Copy a tensor file with its head or its tensors changed, mostly all but one entry; what was changed."""
    tensors, about = parts_of(source.read_bytes())
    kept = about.get(keep)
    if chooser.random() < 0.5:
        about, what = changed(about, chooser)
        if keep and isinstance(about, dict) and keep in about and chooser.random() < 0.9:
            about[keep] = kept
    else:
        what = changed_tensors(tensors, chooser)
    place.write_bytes(tensor_file(tensors, about))
    return what


def change_traces(source: Path, chooser: random.Random, place: Path) -> str:
    """Copy a trace set with its manifest changed, or its first shard with its hash; what was changed."""
    shutil.copytree(source, place)
    manifest = json.loads((place / "manifest.json").read_text())
    if chooser.random() < 0.7:
        manifest, what = changed(manifest, chooser)
    else:
        shard = place / "shard-00000.safetensors"
        tensors = load(shard.read_bytes())
        what = changed_tensors(tensors, chooser)
        data = save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})
        shard.write_bytes(data)
        manifest["shards"][0] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (place / "manifest.json").write_bytes(manifest_bytes(manifest))
    return what


WORST = (-2, -(2**40), 2**31, 2**62)
"""Indices that no table has."""


def change_index(source: Path, number: int, place: Path) -> str:
    """Copy a compiled library with one index out of range: the largest, the smallest or a random one of an array, made
    one of :data:`WORST`; what was changed."""
    tensors, about = parts_of(source.read_bytes())
    names, chooser = sorted(tensors), random.Random(number)
    name, way = names[number % len(names)], number // len(names)
    flat = tensors[name].view(-1)
    at = [int(flat.argmax()), int(flat.argmin()), chooser.randrange(len(flat))][way % 3]
    before = int(flat[at])
    flat[at] = WORST[way // 3 % len(WORST)]
    place.write_bytes(tensor_file(tensors, about))
    return f"{name}[{at}]: {before} becomes {int(flat[at])}"


def case(found: Instances, kind: str, seed: int, number: int) -> tuple[str, str]:
    """One changed file: what came of it, and what was changed."""
    chooser = random.Random(f"{seed}/{kind}/{number}")
    text = str(found.folder / "tape.npi")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "changed"
        here = str(place)
        pair = ("xyx", "xyy")
        if kind in ("library", "universal library"):
            source, name, run = (found.grown, "TWICE", ("more.twice", "xyx"))
            if kind == "universal library":
                source, name, run = found.universal, "CLEAR", ("tape.clear", *pair)
            what = change_library(source, chooser, place)
            commands = [
                ("library", "list", here), ("library", "info", here, name), ("show", here),
                ("library", "pack", here, name, "--out", f"{here}.npirow"), ("run", *run, "--library", here),
            ]  # fmt: skip
        elif kind in ("row file", "universal row file"):
            source, target = (found.rows, found.library) if kind == "row file" else (found.universal_rows, SHIPPED)
            what = change_rows(source, chooser, place)
            shutil.copytree(target, f"{here}.library")
            commands = [("library", "info", here), ("library", "add", f"{here}.library", here)]
        elif kind == "certificate":
            what = change_tensor_file(found.certificate, chooser, place)
            commands = [("certify", "--check", here, "--library", str(found.library), text)]
        elif kind.startswith("compiled library"):
            indices = kind.endswith("indices")
            what = change_index(found.compiled, number, place) if indices else change_tensor_file(
                found.compiled, chooser, place
            )  # fmt: skip
            commands = [("run", "tape.clear", *pair, "--library", here)]
        elif kind.startswith("state"):
            return resumed(found, "forced" if kind.endswith("forced") else "state", chooser, place)
        else:
            what = change_traces(found.traces, chooser, place)
            train = ("train", here, "--out", f"{here}.out", "--updates", "1", "--device", "cpu")
            commands = [("show", here), ("check", here), train]
        return outcome_of(chooser.choice(commands), here), what


def resumed(found: Instances, name: str, chooser: random.Random, place: Path) -> tuple[str, str]:
    """A run whose state was changed, and that is resumed."""
    folder = place.with_name(f"{place.name}.training")
    shutil.copytree(found.folder / f"{name}.training", folder)
    state = folder / "checkpoint.safetensors"
    what = change_tensor_file(state, chooser, state, keep="identity")
    training = replace(HALF, states="forced" if name == "forced" else "learned")
    try:
        train_library([found.folder / "tape.npi"], out=place, core=CORE, training=training, traces=4, device="cpu")
    except (ValueError, FloatingPointError) as error:
        named = str(folder) in str(error) or isinstance(error, FloatingPointError)
        return ("refused" if named else f"unnamed {error}"), what
    return "taken", what


def outcome_of(words: Sequence[str], name: str) -> str:
    """What a command comes to: ``refused``, ``taken``, or ``unnamed`` with what it said."""
    outcome, text = command(words, name, "the library has no task", "the library has no program ")
    return f"unnamed {text}" if outcome == "unnamed" else "refused" if outcome == "refused" else "taken"


# --- every byte -------------------------------------------------------------------------------------------------------


def bytes_case(source: Path, opened: Callable[[Path], Any], seed: int, number: int) -> tuple[str, str]:
    """A file with one byte changed, at the place of this number."""
    data = bytearray(source.read_bytes())
    data[number] ^= random.Random(f"{seed}/{source.name}/{number}").randrange(1, 256)
    place = source.with_name(f"{source.name}.changed")
    place.write_bytes(bytes(data))
    try:
        opened(place)
    except ValueError as error:
        return ("refused" if str(place) in str(error) else f"unnamed {error}"), f"byte {number}"
    return "silent", f"byte {number}"


SMALL = ("certificate", "row file", "compiled library", "state")


def make_small(folder: Path) -> None:
    """A certificate, a row file, a compiled library and a state, each of few bytes."""
    text = TEXT.partition("program NOTE")[0].replace("        if A == B:\n            NOTE(RIGHT)\n", "")
    text = text.replace("MOVE(RIGHT)", "ACT(A, RIGHT)").replace("    row N of 1 or blank\n", "")
    text += 'task clear(word: list of "x" or "y"):\n    A = word\n    run CLEAR\n    expect len(A) == 0\n'
    text += "    train word of 1..5\n    test word of 9\n"
    (folder / "small.npi").write_text(text)
    (folder / "again.npi").write_text(MORE.replace("tape", "small"))
    place, core = folder / "small", replace(CORE, hidden=24, bits=2, row=4, key=4)
    assert train_library([folder / "small.npi"], out=place, core=core, training=TRAINING, device="cpu").solved
    library = Library.open(place)
    certificate_of(library, prove(library)).save(folder / "small.certificate")
    CompiledLibrary.of(library).save(folder / "small.npic")
    few = LearnConfig(starts=1, updates=1, problems=1, certify=False)
    learn_into(place, [folder / "again.npi"], config=few, keep_unsolved=True, device="cpu")
    operations.pack(Library.open(place), ["TWICE"]).save(folder / "small.npirow")
    interrupted(folder / "small.npi", folder / "tiny", replace(HALF, states="forced"), TINY, 1)


def small_file(folder: Path, kind: str) -> tuple[Path, Callable[[Path], Any]]:
    """A small file of :func:`make_small`, and what reads it."""
    if kind == "state":
        state = folder / "tiny.training" / "checkpoint.safetensors"
        identity = parts_of(state.read_bytes())[1]["identity"]
        return state, lambda path: FileCheckpoint(path, identity=identity).load()
    suffix, read = {
        "certificate": ("certificate", Certificate.open),
        "row file": ("npirow", row_file.RowFile.open),
        "compiled library": ("npic", CompiledLibrary.open),
    }[kind]
    return folder / f"small.{suffix}", read


# --- the recipe -------------------------------------------------------------------------------------------------------

FILES = RUNS / "faults" / "files"
"""Where the files lie that are changed, once they are made."""


def tally(found: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How many cases came to what; of those that should not be, what was changed."""
    good = ("refused", "taken")
    counts = Counter(outcome if outcome in good else outcome.split()[0] for outcome, _ in found)
    wrong = [[outcome, what] for outcome, what in found if outcome not in good]
    return {"cases": len(found), "counts": dict(counts), "wrong": wrong[:20]}


def files() -> Instances:
    """The files to change, made where they are not there."""
    if not FILES.exists():
        part = FILES.with_name("files.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        instances(part)
        make_small(part)
        part.rename(FILES)
    return Instances(FILES)


def run(stage: str, seed: int) -> Result:
    """One format's changed files, the bytes of one, or the forged certificates."""
    made = files()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if stage == "forged":
            found: Result = {"kinds": forgeries(made.library, made.folder / "tape.npi", seed=seed)}
        elif stage in CASES:
            found = tally(outcomes(partial(case, made, stage, seed), CASES[stage], folder))
        else:
            source, opened = small_file(made.folder, stage.removeprefix("bytes of a "))
            work = shutil.copy(source, folder / source.name)
            count = source.stat().st_size
            found = tally(outcomes(lambda number: bytes_case(Path(work), opened, seed, number), count, folder))
    print(f"  {stage}: {found}", flush=True)
    return found


BAD = ("unnamed", "silent", "traceback", "crash", "hang")


def contents(done: Mapping[str, Sequence[Result]]) -> dict[str, Content]:
    """The tables of the page, from the results of each stage."""
    tables: dict[str, list[list[Any]]] = {
        "files": [["format", "changed files", "refused", "taken", *BAD]],
        "bytes": [["format", "bytes", "refused", *BAD]],
        "forged": [["kind", "forgeries", "refused", "not whole", "accepted"]],
    }
    for stage, found in done.items():
        if stage == "forged":
            for kind in found[0]["kinds"] if found else ():
                sums = [sum(r["kinds"][kind][key] for r in found) for key in ("tried", *tables["forged"][0][2:])]
                tables["forged"].append([kind, *sums])
            continue
        table = tables["files" if stage in CASES else "bytes"]
        sums = [sum(r["counts"].get(key, 0) for r in found) for key in table[0][2:]]
        table.append([stage.removeprefix("bytes of a "), sum(r["cases"] for r in found), *sums])
    for rows in tables.values():
        rows.append(["all", *(sum(row[i] for row in rows[1:]) for i in range(1, len(rows[0])))])
    return dict(tables)


def main() -> None:
    stages = [*CASES, *(f"bytes of a {kind}" for kind in SMALL), "forged"]
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", choices=stages, nargs="+", help="stages that are run; all by default")
    options = parser.parse_args()
    for stage in (options.only or stages) if not options.table else ():
        each_seed(f"faults/hostile/{stage}", options.seeds, partial(run, stage))
    done = {stage: results(f"faults/hostile/{stage}") for stage in stages}
    write("faults-hostile", contents(done), [r for found in done.values() for r in found])


if __name__ == "__main__":
    main()
