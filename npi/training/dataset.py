"""What a core learns from: the different frames of program files or of trace sets, and problems to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dsl.program import ProgramSet
from dsl.tasks.task import Task
from envs.spec import ProgramTable
from traces.generation.generate import load_sources, record_traces
from traces.recording.batch import TraceBatch, same_table
from traces.recording.unique_frames import FrameSet, check_rule, unique_frames, united
from traces.storage.trace_set import TraceSet


@dataclass(frozen=True)
class Dataset:
    """What a core learns from, of one table.

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
    def from_programs(cls, programs: ProgramSet, *, traces: int, seed: int) -> Dataset:
        """Trace every task of a program file, ``traces`` runs of each training size.

        Raises :class:`ValueError` where there is none to train on, and ``ConflictError`` where it cannot be learned.
        """
        batches = [
            record_traces(programs, task=t.name, traces=dict.fromkeys(t.train_sizes, t.traces or traces), seed=seed)
            for t in training_tasks(programs)
        ]
        return cls.from_batches(batches, programs, name=Path(programs.path).name, source=programs.digest)

    @classmethod
    def from_trace_set(cls, traces: TraceSet, frames: FrameSet | None = None) -> Dataset:
        """The frames of a trace set; its program file too, where the set carries one.

        Args:
            frames: the set's different frames, where they are known; read from its shards by default.
        """
        programs = load_sources(traces.info.sources) if traces.info.sources else None
        frames = unique_frames(traces.batches()) if frames is None else frames
        return cls.from_frames(
            frames, programs, name=traces.folder.name, source=traces.info.program_digest, traces=len(traces)
        )

    @classmethod
    def from_batches(
        cls, batches: Sequence[TraceBatch], programs: ProgramSet | None, *, name: str, source: str
    ) -> Dataset:
        """The different frames of batches of one table, checked for contradictions."""
        traces = sum(len(b) for b in batches)
        return cls.from_frames(unique_frames(batches), programs, name=name, source=source, traces=traces)

    @classmethod
    def from_frames(
        cls, frames: FrameSet, programs: ProgramSet | None, *, name: str, source: str, traces: int
    ) -> Dataset:
        """Different frames of one table, checked for contradictions; without those of programs with a signal."""
        if programs is not None and programs.signals:
            signals = torch.tensor([program.id for program in programs.signals])
            frames = frames.select(~torch.isin(frames.program_M, signals))
        check_rule(frames)
        return cls(frames.table, frames, programs, name, source, traces)


def merged(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets, those of one program file as one: a trace set shows one task, and a file may have several.

    Raises ``ConflictError`` where they contradict each other.
    """
    groups: list[list[Dataset]] = []
    for dataset in datasets:
        group = next((group for group in groups if _alike(dataset, group[0])), None)
        if group is None:
            groups.append([dataset])
        else:
            group.append(dataset)
    return [_merged(group) for group in groups]


def _alike(one: Dataset, other: Dataset) -> bool:
    texts = (one.programs is None) == (other.programs is None)
    return texts and one.source == other.source and same_table(one.table, other.table)


def _merged(group: Sequence[Dataset]) -> Dataset:
    if len(group) == 1:
        return group[0]
    first, frames = group[0], united([dataset.frames for dataset in group])
    names, traces = " and ".join(m.name for m in group), sum(m.traces for m in group)
    return Dataset.from_frames(frames, first.programs, name=names, source=first.source, traces=traces)


def training_tasks(programs: ProgramSet) -> list[Task]:
    """The tasks that say sizes to train on; ``ValueError`` where there is none."""
    found = [task for task in programs.tasks if task.train_sizes]
    if not programs.tasks:
        raise ValueError(f"{programs.path} has no task, so there is nothing to trace; add one (task NAME(…): …)")
    if not found:
        raise ValueError(
            f"{programs.path} says no sizes to train on, so nothing can be drawn to learn from; add a line to task "
            f"{programs.tasks[0].name}, such as: train {', '.join(i.name for i in programs.tasks[0].inputs)} of 1..8"
        )
    return found
