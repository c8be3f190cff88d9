"""Commands that are killed: at random moments, and before each file operation: ``python -m benchmarks.faults.kills``.

After a kill nothing that was there may be lost and no file may be half; then the same command must come to what it
comes to undisturbed, and leave nothing else behind.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import plain_arguments
from benchmarks.faults.forks import (
    CASES,
    HANG,
    SLOW,
    Case,
    Running,
    folders,
    left_over,
    row,
    run,
    scratch,
    state,
    write_page,
)

NOT_REACHED = ["not reached"]
"""In place of faults, where the command ended before it was killed."""

BUSY = "another process is writing"
"""What a command says while the processes that a killed one had started are about to end by themselves."""

FAULTS = ("lost", "half", "blocked", "other result", "left over", "traceback", "hang")

CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}
"""Audit events of Python, beside that of opening a file to write."""


def at_operation(number: int) -> Callable[[], None]:
    """What kills the process that calls it before its file operation of this number, from 1."""
    seen = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in CHANGES and not (event == "open" and writes(details)):
            return
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(watch)


def writes(details: tuple[Any, ...]) -> bool:
    """Whether a file is opened to be written."""
    path, mode, flags = details
    written = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return written and not isinstance(path, int) and not str(path).startswith(("/dev", "/proc"))


def after_kill(folder: Path, before: dict[str, str], meant: dict[str, str], *, timed: bool) -> list[str]:
    """What is lost or half in a folder where the command was killed."""
    try:
        found = quiet_state(folder, timed=timed)
    except (ValueError, OSError):
        return ["lost"]
    lost = [name for name in before if found.get(name) not in (before[name], meant.get(name))]
    whole = {name for name in found if "/" not in name} - before.keys()
    half = [name for name in whole if (folder / name).is_file() and found[name] != meant.get(name)]
    return ["lost"] * bool(lost) + ["half"] * bool(half)


def quiet_state(folder: Path, *, timed: bool) -> dict[str, str]:
    """What is there when the processes that a killed one had started leave its files alone."""
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError):
            return state(folder, timed=timed)
        time.sleep(0.1)
    return state(folder, timed=timed)


def trial(source: Path, case: Case, meant: dict[str, str], start: Callable[[Path], Running]) -> list[str]:
    """The faults of one kill; :data:`NOT_REACHED` where the command ended before."""
    with scratch(source) as folder:
        before = state(folder, timed=case.timed)
        killed = start(folder).end()
        found = ["hang"] * (killed.status is None) + ["traceback"] * killed.traceback
        found += after_kill(folder, before, meant, timed=case.timed)
        last = time.monotonic() + HANG
        there = quiet_state(folder, timed=case.timed) == meant if not found else False
        again = run(folder, case.work)
        while BUSY in again.text and again.status == 2 and time.monotonic() < last:
            time.sleep(1)
            again = run(folder, case.work)
        found += ["hang"] * (again.status is None) + ["traceback"] * again.traceback
        found += ["blocked"] * (again.status != 0 and not there)
        found += ["other result"] * (state(folder, timed=case.timed) != meant) + ["left over"] * bool(left_over(folder))
        if found:
            print(f"{case.name}: {found} {left_over(folder)}\n{killed.text}{again.text}", flush=True)
        return found or NOT_REACHED * (killed.status == 0)


def kills(source: Path, case: Case, count: int, rng: random.Random, *, every: int = 1) -> list[object]:
    """A row of the table: kills at random moments, then at each file operation, or each ``every``-th."""
    with scratch(source) as folder:
        seconds = run(folder, case.work).seconds
        meant = state(folder, timed=case.timed)
    faults: Counter[str] = Counter()

    def at_moment(folder: Path) -> Running:
        running = Running(folder, case.work)
        running.kill(rng.uniform(0, seconds))
        return running

    killed = operations = at = 0
    while killed < count:
        found = trial(source, case, meant, at_moment)
        killed += found != NOT_REACHED
        faults.update(found)
    found: list[str] = []
    while found != NOT_REACHED:
        operations, at = operations + 1, at + every
        prepare = at_operation(at)
        found = trial(source, case, meant, lambda folder, prepare=prepare: Running(folder, case.work, prepare=prepare))
        faults.update(found)
    print(f"{case.name}: {killed} + {operations - 1} kills, {dict(faults)}", flush=True)
    return [killed, operations - 1, *(faults[fault] for fault in FAULTS)]


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--count", type=int, default=100, help="kills of each command at random moments")
    parser.add_argument("--only", choices=["quick", "slow"], help="some of the commands")
    options = parser.parse_args()
    head = ["command", "killed at random moments", "killed at file operations", *FAULTS]
    with tempfile.TemporaryDirectory() as place:
        cases = {None: (*CASES, *SLOW), "quick": CASES, "slow": SLOW}[options.only]
        made = folders(Path(place), cases)
        for case in cases:
            count, every, kind = (case.kills, case.every, "slow") if case in SLOW else (options.count, 1, "kills")
            make = partial(kills, made[case.source], case, count, random.Random(0), every=every)
            row(kind, f"`npi {case.words}`", head, make, count=count)
    if options.only != "slow":
        write_page()
    if options.only != "quick":
        write_page("faults-slow", ("slow",))


if __name__ == "__main__":
    main()
