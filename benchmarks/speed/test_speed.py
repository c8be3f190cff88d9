"""Speed of the parts, by pytest-benchmark: ``pytest benchmarks/speed/test_speed.py --benchmark-only``.

Nothing is asserted about time. Compare figures of one run with each other; ``extra_info`` holds steps a second.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.common import ROOT
from dsl import Problem, ProgramSet, Task, compile_teacher, load
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.running.evaluate import run_problems
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.loop import Descent
from traces.generation.generate import record_problems
from traces.machine.lockstep import Budget
from traces.recording.unique_frames import unique_frames

torch.set_num_threads(1)

FILES = {"add": "addition.npi", "sort": "bubblesort.npi"}


def problems(name: str, size: int, count: int) -> tuple[ProgramSet, Task, list[Problem]]:
    programs = load(ROOT / "programs" / FILES[name])
    task = programs.task(name)
    return programs, task, task.draw(size, count, generator=torch.Generator().manual_seed(1), spread=False)


def note_rate(benchmark: BenchmarkFixture, steps: int) -> None:
    benchmark.extra_info["steps"] = steps
    if benchmark.stats is not None:
        benchmark.extra_info["steps_a_second"] = round(steps / benchmark.stats.stats.median)


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("count", [1, 100, 1000])
def test_teacher_runs(benchmark: BenchmarkFixture, name: str, count: int) -> None:
    programs, _, drawn = problems(name, 10, count)
    teacher = compile_teacher(programs)
    outcome = benchmark(lambda: run_problems(teacher, programs, drawn))
    note_rate(benchmark, int(outcome.steps_N.sum()))


@pytest.mark.parametrize("name", list(FILES))
def test_recording(benchmark: BenchmarkFixture, name: str) -> None:
    programs, task, drawn = problems(name, 10, 1000)
    teacher = compile_teacher(programs)
    batch = benchmark(lambda: record_problems(programs, task, drawn, teacher=teacher))
    note_rate(benchmark, len(batch.calls))


@pytest.mark.parametrize("name", list(FILES))
def test_unique_frames(benchmark: BenchmarkFixture, name: str) -> None:
    programs, task, drawn = problems(name, 10, 1000)
    batch = record_problems(programs, task, drawn)
    benchmark(lambda: unique_frames([batch]))
    note_rate(benchmark, len(batch.calls))


@pytest.mark.parametrize("kind", ["discrete", "lstm"])
def test_training_update(benchmark: BenchmarkFixture, kind: str) -> None:
    config = CoreConfig() if kind == "discrete" else CoreConfig.published()
    datasets = [Dataset.from_programs(load(ROOT / "programs" / f), traces=4, seed=0) for f in FILES.values()]
    library = new_library(config, datasets, seed=0)
    objective = FrameObjective.on(library, datasets, TrainConfig.for_core(config))
    descent = Descent(objective.groups(), objective.schedule)
    benchmark(lambda: descent.update(objective, 0))


@pytest.mark.parametrize("memo", [True, False])
@pytest.mark.parametrize("count", [1, 100, 1000])
def test_core_runs(benchmark: BenchmarkFixture, memo: bool, count: int) -> None:
    """An untrained core's speed: it runs into its budget of steps, which is what is timed."""
    programs, _, drawn = problems("sort", 10, count)
    dataset = Dataset.from_programs(programs, traces=1, seed=0)
    stepper = new_library(CoreConfig(), [dataset], seed=0).stepper(programs.table, memo=memo)
    outcome = benchmark(lambda: run_problems(stepper, programs, drawn, budget=Budget(steps=256, depth=64)))
    note_rate(benchmark, int(outcome.steps_N.sum()))
