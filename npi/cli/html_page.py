"""Runs as pages (``--html``): what the commands know of a run, put together for :mod:`traces.viewing.page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from npi.cli.console import Screen
from npi.cli.words import file_size
from traces.viewing.compare import compare, time_order
from traces.viewing.page import MAX_STEPS, Take, page
from traces.viewing.states import States, StatesError, states

if TYPE_CHECKING:
    from dsl import ProgramSet
    from dsl.tasks.task import Problem
    from traces.recording.batch import TraceBatch
    from traces.stepper import Stepper
    from traces.storage.trace_set import TraceSet


def take_of(
    programs: ProgramSet,
    problem: Problem | None,
    trace: TraceBatch,
    *,
    by: str,
    verdict: str = "",
    right: bool = True,
    text: Stepper | None = None,
) -> tuple[Take, list[str]]:
    """A run with its states and, where ``text`` is given, what the program text says at each step; and notes."""
    shots, notes = None, []
    if problem is not None:
        try:
            shots = _states(programs, problem, trace)
        except StatesError as error:
            notes.append(f"The states are not drawn: {error}.")
    comparison = None if text is None else compare(text, trace)
    other = "" if text is None else "program text"
    return Take(by, trace, shots, verdict, right, other, comparison), notes


def write_page(screen: Screen, file: Path, title: str, takes: list[Take], notes: list[str]) -> None:
    """Write the page and say so on stderr."""
    content = page(title, takes, notes=notes).encode()
    file.write_bytes(content)
    screen.note(f"wrote {file}, {file_size(len(content))}: open it in a browser")


def drawn_again(found: TraceSet, index: int) -> tuple[ProgramSet, Problem] | None:
    """The programs and the problem of a trace of a set, which the set's seed draws again; None for other sets."""
    import torch

    from traces.generation.generate import load_sources, plan_shards

    info = found.info
    if not info.sources or not {"counts", "shard_traces"} <= set(info.settings):
        return None
    programs = load_sources(info.sources)
    task = programs.task(info.task)
    counts = {int(size): int(count) for size, count in info.settings["counts"].items()}
    for plan in plan_shards(info.task, counts, seed=info.seed, shard_traces=int(info.settings["shard_traces"])):
        for size, count, seed in plan.draws:
            if index < count:
                problems = task.draw(size, count, generator=torch.Generator().manual_seed(seed), spread=True)
                return programs, problems[index]
            index -= count
    return None


def _states(programs: ProgramSet, problem: Problem, trace: TraceBatch) -> States:
    order_S = time_order(trace)[:MAX_STEPS]
    calls_S4, obs_SF = trace.calls[order_S], trace.obs[order_S]
    return states(programs.world, problem.layout, calls_S4, obs_SF, primitives=programs.table.primitives)
