"""What a run costs by the length of its input, the size of the batch and the depth of its stack: table and picture.

    python -m benchmarks.speed.scaling

Program texts are run, as tables in machine code, which is how trained cores run too. Memory is what the process holds
at most, above what it held before the run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import torch

from benchmarks.common import ROOT, plain_arguments, write
from dsl import compile_teacher, load
from npi.reproduce.plots import OURS, panels, png
from npi.running.evaluate import run_problems
from traces.machine.lockstep import Budget

Point = tuple[str, int, int, float, float]
"""What varies, its value, steps, seconds, MiB."""

TRIED = {
    "digits added": ("addition", "add", [10, 30, 100, 300, 1000, 3000, 10000], 8),
    "items sorted": ("bubblesort", "sort", [5, 10, 20, 40, 80, 160, 300], 2),
    "additions of 20 digits at once": ("addition", "add", [1, 4, 16, 64, 256, 1024, 4096, 16384], 0),
    "depth of the stack (recursive addition)": ("recursive/addition", "add", [10, 30, 100, 300, 1000, 3000], 8),
}
"""What varies → program file, task, values, problems at once (0: the value)."""


def measure(what: str, value: int) -> Point:
    """Run one case in this process, three times, and take the fastest."""
    torch.set_num_threads(1)
    file, name, _, count = TRIED[what]
    programs = load(ROOT / "programs" / f"{file}.npi")
    task, teacher = programs.task(name), compile_teacher(programs)
    size = 20 if count == 0 else value
    drawn = task.draw(size, count or value, generator=torch.Generator().manual_seed(0), spread=False)
    budget = Budget(steps=10**9, depth=10**6)
    run_problems(teacher, programs, drawn[:1], budget=Budget(steps=3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fastest, steps = float("inf"), 0
    for _ in range(3):
        began = time.perf_counter()
        outcome = run_problems(teacher, programs, drawn, budget=budget)
        fastest = min(fastest, time.perf_counter() - began)
        steps = int(outcome.steps_N.sum())
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return what, value, steps, fastest, more


def points() -> Iterator[Point]:
    """Every case in a process of its own, so that its memory is its own."""
    for what, (_, _, values, _) in TRIED.items():
        for value in values:
            line = f"from benchmarks.speed.scaling import measure; print(*measure({what!r}, {value})[2:])"
            done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, check=True, capture_output=True, text=True)
            steps, seconds, more = done.stdout.split()
            print(f"  {what} {value}: {steps} steps, {float(seconds):.4f} s, {float(more):.1f} MiB", flush=True)
            yield what, value, int(steps), float(seconds), float(more)


def picture(found: list[Point]) -> bytes:
    """Nanoseconds a step, one panel for each thing that varies."""
    figure, axes = panels(len(TRIED), across=2, size=(9, 6.5), dpi=110)
    for panel, what in zip(axes, TRIED, strict=True):
        own = [p for p in found if p[0] == what]
        panel.plot([p[1] for p in own], [1e9 * p[3] / p[2] for p in own], "o-", color=OURS)
        panel.set(xscale="log", xlabel=what, ylabel="nanoseconds a step", ylim=(0, None))
        panel.grid(alpha=0.3)
    figure.suptitle("Cost of a step: it does not grow with the input, the batch or the stack")
    return png(figure)


def main() -> None:
    plain_arguments(__doc__).parse_args()
    found = list(points())
    rows = [["what varies", "value", "steps", "seconds", "ns a step", "memory, MiB"]]
    rows += [[w, f"{v:,}", f"{s:,}", f"{t:.4f}", f"{1e9 * t / s:.0f}", f"{m:.0f}"] for w, v, s, t, m in found]
    write("scaling", {"costs": rows, "scaling.png": picture(found)})


if __name__ == "__main__":
    main()
