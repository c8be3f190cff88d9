"""Commands on a full disk: ``python -m benchmarks.faults.disk``; it mounts small file systems, so it needs root."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.common import plain_arguments
from benchmarks.faults.forks import CASES, Case, folders, left_over, row, run, scratch, state, write_page
from benchmarks.faults.kills import after_kill

FAULTS = ("lost", "half", "unnamed", "blocked", "other result", "left over", "traceback", "hang")

MEBIBYTES = 32
PAGE = 4096

NAMED = re.compile(r"\S+: No space left on device")


@contextmanager
def small_disk(source: Path) -> Iterator[Path]:
    """A file system of its own with a copy of a folder on it."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "none", place], check=True)
        try:
            yield Path(shutil.copytree(source, Path(place) / "work"))
        finally:
            subprocess.run(["umount", place], check=True)


def full(source: Path, case: Case, steps: int) -> list[object]:
    """A row of the table: how often the disk was too full for the command, and faults."""
    with scratch(source) as folder:
        assert run(folder, case.words).status == 0
        meant = state(folder)
    with small_disk(source) as folder:
        free = shutil.disk_usage(folder).free
        run(folder, case.words)
        needed = (free - shutil.disk_usage(folder).free) // PAGE + 8
    faults: Counter[str] = Counter()
    trials = sorted({needed * step // steps for step in range(steps)})
    too_full = 0
    for pages in trials:
        with small_disk(source) as folder:
            found, was_full = trial(folder, case, meant, pages)
        too_full += was_full
        faults.update(found)
    return [too_full, *(faults[fault] for fault in FAULTS)]


def trial(folder: Path, case: Case, meant: dict[str, str], pages: int) -> tuple[list[str], bool]:
    """Faults of a command with so many free pages, and whether they were too few."""
    before, filler = state(folder), folder.parent / "filler"
    with filler.open("wb") as file:
        file.truncate(0)
        while (free := shutil.disk_usage(folder).free // PAGE) > pages:
            file.write(bytes(PAGE * (free - pages)))
            file.flush()
    end = run(folder, case.words)
    found = ["hang"] * (end.status is None) + ["traceback"] * end.traceback
    found += ["unnamed"] * (end.status != 0 and not (end.status == 2 and NAMED.search(end.text)))
    found += after_kill(folder, before, meant)
    there = state(folder) == meant
    filler.unlink()
    again = run(folder, case.words)
    found += ["blocked"] * (again.status != 0 and not there)
    found += ["other result"] * (state(folder) != meant) + ["left over"] * bool(left_over(folder))
    if found:
        print(f"{case.name}, {pages} pages: {found} {left_over(folder)}\n{end.text}{again.text}", flush=True)
    return found, end.status != 0


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--steps", type=int, default=16, help="amounts of free space, from none to enough")
    options = parser.parse_args()
    head = ["command", "ends for lack of space", *FAULTS]
    with tempfile.TemporaryDirectory() as place:
        made = folders(Path(place))
        for case in CASES:
            make = partial(full, made[case.source], case, options.steps)
            row("disk", f"`npi {case.words}`", head, make, steps=options.steps)
    write_page()


if __name__ == "__main__":
    main()
