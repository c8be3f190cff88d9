"""``npi show``: one trace as an indented tree of calls, or what a library holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import Column, Screen, number, shipped_or
from npi.cli.options import (
    DEPTH,
    DataOption,
    DepthOption,
    HtmlOption,
    JsonOption,
    SeedOption,
    StepsOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.words import elide, plural

if TYPE_CHECKING:
    from dsl import ProgramSet
    from dsl.tasks.task import Problem
    from npi.library.library import Library
    from npi.program_memory import RowInfo
    from traces.recording.batch import TraceBatch


def show(
    context: typer.Context,
    path: Annotated[Path, argument("A folder of traces, a program file, or a library's folder.")],
    inputs: Annotated[list[str] | None, argument("Of a program file's task; random ones without.")] = None,
    trace: Annotated[int, option("--trace", "Which trace of a folder, from 0.", "N", min=0)] = 0,
    task: Annotated[str | None, option("--task", "Of a program file; needed where it has several.", "NAME")] = None,
    obs: Annotated[bool, option("--obs", "Add what was observed at each call.")] = False,
    returns: Annotated[bool, option("--returns", "Show returns as lines of their own.")] = False,
    limit: Annotated[int, option("--limit", "Lines printed; the middle is left out. 0: all.", "N", min=0)] = 200,
    steps: StepsOption = None,
    depth: DepthOption = DEPTH,
    data: DataOption = None,
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
    from npi.library.manifest import holds_library

    screen, path = Screen(json=json), shipped_or(path)
    if holds_library(path):
        _refuse(inputs, f"{path} is a library")
        refuse_others(context, "library")
        _shown(screen, path)
        return
    kinds = [*["inputs"] * bool(inputs), *["page"] * (html is not None and not json)]
    refuse_others(context, "traces" if path.is_dir() else "program", *kinds)
    if path.is_dir():
        _refuse(inputs, f"{path} is a folder of traces")
        title, run, source = _of_set(path, trace, drawn=html is not None)
    else:
        title, run, source = _of_file(path, task, inputs or [], seed, steps=steps, depth=depth)
    if html is None or json:
        _print(screen, title, run, observations=obs, returns=returns, limit=limit)
    if html is not None:
        _page(screen, html, title, run, source)


def _page(screen: Screen, file: Path, title: str, run: TraceBatch, source: tuple[ProgramSet, Problem] | None) -> None:
    from npi.cli.run_files import write_page
    from npi.running.run_page import take_of
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
    from npi.cli.run_files import drawn_again
    from traces.storage.trace_set import TraceSet

    found = TraceSet.open(folder)
    if index >= len(found):
        raise ValueError(f"{folder} holds {plural(len(found), 'trace')}, numbered from 0; --trace {index} is not there")
    run = found.trace(index)
    what = f"trace {index} of {len(found)} of {found.info.task or 'no task'}"
    title = f"{what}: size {int(run.size[0])}, {plural(run.steps, 'step')}"
    return title, run, drawn_again(found, index) if drawn else None


def _of_file(
    path: Path, name: str | None, inputs: list[str], seed: int, *, steps: int | None, depth: int
) -> tuple[str, TraceBatch, tuple[ProgramSet, Problem]]:
    """The teacher's run on the inputs, or on a random problem of a small size."""
    import torch

    from dsl import load
    from dsl.tasks.values import show as text
    from npi.cli.trace import only_task
    from traces.generation.generate import record_problems
    from traces.machine.outcome import Budget

    programs = load(path)
    task = programs.task(name or only_task(programs))
    if inputs:
        problem = task.parse(inputs)
    else:
        size = sorted(task.sizes)[:2][-1]
        (problem,) = task.draw(size, 1, generator=torch.Generator().manual_seed(seed), spread=False)
    run = record_problems(programs, task, [problem], budget=Budget(steps=steps, depth=depth))
    given = ", ".join(f"{key} = {text(value)}" for key, value in problem.values.items())
    return f"{task.name}({given}): {task.expected(problem)}, {plural(run.steps, 'step')}", run, (programs, problem)


