"""``npi trace``: let a task's teacher run on random problems, and keep the runs in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.common import (
    INTERRUPTED,
    JsonOption,
    Meter,
    Screen,
    SeedOption,
    duration,
    file_size,
    finish,
    grid,
    parse_sizes,
    plural,
    show_sizes,
)

if TYPE_CHECKING:
    from dsl import ProgramSet
    from traces.frames import FrameSet
    from traces.store import TraceSet


def trace(
    file: Annotated[Path, typer.Argument(help="A program file (*.npi).", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the traces.", show_default=False)],
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="A task of the file; needed where it has several.")
    ] = None,
    traces: Annotated[int, typer.Option("--traces", min=1, metavar="N", help="Runs of each size.")] = 32,
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", metavar="SIZES", help="Such as 1..20 or 1,5,10; the task's training sizes by default."),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, metavar="N", help="Side by side; the result is the same.")
    ] = 1,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Record what a task's program does on random problems, as a set of traces to train on.

    Each result is judged by the task. A set that was interrupted goes on with the same command. npi train takes program
    files as well and traces them itself; a set on disk is for large ones, or to look at (npi show).

    \b
    Example:
      npi trace programs/addition.npi --task add --traces 100 --sizes 1..20 --out sets/add
    """
    from dsl import load
    from traces.frames import check_rule, unique_frames
    from traces.generate import generate

    screen = Screen(json=json)
    programs = load(file)
    name = task or only_task(programs)
    chosen = parse_sizes(sizes) if sizes else programs.task(name).train_sizes
    if not chosen:
        raise ValueError(f"task {name} says no sizes to train on; give some, as in --sizes 1..8")
    with Meter(f"tracing {name}") as meter:
        try:
            found = generate(
                programs,
                task=name,
                traces=dict.fromkeys(chosen, traces),
                seed=seed,
                out=out,
                processes=processes,
                progress=lambda done, total: meter.update(done, total, "traces"),
            )
        except KeyboardInterrupt:
            screen.note(f"interrupted: finished shards are kept in {out}; the same command goes on from there")
            finish(INTERRUPTED)
        seconds = meter.seconds
    frames = unique_frames(found.batches())
    check_rule(frames)
    _people(screen, found, frames, chosen, seconds)
    screen.document(_document(found, frames, seconds))


def only_task(programs: ProgramSet) -> str:
    """The name of the file's only task; a ``ValueError`` where there is none, or several."""
    names = [task.name for task in programs.tasks]
    if len(names) == 1:
        return names[0]
    if not names:
        raise ValueError(f"{programs.path} has no task, so there is nothing to trace; add one (task NAME(...): ...)")
    raise ValueError(f"{programs.path} has several tasks; say which with --task: {', '.join(names)}")


def by_program(frames: FrameSet) -> list[dict[str, Any]]:
    """For each program its frames, how many of them differ, and the steps of the longest."""
    rows = []
    for program in frames.program_M.unique().tolist():
        mine = frames.program_M == program
        rows.append(
            {
                "program": frames.table.signatures[program].name,
                "frames": int(frames.count_M[mine].sum()),
                "different": int(mine.sum()),
                "longest": int(frames.length_M[mine].max()),
            }
        )
    return rows


def _people(screen: Screen, found: TraceSet, frames: FrameSet, sizes: tuple[int, ...], seconds: float) -> None:
    size = file_size(sum(shard.bytes for shard in found.shards))
    counts = f"{plural(len(found), 'trace')}, {plural(found.frames, 'frame')}, {plural(found.steps, 'step')}"
    screen.line(f"{found.folder}: {counts}; sizes {show_sizes(sizes)}; {size}, {duration(seconds)}")
    table = grid("program", "frames", "different", "longest", right=("frames", "different", "longest"))
    for row in by_program(frames):
        table.add_row(row["program"], f"{row['frames']:,}", f"{row['different']:,}", plural(row["longest"], "step"))
    screen.say(table)
    screen.line("every result is as the task expects, and no two frames contradict each other")
    screen.line(f"next: npi show {found.folder}, or npi train {found.folder}")


def _document(found: TraceSet, frames: FrameSet, seconds: float) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "task": found.info.task,
        "seed": found.info.seed,
        "traces": len(found),
        "frames": found.frames,
        "steps": found.steps,
        "different_frames": len(frames),
        "programs": by_program(frames),
        "shards": [shard.file for shard in found.shards],
        "bytes": sum(shard.bytes for shard in found.shards),
        "seconds": round(seconds, 3),
    }
