"""How fast the parts are, beside what the machine can do: ``make bench``, or ``python -m benchmarks.speed.parts``.

Every figure is the best of several runs in one process, and one thread where no more are named. Ceilings (a large
matrix product, a large copy) are measured in the same run; a floor is the time that the operations of a step cost at
that ceiling, and beside it is how many times the floor the measured time is. The table is compared with the last one by
ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RESULTS, ROOT, plain_arguments, write
from dsl import Problem, ProgramSet, Task, compile_teacher, load
from envs.spec import SLOTS
from envs.stepper import Decision, Draw, Observation, Stepper
from npi.core.config import FORCED, LEARNED, CoreConfig, TrainConfig
from npi.jobs.train import new_library, train_library
from npi.library.library import Library
from npi.running.compiled_library import CompiledLibrary
from npi.running.core_stepper import CoreStepper
from npi.running.evaluate import run_problems
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.loop import Descent
from npi.training.unrolled import UnrolledFrames
from traces.generation.generate import record_traces
from traces.machine.lockstep import Budget
from traces.machine.lockstep import run as run_machine
from traces.recording.recorder import Recorder
from traces.recording.unique_frames import unique_frames
from traces.storage.trace_set import TraceInfo, TraceSet, TraceSetWriter

FILES = {"add": "addition.npi", "sort": "bubblesort.npi"}

Figure = dict[str, Any]


def best(work: Callable[[], Any], *, seconds: float = 1.5) -> float:
    """The shortest time of a call, in seconds, over as many as fit (three at least, after one to warm up)."""
    work()
    shortest, began, calls = float("inf"), time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
        calls += 1
    return shortest


def ceilings() -> tuple[float, float]:
    """Floating-point operations a second of a product of 1,024 × 1,024 matrices, and bytes a second of a copy."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    source, target = torch.zeros(2**26, dtype=torch.uint8), torch.empty(2**26, dtype=torch.uint8)
    return 2 * 1024**3 / best(lambda: a @ b), 2 * 2**26 / best(lambda: target.copy_(source))


def problems(name: str, size: int, count: int) -> tuple[ProgramSet, Task, list[Problem]]:
    programs = load(ROOT / "programs" / FILES[name])
    task = programs.task(name)
    return programs, task, task.draw(size, count, generator=torch.Generator().manual_seed(1), spread=False)


def rate(what: str, steps: int, seconds: float, floor: float | None = None, note: str = "") -> Figure:
    """A figure of so many steps in so many seconds; ``floor`` in seconds a step."""
    each = seconds / steps
    return {"what": what, "rate": steps / seconds, "unit": "steps/s", "times": each / floor if floor else None,
            "note": note}  # fmt: skip


def traces(name: str, size: int, count: int, copy: float) -> list[Figure]:
    """Teacher, machine, recorder, frames and store on one task."""
    programs, task, drawn = problems(name, size, count)
    teacher, world = compile_teacher(programs), programs.world
    row = 2 * len(world.spec.fields) + 4 * (1 + SLOTS) + 4  # bytes of a recorded step: fields, call, instance
    program = torch.tensor([p.program for p in drawn])
    arguments = torch.tensor([list(p.arguments) for p in drawn])

    def machine(recorder: Recorder | None) -> int:
        state = world.reset([p.layout for p in drawn])
        outcome = run_machine(teacher, world, state, programs.table, program, arguments, recorder=recorder)
        if recorder is not None:
            recorder.batch()
        return int(outcome.steps_N.sum())

    steps = machine(None)
    sizes = dict.fromkeys(task.train_sizes, 100 if name == "add" else 20)
    batch = record_traces(programs, task=name, traces=sizes, seed=0)
    made = best(lambda: record_traces(programs, task=name, traces=sizes, seed=0))
    found = [
        rate(f"teacher runs, {name} {size}", steps, best(lambda: machine(None))),
        rate(
            f"teacher runs and is recorded, {name} {size}", steps, best(lambda: machine(Recorder(programs.table))),
            4 * row / copy, f"{row} bytes a step, written and put in order",
        ),
        rate(
            f"traces made, {name}, training sizes", batch.steps, made, 4 * row / copy,
            "drawing, laying out and judging the problems too",
        ),
        rate(f"different frames found, {name}", batch.steps, best(lambda: unique_frames([batch])), 2 * row / copy),
    ]  # fmt: skip
    info = TraceInfo(Path(programs.path).name, programs.digest, programs.sources, name, 0, {})
    with tempfile.TemporaryDirectory() as folder:
        number = iter(range(10**6))

        def write() -> Path:
            out = Path(folder) / str(next(number))
            writer = TraceSetWriter(out, programs.table, info)
            writer.finish([writer.write(0, batch)])
            return out

        out = write()

        def read() -> int:
            return sum(int(part.calls[:, 0].sum()) for part in TraceSet.open(out).batches())

        found.append(rate(f"traces written, {name}", batch.steps, best(write), 2 * row / copy))
        found.append(rate(f"traces read, {name}", batch.steps, best(read), row / copy))
    return found


