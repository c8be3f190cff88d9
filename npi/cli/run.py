"""``npi run``: run a task on given inputs by a trained core, and watch it."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npi.cli.console import Screen, finish, open_to_run, pairs, shipped_or, standing_in
from npi.cli.options import (
    DEPTH,
    AnimationOption,
    CoreOption,
    DataOption,
    DepthOption,
    HtmlOption,
    JsonOption,
    LibraryOption,
    RowsOption,
    SeedOption,
    TeacherOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.speech import (
    SpeechPictureOption,
    TemperatureOption,
    WavOption,
    check_files,
    document,
    heard,
    say,
    speaks,
    write_speech,
)

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.library.library import Library
    from npi.running.compiled_library import CompiledLibrary


def run(
    context: typer.Context,
    task: Annotated[str, argument("Such as add, or addition.add.")],
    inputs: Annotated[list[str] | None, argument("The task's inputs: 96, or 3,1,2, or by name, a=96.")] = None,
    library: LibraryOption = Path("library"),
    core: CoreOption = None,
    rows: RowsOption = None,
    teacher: TeacherOption = None,
    every: Annotated[bool, option("--every", "Draw the world after every call of a primitive.")] = False,
    step: Annotated[bool, option("--step", "The same, and wait for Enter each time; q ends.")] = False,
    quiet: Annotated[bool, option("--quiet", "Print the result only.")] = False,
    limit: Annotated[int, option("--limit", "Lines of calls; the middle is left out. 0: all.", "N", min=0)] = 60,
    steps: Annotated[
        int | None, option("--steps", "The most steps; as many as the program text takes by default.", "N", min=1)
    ] = None,
    depth: DepthOption = DEPTH,
    html: HtmlOption = None,
    animation: AnimationOption = None,
    wav: WavOption = None,
    picture: SpeechPictureOption = None,
    temperature: TemperatureOption = 1.0,
    data: DataOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Run a task on your inputs and judge the result.

    Draws the world as it begins, the calls (two blanks deeper for each program inside another), the world at the end,
    and the result beside the expected one. Inputs are in the order of the task, or have names; negative ones need them.

    --use-row runs the same program with a learned tool swapped for another row of its core: another voice, another
    alphabet, another question. Nothing is trained, and nothing on disk changes.

    With --wav or --picture, what is said is written. The task of a voice says a text, the words that are given
    (docs/speech.md): espeak-ng makes sounds of it, and the core of a library that speaks makes samples. A program that
    calls a voice is run as usual, and says what it says.

    \b
    Example:
      npi run add 96 125
      npi run sort 3,1,2 --every
      npi run add 96 125 --html run.html
      npi run add a=96 b=125 --teacher programs/addition.npi
      npi run canonicalise car=7 azimuth=-60 elevation=45 --animation run.gif
      npi run say "Good morning" --library voices --wav out.wav
      npi run announce 96 125 --library tools --wav out.wav
      npi run weigh --library tools --use-row HEAVIEST=ranks.SECOND
    """
    sounds, library = wav is not None or picture is not None, shipped_or(library)
    if sounds and (teacher is not None or not library.exists()):
        refuse_others(context, "speech")
    if sounds:
        check_files(wav, picture)
    refuse_others(context, *["silent"] * (not sounds))
    refuse_others(context, "core" if teacher is None else "teacher", *["quiet"] * quiet)
    from dsl import compile_teacher, load
    from dsl.tasks.values import show
    from npi.cli import run_files, run_view
    from npi.learners.beliefs import beliefs
    from npi.running.evaluate import bounded_budget
    from npi.running.runs import run_once, runnable_tasks
    from traces.machine.lockstep import Budget

    screen = Screen(json=json)
    source: Library | CompiledLibrary | ProgramSet
    if teacher is not None:
        source = load(teacher)
    else:
        source = standing_in(open_to_run(library, task=task, core=core), library, rows or ())
    if sounds and not speaks(source, task):
        refuse_others(context, "speech")
        say(screen, source, library, task, inputs or [], wav, picture, seed=seed, temperature=temperature)
        return
    if sounds and temperature != 1:
        raise ValueError("--temperature is for a text that is said; a program's words are drawn as likely as they are")
    (found,) = runnable_tasks([task], source)
    programs = found.programs
    if animation is not None:
        run_files.check_animation(animation, programs)
    problem = found.task.parse(inputs or [])
    text = found.stepper if teacher else None if programs.signals else compile_teacher(programs)
    limits = Budget(depth=depth)
    needed, stop = (None, None) if text is None else run_view.teacher_run(text, programs, problem, limits)
    if steps is None:
        steps = bounded_budget([needed]).steps if needed is not None else run_view.SOME if stop is not None else None
    budget = Budget(steps=steps, depth=depth)
    began = time.perf_counter()
    drawn = seed if programs.signals else None
    result = run_once(found.stepper, programs, found.task, problem, budget=budget, seed=drawn, by=found.by)
    seconds = time.perf_counter() - began
    if programs.signals and not quiet:
        result = replace(result, beside=beliefs(found.stepper, programs, problem))
    if quiet:
        screen.line(result.result)
    else:
        replay = run_view.Replay(programs, problem, width=min(100, screen.out.width))
        by = f"the text of {teacher}" if teacher else " with ".join([f"the core of {library}", *(rows or ())])
        screen.line(f"{result.inputs} by {by}\n")
        if step and sys.stdin.isatty() and not json:
            run_view.step_through(screen, result, replay)
        else:
            run_view.print_calls(screen, result, replay, every=every or step, limit=limit)
        run_view.print_verdict(screen, result, needed, seconds)
    if not result.right:
        screen.note(f"npi: {result.inputs} is not solved: {run_view.trouble(result, needed, stop)}")
    if html is not None:
        run_files.write_run(screen, html, result, None if teacher else text)
    if animation is not None:
        run_files.write_animation(screen, animation, programs, result)
    speech = heard(result, wav, picture) if sounds else None
    if speech is not None:
        write_speech(screen, speech, wav, picture)
    screen.document(
        {
            "task": found.task.name,
            "inputs": {name: show(value, limit=10**9) for name, value in problem.values.items()},
            "expected": found.task.expected(problem),
            **{name: getattr(result, name) for name in ("result", "right", "status", "steps")},
            **({"rows": pairs(rows, "--use-row")} if rows else {}),
            **({} if speech is None else {"speech": document(speech, wav, picture)}),
            "stop": None if result.stop is None else run_view.trouble(result, needed, stop),
            "seconds": seconds,
        }
    )
    finish(result.right)
