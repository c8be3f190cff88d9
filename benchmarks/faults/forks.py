"""Commands in forked processes, which begin in milliseconds, and the commands that trials of faults run.

A trial begins from a folder of files, runs a command of :data:`CASES` there, and holds what is left against what the
command leaves undisturbed (:func:`state`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, RUNS, finished, write
from benchmarks.faults.forked_seeds import in_forks
from envs.support.atomic_files import unfinished
from npi.core.config import CoreConfig
from npi.library.index import listing
from npi.reproduce import recipe
from npi.reproduce.ledger import read_record

(NPI,) = entry_points(group="console_scripts", name="npi")

HANG = 120.0
"""Seconds after which a command is taken for one that hangs."""

PROGRAMS = ROOT / "programs"

SMALL = """
world strip is scratchpad:
    row A of 0..2
    pointer P on A at left

program SCAN "To the end":
    while not last(P):
        ACT(P, RIGHT)

task scan(items: list of 0..2):
    A = items
    run SCAN
    expect at(P) == len(items) - 1
    train items of 1..4
    test items of 3
"""
"""A program that a core learns in a second."""

LIKE = """
world strip is scratchpad:
    row A of 0..2
    pointer P on A at left

program {name} "To the beginning, or a {stop}":
    while not first(P) and P != {stop}:
        ACT(P, LEFT)

task {task}(items: list of 0..2):
    A = items
    run {name}
    expect A == items
    train items of 1..4
    test items of 3
"""
"""Programs for a universal core, which learns them in a second as well."""


def npi(words: str) -> int:
    """Run a command in this process; its exit status."""
    return int(NPI.load()(words.split()))


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (minus the signal where one killed it; None where it hung), what it wrote
    to stdout and stderr, and its seconds."""

    status: int | None
    text: str
    seconds: float

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


