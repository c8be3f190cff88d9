"""Fuzz one target with atheris.

    python -m tests.fuzz checker --out FOLDER -max_total_time=600

What begins with one dash is an option of libFuzzer. Inputs that reach new code are kept in FOLDER/corpus-TARGET, each
different fault once in FOLDER/faults (its text and its traceback), and a line of figures a run in FOLDER/figures.jsonl.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dsl", "envs"]):
    from .targets import TARGETS

from .corpus import seeds
from .mutate import cross, mutate

SLOW = 5.0
"""CPU seconds of one text that are a fault."""

MOST_CHARACTERS = 6_000


class Fuzzer:
    """Runs a target, keeps each different fault, and writes figures now and then."""

    def __init__(self, target: str, out: Path) -> None:
        self.target, self.out = target, out
        self.executions = 0
        self.faults: set[str] = set()
        self.began, self.written = time.time(), 0.0
        (out / "faults").mkdir(parents=True, exist_ok=True)

    def __call__(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.executions += 1
        began = time.process_time()
        try:
            TARGETS[self.target](text)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"
            self.keep(name, text, traceback.format_exc())
        took = time.process_time() - began
        if took > SLOW:
            self.keep(f"slow-{int(took)}", text, f"{took:.1f} s\n")
        if time.time() - self.written > 5:
            self.figures()

    def keep(self, name: str, text: str, why: str) -> None:
        name = f"{self.target}-{name}"
        if name not in self.faults:
            self.faults.add(name)
            (self.out / "faults" / f"{name}.npi").write_bytes(text.encode("utf-8", "replace"))
            (self.out / "faults" / f"{name}.txt").write_text(why[-6000:], encoding="utf-8")
            print(f"FAULT {name}: {why.strip().splitlines()[-1][:300]}", flush=True)

    def figures(self) -> None:
        """Append what was done so far; the last line of a process counts."""
        self.written = time.time()
        used = resource.getrusage(resource.RUSAGE_SELF)
        line = {
            "target": self.target,
            "began": int(self.began),
            "executions": self.executions,
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "seconds": round(time.time() - self.began, 1),
            "megabytes": used.ru_maxrss // 1024,
            "faults": sorted(self.faults),
        }
        with (self.out / "figures.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """A change of words or lines; a character or two may be cut at the end."""
    text = mutate(data.decode("utf-8", "replace"), random.Random(seed), MOST_CHARACTERS)
    return text.encode("utf-8")[:max_size]


def custom_crossover(one: bytes, two: bytes, max_size: int, seed: int) -> bytes:
    mixed = cross(one.decode("utf-8", "replace"), two.decode("utf-8", "replace"), random.Random(seed), MOST_CHARACTERS)
    return mixed.encode("utf-8")[:max_size]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the program language.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder for what is found")
    options, libfuzzer = parser.parse_known_args()
    folder = options.out / f"corpus-{options.target}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(seeds()):
        (folder / f"seed-{number:03}").write_bytes(text.encode("utf-8"))
    known = [f"-max_len={MOST_CHARACTERS}", "-timeout=120", "-rss_limit_mb=3000", "-print_final_stats=1"]
    known.append(f"-artifact_prefix={options.out}/faults/")  # of what ends the process: memory, or no end
    fuzzer = Fuzzer(options.target, options.out)
    atheris.Setup(
        [sys.argv[0], *known, *libfuzzer, str(folder)],
        fuzzer,
        custom_mutator=custom_mutator,
        custom_crossover=custom_crossover,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
