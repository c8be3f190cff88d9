"""Runs as animated pictures (``--animation``), in worlds that have pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from npi.cli.console import Screen
from npi.cli.run_view import OneRun, Replay, is_return
from npi.cli.words import file_size, plural
from traces.machine.lockstep import Status
from traces.recording.text import call_text
from traces.viewing.animation import MAX_STILLS, Still, animation, pillow
from traces.viewing.states import has_pictures, views

if TYPE_CHECKING:
    from dsl import ProgramSet


def check_animation(file: Path, programs: ProgramSet) -> None:
    """``ValueError`` where an animation cannot be written: before anything is run."""
    world = programs.world
    if not has_pictures(world):
        kind = world.spec.kind
        raise ValueError(
            f"--animation {file}: world {world.spec.name} ({kind}) has no pictures; --html shows any world"
        )
    if file.suffix.lower() != ".gif":
        raise ValueError(f"--animation {file}: animations are GIFs; name a file that ends in .gif")
    pillow()


def write_animation(screen: Screen, file: Path, programs: ProgramSet, found: OneRun) -> None:
    """Write the animation and say so on stderr."""
    shown = list(stills(programs, found))
    content = animation(shown)
    file.write_bytes(content)
    calls = sum(not is_return(event) for event in found.events)
    cut = f", the first {MAX_STILLS:,} of {calls:,} calls" if calls > MAX_STILLS else ""
    screen.note(f"wrote {file}, {file_size(len(content))}, {plural(len(shown), 'picture')}{cut}")


def stills(programs: ProgramSet, found: OneRun) -> Iterator[Still]:
    """A still for the first call and for each that follows, with what was seen when it was made; one for the end."""
    replay = Replay(programs, found.problem, width=100)
    world, way = replay.world, [found.head]
    calls = [event for event in found.events if not is_return(event)]
    yield Still(views(world, world.observe(replay.state).fields_BF), tuple(way), tuple(replay.draw()))
    for event in calls[:MAX_STILLS]:
        del way[event.depth :]
        way.append(call_text(programs.table, event.call))
        yield Still(views(world, world.observe(replay.state).fields_BF), tuple(way), tuple(replay.draw()))
        replay.act(event)
    for event in calls[MAX_STILLS:]:
        replay.act(event)
    yield Still(views(world, world.observe(replay.state).fields_BF), (), tuple(replay.draw()), _end(found), found.right)


def _end(found: OneRun) -> str:
    """How a run ended, in a few words."""
    steps = plural(found.steps, "step")
    if found.status == Status.ILLEGAL:
        return f"stopped after {steps}: {found.refused} cannot be carried out"
    words = "right" if found.right else "wrong" if found.status == Status.DONE else "stopped"
    return f"{words} after {steps}"
