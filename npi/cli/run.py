"""``npi run``: run a task on given inputs by a trained core, and watch it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npi.cli.console import Screen, finish, tasks_to_run
from npi.cli.options import (
    AnimationOption,
    HtmlOption,
    JsonOption,
    LibraryOption,
    SeedOption,
    TeacherOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.words import elide, plural

if TYPE_CHECKING:
    from rich.text import Text

    from dsl import ProgramSet, Task
    from npi.cli.run_view import Event, OneRun, Replay
    from traces.stepper import Stepper


def run(
    context: typer.Context,
    task: Annotated[str, argument("Such as add, or addition.add.")],
    inputs: Annotated[list[str] | None, argument("The task's inputs: 96, or 3,1,2, or by name, a=96.")] = None,
    library: LibraryOption = Path("library"),
    teacher: TeacherOption = None,
    every: Annotated[bool, option("--every", "Draw the world after every call of a primitive.")] = False,
    step: Annotated[bool, option("--step", "The same, and wait for Enter each time; q ends.")] = False,
    quiet: Annotated[bool, option("--quiet", "Print the result only.")] = False,
    limit: Annotated[int, option("--limit", "Lines of calls; the middle is left out. 0: all.", "N", min=0)] = 60,
    steps: Annotated[
        int | None, option("--steps", "The most steps; as many as the program text takes by default.", "N", min=1)
    ] = None,
    html: HtmlOption = None,
    animation: AnimationOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Run a task on your inputs and judge the result.

    Draws the world as it begins, the calls (two blanks deeper for each program inside another), the world at the end,
    and the result beside the expected one. Inputs are in the order of the task, or have names; negative ones need them.

    \b
    Example:
      npi run add 96 125
      npi run sort 3,1,2 --every
      npi run add 96 125 --html run.html
      npi run add a=96 b=125 --teacher programs/addition.npi
      npi run canonicalise car=7 azimuth=-60 elevation=45 --animation run.gif
    """
    refuse_others(context, "core" if teacher is None else "teacher", *["quiet"] * quiet)
    from dsl.tasks.values import show
    from npi.cli.run_view import Replay, right_budget, run_once, teacher_steps
    from traces.machine.lockstep import Budget

    screen = Screen(json=json)
    programs, chosen, stepper, text = find(task, library, teacher)
    if animation is not None:
        from npi.cli.animation import check_animation

        check_animation(animation, programs)
    problem = chosen.parse(inputs or [])
    needed = None if text is None else teacher_steps(text, programs, problem)
    budget = Budget(steps=steps) if steps else Budget() if needed is None else right_budget(needed)
    began = time.perf_counter()
    found = run_once(stepper, programs, chosen, problem, budget=budget, seed=seed if programs.signals else None)
    seconds = time.perf_counter() - began
    replay = Replay(programs, problem, width=min(100, screen.out.width))
    if quiet:
        screen.line(found.result)
    else:
        by = f"the text of {teacher}" if teacher else f"the core of {library}"
        screen.line(f"{inputs_text(found)} by {by}\n")
        if step and sys.stdin.isatty() and not json:
            _steps(screen, programs, found, replay)
        else:
            print_calls(screen, programs, found, replay, every=every or step, limit=limit)
        print_verdict(screen, found, needed, seconds)
    if not found.right:
        screen.note(f"npi: {trouble(found, needed)}")
    if html is not None:
        _page(screen, html, programs, found, None if teacher else text)
    if animation is not None:
        from npi.cli.animation import write_animation

        write_animation(screen, animation, programs, found)
    names = ("result", "right", "status", "steps")
    screen.document(
        {
            "task": chosen.name,
            "inputs": {name: show(value, limit=10**9) for name, value in problem.values.items()},
            "expected": chosen.expected(problem),
            **{name: getattr(found, name) for name in names},
            "seconds": seconds,
        }
    )
    finish(found.right)


def find(name: str, library: Path, teacher: Path | None) -> tuple[ProgramSet, Task, Stepper, Stepper | None]:
    """The task's programs, the task, what decides (core or program text), and the program text where there is one."""
    from dsl import compile_teacher

    ((_, programs, task, stepper),) = tasks_to_run([name], library, teacher)
    return programs, task, stepper, stepper if teacher else None if programs.signals else compile_teacher(programs)


