"""``npi check``: read program files or traces, say what is wrong or suspicious, and let each task's teacher run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import BAD_INPUT, Column, Screen, picked
from npi.cli.options import DEPTH, DataOption, DepthOption, JsonOption, SeedOption, argument, option, refuse_others
from npi.cli.words import plural, show_sizes

if TYPE_CHECKING:
    from dsl import Diagnosis, LanguageError, Problem, ProgramSet, Remark, Task
    from dsl.analysis.learnability import Outlook
    from dsl.program import Program
    from envs.spec import Signature
    from traces.conflicts.explain import Explanation
    from traces.conflicts.scalar_teacher import Search

SIZES = 5
"""The smallest training sizes, on which the teachers run."""

MOST, DECISIONS = 100, 2000
"""Inputs of one task that are tried one and all, smallest sizes first, and after how many steps no size is begun."""


@dataclass(frozen=True)
class Problems:
    """How many random problems each task's teacher runs on, their seed, and the most steps and frames of one."""

    count: int
    seed: int
    steps: int
    depth: int


@dataclass(frozen=True)
class Trial:
    """How a task's teacher ran.

    Attributes:
        problems, sizes: random ones. all_inputs: all inputs up to a size, and how many they are.
        different_frames: how many were seen. trouble: what went wrong.
    """

    problems: int
    sizes: tuple[int, ...]
    all_inputs: Mapping[str, int]
    different_frames: int
    trouble: str | None


