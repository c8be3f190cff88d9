"""A run for people: its calls in the order of time, the world between them, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from rich.text import Text

from dsl import ProgramSet
from dsl.tasks.task import Problem
from envs.spec import RETURN
from envs.stepper import Action, Stepper
from npi.cli.console import Screen
from npi.cli.words import elide, plural
from npi.running.evaluate import run_problems
from npi.running.runs import SHORT, Event, Run
from traces.machine.lockstep import Budget, Status
from traces.machine.stopped import Stop, why_stopped
from traces.recording.text import call_text, state_lines

MAX_INDENT = 40
"""Calls that are deeper stand below each other."""

SOME = 2000
"""Steps that are shown of a run whose program text does not end."""


class Replay:
    """The world of a run, carried from drawing to drawing by the calls of its primitives."""

    def __init__(self, programs: ProgramSet, problem: Problem, *, width: int = 100) -> None:
        self.world: Any = programs.world
        self.table = programs.table
        self.state = self.world.reset([problem.layout])
        self.width = width
        self._active_1 = torch.ones(1, dtype=torch.bool)

    def acts(self, event: Event) -> bool:
        """Whether the event is a call of a primitive."""
        return 0 <= event.call[0] < self.table.primitives

    def act(self, event: Event) -> bool:
        """Carry out the event where it is a primitive call; tells whether it is."""
        action = Action(torch.tensor([event.call]), None if event.payload is None else torch.tensor([event.payload]))
        if not self.acts(event) or not bool(self.world.legal(action)):
            return False
        with torch.no_grad():
            self.world.act(self.state, action, self._active_1)
        return True

    def draw(self) -> list[str]:
        """The lines of a drawing; for a world that has none, what it reads."""
        return state_lines(self.world, self.state, width=self.width)

    def line(self, event: Event) -> Text:
        """The call, two blanks deeper for each frame."""
        text = "  " * min(event.depth, MAX_INDENT) + call_text(self.table, event.call)
        return Text(text, style="cyan" if self.acts(event) else "bold")


def calls_of(run: Run) -> list[Event]:
    """The events that are no returns."""
    return [event for event in run.events if event.call[0] != RETURN]


def ways(run: Run) -> Iterator[list[Event]]:
    """For each call those that it is inside of, the outermost first and itself last."""
    way: list[Event] = []
    for event in calls_of(run):
        del way[event.depth - 1 :]
        way.append(event)
        yield way


def print_calls(screen: Screen, run: Run, replay: Replay, *, every: bool, limit: int) -> None:
    """The world as it begins, the calls with the middle left out, the world at the end."""
    drawing = replay.draw()
    screen.lines(drawing)
    screen.line()
    screen.line(Text(run.head, style="bold"))
    calls = calls_of(run)
    heights = [1 + (len(drawing) + 1 if every and replay.acts(event) else 0) for event in calls]
    head, tail = elide(heights, limit)
    beside = iter(run.beside)
    for number, event in enumerate(calls):
        acted = replay.act(event)
        note = next(beside, "") if acted else ""
        if head <= number < len(calls) - tail:
            if number == head:
                screen.line(f"  ... {plural(len(calls) - head - tail, 'call')} more (--limit 0 shows all)")
            continue
        screen.line(replay.line(event).append(f"    {note}" if note else "", style="dim"))
        if every and acted:
            screen.lines(replay.draw(), indent="  " * event.depth + "  ")
            screen.line()
    if not every or not calls:
        screen.line()
    screen.lines(replay.draw())


def step_through(screen: Screen, run: Run, replay: Replay) -> None:
    """One call at a time: the screen is cleared, the world drawn, and the way down to the call below it."""
    count, ended = len(calls_of(run)), False
    for number, way in enumerate(ways(run), 1):
        replay.act(way[-1])
        if not ended:
            screen.out.clear()
            screen.lines(replay.draw())
            screen.line()
            screen.lines([Text(run.head, style="bold"), *map(replay.line, way)])
            screen.line()
            try:
                word = input(f"call {number} of {count}; Enter: next, q: end: ")
            except EOFError:  # nobody will press a key any more
                word = "q"
            ended = word.strip().lower().startswith("q")


def print_verdict(screen: Screen, run: Run, needed: int | None, seconds: float) -> None:
    """The result beside the expected one, and the steps that it took."""
    screen.line()
    line = Text(f"{run.result or 'no result'}, expected {run.task.expected(run.problem)}: ")
    line.append("right" if run.right else "wrong", style="bold green" if run.right else "bold red")
    screen.line(line)
    text = f"; the program text takes {needed:,}" if needed else ""
    screen.line(f"{plural(run.steps, 'step')} in {seconds:.2f} s{text}")


def trouble(run: Run, needed: int | None = None, stop: Stop | None = None) -> str:
    """Why a run is not right; ``needed`` are the steps that the program text takes, ``stop`` why it was stopped."""
    if run.status in (Status.DONE, Status.ILLEGAL):
        return run.trouble
    if stop is not None:
        return f"it was stopped after {plural(run.steps, 'step')}; {stop}"
    return run.trouble + (f" (the program text takes {needed:,})" if needed else "")


def teacher_run(
    text: Stepper, programs: ProgramSet, problem: Problem, budget: Budget
) -> tuple[int | None, Stop | None]:
    """How many steps the program text takes, or why it was stopped."""
    short = replace(budget, steps=SHORT)
    outcome = run_problems(text, programs, [problem], budget=short, compiled=False)
    if int(outcome.status_N[0]) == Status.STEPS:
        outcome = run_problems(text, programs, [problem], budget=budget)
    stop = why_stopped(programs, text, outcome, budget)
    return (int(outcome.steps_N[0]) if stop is None else None), stop
