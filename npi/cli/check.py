"""``npi check``: read program files, check them, and let each task's teacher run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.common import (
    BAD_INPUT,
    DONE,
    JsonOption,
    Screen,
    SeedOption,
    finish,
    grid,
    plural,
    show_sizes,
)

if TYPE_CHECKING:
    from dsl import ProgramSet, Task
    from envs.spec import Signature, Slot

SIZES = 5
"""The smallest training sizes, on which the teachers run."""


@dataclass(frozen=True)
class Problems:
    """How many random problems each task's teacher runs on, their seed, and the most steps of one."""

    count: int
    seed: int
    steps: int


@dataclass(frozen=True)
class Trial:
    """How a task's teacher ran: problems, sizes, the frames that differ, and what went wrong."""

    task: str
    problems: int
    sizes: tuple[int, ...]
    frames: int
    trouble: str = ""


def check(
    files: Annotated[list[Path], typer.Argument(help="Program files (*.npi).", show_default=False)],
    run: Annotated[bool, typer.Option("--run/--no-run", help="Let each task's teacher run on random problems.")] = True,
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="Random problems for each task.")] = 20,
    steps: Annotated[
        int, typer.Option("--steps", min=1, metavar="N", help="A run that takes more is taken for an endless loop.")
    ] = 20_000,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Read program files and say what they declare, and what is wrong.

    Parses and checks each file and the files that it uses. Then the teacher of each task runs on random problems of
    small sizes: its results must be what the task expects, and the same program with the same arguments and
    observations must always make the same next call, since a core can learn nothing else.

    \b
    Example:
      npi check programs/addition.npi
    """
    screen, problems = Screen(json=json), Problems(count, seed, steps)
    reports = [_look(screen, path, run=run, problems=problems) for path in files]
    screen.document(reports)
    finish(DONE if all(report["ok"] for report in reports) else BAD_INPUT)


def _look(screen: Screen, path: Path, *, run: bool, problems: Problems) -> dict[str, Any]:
    from dsl import load

    try:
        programs = load(path)
    except ValueError as error:
        screen.note(str(error))
        return {"file": str(path), "ok": False, "error": str(error)}
    _declared(screen, programs)
    trials = _trials(screen, programs, problems) if run else []
    ok = not any(trial.trouble for trial in trials)
    return _document(programs, trials) | {"ok": ok}


def _declared(screen: Screen, programs: ProgramSet) -> None:
    """World, programs, tasks and warnings."""
    spec = programs.world.spec
    screen.line(programs.path)
    screen.line(f"  world {programs.world_name}: {spec.kind}; it shows {', '.join(f.name for f in spec.fields) or '-'}")
    table = grid(" program", "calls", "what it does")
    own = f"{Path(programs.path).stem}."
    for program in programs.programs:
        calls = ", ".join(programs.table.signatures[i].name.removeprefix(own) for i in dict.fromkeys(program.calls))
        table.add_row(" " + signature_text(programs, program.signature).removeprefix(own), calls, program.doc)
    screen.say(table)
    for task in programs.tasks:
        screen.line("  " + _task_text(programs, task))
    if not programs.tasks:
        screen.line("  no task: nothing can be traced or run by name; add one (task NAME(...): ...)")
    for warning in programs.warnings:
        screen.line(f"  warning: {warning}")


def _task_text(programs: ProgramSet, task: Task) -> str:
    inputs = ", ".join(f"{item.name}: {item.describe()}" for item in task.inputs)
    runs = programs.table.signatures[task.program].name.rpartition(".")[2]
    sizes = f"trained at {show_sizes(task.train_sizes)}, tested at {show_sizes(task.test_sizes)}"
    return f"task {task.name}({inputs}) runs {runs}; {sizes}"


def signature_text(programs: ProgramSet, signature: Signature) -> str:
    """``addition.STEP(p: P1 or P2)``: the name, and what each argument may be."""
    slots = [f"{slot.name}: {_allowed(programs, slot)}" for slot in signature.slots]
    return signature.name + (f"({', '.join(slots)})" if slots else "")


def _allowed(programs: ProgramSet, slot: Slot) -> str:
    from dsl.worlds import describe_symbols

    return describe_symbols(tuple(programs.table.world.tokens[token] for token in slot.tokens))


def _trials(screen: Screen, programs: ProgramSet, problems: Problems) -> list[Trial]:
    signals = [p.name for p in programs.programs if p.signal is not None]
    if signals:
        screen.line(f"  not run: {', '.join(signals)} has a signal in place of a body, so there is no teacher")
        return []
    trials = []
    for task in programs.tasks:
        trial = _trial(programs, task, problems)
        trials.append(trial)
        if trial.trouble:
            screen.note(trial.trouble)
        else:
            ran = f"{plural(trial.problems, 'random problem')} of sizes {show_sizes(trial.sizes)}"
            frames = f"{plural(trial.frames, 'different frame')}, none against another"
            screen.line(f"  ran {task.name}: {ran} came out as expected; {frames}")
    return trials


def _trial(programs: ProgramSet, task: Task, problems: Problems) -> Trial:
    """Run a task's teacher; trouble is a run that does not end as expected, or frames that contradict each other."""
    from traces.frames import check_rule, unique_frames
    from traces.generate import record_traces
    from traces.machine import Budget

    sizes, count = tuple(sorted(task.train_sizes)[:SIZES]), problems.count
    try:
        batch = record_traces(
            programs, task=task.name, traces=count, sizes=sizes, seed=problems.seed, budget=Budget(steps=problems.steps)
        )
        frames = unique_frames([batch])
        check_rule(frames)
    except ValueError as error:
        return Trial(task.name, count, sizes, 0, f"{programs.path}: {error}")
    return Trial(task.name, count, sizes, len(frames))


def _document(programs: ProgramSet, trials: list[Trial]) -> dict[str, Any]:
    by_task = {trial.task: trial for trial in trials}
    table = programs.table
    return {
        "file": programs.path,
        "digest": programs.digest,
        "world": {
            "name": programs.world_name,
            "kind": programs.world.spec.kind,
            "observations": [field.name for field in programs.world.spec.fields],
        },
        "programs": [
            {
                "name": p.name,
                "arguments": {s.name: [table.world.tokens[t] for t in s.tokens] for s in p.signature.slots},
                "doc": p.doc,
                "calls": [table.signatures[i].name for i in dict.fromkeys(p.calls)],
            }
            for p in programs.programs
        ],
        "tasks": [
            {
                "name": t.name,
                "inputs": {item.name: item.describe() for item in t.inputs},
                "runs": table.signatures[t.program].name,
                "train": list(t.train_sizes),
                "test": list(t.test_sizes),
                "trial": _trial_document(by_task.get(t.name)),
            }
            for t in programs.tasks
        ],
        "warnings": list(programs.warnings),
    }


def _trial_document(trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "problems": trial.problems,
        "sizes": list(trial.sizes),
        "different_frames": trial.frames,
        "trouble": trial.trouble or None,
    }
