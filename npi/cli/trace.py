"""``npi trace``: let a task's teacher run on random problems, and keep the runs in a folder; ``npi merge``: put parts
that several hosts made together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
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
    from traces.recording.unique_frames import FrameSet
    from traces.storage.trace_set import ShardRange, TraceSet


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
        int, typer.Option("--processes", min=1, metavar="N", help="In parallel; the result is the same.")
    ] = 1,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="Only the K-th of N parts, such as 2/4, each on a host of its own."),
    ] = None,
    shards: Annotated[
        str | None, typer.Option("--shards", metavar="A:B", help="Only the shards A to B - 1, counted from 0.")
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Record what a task's program does on random problems, as a set of traces to train on.

    Each result is judged by the task. The same command resumes a set that was interrupted. npi train takes program
    files as well and traces them itself; a set on disk is for large ones, or to look at (npi show).

    Several hosts share the work with --part, and the same words otherwise; npi merge puts their folders together.

    \b
    Example:
      npi trace programs/addition.npi --task add --traces 100 --sizes 1..20 --out sets/add
    """
    from dsl import load
    from traces.generation.generate import generate
    from traces.generation.shards import generate_part
    from traces.recording.unique_frames import check_rule, unique_frames

    screen = Screen(json=json)
    programs = load(file)
    name = task or only_task(programs)
    chosen = parse_sizes(sizes) if sizes else programs.task(name).train_sizes
    if not chosen:
        raise ValueError(f"task {name} says no sizes to train on; give some, as in --sizes 1..8")
    some: dict[str, Any] = dict(chosen_shards(part, shards))
    held: ShardRange | None = None
    with Meter(f"tracing {name}") as meter:
        settings: dict[str, Any] = {
            "task": name,
            "traces": dict.fromkeys(chosen, traces),
            "seed": seed,
            "out": out,
            "processes": processes,
            "progress": lambda done, total: meter.update(done, total, "traces"),
        }
        try:
            if some:
                made = generate_part(programs, **settings, **some)
                found, held = made.traces, made.shards
            else:
                found = generate(programs, **settings)
        except KeyboardInterrupt:
            screen.note(f"interrupted: finished shards are kept in {out}; the same command resumes")
            finish(INTERRUPTED)
        seconds = meter.seconds
    frames = unique_frames(found.batches())
    check_rule(frames)
    _people(screen, found, frames, f"sizes {show_sizes(chosen)}" if held is None else str(held), seconds)
    screen.line("next: npi merge PART... --out DIR" if held else f"next: npi show {out}, or npi train {out}")
    screen.document(_document(found, frames, seconds) | ({} if held is None else {"part": asdict(held)}))


def merge(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="Folders of npi trace --part.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the whole.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Put the parts of a trace set together that several hosts made.

    They must be of one set (program file, task, seed, sizes and counts) and hold each of its shards once; every file is
    checked. The folder is the same, byte for byte, as if one process had made it, and the parts are left as they are.

    \b
    Example:
      npi merge part-1 part-2 --out sets/add
    """
    from traces.generation.shards import merge_parts
    from traces.recording.unique_frames import check_rule, unique_frames

    screen = Screen(json=json)
    with Meter("merging") as meter:
        try:
            found = merge_parts(parts, out=out, progress=lambda done, total: meter.update(done, total, "traces"))
        except KeyboardInterrupt:
            screen.note(f"interrupted: what was copied is kept in {out}; the same command resumes")
            finish(INTERRUPTED)
        seconds = meter.seconds
    frames = unique_frames(found.batches())
    check_rule(frames)
    _people(screen, found, frames, f"from {plural(len(parts), 'part')}", seconds)
    screen.line(f"next: npi show {out}, or npi train {out}")
    screen.document(_document(found, frames, seconds))


def chosen_shards(part: str | None, shards: str | None) -> dict[str, tuple[int, int]]:
    """``--part 2/4`` or ``--shards 0:4`` as what ``generate_part`` takes; nothing where neither is given."""
    if part is not None and shards is not None:
        raise ValueError("--part and --shards both say which shards to make; give one of them")
    for name, text, between in (("part", part, "/"), ("shards", shards, ":")):
        if text is not None:
            words = text.split(between)
            if len(words) != 2 or not all(word.isdecimal() for word in words):
                example = "2/4, the second of four parts" if name == "part" else "0:4, the first four shards"
                raise ValueError(f"--{name} {text!r} is not understood; write for example {example}")
            return {name: (int(words[0]), int(words[1]))}
    return {}


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


def _people(screen: Screen, found: TraceSet, frames: FrameSet, which: str, seconds: float) -> None:
    size = file_size(sum(shard.bytes for shard in found.shards))
    counts = f"{plural(len(found), 'trace')}, {plural(found.frames, 'frame')}, {plural(found.steps, 'step')}"
    screen.line(f"{found.folder}: {counts}; {which}; {size}, {duration(seconds)}")
    table = grid("program", "frames", "different", "longest", right=("frames", "different", "longest"))
    for row in by_program(frames):
        table.add_row(row["program"], f"{row['frames']:,}", f"{row['different']:,}", plural(row["longest"], "step"))
    screen.say(table)
    screen.line("every result is as the task expects, and no two frames contradict each other")


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