class Running:
    """A command in a process of its own, in a folder."""

    def __init__(self, folder: Path, work: str | Callable[[], int], prepare: Callable[[], None] = lambda: None) -> None:
        self.began = time.monotonic()
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the object)
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(folder, work if callable(work) else lambda: npi(work), prepare)

    def _run(self, folder: Path, work: Callable[[], int], prepare: Callable[[], None]) -> None:
        status = 70
        try:
            os.setsid()
            os.chdir(folder)
            for descriptor in (1, 2):
                os.dup2(self.output.fileno(), descriptor)
            sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w", buffering=1) for n in (1, 2))
            prepare()
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):  # a trial may close them
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(status)

    def kill(self, after: float) -> None:
        """Kill it and what it started at so many seconds after its beginning."""
        time.sleep(max(0.0, self.began + after - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> Ended:
        """Wait for its end; kill it where it hangs."""
        status: int | None = None
        while time.monotonic() < self.began + HANG:
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(code)
                break
            time.sleep(0.002)
        else:
            self.kill(0)
            os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self.began
        self.output.seek(0)
        return Ended(status, self.output.read().decode(errors="replace"), seconds)


def run(folder: Path, work: str | Callable[[], int]) -> Ended:
    """Run a command to its end."""
    return Running(folder, work).end()


@contextlib.contextmanager
def scratch(source: Path | None = None) -> Iterator[Path]:
    """A folder to work in, a copy of another one."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "work"
        if source is None:
            folder.mkdir()
        else:
            shutil.copytree(source, folder, symlinks=True)
        yield folder


def state(folder: Path, *, timed: bool = False) -> dict[str, str]:
    """What a folder holds: of libraries core and rows, by their versions, of everything else its bytes (sha256).

    Args:
        timed: whether texts tell how long something took: long fractions in them do not count, nor numbers in prose.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        above = [folder / parent for parent in name.parents]
        if any(map(unfinished, (path, *above))) or any(map(is_library, above)):
            continue
        if is_library(path):
            held = listing(path)
            rows = sorted((card.name, card.version) for card in held.cards)
            found[str(name)] = hashlib.sha256(f"{held.core} {rows}".encode()).hexdigest()
        elif path.is_file():
            data = path.read_bytes()
            if timed and path.suffix in (".json", ".md"):
                data = re.sub(rb"\d+\.\d{6,}(e-\d+)?" if path.suffix == ".json" else rb"[\d.,]+", b"#", data)
            found[str(name)] = hashlib.sha256(data).hexdigest()
    return found


def is_library(folder: Path) -> bool:
    """Whether a folder is a library as a whole."""
    return (folder / "manifest.json").is_file() and any(folder.glob("core-*.safetensors"))


def left_over(folder: Path) -> list[str]:
    """What commands should not leave: temporary names, plans, states of training."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if unfinished(path) or path.name == "plan.json" or path.name.endswith(".training")
    ]


# --- the commands ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        words: of it. source: the kind of folder that it is run in (of :func:`folders`).
        prepare: what its process does before. timed: as :func:`state` has it.
        warm: a command that imports and compiles the same in this process; the words of it where there is none.
        kills: at random moments, of a command that takes long. every: it is killed at every so many file operations.
    """

    name: str
    words: str
    source: str = "programs"
    prepare: Callable[[], None] = lambda: None
    timed: bool = False
    warm: str = ""
    kills: int = 20
    every: int = 5

    def work(self) -> int:
        self.prepare()
        return npi(self.words)


CASES = (
    Case("trace", "trace small.npi --traces 300 --out set"),
    Case("trace --part", "trace small.npi --traces 300 --part 1/2 --out part"),
    Case("merge", "merge one two --out set", "parts"),
    Case("train", "train small.npi --bits 2 --out core"),
    Case("learn, a new library", "learn home.npi --library mine"),
    Case("learn", "learn back.npi --library mine", "library"),
    Case("library add", "library add mine back.npirow", "library"),
    Case("library remove", "library remove mine HOME", "library"),
    Case("library merge", "library merge mine yours --out ours", "library"),
    Case("library pack", "library pack mine HOME --out home.npirow", "library"),
    Case("certify", "certify --library core --out core.certificate", "trained"),
    Case("compile", "compile --library core --out core.npic", "trained"),
    Case("show --html", "show small.npi 0,1,2 --html page.html"),
    Case("run --html", "run scan 0,1,2 --library core --html page.html", "trained"),
    Case("graph", "graph small.npi --out small.svg"),
    Case("fmt", "fmt untidy.npi"),
)


def in_small() -> None:
    """Let the reproduction of the paper be two points of its curve of traces, of cores that learn next to nothing."""
    few = {"updates": 2, "frames": 8, "check_every": 2, "problems": 2}
    core = CoreConfig(hidden=11, bits=2, row=7, key=5)
    training = dict.fromkeys(recipe.QUICK.training, few)
    recipe.QUICK = replace(recipe.QUICK, core=core, training=training, problems=3, samples=(1, 2), sample_size=4)


SLOW = (
    Case(
        "train --seeds",
        "train small.npi --bits 2 --seeds 0..1 --out cores",
        "slow",
        in_forks,
        warm="train small.npi --bits 2 --out core",
        kills=100,
        every=1,
    ),
    Case(
        "train, a learner", "train arms.npi --updates 6 --set batch=8 --set check_every=2 --out core", "slow", kills=12
    ),
    Case("reproduce", "reproduce npi-paper --quick --only samples --out paper", "slow", in_small, timed=True),
    Case("train --universal", "train small.npi --universal --programs 1 --updates 2 --out core", "slow", kills=4),
)
"""Commands that take seconds even where they do next to nothing."""

ARMS = """
world arms is bandit(arms: 2)

program EXPLORE "Find what pays":
    maximise reward over 10 steps
    core "meta-rl"

task independent:
    run EXPLORE
    expect TRIAL == [10]
    train
    test
"""


def folders(place: Path, cases: Sequence[Case] = CASES) -> dict[str, Path]:
    """The folders that commands are run in, by kind; what the cases import and compile is there in every fork."""
    made = {name: place / name for name in ("programs", "parts", "library", "trained")}
    made["programs"].mkdir(parents=True)
    (made["programs"] / "small.npi").write_text(SMALL)
    (made["programs"] / "untidy.npi").write_text(SMALL.replace("    ", "  "))
    for number, name in enumerate(("home", "back", "left")):
        text = LIKE.format(name=name.upper(), task=name, stop=number)
        (made["programs"] / f"{name}.npi").write_text(text)
    for name in ("parts", "library", "trained"):
        shutil.copytree(made["programs"], made[name])
    for number, name in ((1, "one"), (2, "two")):
        done(made["parts"], f"trace small.npi --traces 300 --part {number}/2 --out {name}")
    for words in (
        "learn home.npi --library mine",
        "learn back.npi --library yours",
        "library pack yours BACK --out back.npirow",
        "learn left.npi --library more",
        "library pack more LEFT --out left.npirow",
    ):
        done(made["library"], words)
    done(made["trained"], "train small.npi --bits 2 --out core")
    made["slow"] = made["programs"].with_name("slow")
    shutil.copytree(made["programs"], made["slow"])
    (made["slow"] / "arms.npi").write_text(ARMS)
    for case in cases:
        with scratch(made[case.source]) as folder, contextlib.chdir(folder):
            case.prepare()
            warm(folder, case.warm or case.words)
    return made


def warm(folder: Path, words: str) -> None:
    """Run a command in this process; it may end with any status but that of bad input."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        for inside in (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            contextlib.chdir(folder),
        ):
            stack.enter_context(inside)
        assert npi(words) != 2, words


def done(folder: Path, words: str) -> Ended:
    """Run a command that has to end well."""
    found = run(folder, words)
    assert found.status == 0, f"npi {words}: {found.status}\n{found.text}"
    return found


# --- the page --------------------------------------------------------------------------------------------------------

KINDS = ("kills", "corruption", "writers", "disk")


def row(kind: str, name: str, head: Sequence[str], make: Callable[[], Sequence[object]], **settings: Any) -> None:
    """A row of a table as a stage, which is done unless it was before."""
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    finished(f"faults/{kind}/{slug}", lambda: {"head": list(head), "row": [name, *make()]}, **settings)


def write_page(page: str = "faults", kinds: Sequence[str] = KINDS) -> None:
    """Write a page of docs/results from the rows that are finished, a table for each kind."""
    records = {kind: [read_record(path) for path in sorted((RUNS / "faults" / kind).glob("*.json"))] for kind in kinds}
    contents = {
        kind: [found[0].result["head"], *(record.result["row"] for record in found)] if found else []
        for kind, found in records.items()
    }
    write(page, contents, [vars(record) for found in records.values() for record in found])
