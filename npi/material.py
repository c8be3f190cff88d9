"""What a core learns from: the different frames of program files or of trace sets, and problems to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dsl import compile_teacher
from dsl.program import ProgramSet
from dsl.tasks import Problem, Task
from envs.spec import ProgramTable
from npi.config import TrainConfig
from npi.evaluate import bounded_budget, run_problems, solve, validation_seed
from npi.library import Library
from npi.train import Validation
from traces.batch import TraceBatch
from traces.frames import FrameSet, check_rule, unique_frames
from traces.generate import load_sources, record_problems, record_traces
from traces.machine import Budget
from traces.store import TraceSet


@dataclass(frozen=True)
class Material:
    """Training material of one table.

    Attributes:
        table: of the programs. frames: each different frame once, with counts.
        programs: the program file, where there is one (its tasks validate).
        name: what a person calls it. source: sha256 that the rows carry. traces: how many were read.
    """

    table: ProgramTable
    frames: FrameSet
    programs: ProgramSet | None
    name: str
    source: str
    traces: int

    @classmethod
    def from_programs(cls, programs: ProgramSet, *, traces: int, seed: int) -> Material:
        """Trace every task of a program file, ``traces`` runs of each training size.

        Raises :class:`ValueError` where it has no task, and ``ConflictError`` where it cannot be learned.
        """
        if not programs.tasks:
            raise ValueError(f"{programs.path} has no task, so there is nothing to trace; add one (task NAME(…): …)")
        batches = [
            record_traces(programs, task=t.name, traces=dict.fromkeys(t.train_sizes, traces), seed=seed)
            for t in programs.tasks
        ]
        return cls.from_batches(batches, programs, name=Path(programs.path).name, source=programs.digest)

    @classmethod
    def from_trace_set(cls, traces: TraceSet) -> Material:
        """The frames of a trace set; its program file too, where the set carries one."""
        programs = load_sources(traces.info.sources) if traces.info.sources else None
        return cls.from_batches(
            list(traces.batches()), programs, name=traces.folder.name, source=traces.info.program_digest
        )

    @classmethod
    def from_batches(
        cls, batches: Sequence[TraceBatch], programs: ProgramSet | None, *, name: str, source: str
    ) -> Material:
        """The different frames of batches of one table, checked for contradictions."""
        frames = unique_frames(batches)
        check_rule(frames)
        return cls(frames.table, frames, programs, name, source, sum(len(b) for b in batches))


@dataclass(frozen=True)
class _Trial:
    programs: ProgramSet
    task: Task
    problems: list[Problem]
    budget: Budget


class TaskValidator:
    """Runs every task of some program files by the core, and traces the problems that it fails.

    Args:
        library: whose core and rows are validated, as they are at the time of each call.
        sets: the program files.
        config: how many problems, how far beyond the training sizes, and the seed.
        tasks: names of those to run; all by default.
    """

    def __init__(
        self,
        library: Library,
        sets: Sequence[ProgramSet],
        config: TrainConfig,
        *,
        tasks: Sequence[str] | None = None,
    ) -> None:
        self.library = library
        self.trials: list[_Trial] = []
        for programs in sets:
            teacher = compile_teacher(programs)
            for number, task in enumerate(programs.tasks):
                if tasks is not None and task.name not in tasks:
                    continue
                problems: list[Problem] = []
                largest = max(task.train_sizes)
                for size in sorted({largest, round(largest * config.stretch)}):
                    seed = validation_seed(config.seed, programs.digest, number, size)
                    generator = torch.Generator().manual_seed(seed)
                    problems += task.draw(size, config.problems, generator=generator, spread=True)
                outcome = run_problems(teacher, programs, problems)
                self.trials.append(_Trial(programs, task, problems, bounded_budget(outcome.steps_N.tolist())))

    def __call__(self) -> Validation:
        """Run all problems; frames of the failed ones come back to be learned."""
        count = solved = 0
        found: list[FrameSet] = []
        for trial in self.trials:
            stepper = self.library.stepper(trial.programs.table)
            device = self.library.memory.keys_NK.device
            result = solve(stepper, trial.programs, trial.task, trial.problems, budget=trial.budget, device=device)
            count += len(trial.problems)
            solved += result.count
            failed = [p for p, right in zip(trial.problems, result.right, strict=True) if not right]
            if failed:
                batch = record_problems(trial.programs, trial.task, failed)
                found.append(unique_frames([batch]))
        return Validation(count, solved, tuple(found))
