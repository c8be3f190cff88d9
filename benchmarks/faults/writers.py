"""Commands side by side on one folder, and readers beside a writer: ``python -m benchmarks.faults.writers``."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import plain_arguments
from benchmarks.faults.forks import Ended, Running, folders, left_over, row, run, scratch, state, write_page
from npi.library.index import listing
from npi.library.library import Library

FAULTS = ("lost", "not told", "other result", "left over", "traceback", "hang")

LIBRARIES = (
    ("learn back.npi --library mine", "learn left.npi --library mine"),
    ("learn back.npi --library mine", "library add mine left.npirow"),
    ("learn back.npi --library mine", "library remove mine HOME"),
    ("library add mine back.npirow", "library add mine left.npirow"),
    ("library add mine back.npirow", "library remove mine HOME"),
    ("learn back.npi --library mine", "library add mine left.npirow", "library remove mine HOME"),
    ("learn home.npi --library fresh", "learn back.npi --library fresh"),
)
"""Commands that all take effect, whatever their order."""

SETS = (
    ("programs", "trace small.npi --traces 2000 --out set"),
    ("programs", "train small.npi --bits 2 --out core"),
)
"""What one process does at a time: the kind of folder, and the command."""

IN_USE = "another process is writing to"


def in_turn(source: Path, commands: Sequence[str]) -> dict[str, str]:
    """What commands come to one after the other."""
    with scratch(source) as folder:
        for words in commands:
            assert run(folder, words).status == 0
        return state(folder)


def side_by_side(source: Path, commands: Sequence[str], meant: dict[str, str]) -> list[str]:
    """The faults of commands that are started at the same moment and all take effect."""
    with scratch(source) as folder:
        ends = ended(folder, commands)
        found = common_faults(folder, ends) + ["not told"] * any(end.status for end in ends)
        return told(found + ["lost"] * (state(folder) != meant), ends)


def one_alone(source: Path, words: str, meant: dict[str, str]) -> list[str]:
    """The faults of two equal commands, of which one at a time may write."""
    with scratch(source) as folder:
        ends = ended(folder, [words, words])
        found = common_faults(folder, ends)
        for end in ends:
            found += ["not told"] * (end.status != 0 and not (end.status == 2 and IN_USE in end.text))
        found += ["lost"] * all(end.status for end in ends)
        return told(found + ["other result"] * (state(folder) != meant), ends)


def ended(folder: Path, commands: Sequence[str]) -> list[Ended]:
    """How commands end that are started together."""
    return [running.end() for running in [Running(folder, words) for words in commands]]


def common_faults(folder: Path, ends: Sequence[Ended]) -> list[str]:
    found = ["hang"] * any(end.status is None for end in ends) + ["traceback"] * any(end.traceback for end in ends)
    return found + ["left over"] * bool(left_over(folder))


def told(found: list[str], ends: Sequence[Ended]) -> list[str]:
    """The faults, after what the commands wrote was printed where there are some."""
    if found:
        print(found, *(f"{end.status}: {end.text}" for end in ends), sep="\n", flush=True)
    return found


def readers(source: Path, count: int) -> tuple[int, Counter[str]]:
    """Reads beside processes that add and remove a row: how many there were, and faults."""
    faults: Counter[str] = Counter()
    reads, seen = 0, set[tuple[str, ...]]()
    words = ("library add mine back.npirow", "library remove mine BACK")
    with scratch(source) as folder:
        place = folder / "mine"
        names = {tuple(card.name for card in listing(place).programs)}
        assert run(folder, words[0]).status == 0
        names.add(tuple(card.name for card in listing(place).programs))
        while reads < count:
            writers = [Running(folder, line) for line in (*words, *words)]
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                reads += 1
                try:
                    seen.add(read(place, whole=bool(reads % 2)))
                except (ValueError, OSError) as error:
                    print(f"a reader: {error}", flush=True)
                    faults["not told"] += 1
            faults.update("traceback" for writer in writers if writer.end().traceback)
    faults["lost"] += len(seen - names)
    assert seen >= names, "readers saw both"
    return reads, faults


def read(place: Path, *, whole: bool) -> tuple[str, ...]:
    """Names of the programs of a library, which is read whole, or only listed."""
    if whole:
        return tuple(info.name for info in Library.open(place).memory.infos if not info.primitive)
    return tuple(card.name for card in listing(place).programs)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--count", type=int, default=30, help="trials of each row")
    options = parser.parse_args()

    head = ["side by side", "trials", *FAULTS]
    with tempfile.TemporaryDirectory() as place:
        made = folders(Path(place))

        def trials(name: str, kind: str, commands: Sequence[str], one: Callable[..., list[str]], about: object) -> None:
            def make() -> list[object]:
                meant = in_turn(made[kind], commands)
                faults = Counter(fault for _ in range(options.count) for fault in one(made[kind], about, meant))
                return [options.count, *(faults[fault] for fault in FAULTS)]

            row("writers", name, head, make, count=options.count)

        for commands in LIBRARIES:
            trials(" beside ".join(f"`{words}`" for words in commands), "library", commands, side_by_side, commands)
        for kind, words in SETS:
            trials(f"two of `{words}`", kind, [words], one_alone, words)

        def beside() -> list[object]:
            reads, faults = readers(made["library"], 40 * options.count)
            return [reads, *(faults[fault] for fault in FAULTS)]

        row("writers", "readers beside `library add` and `library remove`", head, beside, count=options.count)
    write_page()


if __name__ == "__main__":
    main()
