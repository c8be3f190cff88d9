"""Validation: tasks run by a core on problems that are drawn afresh at each check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dsl import shown_by
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from npi.core.config import TrainConfig
from npi.library.library import Library
from npi.running.evaluate import run_problems, solve_bounded, validation_seed
from npi.training.dataset import pack_frames, unpack_frames
from npi.training.ranks import Parcel, Ranks
from traces.generation.generate import record_problems
from traces.machine.outcome import Budget
from traces.machine.stopped import why_stopped
from traces.recording.unique_frames import FrameSet, unique_frames

Validator = Callable[[int], "Validation"]
"""Given the number of updates taken, which names the problems that are drawn."""


@dataclass(frozen=True)
class Validation:
    """What the machine found: problems run, how many were solved, and frames of the failed ones to learn from.

    ``spared``: how many failed that may fail, since they look at pictures.
    """

    problems: int = 0
    solved: int = 0
    frames: tuple[FrameSet, ...] = ()
    spared: int = 0

    @property
    def passed(self) -> bool:
        return self.solved + self.spared == self.problems


TRACED = 128
"""Problems of a task that are traced at most when the core fails them."""


@dataclass(frozen=True)
class _Trial:
    programs: ProgramSet
    number: int
    steps: int

    @property
    def task(self) -> Task:
        return self.programs.tasks[self.number]


class TaskValidator:
    """Runs every task of some program files by the core, and traces problems that it fails.

    The problems are drawn afresh at each call: those that failed once are learned from, and tell nothing after that.
    Half of them have the largest size, half any training size. A task without training sizes is left out.

    Args:
        library: whose core and rows are validated, as they are at the time of each call.
        sets: the program files.
        config: how many problems, how far beyond the training sizes, and the seed.
        tasks: names of those to run; all by default.
        budget: of each run; by the size of the inputs where there is none.

    Raises ``ValueError`` for a task whose program text does not end within it.
    """

    def __init__(
        self,
        library: Library,
        sets: Sequence[ProgramSet],
        config: TrainConfig,
        *,
        tasks: Sequence[str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.library, self.config, self.budget = library, config, budget
        self.trials: list[_Trial] = []
        for programs in sets:
            teacher = shown_by(programs)
            for number, task in enumerate(programs.tasks):
                if not task.train_sizes or (tasks is not None and task.name not in tasks):
                    continue
                outcome = run_problems(teacher, programs, self.problems(programs, number, 0), budget=budget)
                if outcome.stopped is not None:
                    why = why_stopped(programs, teacher, outcome, budget)
                    raise ValueError(f"{programs.path}: task {task.name}: {why}")
                self.trials.append(_Trial(programs, number, int(outcome.steps_N.max())))

    def problems(self, programs: ProgramSet, number: int, turn: int) -> list[Problem]:
        """The problems of one turn for the file's task of this number."""
        task = programs.tasks[number]
        seed = validation_seed(self.config.seed, programs.digest, number, turn)
        generator = torch.Generator().manual_seed(seed)
        largest, count = max(task.train_sizes), self.config.problems
        sizes = torch.tensor(task.train_sizes)[torch.randint(len(task.train_sizes), (count // 2,), generator=generator)]
        drawn = Counter([round(largest * self.config.stretch)] * (count - count // 2) + sizes.tolist())
        return [p for size in sorted(drawn) for p in task.draw(size, drawn[size], generator=generator, spread=True)]

    def __call__(self, turn: int) -> Validation:
        """Run all problems of a turn (any number names one); frames of failed ones come back to be learned."""
        count = solved = spared = 0
        found: list[FrameSet] = []
        for trial in self.trials:
            stepper = self.library.stepper(trial.programs.table)
            device = self.library.memory.keys_NK.device
            problems = self.problems(trial.programs, trial.number, turn)
            result = solve_bounded(
                stepper, trial.programs, trial.task, problems, free=trial.steps + 16, device=device, budget=self.budget
            )
            count += len(problems)
            solved += result.count
            failed = [p for p, right in zip(problems, result.right, strict=True) if not right]
            slack = self.config.slack if trial.programs.world.spec.rendered else 0.0
            if len(failed) <= 5 * slack * len(problems):
                spared += len(failed)
            else:
                traced = record_problems(trial.programs, trial.task, failed[:TRACED], budget=self.budget)
                found.append(unique_frames([traced]))
        return Validation(count, solved, tuple(found), spared)


@dataclass(frozen=True)
class FirstValidator:
    """A validator that runs on the first rank, and says everywhere what it found there.

    Attributes:
        validate: of the tasks, or of tasks and proofs; the other ranks wait for it.
    """

    validate: Validator
    ranks: Ranks

    def __call__(self, turn: int) -> Validation:
        """The first rank's validation, with equal frames on all of them."""

        def ask() -> Parcel:
            found = self.validate(turn)
            return pack_frames(found.frames, about=[found.problems, found.solved, found.spared])

        parcel = self.ranks.from_first(ask)
        problems, solved, spared = parcel.about["more"]
        return Validation(problems, solved, tuple(unpack_frames(parcel)), spared)
