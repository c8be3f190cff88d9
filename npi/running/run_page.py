"""Runs as pages, in files and in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dsl import ProgramSet
from dsl.tasks.task import Problem
from envs.stepper import Stepper
from npi.running.runs import TEXT, Payload, Run, run_once
from traces.recording.batch import TraceBatch
from traces.recording.text import time_order
from traces.viewing.page import MAX_STEPS, Take, compare, page
from traces.viewing.states import StatesError, states

FRAME_STEPS, FRAME_HEIGHT = 5000, 640
"""Steps of a run that a notebook keeps, and pixels of its frame."""


def take_of(
    programs: ProgramSet,
    problem: Problem,
    trace: TraceBatch,
    *,
    by: str,
    verdict: str = "",
    right: bool = True,
    text: Stepper | None = None,
    beside: Sequence[str] = (),
    payloads: Sequence[Payload] = (),
) -> tuple[Take, list[str]]:
    """A run with its states and, where ``text`` is given, what the program text says at each step; and notes.

    Args:
        beside: lines shown with the states before calls of primitives, in their order.
        payloads: of the steps in the order of time; may be fewer.
    """
    shots, notes = None, []
    order_S = time_order(trace)[:MAX_STEPS]
    calls_S4, obs_SF = trace.calls[order_S], trace.obs[order_S]
    try:
        shots = states(
            programs.world, problem.layout, calls_S4, obs_SF, primitives=programs.table.primitives, beside=beside,
            payloads=payloads,
        )  # fmt: skip
    except StatesError as error:
        notes.append(f"The states are not drawn: {error}.")
    comparison = None if text is None else compare(text, trace)
    return Take(by, trace, shots, verdict, right, "" if text is None else TEXT, comparison), notes


def takes_of(run: Run, text: Stepper | None = None) -> tuple[list[Take], list[str]]:
    """The run; beside one that goes another way than ``text``, if that is given, the run of the text; and notes."""
    how = {"by": run.by, "verdict": run.verdict, "right": run.right}
    more = {"beside": run.beside, "payloads": run.payloads}
    take, notes = take_of(run.programs, run.problem, run.trace, text=text, **how, **more)  # type: ignore[arg-type]
    if text is None or take.comparison is None or not take.comparison.differs_S.any():
        return [take], notes
    meant, _ = takes_of(run_once(text, run.programs, run.task, run.problem, by=TEXT))
    return [take, *meant], notes


def frame(run: Run) -> str:
    """HTML that shows the run inside of another page; nothing in it reaches that page."""
    takes, notes = takes_of(run)
    whole = page(run.inputs, takes, notes=notes, most_steps=FRAME_STEPS)
    style = f"width: 100%; height: {FRAME_HEIGHT}px; border: 0"
    return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{escape(whole)}"></iframe>'