def _print(screen: Screen, title: str, run: TraceBatch, *, observations: bool, returns: bool, limit: int) -> None:
    from traces.recording.text import lines

    found = list(lines(run, observations=observations, returns=returns))
    screen.line(f"# {title}")
    head, tail = elide([1] * len(found), limit)
    left = len(found) - head - tail
    more = [f"... {plural(left, 'line')} more (--limit 0 shows all)"] if left else []
    screen.lines([*found[:head], *more, *found[len(found) - tail :]])
    if screen.json:  # a long run is not walked for people
        screen.document({"title": title, "steps": run.steps, "first": found[0], "calls": _calls(run)})


def _calls(run: TraceBatch) -> list[dict[str, Any]]:
    """The steps as data, returns too: depth, call, and what was observed."""
    from npi.running.runs import Event
    from traces.recording.text import call_text

    fields, calls = run.table.world.fields, []
    for event in Event.all_of(run):
        seen = {field.name: field.values[value] for field, value in zip(fields, event.obs, strict=True)}
        calls.append({"depth": event.depth, "call": call_text(run.table, event.call), "observed": seen})
    return calls


def _shown(screen: Screen, folder: Path) -> None:
    """A library, or the members of a collection one after the other."""
    from npi.library.collection import Collection
    from npi.library.library import Library
    from npi.library.manifest import is_collection

    if not is_collection(folder):
        screen.document(_library(screen, folder, Library.open(folder)))
        return
    opened = Collection.open(folder)
    screen.line(f"{folder}: a collection of {plural(len(opened.libraries), 'library', 'libraries')}")
    documents = []
    for library, yields in zip(opened.libraries, opened.yields, strict=True):
        screen.line()
        documents.append(_library(screen, folder, library, yields))
    screen.document({"folder": folder, "members": documents})


def _library(screen: Screen, folder: Path, library: Library, yields: Sequence[str] = ()) -> dict[str, Any]:
    """What it holds; what another member of a collection answers for (``yields``) is not shown."""
    from npi.library.kinds import kind_of

    infos = [info for info in library.memory.infos if not (info.primitive or info.name in yields)]
    every = {name: task for name, (_, task) in library.tasks().items() if name not in yields}
    tasks = {name: sorted(task.train_sizes) for name, task in every.items()}
    inside = sum(parameter.numel() for parameter in library.core.parameters())
    kind = library.core.config.kind
    screen.line(f"{folder}: {plural(len(infos), 'program')}, {plural(len(tasks), 'task')}, {kind} core")
    screen.line(f"core {library.core.digest()}")
    screen.line(f"{inside:,} numbers in the core, {kind_of(library.core).row_text(library.core)}")
    screen.table(infos, *_columns(library, infos))
    if tasks:
        screen.line("to run them:")
    elif infos:
        screen.line("its programs come from traces, which have no task for npi run; docs/python.md runs such ones")
    else:
        screen.line(f"it has no programs yet: npi learn FILE.npi --library {folder}")
    for name, task in every.items():
        screen.line(f"  npi run {name} {task.example()} --library {folder}")
    return {
        "folder": folder,
        "config": library.core.config.to_json(),
        "core": library.core.digest(),
        "programs": [{"name": i.name, "generation": i.generation, "doc": i.signature.doc} for i in infos],
        "tasks": tasks,
        "history": library.history,
    }


def _columns(library: Library, infos: Sequence[RowInfo]) -> Iterator[Column]:
    """Of every program when it was learned, and where rows are wired their states."""
    from npi.library.wiring import deciding_states

    wired = any(info.wiring is not None for info in infos)
    yield Column("program", "name")
    if wired:
        yield Column("world", lambda info: library.core.worlds[info.world].name)
    yield number("generation")
    if wired:
        yield number("states", lambda info: len(info.wiring or ()))
        yield number("decide", lambda info: deciding_states(info.wiring or ()))
    yield Column("what it does", lambda info: info.signature.doc)
