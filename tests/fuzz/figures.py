"""Sum up what fuzzing did: ``python -m tests.fuzz.figures runs/fuzz`` prints a table of executions and CPU seconds."""

import json
import sys
from pathlib import Path
from typing import Any

from npi.reproduce.ledger import machine
from npi.reproduce.pages import markdown


def sums(lines: list[dict[str, Any]]) -> list[list[str]]:
    """A row a target: the last line of each process counts, faults are counted once each."""
    last = {(line["target"], line["began"]): line for line in lines}
    rows = [["target", "processes", "executions", "CPU s", "most memory, MiB"]]
    for target in sorted({target for target, _ in last}):
        mine = [line for (name, _), line in last.items() if name == target]
        executions, seconds = sum(line["executions"] for line in mine), sum(line["cpu_seconds"] for line in mine)
        most = max(line["megabytes"] for line in mine)
        rows.append([target, str(len(mine)), f"{executions:,}", f"{seconds:,.0f}", f"{most:,}"])
    every = list(last.values())
    executions, seconds = sum(line["executions"] for line in every), sum(line["cpu_seconds"] for line in every)
    return [*rows, ["all", str(len(every)), f"{executions:,}", f"{seconds:,.0f}", ""]]


if __name__ == "__main__":
    text = (Path(sys.argv[1]) / "figures.jsonl").read_text(encoding="utf-8")
    print(f"{machine()}\n")
    print("\n".join(markdown(sums([json.loads(line) for line in text.splitlines()]))))
