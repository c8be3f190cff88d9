"""``npi show``: one trace as an indented tree of calls, or what a library holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import HtmlOption, JsonOption, Screen, SeedOption, elide, grid, plural
from npi.cli.options import refuse_others

if TYPE_CHECKING:
    from rich.table import Table

    from dsl import ProgramSet
    from dsl.tasks.task import Problem
    from npi.library.library import Library
    from npi.program_memory import RowInfo
    from traces.recording.batch import TraceBatch


def show(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(help="A folder of traces, a program file, or a library's folder.", show_default=False),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Of a program file's task; random ones without.", show_default=False),
    ] = None,
    trace: Annotated[int, typer.Option("--trace", min=0, metavar="N", help="Which trace of a folder, from 0.")] = 0,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Of a program file; needed where it has several.")
    ] = None,
    obs: Annotated[bool, typer.Option("--obs", help="Add what was observed at each call.")] = False,
    returns: Annotated[bool, typer.Option("--returns", help="Show returns as lines of their own.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, metavar="N", help="Lines printed; the middle is left out. 0: all.")
    ] = 200,
    seed: SeedOption = 0,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Read a run: a trace of a folder, or how a program file's task runs on given inputs.

    A library's folder is shown as the list of its programs and tasks.

    \b
    Example:
      npi show programs/addition.npi --task add 96 125
      npi show sets/add --trace 3 --obs
      npi show programs/addition.npi --task add 96 125 --html run.html
      npi show library
    """
    screen = Screen(json=json)
    if (path / "manifest.json").is_file() and _is_library(path):
        _refuse(inputs, f"{path} is a library")
        refuse_others(context, "library")
        _library(screen, path)
        return
    kinds = [*["inputs"] * bool(inputs), *["page"] * (html is not None and not json)]
    refuse_others(context, "traces" if path.is_dir() else "program", *kinds)
    if path.is_dir():
        _refuse(inputs, f"{path} is a folder of traces")
        title, run, source = _of_set(path, trace, drawn=html is not None)
    else:
        title, run, source = _of_file(path, task, inputs or [], seed)
    if html is None or json:
        _print(screen, title, run, observations=obs, returns=returns, limit=limit)
    if html is not None:
        _page(screen, html, title, run, source)


def _page(screen: Screen, file: Path, title: str, run: TraceBatch, source: tuple[ProgramSet, Problem] | None) -> None:
    from npi.cli.html_page import take_of, write_page
    from traces.viewing.page import Take

    if source is None:
        takes, notes = [Take("teacher", run)], ["The set does not say how its problems were drawn."]
    else:
        take, notes = take_of(*source, run, by="teacher")
        takes = [take]
    write_page(screen, file, title, takes, notes)


def _refuse(inputs: list[str] | None, why: str) -> None:
    if inputs:
        raise ValueError(f"{why}: it takes no inputs, and {inputs[0]!r} was given; inputs go with a program file")


def _of_set(folder: Path, index: int, *, drawn: bool) -> tuple[str, TraceBatch, tuple[ProgramSet, Problem] | None]:
    """A title, the trace and, where ``drawn`` asks for it and the set tells, the problem that it is of."""
    from npi.cli.html_page import drawn_again
    from traces.storage.trace_set import TraceSet

    found = TraceSet.open(folder)
    if index >= len(found):
        raise ValueError(f"{folder} holds {plural(len(found), 'trace')}, numbered from 0; --trace {index} is not there")
    run = found.trace(index)
    what = f"trace {index} of {len(found)} of {found.info.task or 'no task'}"
    title = f"{what}: size {int(run.size[0])}, {plural(run.steps, 'step')}"
    return title, run, drawn_again(found, index) if drawn else None


