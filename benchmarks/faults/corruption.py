"""Single bytes that are changed in trace sets and libraries: ``python -m benchmarks.faults.corruption``.

Each byte of each file is changed once, to another one at random, and the commands that read the folder are run. All
have to say so with exit status 2, but for the one that finishes an unfinished set, which may write shards again.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import plain_arguments
from benchmarks.faults.forks import SMALL, npi, row, run, scratch, state, warm, write_page
from dsl import load
from npi.core.config import CoreConfig
from npi.jobs.train import new_library
from npi.training.dataset import Dataset
from traces.generation.generate import generate, make_shards, plan_set
from traces.generation.shards import generate_part
from traces.storage.trace_set import TraceSetWriter

FAULTS = ("silent", "other status", "traceback", "hang")

BATCH = 200
"""Changes that one process tries."""

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
    Instance("set", "a trace set", ("check set", "show set")),
    Instance("part", "a part of a trace set", ("merge part other --out whole",)),
    Instance("unfinished", "an unfinished trace set", (), "trace small.npi --traces 1 --sizes 1,2 --out unfinished"),
    Instance("library", "a library", ("show library", "library list library")),
)


def made(folder: Path) -> None:
    """All instances."""
    (folder / "small.npi").write_text(SMALL)
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
    with scratch(source) as folder:
        for words in (*instance.commands, instance.finishing or "--version"):
            warm(folder, words)
        meant = state(folder / instance.name)
    changes = [
        (path.name, place, rng.randrange(1, 256))
        for path in sorted((source / instance.name).iterdir())
        for place in range(path.stat().st_size)
    ]
    faults: Counter[str] = Counter()
    left = list(changes)
    while left:
        batch = left[:BATCH]
        with scratch(source) as folder:
            end = run(folder, partial(trials, source, instance, meant, batch))
        found = [json.loads(line) for line in end.text.splitlines() if line.startswith("[")]
        for change, one in zip(batch, found, strict=False):
            if one:
                print(change, one, flush=True)
            faults.update(one)
        if len(found) < len(batch):
            print(batch[len(found)], end.status, end.text[-2000:], flush=True)
            faults["hang" if end.status is None else "traceback"] += 1
        left = left[len(found) + (len(found) < len(batch)) :]
    return [len(changes), *(faults[fault] for fault in FAULTS)]


def trials(source: Path, instance: Instance, meant: dict[str, str], changes: Sequence[tuple[str, int, int]]) -> int:
    """Change a byte at a time in this folder, and print the faults of each as a line of JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name, place, bits in changes:
        shutil.rmtree(instance.name)
        shutil.copytree(source / instance.name, instance.name)
        path = Path(instance.name) / name
        data = bytearray(path.read_bytes())
        data[place] ^= bits
        path.write_bytes(data)
        found: list[str] = []
        for words in instance.commands or (instance.finishing,):
            status = quietly(words)
            if status == 0 and instance.finishing:
                found += ["silent"] * (state(Path(instance.name)) != meant)
            elif status != 2:
                found.append({None: "traceback", 0: "silent"}.get(status, "other status"))
        print(json.dumps(found), flush=True)
    return 0


def quietly(words: str) -> int | None:
    """The exit status of a command, whose output is left out; None after a traceback."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            return npi(words)
        except Exception:
            return None


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
