"""``npi learn``: new programs for a core that no longer changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    DONE,
    INTERRUPTED,
    NOT_REACHED,
    DeviceOption,
    HostOption,
    JsonOption,
    LibraryOption,
    Meter,
    Screen,
    SeedOption,
    duration,
    finish,
    plural,
    stop_on_interrupt,
)
from npi.cli.learners import SetOption, learn_signals, sources_of
from npi.cli.options import refuse_others

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.library.library import Library
    from npi.training.learn_rows import LearnConfig, Learned
    from npi.universal.code_search import SearchConfig

FilesArgument = Annotated[
    list[Path],
    typer.Argument(help="Program files (*.npi) or folders of npi trace.", show_default=False),
]


def learn(
    context: typer.Context,
    files: FilesArgument,
    library: LibraryOption = Path("library"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write there instead of into the library itself.")
    ] = None,
    starts: Annotated[
        int | None, typer.Option("--starts", min=1, metavar="N", help="Random restarts, in parallel.")
    ] = None,
    updates: Annotated[
        int | None, typer.Option("--updates", min=1, metavar="N", help="The most steps of the optimiser.")
    ] = None,
    traces: Annotated[int, typer.Option("--traces", min=1, metavar="N", help="Runs of each training size.")] = 8,
    from_traces: Annotated[
        bool, typer.Option("--from-traces", help="Infer states from traces; a program's text only checks the rows.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Write the rows even where they are not right yet.")] = False,
    certify: Annotated[
        bool, typer.Option("--certify/--no-certify", help="Take rows only that are proved for every input.")
    ] = True,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    settings: SetOption = None,
    host: HostOption = None,
    json: JsonOption = False,
) -> None:
    """Learn programs that a library does not have yet: a row of numbers each, and no other number changes.

    The outputs of the old programs stay bit-identical, which is checked. The library on disk changes only where the new
    programs pass.

    A library that is not there yet begins with the universal core that comes with the engine, into which any program
    over symbols can be written. A row of it is right where it decides as the program's text does in every configuration
    that there can be. Libraries of npi train learn rows in the worlds that their cores were trained in.

    Traces may have no text beside them. A universal core's library then infers the states of their programs, and a row
    is right where it decides as all frames do, a tenth of which were held back. Nothing is proved of it. A folder of
    npi trace has its text; --from-traces learns as if it had none, and then proves the rows.

    Programs with a signal become rows of a learner's library, found by their signal beside its frozen core.

    \b
    Example:
      npi learn programs/max.npi
      npi learn sets/mark --library mine
      npi learn programs/learning/restless.npi --library bandit
    """
    sources, signals = sources_of(files)
    if signals:
        refuse_others(context, "learners")
        learn_signals(
            Screen(json=json), library, sources, out=out, settings=settings or (), updates=updates, starts=starts,
            seed=seed,
        )  # fmt: skip
        return
    from npi.jobs.train import learn_settings, library_to_learn
    from npi.library.library import Library
    from npi.training.ranks import pick_device

    screen = Screen(json=json)
    new = not library.exists()
    opened = library_to_learn(library, device=pick_device(device))
    traced = all(path.is_dir() for path in files)
    refuse_others(context, opened.core.config.kind, *["traces"] * traced)
    config = learn_settings(opened, seed=seed, starts=starts, updates=updates, certify=certify)
    if new:
        screen.note(f"{library} is new: it begins with the universal core that comes with the engine")
    hosts = [Library.open(folder) for folder in host or ()]
    with stop_on_interrupt() as stop, Meter("learning") as meter:
        found = learn_with(
            meter, opened, sources, config=config, traces=traces, hosts=hosts, out=out or library, stop=stop,
            keep_unsolved=keep, from_traces=from_traces,
        )  # fmt: skip
        stopped, seconds = stop(), meter.seconds
    people(screen, found, out or library, kept=found.solved or keep, seconds=seconds)
    screen.document(document(found, out or library, kept=found.solved or keep, seconds=seconds))
    interrupted = stopped and not found.solved
    if interrupted:
        screen.note(f"interrupted after {plural(found.updates, 'update')}; the library is as it was")
    finish(INTERRUPTED if interrupted else DONE if found.solved else NOT_REACHED)


def learn_with(
    meter: Meter,
    library: Path | Library,
    files: Sequence[Path | ProgramSet],
    *,
    config: LearnConfig | SearchConfig,
    **settings: Any,
) -> Learned:
    """:func:`npi.jobs.train.learn_into`, reporting to the meter."""
    from npi.jobs.train import learn_into
    from npi.training.learn_rows import LearnConfig

    most = config.updates if isinstance(config, LearnConfig) else config.most

    def report(update: int, loss: float, wrong: dict[str, int]) -> None:
        names = ", ".join(f"{name.rpartition('.')[2]} {count}" for name, count in wrong.items())
        told = "" if loss != loss else f"loss {loss:.3f}; "
        meter.update(update, most, f"{told}wrong: {names or 'none'}")

    meter.update(0, most, "tracing the programs")
    return learn_into(library, files, config=config, report=report, **settings)


def people(screen: Screen, found: Learned, folder: Path, *, kept: bool, seconds: float) -> None:
    """What was learned, for people."""
    rows = ", ".join(name.rpartition(".")[2] for name in found.rows)
    screen.line(f"learned     {rows}: {plural(found.numbers, 'number')} each, {plural(found.updates, 'update')}, "
                f"{duration(seconds)}")  # fmt: skip
    for label, part in (("core", "core"), ("old rows", "rows"), ("old outputs", "probes")):
        before, after = getattr(found, f"{part}_before"), getattr(found, f"{part}_after")
        same = "bit-identical" if before == after else "CHANGED"
        screen.line(f"{label:<12}{before[:16]} before, {after[:16]} after: {same}")
    if found.validation is not None:
        checks = f"{found.validation.solved} of {found.validation.problems}"
        screen.line(f"checks      {checks} passed ({kinds_of_checks(found)})")
    for line in inferences(found):
        screen.line(line)
    for name, count in found.wrong.items() if not found.notes else ():
        screen.line(f"wrong       {name}: {plural(count, 'frame')}")
    for note in found.notes:
        screen.line(note)
    if found.solved:
        screen.line(f"solved; the library in {folder} has them now")
    elif kept:
        screen.line(f"not solved; written to {folder} all the same, as --keep asks")
    else:
        screen.line("not solved, so the library is as it was: raise --starts, --updates or --traces, or try a --seed")


def kinds_of_checks(found: Learned) -> str:
    """What is among the checks of rows."""
    if not found.inferred:
        return "random problems, and proofs of the new rows"
    unproved = all(one.proved is None for one in found.inferred)
    alone = unproved and len(found.inferred) == len(found.rows)
    return "frames of the traces" if alone else "random problems, frames of the traces, and proofs of the new rows"


def inferences(found: Learned) -> Iterator[str]:
    """A line for each program whose states were inferred from traces, and one where nothing was proved."""
    for one in found.inferred:
        looks = ", ".join(dict.fromkeys(name for names in one.looks for name in names)) or "nothing"
        right = f"right in all {one.frames:,} different frames" if not one.wrong else (
            f"wrong in {one.wrong:,} of {one.frames:,} different frames"
        )  # fmt: skip
        held = f"{one.held:,} of them held back" if one.held else "it learned from all of them"
        states = plural(len(one.looks), "state")
        yield f"inferred    {one.name.rpartition('.')[2]}: {states}, looking at {looks}; {right}, {held}"
    if any(one.proved is None for one in found.inferred):
        yield "not proved  without a text, nothing is known of configurations that no frame shows"


def document(found: Learned, folder: Path, *, kept: bool, seconds: float) -> dict[str, Any]:
    """What was learned, for programs."""
    validation = found.validation
    return {
        "library": str(folder) if kept else None,
        "solved": found.solved,
        "rows": list(found.rows),
        "numbers": found.numbers,
        "updates": found.updates,
        "wrong": found.wrong,
        "notes": list(found.notes),
        "inferred": [asdict(one) for one in found.inferred],
        "problems": None if validation is None else validation.problems,
        "problems_solved": None if validation is None else validation.solved,
        "core_before": found.core_before,
        "core_after": found.core_after,
        "unchanged": found.unchanged,
        "seconds": round(seconds, 3),
    }
