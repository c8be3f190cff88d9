"""``npi run``: run a task on given inputs by a trained core, and watch it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    DONE,
    NOT_REACHED,
    AnimationOption,
    HtmlOption,
    JsonOption,
    LibraryOption,
    Screen,
    SeedOption,
    TeacherOption,
    elide,
    finish,
    open_to_run,
    plural,
)
from npi.cli.options import refuse_others

if TYPE_CHECKING:
    from rich.text import Text

    from dsl import ProgramSet, Task
    from npi.cli.run_view import Event, OneRun, Replay
    from traces.stepper import Stepper


def run(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Such as add, or addition.add.", show_default=False)],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="The task's inputs: 96, or 3,1,2, or by name, a=96.", show_default=False),
    ] = None,
    library: LibraryOption = Path("library"),
    teacher: TeacherOption = None,
    every: Annotated[bool, typer.Option("--every", help="Draw the world after every call of a primitive.")] = False,
    step: Annotated[bool, typer.Option("--step", help="The same, and wait for Enter each time; q ends.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the result only.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, metavar="N", help="Lines of calls; the middle is left out. 0: all.")
    ] = 60,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, metavar="N", help="The most steps; as many as the program text takes by default."
        ),
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
        _title(screen, found, by)
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
    screen.document(_document(found, replay, seconds))
    finish(DONE if found.right else NOT_REACHED)


def find(name: str, library: Path, teacher: Path | None) -> tuple[ProgramSet, Task, Stepper, Stepper | None]:
    """The task's programs, the task, what decides (core or program text), and the program text where there is one."""
    from dsl import compile_teacher, load

    if teacher is not None:
        programs = load(teacher)
        text = compile_teacher(programs)
        return programs, programs.task(name.removeprefix(f"{teacher.stem}.")), text, text
    opened = open_to_run(library)
    programs, task = opened.task(name)
    signals = any(program.signal is not None for program in programs.programs)
    return programs, task, opened.stepper(programs.table), None if signals else compile_teacher(programs)


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


def _title(screen: Screen, found: OneRun, by: str) -> None:
    screen.line(f"{inputs_text(found)} by {by}")
    screen.line()


def print_calls(
    screen: Screen, programs: ProgramSet, found: OneRun, replay: Replay, *, every: bool, limit: int
) -> None:
    """The world as it begins, the calls with the middle left out, the world at the end."""
    from npi.cli.run_view import is_primitive, is_return

    drawing = replay.draw()
    _draw(screen, drawing)
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
            _draw(screen, replay.draw(), indent="  " * event.depth + "  ")
            screen.line()
    if not every or not shown:
        screen.line()
    _draw(screen, replay.draw())


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
        _draw(screen, replay.draw())
        screen.line()
        for line in way:
            screen.line(line)
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


def _draw(screen: Screen, drawing: list[str], indent: str = "") -> None:
    for line in drawing:
        screen.line(indent + line)


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


def _document(found: OneRun, replay: Replay, seconds: float) -> dict[str, Any]:
    from dsl.tasks.values import show

    return {
        "task": found.task.name,
        "inputs": {name: show(value, limit=10**9) for name, value in found.problem.values.items()},
        "result": found.result,
        "expected": found.task.expected(found.problem),
        "right": found.right,
        "status": found.status.name,
        "steps": found.steps,
        "seconds": round(seconds, 4),
    }
