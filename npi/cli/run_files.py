"""Runs as files: pages (``--html``), and animated pictures (``--animation``) in worlds that are pictured or drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dsl import ProgramSet
from dsl.tasks.task import Problem
from envs.scratchpad.world import Scratchpad
from envs.stepper import Stepper
from envs.support.atomic_files import write_whole
from envs.world import Drawn, World
from npi.cli.console import Screen
from npi.cli.run_view import Replay, calls_of, ways
from npi.cli.words import file_size, plural
from npi.running.run_page import takes_of
from npi.running.runs import Run
from traces.generation.generate import load_sources, plan_shards
from traces.machine.lockstep import Status
from traces.recording.text import call_text
from traces.storage.trace_set import TraceSet
from traces.viewing.animation import MAX_STILLS, Still, animation, pillow, text_pictures
from traces.viewing.page import Take, page
from traces.viewing.states import has_pictures, views

# --- pages -----------------------------------------------------------------------------------------------------------


def write_run(screen: Screen, file: Path, run: Run, text: Stepper | None) -> None:
    """The run as a page; beside a core's run that goes another way, the run of the program text."""
    write_page(screen, file, run.inputs, *takes_of(run, text))


def write_page(screen: Screen, file: Path, title: str, takes: list[Take], notes: list[str]) -> None:
    """Write the page and say so on stderr."""
    content = page(title, takes, notes=notes).encode()
    write_whole(file, content)
    screen.note(f"wrote {file}, {file_size(len(content))}: open it in a browser")


def drawn_again(found: TraceSet, index: int) -> tuple[ProgramSet, Problem] | None:
    """The programs and the problem of a trace of a set, which the set's seed draws again; None for other sets."""
    info = found.info
    if not info.sources or not {"counts", "shard_traces"} <= set(info.settings):
        return None
    programs = load_sources(info.sources)
    task = programs.task(info.task)
    counts = {int(size): int(count) for size, count in info.settings["counts"].items()}
    for plan in plan_shards(info.task, counts, seed=info.seed, shard_traces=int(info.settings["shard_traces"])):
        for size, count, seed in plan.draws:
            if index < count:
                problems = task.draw(size, count, generator=torch.Generator().manual_seed(seed), spread=True)
                return programs, problems[index]
            index -= count
    return None


# --- animated pictures -----------------------------------------------------------------------------------------------


def check_animation(file: Path, programs: ProgramSet) -> None:
    """``ValueError`` where an animation cannot be written: before anything is run."""
    world = programs.world
    if not (has_pictures(world) or is_drawn(world)):
        kind = world.spec.kind
        raise ValueError(
            f"--animation {file}: world {world.spec.name} ({kind}) has no pictures; --html shows any world"
        )
    if file.suffix.lower() != ".gif":
        raise ValueError(f"--animation {file}: animations are GIFs; name a file that ends in .gif")
    pillow()


def write_animation(screen: Screen, file: Path, programs: ProgramSet, run: Run) -> None:
    """Write the animation and say so on stderr."""
    shown = list(stills(programs, run))
    content = animation(shown)
    write_whole(file, content)
    calls = len(calls_of(run))
    cut = f", the first {MAX_STILLS:,} of {calls:,} calls" if calls > MAX_STILLS else ""
    screen.note(f"wrote {file}, {file_size(len(content))}, {plural(len(shown), 'picture')}{cut}")


def is_drawn(world: World[Any]) -> bool:
    """Whether a world is drawn as text, and its drawing keeps its size: that of a pad grows with it."""
    return isinstance(world, Drawn) and not isinstance(world, Scratchpad)


def stills(programs: ProgramSet, run: Run) -> Iterator[Still]:
    """A still for the first call and for each that follows, with what was seen when it was made; one for the end."""
    replay = Replay(programs, run.problem)
    pictured = has_pictures(replay.world)
    found = list[Still]()

    def note(*way: str, end: str = "") -> None:
        seen = views(replay.world, replay.world.observe(replay.state).fields_BF) if pictured else {}
        found.append(Still(seen, way, tuple(replay.draw()), end, run.right or not end))

    note(run.head)
    for number, way in enumerate(ways(run)):
        if number < MAX_STILLS:
            note(run.head, *(call_text(programs.table, event.call) for event in way))
        replay.act(way[-1])
    how = f"{'right' if run.right else 'wrong'} after {plural(run.steps, 'step')}"
    note(end=how if run.status == Status.DONE else run.verdict)
    if pictured:
        yield from found
        return
    drawings = text_pictures([still.lines for still in found])
    for still, pixels in zip(found, drawings, strict=True):
        yield replace(still, pictures={programs.world.spec.kind: pixels}, lines=())