def check(
    context: typer.Context,
    files: Annotated[list[Path], argument("Program files (*.npi), or folders of traces.")],
    run: Annotated[bool, option("--run/--no-run", "Let each task's teacher run on random problems.")] = True,
    count: Annotated[int, option("--count", "Random problems for each task.", "N", min=1)] = 20,
    steps: Annotated[
        int, option("--steps", "A run that takes more is taken for an endless loop.", "N", min=1)
    ] = 20_000,
    depth: DepthOption = DEPTH,
    data: DataOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Read program files and say what they declare, and what is wrong.

    Parses and checks each file and the files that it uses, and tells all mistakes at once, each with a code that
    docs/errors.md explains. For each program it says how many decisions its longest frame takes, or that frames grow
    with the input. Then the teacher of each task runs on the smallest inputs, all of them, and on random problems:
    its results must be what the task expects, and the same program with the same arguments and observations must
    always make the same next call, since a core can learn nothing else.

    Of a folder of traces (npi trace, or made without a program file) all frames are compared in the same way, and those
    of several folders with each other. Where two steps contradict each other, they are shown side by side, with what of
    the world would tell them apart.

    \b
    Example:
      npi check programs/addition.npi
    """
    refuse_others(context, "traces" if all(path.is_dir() for path in files) else "programs", *["no run"] * (not run))
    from dsl.analysis.diagnose import without_garbage_collection

    screen, problems = Screen(json=json), Problems(count, seed, steps, depth)
    with without_garbage_collection():
        reports = [
            _look_at_traces(screen, path) if path.is_dir() else _look(screen, path, run=run, problems=problems)
            for path in files
        ]
        good = [path for path, report in zip(files, reports, strict=True) if path.is_dir() and report["ok"]]
        if len(good) > 1:  # torch, which a check of program files does without, takes longer than all of it
            reports += _look_at_traces_together(screen, good)
    screen.document(reports)
    if not all(report["ok"] for report in reports):
        raise typer.Exit(BAD_INPUT)


def _look(screen: Screen, path: Path, *, run: bool, problems: Problems) -> dict[str, Any]:
    from dsl import LanguageError, diagnose
    from dsl.check.modules import read_text
    from dsl.errors.error import joined

    try:
        found = diagnose(read_text(path), path=str(path), folder=path.parent)
        if found.errors:
            raise joined(found.errors)
    except ValueError as error:
        screen.note(str(error))
        errors = error.errors if isinstance(error, LanguageError) else ()  # none where the file cannot be read
        return {"file": path, "ok": False, "error": str(error), "errors": _remarks(errors)}
    assert found.program_set is not None, "a file without errors gives a program set"
    assert found.outlook is not None, "and an outlook"
    _declared(screen, found.program_set, found.outlook, found)
    trials = _trials(screen, found.program_set, problems) if run else {}
    ok = not any(trial.trouble for trial in trials.values())
    return _document(found.program_set, found.outlook, found, trials) | {"ok": ok}


def _look_at_traces(screen: Screen, folder: Path) -> dict[str, Any]:
    from traces.conflicts.explain import look_at_set
    from traces.storage.trace_set import TraceSet

    try:
        found = TraceSet.open(folder)
        report = look_at_set(found)
    except ValueError as error:
        screen.note(str(error))
        return {"folder": folder, "ok": False, "error": str(error)}
    counts = f"{plural(len(found), 'trace')}, {plural(report.frames, 'different frame')}"
    screen.line(f"{folder}: {counts}" + ("" if report.conflict else ", none against another"))
    if report.conflict is not None:
        screen.note(f"{folder}: {report.conflict}")
    return {
        "folder": folder,
        "ok": report.conflict is None,
        "task": found.info.task,
        "traces": len(found),
        "different_frames": report.frames,
        "conflict": None if report.conflict is None else _conflict(report.conflict),
    }


def _look_at_traces_together(screen: Screen, folders: list[Path]) -> list[dict[str, Any]]:
    """Of folders that are right by themselves and share programs: a document for those that contradict each other."""
    from traces.conflicts.explain import look_at_sets
    from traces.storage.trace_set import TraceSet

    wrong = []
    for report in look_at_sets([TraceSet.open(folder, verify="size") for folder in dict.fromkeys(folders)]):
        names = " and ".join(map(str, report.folders))
        if report.conflict is None:
            screen.line(f"{names} together: none against another")
        else:
            screen.note(f"{names} contradict each other: {report.conflict}")
            wrong.append({"folders": report.folders, "ok": False, "conflict": _conflict(report.conflict)})
    return wrong


def _conflict(found: Explanation) -> dict[str, Any]:
    """Two steps that contradict each other: what both see, and each with its place, its input and its call."""
    return {
        "frame": found.frame,
        "observations": found.seen,
        "steps": found.steps,
        "sides": [
            vars(side.place) | {"input": side.layout, "call": side.call, "called_by": side.caller}
            for side in found.sides
        ],
        "apart": [{"what": one.sight.name, "values": one.values, "fix": one.sight.fix} for one in found.apart],
    }


def _remarks(found: Iterable[LanguageError | Remark]) -> list[dict[str, Any]]:
    return [picked(one, "file line column code message fix") for one in found]


def _declared(screen: Screen, programs: ProgramSet, outlook: Outlook, found: Diagnosis) -> None:
    """World, programs, tasks and warnings."""
    spec = programs.world.spec
    screen.line(programs.path)
    screen.line(f"  world {programs.world_name}: {spec.kind}; it shows {', '.join(f.name for f in spec.fields) or '-'}")
    own = f"{Path(programs.path).stem}."
    screen.table(
        programs.programs,
        Column(" program", lambda program: " " + signature_text(programs, program.signature).removeprefix(own)),
        Column("calls", lambda program: ", ".join(name.removeprefix(own) for name in _calls(programs, program))),
        Column("what it does", "doc"),
        Column("steps of a frame", lambda program: outlook.frames.get(program.id, "")),
    )
    for task in programs.tasks:
        screen.line("  " + _task_text(programs, task))
    if not programs.tasks:
        screen.line("  no task: nothing can be traced or run by name; add one (task NAME(...): ...)")
    for warning in found.warnings:
        screen.line(f"  warning: {warning}")
        screen.line(f"    {warning.fix}")


def _calls(programs: ProgramSet, program: Program) -> list[str]:
    return [programs.table.signatures[callee].name for callee in dict.fromkeys(program.calls)]


def _task_text(programs: ProgramSet, task: Task) -> str:
    inputs = ", ".join(f"{item.name}: {item.describe()}" for item in task.inputs)
    runs = programs.table.signatures[task.program].name.rpartition(".")[2]
    return f"task {task.name}({inputs}) runs {runs}; {_sizes_text(task)}"


def _sizes_text(task: Task) -> str:
    """``trained at 1..20, tested at 10, 100``; without sizes ``trained on 4,000 traces, tested``."""
    sized = any(item.sized for item in task.inputs)
    traces = f" on {task.traces:,} traces" if task.traces else ""
    trained, tested = (f" at {show_sizes(sizes)}" if sized else "" for sizes in (task.train_sizes, task.test_sizes))
    parts = [f"trained{trained}{traces}"] if task.train_sizes else []
    return ", ".join([*parts, f"tested{tested}"] if task.test_sizes else parts) or "neither trained nor tested"


def signature_text(programs: ProgramSet, signature: Signature) -> str:
    """``addition.STEP(p: P1 or P2)``: the name, and what each argument may be."""
    from dsl.names.worlds import describe_symbols

    tokens = programs.table.world.tokens
    slots = [f"{slot.name}: {describe_symbols(tuple(tokens[t] for t in slot.tokens))}" for slot in signature.slots]
    return signature.name + (f"({', '.join(slots)})" if slots else "")


def _trials(screen: Screen, programs: ProgramSet, problems: Problems) -> dict[str, Trial]:
    signals = [p.name for p in programs.programs if p.signal is not None]
    if signals:
        screen.line(f"  not run: {', '.join(signals)} has a signal in place of a body, so there is no teacher")
        return {}
    trials = {task.name: _trial(programs, task, problems) for task in programs.tasks}
    for name, trial in trials.items():
        if trial.trouble:
            screen.note(trial.trouble)
        else:
            ran = f"{plural(trial.problems, 'random problem')} of sizes {show_sizes(trial.sizes)} came out as expected"
            upto, count = trial.all_inputs.values()
            every = f", and all {count} inputs up to size {upto}" if upto else ""
            frames = f"{plural(trial.different_frames, 'different frame')}, none against another"
            screen.line(f"  ran {name}: {ran}{every}; {frames}")
    return trials


def _trial(programs: ProgramSet, task: Task, problems: Problems) -> Trial:
    """Run a task's teacher; trouble is a run that does not end as expected, or frames that contradict each other."""
    from numpy.random import default_rng

    sizes = tuple(sorted(task.sizes)[:SIZES])
    each, more = divmod(problems.count, len(sizes))
    generator = default_rng(problems.seed)
    drawn: list[Problem] = []
    upto = count = frames = 0
    trouble = None
    try:
        for place, size in enumerate(sizes):
            drawn += task.draw(size, each + (place < more), generator=generator, spread=True)
        found = _tried(programs, task, drawn, problems)
        upto, count, frames = found.sizes, found.problems, found.frames
    except ValueError as error:
        trouble = f"{programs.path}: {error}"
    return Trial(problems.count, sizes, {"up_to_size": upto, "problems": count}, frames, trouble)


def _tried(programs: ProgramSet, task: Task, drawn: list[Problem], problems: Problems) -> Search:
    """Run all small inputs and those that were drawn; what goes wrong is a ``ValueError`` in the machine's words."""
    from envs.scratchpad.world import KIND
    from traces.conflicts.scalar_teacher import Trouble, try_task

    trouble: Problem | None = None
    if programs.world.spec.kind == KIND:
        try:
            return try_task(
                programs, task, drawn, most=MOST, decisions=DECISIONS, steps=problems.steps, depth=problems.depth
            )
        except Trouble as error:
            trouble = error.problem
    from traces.conflicts.explain import search
    from traces.generation.generate import record_problems
    from traces.machine.lockstep import Budget

    budget = Budget(steps=problems.steps, depth=problems.depth)
    if trouble is not None:
        record_problems(programs, task, [trouble], budget=budget)
    found = search(programs, task, most=MOST, budget=budget, also=drawn)
    if found.conflict is not None:
        raise ValueError(str(found.conflict))
    assert trouble is None, "the machine runs what single runs stumble over"
    return found


def _document(programs: ProgramSet, outlook: Outlook, found: Diagnosis, trials: Mapping[str, Trial]) -> dict[str, Any]:
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
                "calls": _calls(programs, p),
            }
            for p in programs.programs
        ],
        "tasks": [
            {
                "name": t.name,
                "inputs": {item.name: item.describe() for item in t.inputs},
                "runs": table.signatures[t.program].name,
                "train": t.train_sizes,
                "test": t.test_sizes,
                "trial": trials.get(t.name),
            }
            for t in programs.tasks
        ],
        "frames": {
            table.signatures[number].name: picked(shape, "longest recursive nodes")
            for number, shape in outlook.frames.items()
        },
        "warnings": _remarks(found.warnings),
    }