def training(flops: float) -> list[Figure]:
    """One update of each core; the floor counts the products of the trunk, forward and twice that backward."""
    found = []
    for kind, states in (("discrete", FORCED), ("discrete", LEARNED), ("lstm", LEARNED)):
        config = CoreConfig() if kind == "discrete" else CoreConfig.published()
        objective = fresh_objective(config, states=states)
        descent = Descent(objective.groups(), objective.schedule)
        steps = steps_of(objective)
        hidden = config.hidden
        products = hidden * (hidden + 2 * config.bits) if kind == "discrete" else 16 * hidden * hidden
        seconds = best(partial(descent.update, objective, 0), seconds=4)
        floor = 3 * 2 * products / flops
        name = f"training update, {kind}" + f", states {states}" * (kind == "discrete")
        found.append(rate(name, steps, seconds, floor, f"{seconds * 1e3:.0f} ms an update"))
    return found


def fresh_objective(config: CoreConfig, *, device: torch.device | str = "cpu", **changes: Any) -> FrameObjective:
    """Training on addition and sorting, at its beginning."""
    datasets = [Dataset.from_programs(load(ROOT / "programs" / f), traces=8, seed=0) for f in FILES.values()]
    library = new_library(config, datasets, seed=0, device=device)
    training = TrainConfig.for_core(config, seed=0, **changes)
    return FrameObjective.on(library, datasets, training)


def steps_of(objective: FrameObjective, draws: int = 10) -> int:
    """Steps of an update: the mean of some draws, padding included where frames are unrolled."""
    supervision = objective.supervision
    if not isinstance(supervision, UnrolledFrames):
        return min(objective.config.examples, sum(different for different, _ in supervision.steps.values()))
    drawn = [supervision.curriculum.draw(generator=supervision.generator) for _ in range(draws)]
    return sum(b.mask_BT.numel() for groups in drawn for group in groups for b in group) // draws


def execution(flops: float) -> list[Figure]:
    """Running trained programs by the core, an untrained published core, and whole commands."""
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "library"
        files = [ROOT / "programs" / f for f in FILES.values()]
        train_library(files, out=place, training=TrainConfig(seed=0), device="cpu")
        library = Library.open(place)
        CompiledLibrary.of(library).save(Path(folder) / "library.npic")
        compiled = CompiledLibrary.open(Path(folder) / "library.npic")
        tried = (("add", 100, 1000), ("add", 100, 1), ("add", 10, 1), ("sort", 60, 100), ("sort", 60, 1))
        for name, size, count in tried:
            found += runs(library, compiled, name, size, count, flops)
        found.append(command(["--help"], place))
        found.append(command(["run", "add", "96", "125", "--quiet"], place))
    for count in (1, 20, 1000):
        found.append(published(count, flops))
    return found


class Led:
    """A core that is asked for every call, while a teacher makes them: what an untrained core costs, on right runs."""

    dtype = torch.float32

    def __init__(self, core: Stepper, teacher: Stepper) -> None:
        self.core, self.teacher, self.width = core, teacher, core.width + 1

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        _, after = self.core.step(seen, program_B, arguments_B3, hidden_BH[:, 1:].contiguous())
        action, node_B1 = self.teacher.step(seen, program_B, arguments_B3, hidden_BH[:, :1].long())
        return Decision(action, torch.cat([node_B1.float(), after], 1))