def _of_file(
    path: Path, name: str | None, inputs: list[str], seed: int
) -> tuple[str, TraceBatch, tuple[ProgramSet, Problem]]:
    """The teacher's run on the inputs, or on a random problem of a small size."""
    import torch

    from dsl import load
    from dsl.tasks.values import show as text
    from npi.cli.trace import only_task
    from traces.generation.generate import record_problems

    programs = load(path)
    task = programs.task(name or only_task(programs))
    if inputs:
        problem = task.parse(inputs)
    else:
        size = sorted(task.sizes)[:2][-1]
        (problem,) = task.draw(size, 1, generator=torch.Generator().manual_seed(seed), spread=False)
    run = record_problems(programs, task, [problem])
    given = ", ".join(f"{key} = {text(value)}" for key, value in problem.values.items())
    return f"{task.name}({given}): {task.expected(problem)}, {plural(run.steps, 'step')}", run, (programs, problem)


def _print(screen: Screen, title: str, run: TraceBatch, *, observations: bool, returns: bool, limit: int) -> None:
    from traces.recording.text import lines

    found = list(lines(run, observations=observations, returns=returns))
    screen.line(f"# {title}")
    head, tail = elide([1] * len(found), limit)
    for line in found[:head]:
        screen.line(line)
    left = len(found) - head - tail
    if left:
        screen.line(f"... {plural(left, 'line')} more (--limit 0 shows all)")
        for line in found[len(found) - tail :]:
            screen.line(line)
    if screen.json:
        screen.document({"title": title, "steps": run.steps, "first": found[0], "calls": _calls(run)})


def _calls(run: TraceBatch) -> list[dict[str, Any]]:
    """The steps as data, returns too: depth, call, and what was observed."""
    from npi.cli.run_view import walk
    from traces.recording.text import call_text

    fields, calls = run.table.world.fields, []
    for event in walk(run):
        seen = {field.name: field.values[value] for field, value in zip(fields, event.obs, strict=True)}
        calls.append({"depth": event.depth, "call": call_text(run.table, event.call), "observed": seen})
    return calls


def _is_library(folder: Path) -> bool:
    """Whether the manifest is a library's; a damaged one is left to those who report it."""
    return any(folder.glob("core-*.safetensors"))


def _library(screen: Screen, folder: Path) -> None:
    from npi.library.kinds import kind_of
    from npi.library.library import Library

    library = Library.open(folder)
    infos = [info for info in library.memory.infos if not info.primitive]
    tasks = {name: sorted(task.train_sizes) for name, (_, task) in library.tasks().items()}
    inside = sum(parameter.numel() for parameter in library.core.parameters())
    kind = library.core.config.kind
    screen.line(f"{folder}: a {kind} core, {plural(len(infos), 'program')}, {plural(len(tasks), 'task')}")
    screen.line(f"core {library.core.digest()}")
    screen.line(f"{inside:,} numbers in the core, {kind_of(library.core).row_text(library.core)}")
    screen.say(_programs(library, infos))
    if tasks:
        screen.line("to run them:")
    elif infos:
        screen.line("its programs come from traces, which have no task for npi run; docs/python.md runs such ones")
    else:
        screen.line(f"it has no programs yet: npi learn FILE.npi --library {folder}")
    for name, (_, task) in library.tasks().items():
        screen.line(f"  npi run {name} {task.example()} --library {folder}")
    screen.document(
        {
            "folder": str(folder),
            "config": library.core.config.to_json(),
            "core": library.core.digest(),
            "programs": [{"name": i.name, "generation": i.generation, "doc": i.signature.doc} for i in infos],
            "tasks": tasks,
            "history": library.history,
        }
    )


def _programs(library: Library, infos: Sequence[RowInfo]) -> Table:
    """Every program, when it was learned, and where rows are wired their states."""
    from npi.library.wiring import deciding_states

    if all(info.wiring is None for info in infos):
        table = grid("program", "generation", "what it does", right=("generation",))
        for info in infos:
            table.add_row(info.name, str(info.generation), info.signature.doc)
        return table
    table = grid("program", "world", "generation", "states", "decide", "what it does",
                 right=("generation", "states", "decide"))  # fmt: skip
    for info in infos:
        wiring = info.wiring or ()
        world, states = library.core.worlds[info.world].name, (str(len(wiring)), str(deciding_states(wiring)))
        table.add_row(info.name, world, str(info.generation), *states, info.signature.doc)
    return table
