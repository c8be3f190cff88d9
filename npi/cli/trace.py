"""``npi trace``: let a task's teacher run on random problems, and keep the runs in a folder; ``npi merge``: put parts
that several hosts made together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import Column, Meter, Screen, finish, number, picked
from npi.cli.options import DEPTH, DataOption, DepthOption, JsonOption, SeedOption, StepsOption, argument, option
from npi.cli.words import duration, file_size, parse_sizes, plural, show_sizes

if TYPE_CHECKING:
    from dsl import ProgramSet
    from traces.recording.unique_frames import FrameSet
    from traces.storage.trace_set import ShardRange, TraceSet


def trace(
    file: Annotated[Path, argument("A program file (*.npi).")],
    out: Annotated[Path, option("--out", "A new folder for the traces.", "DIR", show_default=False)],
    task: Annotated[str | None, option("--task", "A task of the file; needed where it has several.", "NAME")] = None,
    traces: Annotated[int, option("--traces", "Runs of each size.", "N", min=1)] = 32,
    sizes: Annotated[
        str | None, option("--sizes", "Such as 1..20 or 1,5,10; the task's training sizes by default.", "SIZES")
    ] = None,
    processes: Annotated[int, option("--processes", "In parallel; the result is the same.", "N", min=1)] = 1,
    part: Annotated[
        str | None, option("--part", "Only the K-th of N parts, such as 2/4, each on a host of its own.", "K/N")
    ] = None,
    shards: Annotated[str | None, option("--shards", "Only the shards A to B - 1, counted from 0.", "A:B")] = None,
    steps: StepsOption = None,
    depth: DepthOption = DEPTH,
    data: DataOption = None,
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
    from traces.machine.outcome import Budget

    screen = Screen(json=json)
    programs = load(file)
    name = task or only_task(programs)
    chosen = parse_sizes(sizes) if sizes else programs.task(name).train_sizes
    if not chosen:
        raise ValueError(f"task {name} says no sizes to train on; give some, as in --sizes 1..8")
    some = chosen_shards(part, shards)
    with _recording(screen, f"tracing {name}", f"finished shards are kept in {out}") as meter:
        settings: dict[str, Any] = {
            "task": name,
            "traces": dict.fromkeys(chosen, traces),
            "seed": seed,
            "out": out,
            "processes": processes,
            "budget": Budget(steps=steps, depth=depth),
            "progress": partial(meter.update, note="traces"),
        }
        held = generate_part(programs, **settings, **some) if some else None
        found = generate(programs, **settings) if held is None else held.traces
    if held is None:
        _tell(screen, found, f"sizes {show_sizes(chosen)}", meter.seconds)
    else:
        _tell(screen, found, str(held.shards), meter.seconds, part=held.shards)


def merge(
    parts: Annotated[list[Path], argument("Folders of npi trace --part.", "PART...")],
    out: Annotated[Path, option("--out", "A new folder for the whole.", "DIR", show_default=False)],
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

    screen = Screen(json=json)
    with _recording(screen, "merging", f"what was copied is kept in {out}") as meter:
        found = merge_parts(parts, out=out, progress=partial(meter.update, note="traces"))
    _tell(screen, found, f"from {plural(len(parts), 'part')}", meter.seconds)


@contextmanager
def _recording(screen: Screen, title: str, kept: str) -> Iterator[Meter]:
    """Progress of writing a trace set; after Ctrl-C says what is kept, and ends the command."""
    with Meter(title) as meter:
        try:
            yield meter
        except KeyboardInterrupt:
            screen.note(f"interrupted: {kept}; the same command resumes")
            finish(interrupted=True)


def chosen_shards(part: str | None, shards: str | None) -> dict[str, Any]:
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


def _tell(screen: Screen, found: TraceSet, which: str, seconds: float, **part: ShardRange) -> None:
    """A trace set, once its frames are compared; ``part`` says which shards of the whole it is, if not all."""
    from traces.recording.unique_frames import check_rule, unique_frames

    frames = unique_frames(found.batches())
    check_rule(frames)
    size, rows = sum(shard.bytes for shard in found.shards), by_program(frames)
    counts = f"{plural(len(found), 'trace')}, {plural(found.frames, 'frame')}, {plural(found.steps, 'step')}"
    screen.line(f"{found.folder}: {counts}; {which}; {file_size(size)}, {duration(seconds)}")
    longest = number("longest", lambda row: plural(row["longest"], "step"))
    screen.table(rows, Column("program"), number("frames"), number("different"), longest)
    screen.line("every result is as the task expects, and no two frames contradict each other")
    whole = f"next: npi show {found.folder}, or npi train {found.folder}"
    screen.line("next: npi merge PART... --out DIR" if part else whole)
    screen.document(
        {
            **picked(found, "folder frames steps"),
            **picked(found.info, "task seed"),
            "traces": len(found),
            "different_frames": len(frames),
            "programs": rows,
            "shards": [shard.file for shard in found.shards],
            "bytes": size,
            "seconds": seconds,
            **part,
        }
    )
