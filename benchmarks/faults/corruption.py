"""Single bytes that are changed in trace sets and libraries: ``python -m benchmarks.faults.corruption``.

Each byte of each file is changed once, to another one at random, and the commands that read the folder are run. All
have to say so with exit status 2, but for the one that finishes an unfinished set, which may write shards again.
"""

from __future__ import annotations

import random
import resource
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import plain_arguments
from benchmarks.faults.forks import HOME, SMALL, row, run, scratch, state, warm, write_page
from dsl import load
from npi.core.config import CoreConfig
from npi.jobs.train import new_library
from npi.training.dataset import Dataset
from traces.generation.generate import generate, make_shards, plan_set
from traces.generation.shards import generate_part
from traces.storage.trace_set import TraceSetWriter

FAULTS = ("silent", "other status", "traceback", "hang")

MEMORY = 6 << 30
"""Bytes of address space that a command may take."""

SETTINGS: dict[str, Any] = {"task": "scan", "traces": {1: 1, 2: 2}, "shard_traces": 2}


@dataclass(frozen=True)
class Instance:
    """A folder to damage: its name, for the page its title, commands that read it, and one that finishes it, if any."""

    name: str
    title: str
    commands: tuple[str, ...]
    finishing: str = ""


INSTANCES = (
    Instance("set", "a trace set", ("check set", "show set", "show set --trace 2 --html page.html",
                     "train set --out core --updates 1")),
    Instance("part", "a part of a trace set", ("merge part other --out whole",)),
    Instance("unfinished", "an unfinished trace set", (), "trace small.npi --traces 1 --sizes 1,2 --out unfinished"),
    Instance("library", "a library", ("library list library", "show library", "run scan 0,1 --library library",
                         "certify --library library", "learn home.npi --library library --updates 1")),
)  # fmt: skip


def made(folder: Path) -> None:
    """All instances."""
    (folder / "small.npi").write_text(SMALL)
    (folder / "home.npi").write_text(HOME)
    programs = load(folder / "small.npi")
    generate(programs, out=folder / "set", **SETTINGS)
    for name, number in (("part", 1), ("other", 2)):
        generate_part(programs, out=folder / name, part=(number, 2), **SETTINGS)
    config = CoreConfig(hidden=5, bits=2, row=4, key=3)
    new_library(config, [Dataset.from_programs(programs, traces=1, seed=0)], seed=0).save(folder / "library")
    plan = plan_set(programs, task="scan", traces={1: 1, 2: 1}, sizes=None, seed=0, shard_traces=512)
    writer = TraceSetWriter(folder / "unfinished", programs.table, plan.info)
    make_shards(plan, plan.shards, writer, processes=1, progress=None, budget=None)


def damaged(source: Path, instance: Instance, rng: random.Random) -> list[object]:
    """A row of the table: how many bytes were changed, and faults."""
    faults: Counter[str] = Counter()
    with scratch(source) as folder:
        for words in (*instance.commands, instance.finishing or "--version"):
            warm(folder, words)
        meant = state(folder)
        files = [path.relative_to(source) for path in sorted((source / instance.name).iterdir())]
        count = 0
        for file in files:
            data = (source / file).read_bytes()
            for place in range(len(data)):
                count += 1
                changed = bytearray(data)
                changed[place] ^= rng.randrange(1, 256)
                with scratch(source) as folder:
                    (folder / file).write_bytes(changed)
                    found = trial(folder, instance, meant)
                if found:
                    print(f"byte {place} of {file}: {found}", flush=True)
                faults.update(found)
            print(f"{file}: {len(data)} bytes, {dict(faults)}", flush=True)
    return [count, *(faults[fault] for fault in FAULTS)]


def trial(folder: Path, instance: Instance, meant: dict[str, str]) -> list[str]:
    """The faults of the commands in a folder with a changed byte."""
    commands = instance.commands or (instance.finishing,)
    end = run(folder, "--version", *commands, prepare=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)))
    found = ["hang"] * (end.status is None) + ["traceback"] * end.traceback
    statuses = end.text.split("\0")[3::2]
    if instance.finishing and statuses == ["0"]:
        return found + ["silent"] * (state(folder) != meant)
    for status in statuses:
        found += ["silent"] * (status == "0") + ["other status"] * (status not in ("0", "2"))
    return found + ["other status"] * (len(statuses) != len(commands))


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.parse_args()
    head = ["what", "bytes, each changed once", *FAULTS]
    with tempfile.TemporaryDirectory() as place:
        made(Path(place))
        for instance in INSTANCES:
            row("corruption", instance.title, head, partial(damaged, Path(place), instance, random.Random(0)))
    write_page()


if __name__ == "__main__":
    main()