def published(count: int, flops: float) -> Figure:
    """The published core on sorts of 10 items."""
    programs, _, drawn = problems("sort", 10, count)
    dataset = Dataset.from_programs(programs, traces=1, seed=0)
    core = new_library(CoreConfig.published(), [dataset], seed=0).stepper(dataset.table)
    led = Led(core, compile_teacher(programs))
    steps = int(run_problems(led, programs, drawn).steps_N.sum())
    seconds = best(lambda: run_problems(led, programs, drawn), seconds=3)
    label = f"{count:,} at once" if count > 1 else "one problem"
    return rate(f"lstm computed, sort 10, {label}", steps, seconds, 2 * 16 * 256**2 / flops)


def runs(library: Library, compiled: CompiledLibrary, name: str, size: int, count: int, flops: float) -> list[Figure]:
    """One task by the core: computed in torch (its first steps), in machine code, looked up in tables, compiled."""
    programs, task = library.task(name)
    held = compiled.task(name)[0]
    drawn = task.draw(size, count, generator=torch.Generator().manual_seed(1), spread=False)
    label = f"{name} {size}, {count:,} at once" if count > 1 else f"{name} {size}, one problem"
    plain, cut = CoreStepper.of(library, programs.table), Budget(steps=500)
    computed, tables = library.stepper(programs.table, memo=False), library.stepper(programs.table)
    stepper, hidden = compiled.stepper(held.table), library.core.config.hidden
    floor = 2 * hidden * (hidden + 12) / flops
    short = int(run_problems(plain, programs, drawn, budget=cut).steps_N.sum())
    whole = int(run_problems(tables, programs, drawn).steps_N.sum())
    in_torch = best(lambda: run_problems(plain, programs, drawn, budget=cut))
    found = [
        rate(f"core in torch, {label}", short, in_torch, floor),
        rate(f"core computed, {label}", whole, best(lambda: run_problems(computed, programs, drawn)), floor),
    ]
    if count > 1:
        torch.set_num_threads(os.cpu_count() or 1)
        seconds = best(lambda: run_problems(computed, programs, drawn))
        found.append(rate(f"core computed, {label}, {torch.get_num_threads()} threads", whole, seconds))
        torch.set_num_threads(1)
    return [
        *found,
        rate(f"core in tables, {label}", whole, best(lambda: run_problems(tables, programs, drawn))),
        rate(f"compiled, {label}", whole, best(lambda: run_problems(stepper, held, drawn))),
    ]


def command(words: list[str], library: Path) -> Figure:
    """A whole process of the command line."""
    line = [sys.executable, "-m", "npi.cli.main", *words, *(["--library", str(library)] if len(words) > 1 else [])]
    seconds = best(lambda: subprocess.run(line, cwd=ROOT, check=True, capture_output=True), seconds=3)
    return {"what": f"npi {' '.join(words)}, whole process", "rate": seconds, "unit": "s", "times": None, "note": ""}


def main() -> None:
    plain_arguments(__doc__).parse_args()
    flops, copy = ceilings()
    figures = [*traces("add", 100, 500, copy), *traces("sort", 60, 50, copy)]
    figures += [*training(flops), *execution(flops)]
    last_path = RESULTS / "speed.json"
    last = json.loads(last_path.read_text()) if last_path.exists() else {}
    rows = [["", "measured", "unit", "times the floor", "against the last table", ""]]
    for figure in figures:
        value = f"{figure['rate']:,.0f}" if figure["unit"] == "steps/s" else f"{figure['rate']:.2f}"
        times = f"{figure['times']:.1f}" if figure["times"] else ""
        before = last.get(figure["what"])
        rows.append([figure["what"], value, figure["unit"], times, f"{figure['rate'] / before:.2f}" if before else "",
                     figure["note"]])  # fmt: skip
    ceiling = {"flops": f"{flops / 1e9:.0f} GFLOP/s", "copy": f"{copy / 1e9:.1f} GB/s"}
    write("speed", {**ceiling, "figures": rows})
    last_path.write_text(json.dumps({f["what"]: f["rate"] for f in figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
