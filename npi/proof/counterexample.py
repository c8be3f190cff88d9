"""Real inputs on which a core decides otherwise than the teacher: the smallest that is found, replayed and kept.

A proof that fails names configurations, and its walk is wider than what inputs lead to. So inputs of a file's tasks are
tried, the smallest sizes first: the teacher runs them, and the core is asked about every frame of these runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from dsl.tasks.values import show
from envs.spec import RETURN
from envs.stepper import Observation, Stepper
from envs.support.atomic_files import WAIT, claimed, whole_folder
from npi.library.library import Library
from npi.running.evaluate import solve
from traces.generation.generate import record_problems
from traces.machine.lockstep import Budget, Status
from traces.recording.batch import TraceBatch
from traces.recording.text import call_text, observation_text
from traces.recording.unique_frames import FrameSet, unique_frames
from traces.storage.trace_set import TraceInfo, TraceSet, TraceSetWriter

PROBLEMS_PER_SIZE = 256
"""Problems of each task and size."""

MAX_SIZE = 8
"""Sizes that are tried, as far as the task trains on them."""

BATCH = 4096
"""Frames that a core is asked about side by side."""


@dataclass(frozen=True)
class Counterexample:
    """An input on which a core goes wrong in a program.

    Attributes:
        seen, wanted, made: the observation, the teacher's call and the core's, as text.
        ended: how the core's own run of the input ends. trace: the teacher's run.
    """

    program: str
    task: Task
    problem: Problem
    seen: str
    wanted: str
    made: str
    ended: str
    trace: TraceBatch

    @property
    def inputs(self) -> str:
        return ", ".join(f"{name} = {show(value)}" for name, value in self.problem.values.items()) or "no inputs"

    def save(self, folder: Path | str, programs: ProgramSet) -> TraceSet:
        """Write the teacher's run as a trace set of one trace, to learn from and to try again; none is written over."""
        about = {"program": self.program, "inputs": self.inputs, "wanted": self.wanted, "made": self.made}
        info = TraceInfo(
            program=Path(programs.path).name,
            program_digest=programs.digest,
            sources=programs.sources,
            task=self.task.name,
            settings={"counterexample": about},
        )
        name = re.sub(r"[^\w.-]", "_", self.program)
        with claimed(folder, wait=WAIT):
            place = next(p for n in count(1) if not (p := Path(folder) / (name if n == 1 else f"{name}-{n}")).exists())
            with whole_folder(place) as unnamed:
                writer = TraceSetWriter(unnamed, programs.table, info)
                writer.finish([writer.write(0, self.trace)])
        return TraceSet.open(place)


def disagreements(stepper: Stepper, frames: FrameSet) -> dict[int, tuple[int, list[int]]]:
    """For each frame in which the stepper decides otherwise: its first step that differs, and the call made there."""
    found: dict[int, tuple[int, list[int]]] = {}
    for index in frames.length_M.argsort().split(BATCH):
        padded = frames.pad(index)
        hidden = torch.zeros(len(index), stepper.width, dtype=stepper.dtype)
        for step in range(padded.mask_BT.shape[1]):
            decided = stepper.step(Observation(padded.obs_BTF[:, step]), padded.program_B, padded.arguments_B3, hidden)
            call, wanted, hidden = decided.call_B4, padded.call_BT4[:, step], decided.hidden_BH
            same = (call == wanted).all(1) | ((call[:, 0] == RETURN) & (wanted[:, 0] == RETURN))
            for place in (~same & padded.mask_BT[:, step]).nonzero()[:, 0].tolist():
                found.setdefault(int(index[place]), (step, call[place].tolist()))
    return found


def smallest(
    library: Library, programs: ProgramSet, names: Collection[str], *, seed: int = 0
) -> dict[str, Counterexample]:
    """For each of these programs the smallest input found that shows it wrong, and nothing where none does."""
    stepper, found = library.stepper(programs.table), dict[str, Counterexample]()
    generator = torch.Generator().manual_seed(seed)
    for size in range(1, MAX_SIZE + 1):
        for task in programs.tasks:
            if set(names) <= set(found):
                return found
            if size > max(task.sizes):
                continue
            problems = task.draw(size, PROBLEMS_PER_SIZE, generator=generator, spread=True)
            batch = record_problems(programs, task, problems)
            fresh: dict[str, tuple[int, int, int]] = {}
            frames = unique_frames([batch])
            wrong = disagreements(stepper, frames)
            for frame in wrong:
                name = programs.table.signatures[int(frames.program_M[frame])].name
                trace = int(frames.origin_M3[frame, 1])
                if name in names and name not in found:
                    fresh[name] = min(fresh.get(name, (batch.steps, 0, 0)), (batch.trace(trace).steps, trace, frame))
            for name, (_, trace, frame) in fresh.items():
                step, call = wrong[frame]
                place = int(frames.start_M[frame]) + step
                found[name] = Counterexample(
                    program=name,
                    task=task,
                    problem=problems[trace],
                    seen=observation_text(programs.table, frames.obs_SF[place].tolist()),
                    wanted=call_text(programs.table, frames.call_S4[place].tolist()),
                    made=call_text(programs.table, call),
                    ended=_replayed(stepper, programs, task, problems[trace], batch.trace(trace).steps),
                    trace=batch.trace(trace),
                )
    return found


def _replayed(stepper: Stepper, programs: ProgramSet, task: Task, problem: Problem, steps: int) -> str:
    """How the machine's run by the core ends; the teacher needs this many steps."""
    solved = solve(stepper, programs, task, [problem], budget=Budget(steps=2 * steps + 16))
    if solved.right[0]:
        return "with the right result, by another way" if solved.steps[0] != steps else "with the right result"
    match solved.status[0]:
        case Status.DONE:
            return "with a wrong result"
        case Status.ILLEGAL:
            return "at a call that cannot be carried out"
    return f"not within {2 * steps + 16} steps, where the text takes {steps}"
