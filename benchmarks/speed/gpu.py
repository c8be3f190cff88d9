"""The machine and training on a GPU, beside what the device can do: ``python -m benchmarks.speed.gpu``.

Steps of the machine are measured with and without graphs, for tables and for a core that is computed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, plain_arguments, write
from benchmarks.speed.parts import FILES, Figure, fresh_objective, problems, rate, steps_of
from dsl import compile_teacher
from envs.stepper import Stepper
from envs.steppers.decision_tables import TableStepper
from npi.core.config import LEARNED, CoreConfig, TrainConfig
from npi.jobs.train import train_library
from npi.library.library import Library
from npi.training.loop import Descent
from traces.machine.lockstep import run


def best(work: Callable[[], Any], device: torch.device, *, calls: int = 4) -> float:
    """The shortest time of a call in seconds, after one to warm up; the device is waited for."""
    shortest = float("inf")
    for number in range(calls + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        shortest = min(shortest, time.perf_counter() - began) if number else shortest
    return shortest


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceilings(device: torch.device, side: int) -> tuple[float, float]:
    """Operations a second of a product of square matrices, float32, and bytes a second of a copy."""
    a = torch.randn(side, side, device=device)
    source = torch.zeros(side**2 * 4, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * side**3 / best(lambda: a @ a, device), 2 * len(source) / best(lambda: target.copy_(source), device)


def machine(stepper: Stepper, name: str, size: int, count: int, device: torch.device, *, graphs: bool) -> Figure:
    """A batch of one size; laying out and judging are not part of it."""
    programs, _, drawn = problems(name, size, count)
    layouts = [p.layout for p in drawn]
    program_N = torch.tensor([p.program for p in drawn], device=device)
    arguments_N3 = torch.tensor([list(p.arguments) for p in drawn], device=device)
    states = [programs.world.reset(layouts, device=device) for _ in range(4)]
    steps = [0]

    def work() -> None:
        outcome = run(
            stepper, programs.world, states.pop(), programs.table, program_N, arguments_N3,
            check_every=64, compiled=False, capture="auto" if graphs else None,
        )  # fmt: skip
        steps[0] = int(outcome.steps_N.sum())

    seconds = best(work, device, calls=3)
    kind = "tables" if isinstance(stepper, TableStepper) else "core computed"
    note = "graphs" if graphs else "no graphs"
    return rate(f"{kind}, {name} {size}, {count:,} at once", steps[0], seconds, note=note)


def training(device: torch.device, flops: float) -> Figure:
    """One update of the discrete core on addition and sorting."""
    config = CoreConfig()
    objective = fresh_objective(config, device=device, states=LEARNED, frames=4096)
    descent = Descent(objective.groups(), objective.schedule)
    steps = steps_of(objective, draws=1)
    floor = 3 * 2 * config.hidden * (config.hidden + 2 * config.bits) / flops
    return rate(
        "training update of 4,096 frames, discrete", steps, best(partial(descent.update, objective, 0), device), floor
    )


def measure(
    device: torch.device, *, sizes: dict[str, int], counts: tuple[int, ...], side: int
) -> tuple[float, float, list[Figure]]:
    """Both ceilings, and all figures; the core is trained on the CPU first."""
    flops, copy = ceilings(device, side)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "library"
        files = [ROOT / "programs" / f for f in FILES.values()]
        train_library(files, out=out, training=TrainConfig(seed=0), device="cpu")
        library = Library.open(out, device=device)
        for name, size in sizes.items():
            programs, _ = library.task("addition.add" if name == "add" else "bubblesort.sort")
            teacher = compile_teacher(programs)
            there = TableStepper(teacher.table, teacher.tables.to(device), hops=teacher.hops)
            core = library.stepper(programs.table, memo=False)
            for stepper, count in ((s, c) for s in (there, core) for c in counts):
                figures += [machine(stepper, name, size, count, device, graphs=graphs) for graphs in (True, False)]
    return flops, copy, [*figures, training(device, flops)]


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="cpu runs the same on small batches and writes nothing")
    device = torch.device(parser.parse_args().device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here; --device cpu runs the same code on small batches", file=sys.stderr)
        sys.exit(2)
    here = device.type == "cuda"
    if here:
        found = measure(device, sizes={"add": 100, "sort": 20}, counts=(1024, 16384, 65536), side=8192)
    else:
        found = measure(device, sizes={"add": 5, "sort": 4}, counts=(16,), side=512)
    flops, copy, figures = found
    rows = [["", "steps a second", "times the floor", ""]]
    for f in figures:
        rows.append([f["what"], f"{f['rate']:,.0f}", f"{f['times']:.1f}" if f["times"] else "", f["note"]])
    name = torch.cuda.get_device_name(device) if here else "CPU"
    text = f"{name}: {flops / 1e12:.1f} TFLOP/s (float32 product), {copy / 1e9:,.0f} GB/s (copy)"
    if here:
        write("gpu", {"ceilings": text, "figures": rows})
    else:
        print(text, *("  ".join(row) for row in rows), sep="\n")


if __name__ == "__main__":
    main()