def _page(screen: Screen, file: Path, programs: ProgramSet, found: OneRun, text: Stepper | None) -> None:
    """The run as a page; beside a core's run that goes another way, the run of the program text."""
    from npi.cli.html_page import take_of, write_page
    from npi.cli.run_view import run_once

    by = "program text" if text is None else "core"
    take, notes = take_of(
        programs, found.problem, found.trace, by=by, verdict=verdict(found), right=found.right, text=text
    )
    takes = [take]
    if text is not None and take.comparison is not None and take.comparison.differs_S.any():
        meant = run_once(text, programs, found.task, found.problem)
        more, _ = take_of(
            programs, found.problem, meant.trace, by="program text", verdict=verdict(meant), right=meant.right
        )
        takes.append(more)
    write_page(screen, file, inputs_text(found), takes, notes)


def verdict(found: OneRun) -> str:
    """The result beside the expected one, and why a run has none, in a line."""
    from traces.machine.lockstep import Status

    if found.status == Status.DONE:
        expected = found.task.expected(found.problem)
        return f"{found.result or 'no result'}, expected {expected}: {'right' if found.right else 'wrong'}"
    ends = {
        Status.STEPS: f"stopped after {plural(found.steps, 'step')}",
        Status.DEPTH: "stopped: its calls went too deep",
        Status.ILLEGAL: f"stopped: {found.refused} cannot be carried out",
    }
    return ends[found.status]


def inputs_text(found: OneRun) -> str:
    """``add(a = 96, b = 125)``."""
    from dsl.tasks.values import show

    given = ", ".join(f"{name} = {show(value)}" for name, value in found.problem.values.items())
    return f"{found.task.name}({given})"


def print_calls(
    screen: Screen, programs: ProgramSet, found: OneRun, replay: Replay, *, every: bool, limit: int
) -> None:
    """The world as it begins, the calls with the middle left out, the world at the end."""
    from npi.cli.run_view import is_primitive, is_return

    drawing = replay.draw()
    screen.lines(drawing)
    screen.line()
    screen.line(_styled(found.head, primitive=False))
    shown = [event for event in found.events if not is_return(event)]
    heights = [1 + (len(drawing) + 1 if every and is_primitive(event, replay.primitives) else 0) for event in shown]
    head, tail = elide(heights, limit)
    for number, event in enumerate(shown):
        acted = replay.act(event)
        if head <= number < len(shown) - tail:
            if number == head:
                screen.line(f"  ... {plural(len(shown) - head - tail, 'call')} more (--limit 0 shows all)")
            continue
        screen.line(_event(programs, event))
        if every and acted:
            screen.lines(replay.draw(), indent="  " * event.depth + "  ")
            screen.line()
    if not every or not shown:
        screen.line()
    screen.lines(replay.draw())


def _steps(screen: Screen, programs: ProgramSet, found: OneRun, replay: Replay) -> None:
    """One call at a time: the screen is cleared, the world drawn, and the way down to the call below it."""
    from npi.cli.run_view import is_return

    way = [_styled(found.head, primitive=False)]
    shown = [event for event in found.events if not is_return(event)]
    for number, event in enumerate(shown):
        del way[event.depth :]
        way.append(_event(programs, event))
        replay.act(event)
        screen.out.clear()
        screen.lines(replay.draw())
        screen.line()
        screen.lines(way)
        screen.line()
        word = input(f"call {number + 1} of {len(shown)}; Enter: next, q: end: ")
        if word.strip().lower().startswith("q"):
            for rest in shown[number + 1 :]:
                replay.act(rest)
            return


def _event(programs: ProgramSet, event: Event) -> Text:
    from npi.cli.run_view import event_text, is_primitive

    return _styled(event_text(programs.table, event), primitive=is_primitive(event, programs.table.primitives))


def _styled(line: str, *, primitive: bool) -> Text:
    from rich.text import Text

    return Text(line, style="cyan" if primitive else "bold")


def print_verdict(screen: Screen, found: OneRun, needed: int | None, seconds: float) -> None:
    """The result beside the expected one, and the steps that it took."""
    from rich.text import Text

    screen.line()
    expected = found.task.expected(found.problem)
    line = Text(f"{found.result or 'no result'}, expected {expected}: ")
    line.append("right" if found.right else "wrong", style="bold green" if found.right else "bold red")
    screen.line(line)
    text = f"; the program text takes {needed:,}" if needed else ""
    screen.line(f"{plural(found.steps, 'step')} in {seconds:.2f} s{text}")


def trouble(found: OneRun, needed: int | None) -> str:
    """Why a run is not right, in a sentence."""
    from traces.machine.lockstep import Status

    why = {
        Status.DONE: "it returned with another result than the task expects",
        Status.STEPS: f"it was still running after {plural(found.steps, 'step')}"
        + (f" (the program text takes {needed:,})" if needed else ""),
        Status.DEPTH: "its calls went too deep",
        Status.ILLEGAL: f"it called {found.refused}, which the world cannot carry out here",
    }
    return f"{inputs_text(found)} is not solved: {why[found.status]}"
